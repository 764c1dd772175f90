//! The edge thread: everything slow that the hot thread must not do. Reads bundles and `/proc`, looks at the
//! counters, and keeps the list of trusted executables fresh, because an upgrade replaces their inodes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::hot::{Mailbox, Wake};
use super::start::boot_now;
use super::trust;
use crate::bpf::{Accounts, Control, KernelLog};
use crate::container::{ResolveRequest, Resolver};
use crate::pipeline::Pipeline;

/// How often the accounts are checked.
const ACCOUNTS: Duration = Duration::from_secs(1);
/// How often the trusted executables are looked up again.
const TRUST: Duration = Duration::from_secs(5);

/// What the edge thread owns.
pub(super) struct Edge {
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
    pub(super) fn run(mut self, questions: &Receiver<ResolveRequest>, mailbox: &Mailbox) {
        let (mut accounts, mut trust, mut written) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            match questions.recv_timeout(ACCOUNTS.saturating_sub(accounts.elapsed())) {
                Ok(question) => {
                    let update = Box::new(self.resolver.resolve(&question));
                    let ancestors = self.resolver.ancestors_from_proc(question.pid);
                    if !mailbox.send(Wake::Found { update, ancestors }) {
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
            if trust.elapsed() >= TRUST {
                trust = Instant::now();
                self.refresh_trust();
            }
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
