//! Whether an answer is believed: what the desk looks up for it, of the kernel and of files.

use super::Answer;
use super::case::Said;
use super::desk::{Desk, Outlet};
use super::merge::{contradictions, is_undecided};
use super::place::{self, Place, Seen};
use crate::bounded::LOOK;
use crate::container::{ContainerKey, Status};

/// Why nothing of a user's engine is taken.
const UNDECIDED: &str = "is a user's, and whose the container is could not be seen";

impl<O: Outlet> Desk<O> {
    /// True if the answer's process can be looked for: it is named, as this machine numbers processes.
    pub(super) fn names_process(&self, number: usize, answer: &Answer) -> bool {
        let has_own = self.engines.get(number).is_some_and(|engine| engine.listener().has_own_pids);
        answer.pid != 0 && !has_own
    }

    /// The process that an engine means which numbers processes otherwise: the container's, if it has that number as well, else
    /// none.
    fn renumbered(&self, key: ContainerKey, pid: u32) -> u32 {
        let known = self.cases.get(&key).map(|case| case.request.pid);
        known.filter(|known| self.resolver.inner_pids(*known).contains(&pid)).unwrap_or(0)
    }

    /// Compares an answer about a container with kernel and files.
    pub(super) fn judge(&mut self, number: usize, key: ContainerKey, mut answer: Answer) {
        if answer.pid != 0 && !self.names_process(number, &answer) {
            answer.pid = self.renumbered(key, answer.pid);
        }
        let Some(engine) = self.engines.get_mut(number) else { return };
        let place = place::look(&self.resolver, key, answer.pid, |key| self.cases.contains_key(&key));
        let Some(case) = self.cases.get_mut(&key) else { return };
        // The process of the answer may have ended since, and its number stand for another one: asked again, an engine
        // that knows better says so.
        if matches!(place, Place::Outside(_)) && case.doubt(number, answer.pid) {
            engine.tally.asked += 1;
            if engine.follower.ask(&answer.id) {
                return;
            }
        }
        let named = case.files.identity.name.is_some() && answer.identity.name.is_some();
        if named && case.files.identity.name != answer.identity.name {
            // It was renamed: the files say so by now.
            let (resolver, request) = (self.resolver.clone(), case.request.clone());
            let update = self.files.run(LOOK, move || resolver.resolve(&request));
            if let Ok(update) = update
                && update.status == Status::Resolved
            {
                case.files = update;
            }
        }
        let owner = engine.listener().owner;
        let pid = if answer.pid != 0 && place == Place::Inside { answer.pid } else { case.request.pid };
        let seen = Seen { place, owner: (owner != 0).then(|| place::owner(pid)).flatten() };
        let mismatches = contradictions(&case.files, &answer, &engine.name(), owner, &seen);
        if mismatches.is_empty() && is_undecided(owner, &seen) {
            // As it is started the engine names no process yet, and the runtime's, by which it is known, ends.
            let again = case.doubt(number, answer.pid) && engine.follower.ask(&answer.id);
            if again {
                engine.tally.asked += 1;
            } else {
                case.refused(number, &format!("{}: {UNDECIDED}", engine.name()));
            }
            return;
        }
        if !mismatches.is_empty() {
            engine.tally.mismatched += 1;
        }
        case.answered(number, Said { answer, mismatches });
    }
}
