//! What the daemon asks about a container that starts, and the answer.

use monitor_common::event::State;

use super::judge::Finding;
use crate::bounded::Unanswered;
use crate::container::{ContainerKey, ResolveRequest, Update};

/// A container that is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Which, with its first process.
    pub request: ResolveRequest,
    /// Start of that process, nanoseconds since boot.
    pub started: u64,
    /// What the kernel showed as its first program started.
    pub state: State,
}

/// Why a container could not be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It had ended.
    Gone,
    /// Who looks was kept waiting.
    Unanswered(Unanswered),
}

impl Unread {
    /// What is said of it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Gone => "it ended before it could be looked at",
            Self::Unanswered(why) => why.reason(),
        }
    }
}

/// What was found out about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which container.
    pub key: ContainerKey,
    /// Its first process.
    pub pid: u32,
    /// Start of that process, nanoseconds since boot.
    pub started: u64,
    /// Path of the OCI configuration, if it was found.
    pub config: Option<String>,
    /// What is to be said of it, the worst first; or why it could not be looked at.
    pub findings: Result<Vec<Finding>, Unread>,
    /// Who it is: that had to be found out on the way.
    pub identity: Update,
}
