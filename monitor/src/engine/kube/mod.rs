//! Kubernetes' API server, asked for what only it knows: which workload owns a pod, and the labels of the node.
//!
//! Never asked unless given: it is the one thing here that speaks to a network. The pods of this node are listed and
//! then watched (kubernetes.io/docs/reference/using-api/api-concepts), metadata alone. What it says is joined with
//! containers by the uid of their pod ([`pods`]); kernel, files and CRI win.

mod account;
mod client;
mod config;
mod desk;
mod follow;
mod meta;
mod pods;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Endpoint, Fault, Probe};
use crate::container::Owner;
use account::Account;
use client::Client;

pub(super) use follow::follow;
pub(super) use pods::{Pods, Servers};

/// What stands for the account of the pod that the daemon runs in.
pub(super) const IN_CLUSTER: &str = "in-cluster";
/// Pods of one node: Kubernetes means 110, the largest providers a few hundred.
const MAX_PODS: usize = 4096;
/// How long a watch is asked to last.
const WATCH: Duration = Duration::from_secs(240);

/// What the API server says about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The uid by which the node knows it.
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    /// The workload at the top: a Deployment and not its ReplicaSet.
    pub(super) owner: Option<Owner>,
}

/// The name under which Kubernetes knows this node: as given, as a DaemonSet usually says it, or the host's name as
/// kubelets write it.
pub fn node_name(given: Option<&str>) -> String {
    let said = || std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
    let host = || rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    given.map(str::to_owned).or_else(said).unwrap_or_else(host)
}

/// Connects, and counts the pods of the node.
pub(super) async fn look(endpoint: &Endpoint, node: &str) -> Result<Probe, Fault> {
    let mut client = Client::new(Account::open(&endpoint.socket)?, Arc::default());
    let version = client.version().await?;
    client.node(node).await?;
    let (pods, _) = client.pods(node).await?;
    Ok(Probe { version, containers: pods.len(), owner: 0 })
}

#[cfg(test)]
mod tests;
