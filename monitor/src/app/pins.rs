//! `run --pin` and `unpin`: what outlives the daemon.

use std::path::Path;

use super::start::boot_now;
use crate::bpf::{Accounts, PinError, Pins, Resumed, Rings};
use crate::diag::{Code, Diagnostic, Exit};
use crate::ingest::Received;
use crate::pipeline::Pipeline;

/// How often accounts and rings are read to find a moment at which they agree.
const TRIES: u32 = 50;

/// Takes the folder of the pins.
///
/// # Errors
/// [`Code::CannotPin`].
pub(super) fn open(folder: &Path) -> Result<Pins, Diagnostic> {
    Pins::open(folder).map_err(|e| cannot_pin(&e))
}

/// Takes away what `run --pin` left in the kernel.
///
/// # Errors
/// [`Code::CannotPin`]; that there is nothing is none.
pub fn unpin(folder: &Path) -> Result<Exit, Diagnostic> {
    super::start::require_privileges()?;
    if !folder.exists() {
        crate::cli::print(&format!("nothing is pinned below {}\n", folder.display()))?;
        return Ok(Exit::Ok);
    }
    open(folder)?.remove().map_err(|e| cannot_pin(&e))?;
    crate::cli::print(&format!("{}: unpinned and detached\n", folder.display()))?;
    Ok(Exit::Ok)
}

/// Goes on with an earlier daemon's accounts. Gives what counts as received.
///
/// # Errors
/// The kernel refused a read.
pub(super) fn resume(
    pipeline: &mut Pipeline,
    rings: &Rings,
    accounts: &mut Accounts,
    resumed: &Resumed,
) -> Result<Received, Diagnostic> {
    let failed = |e: String| Diagnostic::new(Code::CannotPin).note(e);
    let mut look = accounts.look(boot_now()).map_err(failed)?;
    let mut waiting = Received::default();
    // Programs run on meanwhile: what waits belongs to a look if nothing was counted between that and the next one.
    for _ in 0..TRIES {
        waiting = Received::default();
        rings.peek(|record| waiting.add_bytes(record));
        let next = accounts.look(boot_now()).map_err(failed)?;
        let still = look.cpus == next.cpus;
        look = next;
        if still {
            break;
        }
    }
    Ok(pipeline.resume(boot_now(), resumed.alive, &look, &mut waiting, &resumed.told))
}

fn cannot_pin(error: &PinError) -> Diagnostic {
    Diagnostic::new(Code::CannotPin).note(error.to_string())
}
