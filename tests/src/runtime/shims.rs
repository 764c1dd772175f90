//! Shims of a containerd that was killed, which outlive it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Ends the shims of the containerd at this socket: of a container that was being started when it was killed, it knows
/// nothing that it could remove.
pub(super) fn end_shims(socket: &Path) {
    let address = [b"\0-address\0", socket.as_os_str().as_bytes(), b"\0"].concat();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for id in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        let Some(pid) = Pid::from_raw(id) else { continue };
        // Held before it is looked at: the number cannot become another process's in between.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if line.windows(address.len()).any(|part| part == address) {
            // It may have ended.
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}
