//! The program by which `cargo xtask bench` has the kernel side write records.

use aya::programs::RawTracePoint;

use super::loader::{Loaded, explain};

impl Loaded {
    /// Loads the program that writes records on demand, for `cargo xtask bench`; it is attached to nothing.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn load_flood(&mut self) -> Result<(), String> {
        let bpf = self.bpf.as_mut().ok_or("the programs are an earlier daemon's")?;
        let program = bpf.program_mut("flood").ok_or("no flood in the eBPF object")?;
        let program: &mut RawTracePoint = program.try_into().map_err(explain)?;
        program.load().map_err(explain)
    }
}
