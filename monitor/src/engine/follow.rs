//! The task that follows one engine: connects, lists, hears events, passes questions on; and begins again when the
//! engine goes away. Every wait has a limit, and nobody waits for this task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::containerd::Containerd;
use super::cri::Cri;
use super::docker::Docker;
use super::kube;
use super::podman::Podman;
use super::{
    ASK_LIMIT, Answer, CONNECT_LIMIT, Connected, Endpoint, EngineKind, Event, Fault, LIST_LIMIT, Listener,
    MAX_CONTAINERS, Protocol,
};
use crate::container::Node;

/// Questions that may wait for one engine.
const ASKS: usize = 4096;
/// Questions that an engine is asked at the same time: a container that is just starting keeps its answer back.
const AT_ONCE: usize = 4;
/// Questions in a row that an engine leaves unanswered before it is taken for hanging.
const UNANSWERED: u32 = 8;
/// Seconds after a question that was answered too late until it is put again, each time that this happens: an engine keeps
/// answers about a container back for as long as it starts it, and may tell of nothing when it is done.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 16];

/// What a follower says.
#[derive(Debug)]
pub(super) struct Report {
    /// Number of the endpoint.
    pub(super) endpoint: usize,
    /// What.
    pub(super) said: Said,
}

/// What there is to say.
#[derive(Debug)]
pub(super) enum Said {
    /// It is connected.
    Up { version: String, listener: Listener, containers: usize },
    /// It is not, or no more.
    Down(Fault),
    /// So many more questions were put, where they are not the desk's.
    Asked(u64),
    /// What the engine said of a container, unasked.
    Told(Box<Answer>),
    /// What became of a question.
    Reply { id: String, result: Result<Option<Box<Answer>>, Fault> },
    /// A container ended.
    Ended(String),
    /// What Kubernetes says of a pod of this node.
    Pod(Box<kube::Told>),
    /// Kubernetes has this pod no more.
    PodGone(String),
    /// What Kubernetes says of this node.
    Node(Node),
}

/// A follower that runs, as the desk sees it.
#[derive(Debug)]
pub(super) struct Follower {
    asks: Sender<String>,
    task: AbortHandle,
}

impl Follower {
    /// Starts one.
    pub(super) fn start(endpoint: Endpoint, node: &str, number: usize, reports: Sender<Report>) -> Self {
        let (sender, asks) = channel(ASKS);
        let task = match endpoint.kind {
            EngineKind::Docker => tokio::spawn(follow::<Docker>(endpoint, number, asks, reports)),
            EngineKind::Podman => tokio::spawn(follow::<Podman>(endpoint, number, asks, reports)),
            EngineKind::Containerd => tokio::spawn(follow::<Containerd>(endpoint, number, asks, reports)),
            EngineKind::Cri => tokio::spawn(follow::<Cri>(endpoint, number, asks, reports)),
            EngineKind::Kubernetes => tokio::spawn(kube::follow(endpoint, node.to_owned(), number, reports)),
        };
        Self { asks: sender, task: task.abort_handle() }
    }

    /// Asks about a container; false if too much waits already.
    pub(super) fn ask(&self, id: &str) -> bool {
        self.asks.try_send(id.to_owned()).is_ok()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The result of `future`, or a fault when it takes longer than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout(limit, future).await.unwrap_or(Err(Fault::TimedOut(limit)))
}

async fn follow<P: Protocol>(
    endpoint: Endpoint,
    number: usize,
    mut asks: Receiver<String>,
    reports: Sender<Report>,
) {
    let mut backoff = Backoff::new();
    let link = Link { number, reports };
    loop {
        // What was asked before is answered by the list.
        while asks.try_recv().is_ok() {}
        let began = Instant::now();
        let Some(fault) = session::<P>(&endpoint, &mut asks, &link).await else { return };
        let absent = matches!(fault, Fault::Absent);
        if !link.say(Said::Down(fault)).await {
            return;
        }
        sleep(backoff.pause(began.elapsed(), absent)).await;
    }
}

/// The way back to the desk.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) number: usize,
    pub(super) reports: Sender<Report>,
}

impl Link {
    /// False if nobody listens any more.
    pub(super) async fn say(&self, said: Said) -> bool {
        self.reports.send(Report { endpoint: self.number, said }).await.is_ok()
    }
}

/// Questions that an engine is being asked.
struct Asking<P: Protocol> {
    engine: P,
    /// Questions of the desk come before what the engine is asked on its own account.
    asked: VecDeque<String>,
    own: VecDeque<String>,
    /// What is in `own`.
    waiting: BTreeSet<String>,
    running: JoinSet<(String, bool, Result<Option<Answer>, Fault>)>,
    /// Containers about which it answered too late, and how often.
    late: BTreeMap<String, usize>,
    /// Each ends with the container when it is time to ask again.
    pauses: JoinSet<String>,
    unanswered: u32,
}

impl<P: Protocol> Asking<P> {
    fn new(engine: P) -> Self {
        let (asked, own, waiting) = (VecDeque::new(), VecDeque::new(), BTreeSet::new());
        let (late, pauses) = (BTreeMap::new(), JoinSet::new());
        Self { engine, asked, own, waiting, running: JoinSet::new(), late, pauses, unanswered: 0 }
    }

    /// A container about which it did not answer in time: to be asked about again, unless that was in vain too often.
    fn ask_later(&mut self, id: String) {
        let is_full = self.late.len() >= ASKS && !self.late.contains_key(&id);
        if is_full || self.pauses.len() >= ASKS {
            return;
        }
        let times = self.late.entry(id.clone()).or_default();
        let Some(&pause) = PAUSES.get(*times) else {
            self.late.remove(&id);
            return;
        };
        *times += 1;
        self.pauses.spawn(async move {
            sleep(Duration::from_secs(pause)).await;
            id
        });
    }

    /// A container that something happened to.
    fn note(&mut self, id: String) {
        // Whoever is beyond is asked about when the desk hears of it.
        if self.own.len() < MAX_CONTAINERS && self.waiting.insert(id.clone()) {
            self.own.push_back(id);
        }
    }

    fn go_on(&mut self) {
        while self.running.len() < AT_ONCE {
            let (id, asked) = match (self.asked.pop_front(), self.own.front()) {
                (Some(id), _) => (id, true),
                (None, Some(_)) => (self.own.pop_front().unwrap_or_default(), false),
                (None, None) => return,
            };
            if !asked {
                self.waiting.remove(&id);
            }
            let engine = self.engine.clone();
            self.running.spawn(async move {
                let result = within(ASK_LIMIT, engine.inspect(&id)).await;
                (id, asked, result)
            });
        }
    }

    /// What is to be said about a question that ended; `Err` if the engine is gone.
    fn ended(
        &mut self,
        id: String,
        asked: bool,
        result: Result<Option<Answer>, Fault>,
    ) -> Result<Option<Said>, Fault> {
        match &result {
            Err(Fault::TimedOut(_)) => {
                self.unanswered += 1;
                if self.unanswered >= UNANSWERED {
                    return Err(Fault::TimedOut(ASK_LIMIT));
                }
                self.ask_later(id.clone());
            }
            Err(Fault::Absent | Fault::Io(_) | Fault::Closed) => return result.map(|_| None),
            _ => {
                self.unanswered = 0;
                self.late.remove(&id);
            }
        }
        let result = result.map(|answer| answer.map(Box::new));
        Ok(match (asked, result) {
            (true, result) => Some(Said::Reply { id, result }),
            (false, Ok(Some(answer))) => Some(Said::Told(answer)),
            (false, _) => None,
        })
    }
}

/// Speaks to the engine until that fails; `None` if nobody listens any more.
async fn session<P: Protocol>(
    endpoint: &Endpoint,
    asks: &mut Receiver<String>,
    link: &Link,
) -> Option<Fault> {
    let Connected { engine, mut events, version, listener } =
        match within(CONNECT_LIMIT, P::connect(endpoint)).await {
            Ok(connected) => connected,
            Err(fault) => return Some(fault),
        };
    let mut asking = Asking::new(engine);
    match within(LIST_LIMIT, asking.engine.list()).await {
        Ok(list) => list.into_iter().for_each(|id| asking.note(id)),
        Err(fault) => return Some(fault),
    }
    if !link.say(Said::Up { version, listener, containers: asking.own.len() }).await {
        return None;
    }
    loop {
        asking.go_on();
        let said = tokio::select! {
            ask = asks.recv(), if asking.asked.len() < ASKS => {
                asking.asked.push_back(ask?);
                None
            }
            Some(done) = asking.running.join_next() => match done {
                Ok((id, asked, result)) => match asking.ended(id, asked, result) {
                    Ok(said) => said,
                    Err(fault) => return Some(fault),
                },
                Err(_) => None,
            },
            Some(paused) = asking.pauses.join_next() => {
                // Unless it was answered meanwhile, or is gone.
                if let Some(id) = paused.ok().filter(|id| asking.late.contains_key(id)) {
                    asking.note(id);
                }
                None
            }
            event = P::next(&mut events) => match event {
                Ok(Event::Changed(id)) => {
                    asking.note(id);
                    None
                }
                Ok(Event::Ended(id)) => {
                    asking.late.remove(&id);
                    Some(Said::Ended(id))
                }
                Ok(Event::Other) => None,
                Err(fault) => return Some(fault),
            },
        };
        if let Some(said) = said
            && !link.say(said).await
        {
            return None;
        }
    }
}
