//! How the verbs speak: what is done and why goes to stderr, so that stdout stays for results and for the
//! records of programs started by a verb.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

static ASIDE: AtomicBool = AtomicBool::new(false);

/// From here on results go to stderr too: stdout is for one object of JSON.
pub(crate) fn results_aside() {
    ASIDE.store(true, Ordering::Relaxed);
}

/// Announces a step that is about to be taken.
pub(crate) fn step(what: impl Display) {
    eprintln!("xtask: {what}");
}

/// Adds a detail to the step above it.
pub(crate) fn note(what: impl Display) {
    eprintln!("xtask:   {what}");
}

/// One line of a verb's result.
pub(crate) fn result(line: impl Display) {
    if ASIDE.load(Ordering::Relaxed) {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}
