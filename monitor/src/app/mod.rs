//! Puts the parts together for the verbs that watch the kernel.

use crate::cli::{DoctorArgs, RunArgs};
use crate::diag::{Code, Diagnostic, Exit};

/// Watches until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting.
pub fn run(_args: &RunArgs) -> Result<Exit, Diagnostic> {
    Err(Diagnostic::new(Code::ObjectMissing))
}

/// Says what each sensor gets on this kernel, and what is therefore not seen.
///
/// # Errors
/// Everything that keeps it from finding out.
pub fn doctor(_args: &DoctorArgs) -> Result<Exit, Diagnostic> {
    Err(Diagnostic::new(Code::ObjectMissing))
}
