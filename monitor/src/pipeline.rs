//! The way of one record: decode, process, container, verdict, output. Belongs to the hot thread; no I/O, no
//! clock, so that a replay gives the same lines.

use std::collections::VecDeque;

use monitor_common::event::{EventKind, EventRef, Payload, State, flags, state_reason};
use monitor_common::policy::KEY_CANARY;

use crate::container::{Change, ContainerKey, Registry, ResolveRequest, Scanned, Update};
use crate::detect::{Detector, Emitted, Lineage};
use crate::engine::StatusChange;
use crate::ingest::{Account, Arguments, Environment, Lost};
use crate::output::record::loss_reason;
use crate::output::{Body, Change as Said, Emitter, Loss, Status, Subject};
use crate::process::{MAX_ANCESTORS, Process, ProcessKey, ProcessTable};

mod accounts;
mod bad;
mod canary;
mod ended;
mod engines;
mod executables;
mod faults;
mod postures;
mod scanned;

pub use canary::CanaryWatch;
pub use postures::PostureRules;

/// The tables and the way through them.
pub struct Pipeline {
    processes: ProcessTable,
    containers: Registry,
    detector: Detector,
    emitter: Emitter,
    account: Account,
    pending: accounts::Pending,
    lost: Vec<Lost>,
    /// The container of the last record, and how many came from it in a row.
    run: (ContainerKey, u64),
    bad: bad::Bad,
    arguments: Arguments,
    executables: executables::Executables,
    postures: postures::Postures,
    faults: faults::Faults,
    canary: CanaryWatch,
    engines: Vec<StatusChange>,
    findings: u64,
    found: Vec<Emitted>,
    /// Containers that the edge is to be asked about; each is there once.
    questions: VecDeque<ContainerKey>,
    /// Processes that ran a runtime, and of which nothing is known.
    strangers: Vec<u32>,
    bytes: Vec<u8>,
}

impl Lineage for ProcessTable {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.get(pid)
    }
}

/// Strangers that are asked about in one round of the hot thread. Where more runtimes start at once, the rest stay unknown.
const STRANGERS: usize = 16;

impl Pipeline {
    /// With empty tables.
    pub fn new(detector: Detector, containers: Registry, emitter: Emitter) -> Self {
        Self {
            processes: ProcessTable::default(),
            containers,
            detector,
            emitter,
            account: Account::default(),
            pending: accounts::Pending::default(),
            lost: Vec::new(),
            run: (ContainerKey::HOST, 0),
            bad: bad::Bad::default(),
            arguments: Arguments::default(),
            executables: executables::Executables::default(),
            postures: postures::Postures::default(),
            faults: faults::Faults::default(),
            canary: CanaryWatch::default(),
            engines: Vec::new(),
            findings: 0,
            found: Vec::new(),
            questions: VecDeque::new(),
            strangers: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Takes one record, from whatever source. Takes any bytes.
    pub fn record(&mut self, bytes: &[u8]) {
        match EventRef::decode(bytes) {
            Ok(ev) if ev.kind == EventKind::ExecArgs => self.piece(&ev),
            Ok(ev) if self.arguments.is_empty() => self.event(&ev, &ev),
            Ok(ev) => {
                let mut arguments = std::mem::take(&mut self.arguments);
                let joined = arguments.join(&ev);
                self.event(&joined.shown, &joined.whole);
                self.arguments = arguments;
            }
            Err(error) => self.bad.add(error),
        }
    }

    /// A piece of an exec's strings waits for the record that it belongs to.
    fn piece(&mut self, ev: &EventRef<'_>) {
        if ev.header.container != KEY_CANARY {
            self.count(ContainerKey(ev.header.container));
            self.arguments.take(ev);
        }
    }

    /// Says which variables of programs' environments are wanted; at first none are.
    pub fn want_environment(&mut self, environment: Environment) {
        self.arguments = Arguments::new(environment);
    }

    /// Takes a record; rules judge `whole`, which may hold more of an environment than is put out.
    fn event(&mut self, ev: &EventRef<'_>, whole: &EventRef<'_>) {
        if ev.header.container == KEY_CANARY {
            self.canary.see(ev);
            return;
        }
        self.count(ContainerKey(ev.header.container));
        self.processes.apply(ev);
        let change = self.containers.apply(ev, &self.processes);
        if let Some(Change::Created(key) | Change::Entered(key)) = change {
            self.ask(key);
        }
        if let Some(Change::Entered(key)) = change {
            self.say_replaced(ev.header.time);
            self.look_at(key, ev.header.started);
            self.contradicted(ev.header.time, key);
        }
        if ev.kind == EventKind::Exec {
            self.executable(ev);
            if ev.header.has(flags::RUNTIME) && self.strangers.len() < STRANGERS {
                self.strangers.extend(self.processes.stranger(ev.header.pid));
            }
        }
        let key = ContainerKey(ev.header.container);
        // By start time, too: if its fork was lost, the table may have an older process of this id.
        let process = self.processes.get_key(ProcessKey { pid: ev.header.pid, started: ev.header.started });
        let container = self.containers.get(key);
        self.detector.on_event(whole, container, process, &self.processes, &mut self.found);
        let wanted = self.emitter.wants_event(ev.kind) && !ev.header.has(flags::SCANNED);
        if wanted || !self.found.is_empty() {
            let mut buffer = [None; MAX_ANCESTORS];
            let mut count = 0;
            let known = process.map(|p| p.key.pid);
            let above = known.into_iter().flat_map(|pid| self.processes.ancestors(pid));
            for (slot, ancestor) in buffer.iter_mut().zip(above) {
                *slot = Some(ancestor);
                count += 1;
            }
            let empty = Process::default();
            let ancestors: [&Process; MAX_ANCESTORS] = buffer.map(|a| a.unwrap_or(&empty));
            let subject = Subject { container, process, ancestors: &ancestors[..count] };
            if wanted {
                self.emitter.emit(ev.header.time, Body::Event { subject, event: ev });
            }
            for found in &self.found {
                self.findings += 1;
                let container = self.containers.get(found.container);
                let body = Body::Finding {
                    subject: Subject { container, ..subject },
                    event: ev,
                    finding: &found.finding,
                    count: found.count,
                    exe_sha256: self.executables.hash_of(process.and_then(|p| p.program.file)),
                    first_seen: found.first_seen,
                    last_seen: found.last_seen,
                };
                self.emitter.emit(ev.header.time, body);
            }
            self.found.clear();
        }
        match change {
            Some(Change::Created(key)) => self.say(ev.header.time, key, Said::Created),
            Some(Change::Entered(key)) => self.say(ev.header.time, key, Said::Entered),
            Some(Change::Gone(key)) => self.say(ev.header.time, key, Said::Gone),
            None => return,
        }
        self.say_unanswered(ev.header.time);
    }

    fn say(&mut self, time: u64, key: ContainerKey, change: Said) {
        if let Some(container) = self.containers.get(key) {
            self.emitter.emit(time, Body::Container { container, change });
        }
    }

    /// Puts a question to the edge, unless the container is known already.
    fn ask(&mut self, key: ContainerKey) {
        if self.containers.ask(key) {
            self.questions.push_back(key);
        }
    }

    /// Takes a question about a container.
    pub fn question(&mut self) -> Option<ResolveRequest> {
        while let Some(key) = self.questions.pop_front() {
            if let Some(question) = self.containers.question(key) {
                return Some(question);
            }
        }
        None
    }

    /// Takes a process that ran a runtime, about which nobody has told: who joins a container has it as an ancestor.
    pub fn stranger(&mut self) -> Option<u32> {
        self.strangers.pop()
    }

    /// Takes in what `/proc` has of processes, which records told of, or will.
    pub fn introduced(&mut self, processes: Vec<Process>) {
        for process in processes {
            self.processes.insert_scanned(process);
        }
    }

    /// Takes back a question for which the edge had no room: it comes next.
    pub fn put_back(&mut self, question: &ResolveRequest) {
        if self.containers.ask(question.key) {
            self.questions.push_front(question.key);
        }
    }

    /// Takes in what the edge found out about a container, and about the processes above it.
    pub fn resolved(&mut self, time: u64, update: Update, ancestors: Vec<Process>) {
        self.introduced(ancestors);
        let key = update.key;
        let known = self.containers.get(key).is_some_and(|known| known.mismatches == update.mismatches);
        if self.containers.update(update) {
            self.say(time, key, Said::Updated);
            if !known {
                self.contradicted(time, key);
            }
        }
    }

    /// Takes in a container that was running before the daemon, with what is known of it by now: its first record is to
    /// name it.
    pub fn scanned(&mut self, time: u64, scanned: Scanned, update: Option<Update>) {
        if !self.containers.insert_scanned(scanned.request.clone()) {
            // Its runtime was seen meanwhile.
            if let Some(update) = update {
                self.resolved(time, update, Vec::new());
            }
            return;
        }
        if let Some(update) = update {
            self.containers.update(update);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        scanned::state_record(&scanned, &mut bytes);
        for process in scanned.ancestors.into_iter().chain(scanned.processes) {
            self.processes.insert_scanned(process);
        }
        if let Ok(ev) = EventRef::decode(&bytes) {
            self.event(&ev, &ev);
        }
        self.bytes = bytes;
    }

    /// Says what was no record, `count` of it because it was shorter than a header.
    pub fn short(&mut self, time: u64, count: u64) {
        self.bad.add_short(count);
        self.lose_bad(time);
    }

    fn lose_bad(&mut self, time: u64) {
        for (reason, count) in self.bad.take() {
            self.emitter.emit(time, Body::Loss(Loss { reason, count, ..Loss::default() }));
        }
        let count = self.arguments.take_dropped();
        if count > 0 {
            let (reason, event) = (loss_reason::UNJOINED, Some(EventKind::ExecArgs));
            self.emitter.emit(time, Body::Loss(Loss { reason, count, event, ..Loss::default() }));
        }
        let count = self.executables.take_unhashed();
        if count > 0 {
            let reason = loss_reason::UNHASHED;
            self.emitter.emit(time, Body::Loss(Loss { reason, count, ..Loss::default() }));
        }
        let count = self.postures.take_unanswered();
        if count > 0 {
            let reason = loss_reason::UNANSWERED;
            self.emitter.emit(time, Body::Loss(Loss { reason, count, ..Loss::default() }));
        }
        let count = self.faults.take_over_budget();
        if count > 0 {
            self.faults_lost(time, loss_reason::OVER_BUDGET, count);
        }
        let count = self.postures.take_uninspected();
        if count > 0 {
            let reason = loss_reason::UNINSPECTED;
            self.emitter.emit(time, Body::Loss(Loss { reason, count, ..Loss::default() }));
        }
    }

    /// Processes that are known, exited ones included.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Findings reported so far.
    pub fn findings(&self) -> u64 {
        self.findings
    }

    /// Says how the daemon is.
    pub fn status(&mut self, time: u64, status: Status<'_>) {
        self.emitter.emit(time, Body::Status(status));
    }

    /// Says that it ends, with the accounts.
    pub fn stopping(&mut self, time: u64, reason: &str) {
        self.arguments.drop_all();
        self.lose_bad(time);
        for key in self.containers.give_up("the daemon stopped before it was found out") {
            self.say(time, key, Said::Updated);
        }
        self.accounts(time);
        let (received, findings, lost) = (self.account.total().received, self.findings, self.account.lost());
        self.status(time, Status::Stopping { reason, received, findings, lost });
        self.emitter.flush(time);
    }

    /// Sends the lines of this round on their way.
    pub fn flush(&mut self, time: u64) {
        self.lose_bad(time);
        self.emitter.flush(time);
    }

    /// Containers that are running.
    pub fn containers(&self) -> usize {
        self.containers.iter().count()
    }

    /// The watch for the start-up canary.
    pub fn canary(&mut self) -> &mut CanaryWatch {
        &mut self.canary
    }

    /// Batches sent to the sink of this name, and those that have reached its reader.
    pub fn delivery(&self, sink: &str) -> (u64, u64) {
        self.emitter.delivery(sink)
    }

    /// True if the sink of this name has gone away.
    pub fn is_closed(&self, sink: &str) -> bool {
        self.emitter.is_closed(sink)
    }
}

/// The kind of state that a scan gives.
fn scan_state(state: &State) -> State {
    State { reason: state_reason::SCAN, ..*state }
}

/// What a canary is called: the kind of its record, and the operation if it has one.
fn canary_name(ev: &EventRef<'_>) -> (&'static str, Option<u32>) {
    let op = match ev.payload() {
        Some(Payload::Mount(m)) => Some(m.op),
        Some(Payload::Root(r)) => Some(r.op),
        Some(Payload::Cred(c)) => Some(c.op),
        Some(Payload::Namespace(n)) => Some(n.op),
        Some(Payload::Cgroup(c)) => Some(c.op),
        Some(Payload::SensitiveCall(c)) => Some(c.op),
        Some(Payload::Module(m)) => Some(m.op),
        Some(Payload::IoUringOp(o)) => Some(o.op),
        Some(Payload::FileChange(c)) => Some(c.op),
        Some(Payload::Splice(s)) => Some(s.op),
        Some(Payload::Dns(d)) => Some(d.op),
        _ => None,
    };
    (ev.kind.name(), op)
}

#[cfg(test)]
mod tests;
