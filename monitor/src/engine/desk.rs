//! Where everything about engines comes together: which containers there are, what each engine said of them, who still
//! owes an answer. Belongs to one task; the followers report to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval};

use super::case::Case;
use super::follow::{Follower, Report, Said};
use super::kube;
use super::place;
use super::status::{Engine, State, StatusChange, Tally};
use super::{Answer, Endpoint, EngineKind, Fault, MAX_CONTAINERS, NAME_LIMIT, usual};
use crate::bounded::Worker;
use crate::container::{ContainerKey, ResolveRequest, Resolver, Update};

/// Reports that may wait.
const REPORTS: usize = 256;
/// Engines that are followed.
const MAX_ENDPOINTS: usize = 128;
/// How often time limits are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often sockets of users are looked for.
const LOOK: Duration = Duration::from_secs(15);
/// How often containers that are gone are forgotten.
const SWEEP: Duration = Duration::from_secs(20);

/// A container, and what the files said of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// What there is to find it by.
    pub request: ResolveRequest,
    /// What the files said.
    pub update: Update,
}

/// Where the desk's results go.
pub trait Outlet: Send + 'static {
    /// Something new about a container. False if nobody listens any more.
    fn update(&self, update: Update) -> bool;
    /// Something new about an engine.
    fn status(&self, change: StatusChange);
}

/// The desk.
pub struct Desk<O: Outlet> {
    pub(super) resolver: Resolver,
    /// What reads containers' files.
    pub(super) files: Worker,
    outlet: O,
    pub(super) engines: Vec<Engine>,
    /// What Kubernetes' API servers said.
    pub(super) servers: kube::Servers,
    /// What Kubernetes calls this machine.
    node: String,
    /// True if sockets are looked for.
    find: bool,
    pub(super) cases: BTreeMap<ContainerKey, Case>,
    by_id: HashMap<String, ContainerKey>,
    /// Cases that wait for an engine.
    open: BTreeSet<ContainerKey>,
    /// Answers about containers that nobody has told of yet, by engine and id.
    unclaimed: BTreeMap<(usize, String), Answer>,
    reports: Sender<Report>,
    inbox: Receiver<Report>,
}

impl<O: Outlet> Desk<O> {
    /// A desk with these engines; `find` says whether to look for further ones, `node` is what Kubernetes calls this
    /// machine. Needs a runtime of tokio around it.
    pub fn new(resolver: Resolver, endpoints: Vec<Endpoint>, find: bool, node: String, outlet: O) -> Self {
        let (reports, inbox) = channel(REPORTS);
        let mut desk = Self {
            resolver,
            files: Worker::new("engines-files"),
            outlet,
            engines: Vec::new(),
            servers: kube::Servers::new(),
            node,
            find,
            cases: BTreeMap::new(),
            by_id: HashMap::new(),
            open: BTreeSet::new(),
            unclaimed: BTreeMap::new(),
            reports,
            inbox,
        };
        endpoints.into_iter().for_each(|endpoint| desk.add(endpoint));
        desk.find();
        desk
    }

    /// Works until nobody tells of containers any more.
    pub async fn run(mut self, mut known: Receiver<Known>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looked, mut swept) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                known = known.recv() => match known {
                    Some(known) => self.learn(known),
                    None => return,
                },
                Some(Report { endpoint, said }) = self.inbox.recv() => self.hear(endpoint, said),
                _ = tick.tick() => {
                    self.time_out();
                    self.tell_numbers();
                    if looked.elapsed() >= LOOK {
                        looked = Instant::now();
                        self.find();
                    }
                    if swept.elapsed() >= SWEEP {
                        swept = Instant::now();
                        self.sweep();
                    }
                }
            }
        }
    }

    fn find(&mut self) {
        if self.find {
            usual(Path::new("/run")).into_iter().for_each(|endpoint| self.add(endpoint));
        }
    }

    fn add(&mut self, endpoint: Endpoint) {
        let is_it = |engine: &Engine| {
            engine.endpoint.kind == endpoint.kind && engine.endpoint.socket == endpoint.socket
        };
        if self.engines.len() >= MAX_ENDPOINTS || self.engines.iter().any(is_it) {
            return;
        }
        let number = self.engines.len();
        let follower = Follower::start(endpoint.clone(), &self.node, number, self.reports.clone());
        let (tally, told) = (Tally::default(), Tally::default());
        let engine = Engine { endpoint, follower, state: State::New, tally, told };
        if engine.endpoint.kind == EngineKind::Kubernetes {
            self.servers.insert(number, (engine.name(), kube::Pods::default()));
        }
        self.engines.push(engine);
    }

    /// A container, or something new that the files say of it.
    fn learn(&mut self, Known { request, update }: Known) {
        let key = request.key;
        if !self.cases.contains_key(&key) && self.cases.len() >= MAX_CONTAINERS {
            self.sweep();
        }
        if !self.cases.contains_key(&key) && self.cases.len() >= MAX_CONTAINERS {
            // It is named as far as the files go.
            self.outlet.update(update);
            return;
        }
        if let Some(id) = &update.identity.id {
            self.by_id.insert(id.clone(), key);
        }
        let case = match self.cases.remove(&key) {
            Some(case) => case.again(request, update),
            None => Case::new(request, update),
        };
        let id = case.files.identity.id.clone();
        self.cases.insert(key, case);
        self.claim(key, id.as_deref());
        for number in 0..self.engines.len() {
            self.ask(number, key);
        }
        self.conclude(key);
    }

    /// Takes answers that came before the container was known.
    fn claim(&mut self, key: ContainerKey, id: Option<&str>) {
        let is_in =
            |pid| place::find(&self.resolver, pid, |found| found == key).is_some_and(|f| f.0.is_some());
        let fits = |at: &(usize, String), answer: &Answer| match id {
            Some(id) => at.1 == id,
            None => self.names_process(at.0, answer) && is_in(answer.pid),
        };
        let found: Vec<(usize, String)> =
            self.unclaimed.iter().filter(|(at, answer)| fits(at, answer)).map(|(at, _)| at.clone()).collect();
        for at in found {
            if let Some(answer) = self.unclaimed.remove(&at) {
                self.judge(at.0, key, answer);
            }
        }
    }

    /// Asks an engine about a container, if it may know it.
    fn ask(&mut self, number: usize, key: ContainerKey) {
        let (Some(engine), Some(case)) = (self.engines.get_mut(number), self.cases.get_mut(&key)) else {
            return;
        };
        if !engine.endpoint.kind.may_know(case.files.identity.engine) || case.is_answered(number) {
            return;
        }
        match &engine.state {
            State::New => case.wait_for(number),
            State::Down(None) => {}
            State::Down(Some(reason)) => case.refused(number, &format!("{}: {reason}", engine.name())),
            State::Up(..) => {
                // Without an id it is found by the processes of what the engine lists and tells of.
                let asked = case.files.identity.id.as_ref().is_none_or(|id| {
                    engine.tally.asked += 1;
                    engine.follower.ask(id)
                });
                if asked {
                    case.wait_for(number);
                } else {
                    case.refused(number, &format!("{}: too many questions wait", engine.name()));
                }
            }
        }
        if case.is_waiting() {
            self.open.insert(key);
        }
    }

    fn hear(&mut self, number: usize, said: Said) {
        match said {
            Said::Up { version, listener, containers } => {
                self.set(number, State::Up(version, listener, containers));
                let concerned: Vec<ContainerKey> = self.open.iter().copied().collect();
                for key in concerned {
                    self.ask(number, key);
                }
            }
            Said::Asked(questions) => self.count(number, |tally| tally.asked += questions),
            Said::Down(fault) => self.lost(number, &fault),
            Said::Told(answer) => self.answer(number, *answer),
            Said::Reply { id, result } => {
                let key = self.by_id.get(&id).copied();
                match result {
                    Ok(Some(answer)) => self.answer(number, *answer),
                    Ok(None) => self.refuse(number, key, "does not know it"),
                    Err(fault) => {
                        self.count(number, |tally| tally.fail(&fault));
                        self.refuse(number, key, &fault.to_string());
                    }
                }
            }
            Said::Ended(id) => {
                self.unclaimed.remove(&(number, id));
            }
            Said::Pod(_) | Said::PodGone(_) | Said::Node(_) => self.hear_of_pods(number, said),
        }
    }

    fn set(&mut self, number: usize, state: State) {
        let Some(engine) = self.engines.get_mut(number) else { return };
        if engine.state == state {
            return;
        }
        // A socket that nobody expected, and that is not there, is no change.
        let was_absent = matches!(engine.state, State::New | State::Down(None));
        let is_absent = matches!(state, State::Down(None));
        engine.state = state;
        if !(was_absent && is_absent) {
            self.outlet.status(engine.change(true));
        }
    }

    /// An engine is gone, or was not there.
    fn lost(&mut self, number: usize, fault: &Fault) {
        let Some(engine) = self.engines.get(number) else { return };
        let quiet = fault.is_absent()
            && !engine.endpoint.given
            && matches!(engine.state, State::New | State::Down(None));
        let name = engine.name();
        if !quiet {
            self.count(number, |tally| tally.fail(fault));
        }
        self.set(number, State::Down((!quiet).then(|| fault.to_string())));
        self.unclaimed.retain(|(engine, _), _| *engine != number);
        let waiting: Vec<ContainerKey> = self.open.iter().copied().collect();
        for key in waiting {
            let Some(case) = self.cases.get_mut(&key).filter(|case| case.waits_for(number)) else { continue };
            if quiet {
                case.give_up(number);
            } else {
                case.refused(number, &format!("{name}: {fault}"));
            }
            self.conclude(key);
        }
    }

    fn refuse(&mut self, number: usize, key: Option<ContainerKey>, why: &str) {
        let Some(engine) = self.engines.get(number) else { return };
        let reason = format!("{}: {why}", engine.name());
        if let Some(key) = key
            && let Some(case) = self.cases.get_mut(&key)
        {
            case.refused(number, &reason);
            self.conclude(key);
        }
    }

    pub(super) fn count(&mut self, number: usize, add: impl FnOnce(&mut Tally)) {
        if let Some(engine) = self.engines.get_mut(number) {
            add(&mut engine.tally);
        }
    }

    /// An answer about some container.
    fn answer(&mut self, number: usize, answer: Answer) {
        self.count(number, |tally| tally.answered += 1);
        let by_place = || {
            let found = place::find(&self.resolver, answer.pid, |key| self.cases.contains_key(&key))?;
            // One that the files have named is found by that name.
            found.0.filter(|key| self.cases.get(key).is_some_and(|case| case.files.identity.id.is_none()))
        };
        let key = self.by_id.get(&answer.id).copied().filter(|key| self.cases.contains_key(key));
        match key.or_else(|| self.names_process(number, &answer).then(by_place).flatten()) {
            Some(key) => {
                self.judge(number, key, answer);
                self.conclude(key);
            }
            None if self.unclaimed.len() < MAX_CONTAINERS => {
                self.unclaimed.insert((number, answer.id.clone()), answer);
            }
            None => {}
        }
    }

    /// Hands on what is new about a container.
    pub(super) fn conclude(&mut self, key: ContainerKey) {
        let Some(case) = self.cases.get_mut(&key) else { return };
        if let Some(update) = case.news(&mut self.servers) {
            self.outlet.update(update);
        }
        if !case.is_waiting() {
            self.open.remove(&key);
        }
    }

    /// Gives up on engines that did not answer in time.
    fn time_out(&mut self) {
        let late = |key: &&ContainerKey| self.cases.get(key).is_none_or(|case| case.age() >= NAME_LIMIT);
        let late: Vec<ContainerKey> = self.open.iter().filter(late).copied().collect();
        for key in late {
            for number in 0..self.engines.len() {
                if self.cases.get(&key).is_some_and(|case| case.waits_for(number)) {
                    let asked = self.cases.get(&key).is_some_and(|case| case.files.identity.id.is_some());
                    let up = matches!(self.engines.get(number).map(|e| &e.state), Some(State::Up(..)));
                    if up && !asked {
                        self.refuse(number, Some(key), "names no process in it");
                        continue;
                    }
                    self.count(number, |tally| tally.timed_out += 1);
                    self.refuse(number, Some(key), &Fault::TimedOut(NAME_LIMIT).to_string());
                }
            }
            self.open.remove(&key);
        }
    }

    fn tell_numbers(&mut self) {
        self.count_pods();
        for engine in &mut self.engines {
            if engine.told != engine.tally {
                engine.told = engine.tally;
                self.outlet.status(engine.change(false));
            }
        }
    }

    /// Forgets containers that are gone.
    fn sweep(&mut self) {
        let resolver = &self.resolver;
        self.cases.retain(|_, case| case.age() < SWEEP || resolver.is_there(&case.request));
        self.by_id.retain(|_, key| self.cases.contains_key(key));
        self.open.retain(|key| self.cases.contains_key(key));
        self.forget_pods();
    }
}
