//! The exit statuses: part of the command line's contract.

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Well.
    Ok = 0,
    /// The verb asked a question, and there is something to report.
    Findings = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It could not start, or could not go on.
    CannotStart = 3,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
