//! What became of questions to engines, on its way out.

use super::Pipeline;
use crate::engine::StatusChange;
use crate::output::{EngineStatus, Status};

impl Pipeline {
    /// Takes in how an engine is; it is said if it came or went.
    pub fn engine(&mut self, time: u64, change: StatusChange) {
        if change.changed {
            self.status(time, Status::Engine(status(&change)));
        }
        match self.engines.iter_mut().find(|known| known.endpoint == change.endpoint) {
            Some(known) => *known = change,
            // Their number is bounded where they are asked.
            None => self.engines.push(change),
        }
    }

    /// Says how every engine is that was ever there, or that somebody asked for.
    pub(super) fn tell_engines(&mut self, time: u64) {
        let engines = std::mem::take(&mut self.engines);
        for engine in &engines {
            self.status(time, Status::Engine(status(engine)));
        }
        self.engines = engines;
    }
}

fn status(change: &StatusChange) -> EngineStatus<'_> {
    let up = change.state.as_ref().ok();
    EngineStatus {
        engine: change.endpoint.kind.name(),
        socket: change.endpoint.socket.to_str().unwrap_or_default(),
        version: up.map(|(version, _)| version.as_str()),
        containers: up.map(|(_, containers)| *containers as u64),
        reason: change.state.as_ref().err().map(String::as_str),
        asked: change.tally.asked,
        answered: change.tally.answered,
        timed_out: change.tally.timed_out,
        refused: change.tally.refused,
        unreachable: change.tally.unreachable,
        garbled: change.tally.garbled,
        mismatched: change.tally.mismatched,
    }
}
