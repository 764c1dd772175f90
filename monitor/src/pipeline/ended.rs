//! Containers that are gone though no record says so.

use super::Pipeline;
use crate::container::Suspect;
use crate::output::{Body, Change};

impl Pipeline {
    /// The containers whose first process has ended, or all that are not gone.
    pub fn suspects(&mut self, all: bool) -> Vec<Suspect> {
        self.count_run();
        self.containers.suspects(&self.processes, all)
    }

    /// Takes in that a container had no process for a while. True if no record of it came in which, and it is gone.
    pub fn ended(&mut self, time: u64, suspect: &Suspect) -> bool {
        self.count_run();
        if !self.containers.end(suspect) {
            return false;
        }
        self.say(time, suspect.key, Change::Gone);
        self.say_unanswered(time);
        true
    }

    /// Says of containers whose place another one has taken that they are gone.
    pub(super) fn say_replaced(&mut self, time: u64) {
        for container in self.containers.take_replaced() {
            self.emitter.emit(time, Body::Container { container: &container, change: Change::Gone });
        }
    }

    /// Says of containers that were forgotten that nobody found out who they were.
    pub(super) fn say_unanswered(&mut self, time: u64) {
        for container in self.containers.take_unanswered() {
            self.emitter.emit(time, Body::Container { container: &container, change: Change::Updated });
        }
    }
}
