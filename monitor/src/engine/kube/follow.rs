//! The task that follows the pods of this node, and begins again when the API server goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::super::backoff::Backoff;
use super::super::follow::{Link, Report, Said, within};
use super::super::http::escape;
use super::super::{Endpoint, Fault, Listener};
use super::account::Account;
use super::client::Client;
use super::meta::{Change, Meta, Reference};
use super::{MAX_PODS, WATCH};
use crate::container::{Node, Owner};

/// Between the end of a watch and the next: a server that ends each at once is not asked more often.
const PACE: Duration = Duration::from_secs(1);
/// How much longer than it should a watch may last.
const SLACK: Duration = Duration::from_secs(30);
/// Owners of owners that are kept.
const MAX_OWNERS: usize = 1024;

/// Why a session ends.
enum End {
    /// The server does not do as it should.
    Fault(Fault),
    /// Nobody listens.
    Closed,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Follows the pods of `node` until nobody listens any more.
pub(in super::super) async fn follow(
    endpoint: Endpoint,
    node: String,
    number: usize,
    reports: Sender<Report>,
) {
    let mut follower = Follower {
        endpoint,
        node,
        link: Link { number, reports },
        alive: BTreeSet::new(),
        owners: BTreeMap::new(),
        asked: Arc::default(),
    };
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        let Err(End::Fault(fault)) = follower.session().await else { return };
        if follower.say(Said::Down(fault)).await.is_err() {
            return;
        }
        sleep(backoff.pause(began.elapsed(), false)).await;
    }
}

struct Follower {
    endpoint: Endpoint,
    node: String,
    link: Link,
    /// Pods that the desk was told of, and not that they are gone.
    alive: BTreeSet<String>,
    /// What controls an object that is an owner itself, by namespace and reference.
    owners: BTreeMap<(String, Reference), Owner>,
    /// Questions of which the desk was not told yet.
    asked: Arc<AtomicU64>,
}

/// What ended a watch.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Its time.
    InTime,
    /// The version is too old: the pods must be listed anew.
    Expired,
}

impl Follower {
    async fn say(&self, said: Said) -> Result<(), End> {
        let asked = self.asked.swap(0, Ordering::Relaxed);
        let told = asked == 0 || self.link.say(Said::Asked(asked)).await;
        if told && self.link.say(said).await { Ok(()) } else { Err(End::Closed) }
    }

    /// Speaks to the server until that fails.
    async fn session(&mut self) -> Result<(), End> {
        // Read anew each time: certificates and kubeconfigs are replaced.
        let mut client = Client::new(Account::open(&self.endpoint.socket)?, Arc::clone(&self.asked));
        let version = client.version().await?;
        let mut is_up = false;
        loop {
            self.tell_node(&mut client).await?;
            let (pods, mut at) = client.pods(&self.node).await?;
            if !is_up {
                is_up = true;
                let version = version.clone();
                self.say(Said::Up { version, listener: Listener::default(), containers: pods.len() }).await?;
            }
            let listed: BTreeSet<String> =
                pods.iter().map(|pod| pod.metadata.uid_on_node().to_owned()).collect();
            let gone: Vec<String> = self.alive.difference(&listed).cloned().collect();
            for uid in gone {
                self.gone(uid).await?;
            }
            for pod in pods {
                self.tell_pod(&mut client, pod.metadata).await?;
            }
            while self.watch(&mut client, &mut at).await? == Ended::InTime {
                sleep(PACE).await;
                self.tell_node(&mut client).await?;
            }
            sleep(PACE).await;
        }
    }

    async fn tell_node(&mut self, client: &mut Client) -> Result<(), End> {
        let labels = client.node(&self.node).await?.metadata.labels;
        self.say(Said::Node(Node { name: self.node.clone(), labels })).await
    }

    async fn tell_pod(&mut self, client: &mut Client, pod: Meta) -> Result<(), End> {
        let uid = pod.uid_on_node().to_owned();
        if uid.is_empty() {
            return Ok(());
        }
        if self.alive.len() >= MAX_PODS && !self.alive.contains(&uid) {
            return Err(Fault::TooMany(MAX_PODS).into());
        }
        self.alive.insert(uid);
        let owner = match &pod.controller {
            Some(reference) => Some(self.top(client, pod.namespace(), reference).await?),
            None => None,
        };
        self.say(Said::Pod(Box::new(pod.told(owner)))).await
    }

    async fn gone(&mut self, uid: String) -> Result<(), End> {
        self.alive.remove(&uid);
        self.say(Said::PodGone(uid)).await
    }

    /// The workload at the top: what a person wrote is a Deployment or a CronJob, which make what makes the pod.
    async fn top(
        &mut self,
        client: &mut Client,
        namespace: &str,
        reference: &Reference,
    ) -> Result<Owner, Fault> {
        let (what, group) = match (reference.kind.as_str(), reference.api_version.as_str()) {
            ("ReplicaSet", "apps/v1") => ("replicasets", "apps"),
            ("Job", "batch/v1") => ("jobs", "batch"),
            _ => return Ok(reference.owner()),
        };
        let key = (namespace.to_owned(), reference.clone());
        if let Some(owner) = self.owners.get(&key) {
            return Ok(owner.clone());
        }
        let path =
            format!("/apis/{group}/v1/namespaces/{}/{what}/{}", escape(namespace), escape(&reference.name));
        let owner = match client.one(what, &path).await {
            Ok(found) => found.metadata.controller.unwrap_or_else(|| reference.clone()).owner(),
            // Gone since, or not for this account: the next best is what the pod says itself.
            Err(Fault::Refused { status: 403 | 404, .. }) => reference.owner(),
            Err(fault) => return Err(fault),
        };
        if self.owners.len() >= MAX_OWNERS {
            self.owners.clear();
        }
        self.owners.insert(key, owner.clone());
        Ok(owner)
    }

    /// Hears what happens to pods from version `at` on.
    async fn watch(&mut self, client: &mut Client, at: &mut String) -> Result<Ended, End> {
        let mut lines = match client.watch(&self.node, at).await {
            Err(Fault::Refused { status: 410, .. }) => return Ok(Ended::Expired),
            lines => lines?,
        };
        loop {
            let Change { kind, object } = match within(WATCH + SLACK, lines.next()).await {
                Err(Fault::Closed) => return Ok(Ended::InTime),
                change => change?,
            };
            let version = &object.metadata.resource_version;
            if !version.is_empty() {
                at.clone_from(version);
            }
            match kind.as_str() {
                "ADDED" | "MODIFIED" => self.tell_pod(client, object.metadata).await?,
                "DELETED" => self.gone(object.metadata.uid_on_node().to_owned()).await?,
                "ERROR" if object.code == 410 => return Ok(Ended::Expired),
                "ERROR" => return Err(Fault::Refused { what: "watch", status: object.code }.into()),
                // A bookmark: nothing but the version.
                _ => {}
            }
        }
    }
}
