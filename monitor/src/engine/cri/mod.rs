//! CRI (`runtime.v1`), which kubelets speak to containerd, CRI-O and cri-dockerd: pods, their containers, images.

mod events;
mod proto;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::grpc::{Connection, GrpcError, Items, Limits, Method, Raw};
use super::{
    Answer, Connected, Endpoint, Event, Fault, Grants, MAX_ANSWER, MAX_CONTAINERS, MAX_LIST, Protocol,
};
use crate::container::{Engine, Identity, Pod, capability_set, fill, keep_labels, nullable};

use events::{Events, Listed};

/// Bytes of one item of a list. Annotations of one thing may be 256 KiB (`TotalAnnotationSizeLimitB` of Kubernetes).
const MAX_ITEM: usize = 1 << 20;

const VERSION: Method = method("/runtime.v1.RuntimeService/Version", MAX_ITEM);
const CONTAINERS: Method = method("/runtime.v1.RuntimeService/ListContainers", MAX_LIST);
const SANDBOXES: Method = method("/runtime.v1.RuntimeService/ListPodSandbox", MAX_LIST);
const CONTAINER: Method = method("/runtime.v1.RuntimeService/ContainerStatus", MAX_ANSWER);
const SANDBOX: Method = method("/runtime.v1.RuntimeService/PodSandboxStatus", MAX_ANSWER);
const EVENTS: Method = method("/runtime.v1.RuntimeService/GetContainerEvents", MAX_ANSWER);

const fn method(path: &'static str, largest: usize) -> Method {
    Method { path, largest }
}

/// A connected server.
#[derive(Clone, Debug)]
pub(super) struct Cri {
    connection: Connection,
    engine: Engine,
    listed: Listed,
}

impl Protocol for Cri {
    type Events = Events;

    async fn connect(endpoint: &Endpoint) -> Result<Connected<Self>, Fault> {
        let connection = Connection::open(&endpoint.socket, Limits::default()).await?;
        let request = proto::VersionRequest { version: "0.1.0".to_owned() };
        let version: proto::VersionResponse = match connection.call(VERSION, None, &request).await {
            // A containerd whose CRI service is switched off, as Docker's packages have it.
            Err(error) if error.is_unimplemented() => return Err(Fault::NotServed("runtime.v1")),
            version => version?,
        };
        let stream = connection.stream(EVENTS, None, &proto::Empty {}).await?;
        let listener = connection.listener();
        let engine = engine_of_runtime(&version.runtime_name);
        let engine = Self { connection, engine, listed: Listed::default() };
        let events = Events::new(stream, engine.clone());
        let version = format!("{} {}", version.runtime_name, version.runtime_version);
        Ok(Connected { engine, events, version, listener })
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let ids = self.ids().await?;
        self.listed.changes(&ids);
        Ok(ids)
    }

    async fn inspect(&self, id: &str) -> Result<Option<Answer>, Fault> {
        let request = proto::ContainerStatusRequest { id: id.to_owned(), verbose: true };
        match self.connection.call::<proto::ContainerStatusResponse>(CONTAINER, None, &request).await {
            Ok(proto::ContainerStatusResponse { status: Some(status), info }) if status.id == id => {
                let info = Info::read(&info);
                let sandbox = match info.sandbox_id.as_str() {
                    // cri-dockerd takes a sandbox for a container as well, of no sandbox.
                    "" => match self.sandbox(id, true).await? {
                        Some((status, info)) => return Ok(Some(pause(self.engine, status, &info))),
                        None => None,
                    },
                    sandbox => self.sandbox(sandbox, false).await?.map(|(status, _)| status),
                };
                Ok(Some(container(self.engine, status, sandbox, &info)))
            }
            // A prefix of an id is answered, too.
            Ok(_) => Ok(None),
            // cri-dockerd has no code of its own for what it does not know.
            Err(GrpcError::Refused { .. }) => {
                let sandbox = self.sandbox(id, true).await?;
                Ok(sandbox.map(|(status, info)| pause(self.engine, status, &info)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn next(events: &mut Events) -> Result<Event, Fault> {
        events.next().await
    }
}

impl Cri {
    /// Ids of the sandboxes that are ready, and of the containers that run.
    async fn ids(&self) -> Result<Vec<String>, GrpcError> {
        let mut out = Vec::new();
        for (method, state) in [(SANDBOXES, proto::SANDBOX_READY), (CONTAINERS, proto::CONTAINER_RUNNING)] {
            let filter = Some(proto::Filter { state: Some(proto::StateValue { state }) });
            let Raw(list) = self.connection.call(method, None, &proto::ListRequest { filter }).await?;
            let mut list = Items::new(list, 1, MAX_ITEM);
            while out.len() < MAX_CONTAINERS
                && let Some(listed) = list.step::<proto::Listed>()?
            {
                out.push(listed.id);
            }
        }
        Ok(out)
    }

    async fn sandbox(
        &self,
        id: &str,
        verbose: bool,
    ) -> Result<Option<(proto::SandboxStatus, Info)>, GrpcError> {
        let request = proto::SandboxStatusRequest { id: id.to_owned(), verbose };
        match self.connection.call::<proto::SandboxStatusResponse>(SANDBOX, None, &request).await {
            Ok(reply) => {
                let info = Info::read(&reply.info);
                Ok(reply.status.filter(|status| status.id == id).map(|status| (status, info)))
            }
            Err(GrpcError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn container(
    engine: Engine,
    status: proto::ContainerStatus,
    sandbox: Option<proto::SandboxStatus>,
    info: &Info,
) -> Answer {
    let metadata = status.metadata.unwrap_or_default();
    let image = status.image.unwrap_or_default();
    let names = [image.user_specified_image, image.image];
    let mut identity = Identity {
        id: Some(status.id.clone()),
        name: full(metadata.name),
        // The kubelet asks by id for what it has pulled by name.
        image: names.into_iter().find(|name| !name.is_empty() && image_id(name).is_none()),
        image_digest: digest(&status.image_ref),
        image_id: image_id(&status.image_id).or_else(|| image_id(&status.image_ref)),
        engine: Some(engine),
        pod: sandbox.map(|sandbox| Pod { attempt: Some(metadata.attempt), ..pod(sandbox) }),
        ..Identity::default()
    };
    fill(&mut identity, &status.labels);
    fill(&mut identity, &status.annotations);
    Answer { id: status.id, pid: info.pid, cgroup_path: None, identity, grants: info.grants() }
}

/// A sandbox as the container that it is, too: the one that holds the pod's namespaces.
fn pause(engine: Engine, status: proto::SandboxStatus, info: &Info) -> Answer {
    let id = status.id.clone();
    let pod = pod(status);
    let identity = Identity {
        id: Some(id.clone()),
        name: full(pod.name.clone()),
        image: full(info.image.clone()),
        engine: Some(engine),
        pod: Some(pod),
        ..Identity::default()
    };
    Answer { id, pid: info.pid, cgroup_path: None, identity, grants: info.grants() }
}

fn full(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The id of an image, with its algorithm, which CRI-O leaves out; `None` for a name.
fn image_id(text: &str) -> Option<String> {
    const ALGORITHM: &str = "sha256:";
    // cri-dockerd says where it has it from.
    let text = text.strip_prefix("docker://").unwrap_or(text);
    let digits = text.strip_prefix(ALGORITHM);
    let is_bare = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.or(is_bare.then_some(text)).map(|digits| format!("{ALGORITHM}{digits}"))
}

/// The digest in `NAME@sha256:…`. A bare `sha256:…` is the id of an image that no registry has.
fn digest(image_ref: &str) -> Option<String> {
    image_ref.rsplit_once('@').map(|(_, digest)| digest.to_owned())
}

fn pod(sandbox: proto::SandboxStatus) -> Pod {
    let proto::SandboxMetadata { name, uid, namespace, .. } = sandbox.metadata.unwrap_or_default();
    let mut pod = Pod { name, namespace, uid, sandbox: full(sandbox.id), ..Pod::default() };
    keep_labels(&mut pod.labels, &sandbox.labels);
    keep_labels(&mut pod.annotations, &sandbox.annotations);
    pod
}

/// Who is behind the name that a server gives itself.
fn engine_of_runtime(name: &str) -> Engine {
    match name {
        "cri-o" => Engine::CriO,
        // cri-dockerd calls itself by the engine's name.
        "docker" => Engine::Docker,
        _ => Engine::Kubernetes,
    }
}

/// What servers tell when they are asked to be verbose: JSON that containerd and CRI-O agree in as far as it goes here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    #[serde(deserialize_with = "nullable")]
    pid: u32,
    #[serde(rename = "sandboxID", deserialize_with = "nullable")]
    sandbox_id: String,
    #[serde(deserialize_with = "nullable")]
    image: String,
    /// CRI-O's.
    privileged: Option<bool>,
    /// containerd's: what the kubelet asked for.
    #[serde(deserialize_with = "nullable")]
    config: Config,
    #[serde(rename = "runtimeSpec")]
    spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    #[serde(deserialize_with = "nullable")]
    security_context: SecurityContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecurityContext {
    #[serde(deserialize_with = "nullable")]
    privileged: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    process: Process,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    #[serde(deserialize_with = "nullable")]
    capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    #[serde(deserialize_with = "nullable")]
    bounding: Vec<String>,
}

impl Info {
    /// Out of a verbose answer. What is no such JSON says nothing, and is no reason to doubt the rest.
    fn read(info: &BTreeMap<String, String>) -> Self {
        info.get("info").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    fn grants(&self) -> Grants {
        let asked = self.config.linux.as_ref().map(|linux| linux.security_context.privileged);
        let spec = self.spec.as_ref();
        Grants {
            privileged: self.privileged.or(asked),
            capabilities: spec.map(|spec| capability_set(&spec.process.capabilities.bounding)),
        }
    }
}

#[cfg(test)]
mod tests;
