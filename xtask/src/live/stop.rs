//! SIGINT and SIGTERM to xtask: everything that waits gives up, and the guards clean up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

/// Waits look around this often for a signal.
pub(crate) const TICK: Duration = Duration::from_millis(50);

static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn remember(_: libc::c_int) {
    STOPPED.store(true, Ordering::Relaxed);
}

/// Takes the two signals over.
#[expect(unsafe_code, reason = "signal(2)")]
pub(crate) fn listen() {
    let handler: extern "C" fn(libc::c_int) = remember;
    // SAFETY: the handler only stores to an atomic.
    unsafe {
        libc::signal(libc::SIGINT, handler as libc::sighandler_t);
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
    }
}

/// An error once a signal has come.
pub(crate) fn check() -> anyhow::Result<()> {
    if STOPPED.load(Ordering::Relaxed) {
        bail!("stopped by a signal");
    }
    Ok(())
}

/// Lets time pass that is itself what is measured; an error once a signal has come.
pub(crate) fn pass(time: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}
