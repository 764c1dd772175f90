//! What the kernel side says for debugging, if the object was built with `debug-log`: lines on standard error.

use std::io::Write;

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Writes log lines to standard error.
#[derive(Debug)]
struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Nobody is left to be told if this fails.
        let _ = writeln!(std::io::stderr(), "kernel side: {}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// The kernel side's log lines.
pub struct KernelLog(EbpfLogger<Stderr>);

impl KernelLog {
    /// `None` if the object was built without `debug-log`, as it usually is.
    pub(super) fn take(bpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(bpf, Stderr).ok().map(Self)
    }

    /// Writes the lines that have come since the last call.
    pub fn write(&mut self) {
        self.0.flush();
    }
}
