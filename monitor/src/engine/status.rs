//! How an engine is, and what was asked of it.

use super::follow::Follower;
use super::{Endpoint, Fault, Listener};

/// What was asked, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Questions.
    pub asked: u64,
    /// Answers, asked for or not.
    pub answered: u64,
    /// Questions and attempts to connect that were not answered in time.
    pub timed_out: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those for which there was no connection, or it broke.
    pub unreachable: u64,
    /// Answers that were no such thing, or too large.
    pub garbled: u64,
    /// Answers that kernel or files contradicted.
    pub mismatched: u64,
}

impl Tally {
    /// Counts a failure by its reason. That nobody expected an engine is none.
    pub(super) fn fail(&mut self, fault: &Fault) {
        let count = match fault {
            Fault::TimedOut(_) => &mut self.timed_out,
            Fault::Refused { .. } | Fault::Rpc { .. } | Fault::Account(_) => &mut self.refused,
            Fault::Absent | Fault::Io(_) | Fault::Closed => &mut self.unreachable,
            Fault::TooLarge(_) | Fault::Garbage { .. } | Fault::TooMany(_) | Fault::NotServed(_) => {
                &mut self.garbled
            }
        };
        *count += 1;
    }
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
    /// Version, who listens, containers.
    Up(String, Listener, usize),
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

    /// Who listens at its socket.
    pub(super) fn listener(&self) -> Listener {
        if let State::Up(_, listener, _) = &self.state { *listener } else { Listener::default() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let mut tally = Tally::default();
        tally.fail(&Fault::TimedOut(std::time::Duration::from_secs(2)));
        for fault in [Fault::Refused { what: "pods", status: 403 }, Fault::Account("none".to_owned())] {
            tally.fail(&fault);
        }
        for fault in [Fault::Closed, Fault::Absent, Fault::Io(std::io::ErrorKind::ConnectionRefused.into())] {
            tally.fail(&fault);
        }
        for _ in 0..4 {
            tally.fail(&Fault::TooMany(1));
        }
        let want = Tally { timed_out: 1, refused: 2, unreachable: 3, garbled: 4, ..Tally::default() };
        assert_eq!(tally, want);
    }
}
