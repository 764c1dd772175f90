//! One look at an engine, for `bulkhead doctor`.

use super::containerd::Containerd;
use super::cri::Cri;
use super::docker::Docker;
use super::follow::within;
use super::kube;
use super::podman::Podman;
use super::{CONNECT_LIMIT, Endpoint, EngineKind, Fault, LIST_LIMIT, Protocol};

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Version, as the engine says.
    pub version: String,
    /// Containers that run; pods, for Kubernetes.
    pub containers: usize,
    /// Uid that the socket belongs to.
    pub owner: u32,
}

/// Connects to an engine, and counts its containers; `node` is what Kubernetes calls this machine.
///
/// # Errors
/// It is not there, or does not answer as it should, in time.
pub async fn probe(endpoint: &Endpoint, node: &str) -> Result<Probe, Fault> {
    match endpoint.kind {
        EngineKind::Docker => look::<Docker>(endpoint).await,
        EngineKind::Podman => look::<Podman>(endpoint).await,
        EngineKind::Containerd => look::<Containerd>(endpoint).await,
        EngineKind::Cri => look::<Cri>(endpoint).await,
        EngineKind::Kubernetes => kube::look(endpoint, node).await,
    }
}

async fn look<P: Protocol>(endpoint: &Endpoint) -> Result<Probe, Fault> {
    let connected = within(CONNECT_LIMIT, P::connect(endpoint)).await?;
    let containers = within(LIST_LIMIT, connected.engine.list()).await?.len();
    Ok(Probe { version: connected.version, containers, owner: connected.listener.owner })
}
