//! What `demo` and `bench` share: the real daemon, throwaway containers, and an end that leaves nothing behind.
//!
//! Everything started here is ended by the guard that started it, on success, failure and Ctrl-C alike: each child
//! has a process group of its own, so that a terminal's Ctrl-C reaches xtask alone, which then unwinds.

pub(crate) mod child;
pub(crate) mod daemon;
pub(crate) mod folder;
pub(crate) mod lines;
pub(crate) mod oci;
pub(crate) mod stop;

use crate::say;

/// True for root; otherwise says what to type, for the verb of this name.
pub(crate) fn is_root(verb: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say::step(format!(
            "watching containers needs root: type `sudo -E env PATH=\"$PATH\" cargo xtask {verb}`"
        ));
    }
    root
}
