//! Makes tracefs reachable while programs are attached to tracepoints of system calls: their ids are read from
//! there, and not every host mounts it.

use std::fs;
use std::thread;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

const TRACEFS: &str = "/sys/kernel/tracing";

/// Runs `body` on a thread that sees tracefs. Where the host does not mount it, the thread mounts it in a
/// mount namespace of its own, which ends with the thread.
pub(super) fn with<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    if is_mounted() {
        return body();
    }
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // If this fails the rung is not used, and the sensor's state says why.
            let _ = mount_privately();
            body()
        });
        match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn is_mounted() -> bool {
    fs::read_dir(TRACEFS).is_ok_and(|mut entries| entries.next().is_some())
}

fn mount_privately() -> rustix::io::Result<()> {
    #[expect(unsafe_code, reason = "unshare(2) may pull the ground from under other code; here it cannot")]
    // SAFETY: no descriptors are unshared; the thread was made for this and runs nothing else.
    unsafe {
        rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)?;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tracefs", TRACEFS, "tracefs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
}
