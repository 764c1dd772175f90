//! The edge thread: everything slow that the hot thread must not do. Reads bundles and `/proc`, looks at the
//! counters, and keeps the list of trusted executables fresh, because an upgrade replaces their inodes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::ends::Ends;
use super::hot::{Mailbox, Question, Wake};
use super::start::boot_now;
use super::trust;
use crate::bounded::{LOOK, Worker};
use crate::bpf::{Accounts, Control, KernelLog};
use crate::container::{ResolveRequest, Resolver, Status, Update};
use crate::engine::Known;
use crate::pipeline::Pipeline;

/// How often the accounts are checked.
const ACCOUNTS: Duration = Duration::from_secs(1);
/// How often the trusted executables are looked up again.
const TRUST: Duration = Duration::from_secs(5);

/// What the edge thread owns.
pub(super) struct Edge {
    /// Where engines are asked, if they are.
    pub(super) engines: Option<Sender<Known>>,
    pub(super) control: Control,
    pub(super) accounts: Arc<Mutex<Accounts>>,
    /// How often the accounts are written, if at all.
    pub(super) written: Option<Duration>,
    pub(super) resolver: Resolver,
    pub(super) runtimes: Vec<PathBuf>,
    pub(super) trusted: BTreeSet<(u32, u64)>,
    pub(super) log: Option<KernelLog>,
}

impl Edge {
    /// Runs until the hot thread hangs up.
    pub(super) fn run(mut self, questions: &Receiver<Question>, mailbox: &Mailbox) {
        let (mut accounts, mut trust, mut written) = (Instant::now(), Instant::now(), Instant::now());
        let mut ends = Ends::new();
        let (mut files, resolver) = (Worker::new("edge-files"), Arc::new(self.resolver.clone()));
        loop {
            match questions.recv_timeout(ACCOUNTS.saturating_sub(accounts.elapsed())) {
                Ok(Question::Stranger(pid)) => {
                    let asked = Arc::clone(&resolver);
                    // A process that does not let itself be looked at in time stays unknown.
                    let found = files.run(LOOK, move || asked.from_proc(pid)).unwrap_or_default();
                    if !mailbox.send(Wake::Do(Box::new(|pipeline, _| pipeline.introduced(found)))) {
                        return;
                    }
                }
                Ok(Question::Container(question)) => {
                    if !self.answer(question, &resolver, &mut files, mailbox) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if accounts.elapsed() >= ACCOUNTS {
                accounts = Instant::now();
                if let Some(log) = &mut self.log {
                    log.write();
                }
                let look = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).look(boot_now());
                if let Ok(look) = look
                    && !mailbox.send(Wake::Looked(Box::new(look)))
                {
                    return;
                }
            }
            if self.written.is_some_and(|every| written.elapsed() >= every) {
                written = Instant::now();
                mailbox.send(Wake::Do(Box::new(Pipeline::accounts)));
            }
            if !ends.step(&self.resolver, &mut self.control, mailbox) {
                return;
            }
            if trust.elapsed() >= TRUST {
                trust = Instant::now();
                self.refresh_trust();
            }
        }
    }

    /// Says what the files say, and tells the engines' thread of it. False if the hot thread has hung up.
    fn answer(
        &self,
        question: ResolveRequest,
        resolver: &Arc<Resolver>,
        files: &mut Worker,
        mailbox: &Mailbox,
    ) -> bool {
        let (asked, request) = (Arc::clone(resolver), question.clone());
        let read = move || (asked.resolve(&request), asked.ancestors_from_proc(request.pid));
        let (update, ancestors) = files.run(LOOK, read).unwrap_or_else(|why| {
            mailbox.send(Wake::Do(Box::new(|pipeline, _| pipeline.unanswered())));
            let ancestors = resolver.careful().ancestors_from_proc(question.pid);
            (resolver.unread(&question, why.reason()), ancestors)
        });
        let unknown = matches!(update.status, Status::Unknown(_));
        let said = match &self.engines {
            // Whether anybody knows it is said when the engines have answered.
            Some(_) if unknown => Update { status: Status::Pending, ..update.clone() },
            _ => update.clone(),
        };
        if !mailbox.send(Wake::Found { update: Box::new(said), ancestors }) {
            return false;
        }
        let Some(engines) = &self.engines else { return true };
        match engines.try_send(Known { request: question, update }) {
            Err(TrySendError::Full(known) | TrySendError::Closed(known)) if unknown => {
                mailbox.send(Wake::Found { update: Box::new(known.update), ancestors: Vec::new() })
            }
            _ => true,
        }
    }

    fn refresh_trust(&mut self) {
        for (key, (file, what)) in trust::find(&self.runtimes) {
            // A full map is found at start; 256 entries are many times what a host has.
            if self.trusted.insert(key) && self.control.trust(file, what).is_err() {
                self.trusted.remove(&key);
            }
        }
    }
}
