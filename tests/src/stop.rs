//! SIGINT and SIGTERM to the runner: everything that waits gives up, and the guards clean up.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;

static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn remember(_: libc::c_int) {
    STOPPED.store(true, Ordering::Relaxed);
}

/// Takes the two signals over.
#[expect(unsafe_code, reason = "signal(2)")]
pub fn listen() {
    let handler: extern "C" fn(libc::c_int) = remember;
    // SAFETY: the handler only stores to an atomic.
    unsafe {
        libc::signal(libc::SIGINT, handler as libc::sighandler_t);
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
    }
}

/// An error once a signal has come.
///
/// # Errors
/// The runner was told to stop.
pub fn check() -> anyhow::Result<()> {
    if STOPPED.load(Ordering::Relaxed) {
        bail!("stopped by a signal");
    }
    Ok(())
}
