//! How an engine is, and what was asked of it.

use super::follow::Follower;
use super::{Endpoint, Fault};

/// What was asked, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Questions about containers.
    pub asked: u64,
    /// Answers, asked for or not.
    pub answered: u64,
    /// Questions that were not answered in time.
    pub timed_out: u64,
    /// Answers that kernel or files contradicted.
    pub mismatched: u64,
}

/// How an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Which.
    pub endpoint: Endpoint,
    /// Its version and how many containers ran, if it is connected; else why not.
    pub state: Result<(String, usize), String>,
    /// What was asked of it so far.
    pub tally: Tally,
    /// True if it came or went; else only the numbers are new.
    pub changed: bool,
}

/// How an engine is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known yet.
    New,
    /// Version, owner, containers.
    Up(String, u32, usize),
    /// The reason; `None` where nobody expected an engine.
    Down(Option<String>),
}

/// An engine that is followed.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) endpoint: Endpoint,
    pub(super) follower: Follower,
    pub(super) state: State,
    pub(super) tally: Tally,
    /// What was last told of its numbers.
    pub(super) told: Tally,
}

impl Engine {
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        format!("{} at {}", self.endpoint.kind.name(), self.endpoint.socket.display())
    }

    /// Uid that its socket belongs to.
    pub(super) fn owner(&self) -> u32 {
        if let State::Up(_, owner, _) = &self.state { *owner } else { 0 }
    }

    /// What there is to tell of it.
    pub(super) fn change(&self, changed: bool) -> StatusChange {
        let state = match &self.state {
            State::Up(version, _, containers) => Ok((version.clone(), *containers)),
            State::Down(Some(reason)) => Err(reason.clone()),
            State::New | State::Down(None) => Err(Fault::Absent.to_string()),
        };
        StatusChange { endpoint: self.endpoint.clone(), state, tally: self.tally, changed }
    }
}
