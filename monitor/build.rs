//! Finds the eBPF object that `cargo xtask build` made, so that the daemon can embed it.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let beside = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../target/bpf/bulkhead-ebpf.o");
    let object = env::var_os("BULKHEAD_EBPF_OBJECT").map_or(beside, PathBuf::from);
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bulkhead-ebpf.o");
    // Without the object the daemon still builds, for tests and lints; it says at start what is missing.
    fs::write(out, fs::read(&object).unwrap_or_default())?;
    println!("cargo::rerun-if-env-changed=BULKHEAD_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    Ok(())
}
