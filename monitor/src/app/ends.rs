//! Finds the containers that ended without a word. The hot thread says which may have, the edge looks whether they have a
//! process, and what was found empty twice in a row, without a record in between, is gone.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::hot::{Mailbox, Wake};
use crate::bpf::Control;
use crate::container::{ContainerKey, Resolver, Suspect};

/// How often is looked: a container is gone between one and two of these after its last process.
const EVERY: Duration = Duration::from_secs(5);
/// Every so many times all containers are looked at, and not only those whose first process is known to have ended.
const ALL: u32 = 12;
/// Ends that may wait for the edge. What finds no room is found out when its place is used again.
const WAITING: usize = 1024;

/// A container that is gone, and when it was entered, as in [`Suspect`].
type Ended = (ContainerKey, u64);

/// What is known of it on the edge.
pub(super) struct Ends {
    asked: Instant,
    round: u32,
    to_edge: SyncSender<Vec<Suspect>>,
    suspects: Receiver<Vec<Suspect>>,
    to_kernel: SyncSender<Ended>,
    ended: Receiver<Ended>,
    /// Found empty in the last round, with the number of their records then.
    empty: BTreeMap<ContainerKey, u64>,
}

impl Ends {
    pub(super) fn new() -> Self {
        let (to_edge, suspects) = sync_channel(1);
        let (to_kernel, ended) = sync_channel(WAITING);
        Self { asked: Instant::now(), round: 0, to_edge, suspects, to_kernel, ended, empty: BTreeMap::new() }
    }

    /// Does what is due. False if the hot thread has hung up.
    pub(super) fn step(&mut self, resolver: &Resolver, control: &mut Control, mailbox: &Mailbox) -> bool {
        for (key, entered) in self.ended.try_iter() {
            control.left(key.0, entered);
        }
        if let Ok(suspects) = self.suspects.try_recv()
            && !self.look(resolver, &suspects, mailbox)
        {
            return false;
        }
        if self.asked.elapsed() < EVERY {
            return true;
        }
        self.asked = Instant::now();
        self.round = (self.round + 1) % ALL;
        // Whoever was found empty is to be among them again.
        let all = self.round == 0 || !self.empty.is_empty();
        let answer = self.to_edge.clone();
        mailbox.send(Wake::Do(Box::new(move |pipeline, _| {
            // If the last answer still waits, the edge is behind, and there is another round.
            let _ = answer.try_send(pipeline.suspects(all));
        })))
    }

    fn look(&mut self, resolver: &Resolver, suspects: &[Suspect], mailbox: &Mailbox) -> bool {
        let mut empty = BTreeMap::new();
        for suspect in resolver.without_process(suspects) {
            if self.empty.get(&suspect.key) != Some(&suspect.received) {
                empty.insert(suspect.key, suspect.received);
                continue;
            }
            let (done, suspect) = (self.to_kernel.clone(), suspect.clone());
            let told = mailbox.send(Wake::Do(Box::new(move |pipeline, now| {
                if pipeline.ended(now, &suspect) {
                    let _ = done.try_send((suspect.key, suspect.entered));
                }
            })));
            if !told {
                return false;
            }
        }
        self.empty = empty;
        true
    }
}
