//! containerd's own API over gRPC: containers of every namespace, whoever made them (`ctr`, nerdctl, Docker, the CRI
//! service).

mod proto;

use std::path::Path;

use super::grpc::{Connection, GrpcError, Items, Limits, Method, Raw, Replies};
use super::{
    Answer, Connected, Endpoint, Event, Fault, Grants, MAX_ANSWER, MAX_CONTAINERS, MAX_LIST, Protocol,
};
use crate::container::{Identity, bundle::parse_bundle, engine_of_namespace, fill};

/// Namespaces that are looked at; a host has three or four.
const MAX_NAMESPACES: usize = 64;
/// Bytes of one item of a list of tasks or namespaces.
const MAX_ITEM: usize = 64 << 10;

const VERSION: Method = method("/containerd.services.version.v1.Version/Version", MAX_ITEM);
const NAMESPACES: Method = method("/containerd.services.namespaces.v1.Namespaces/List", MAX_ANSWER);
const CONTAINER: Method = method("/containerd.services.containers.v1.Containers/Get", MAX_ANSWER);
const TASKS: Method = method("/containerd.services.tasks.v1.Tasks/List", MAX_LIST);
const TASK: Method = method("/containerd.services.tasks.v1.Tasks/Get", MAX_ITEM);
const IMAGE: Method = method("/containerd.services.images.v1.Images/Get", MAX_ANSWER);
const SUBSCRIBE: Method = method("/containerd.services.events.v1.Events/Subscribe", MAX_ANSWER);

const fn method(path: &'static str, largest: usize) -> Method {
    Method { path, largest }
}

/// What is subscribed to: a container that starts or ends, and one that is told something new.
const TOPICS: [&str; 4] = ["/tasks/start", "/tasks/exit", "/containers/update", "/containers/delete"];

/// A connected containerd. Keeps nothing: ids are looked up where they are, so that a restart changes nothing.
#[derive(Clone, Debug)]
pub(super) struct Containerd {
    connection: Connection,
}

impl Protocol for Containerd {
    type Events = Replies;

    async fn connect(endpoint: &Endpoint) -> Result<Connected<Self>, Fault> {
        let connection = Connection::open(&endpoint.socket, Limits::default()).await?;
        let version: proto::VersionResponse = connection.call(VERSION, None, &proto::Empty {}).await?;
        let filters = TOPICS.iter().map(|topic| format!("topic==\"{topic}\"")).collect();
        let events = connection.stream(SUBSCRIBE, None, &proto::SubscribeRequest { filters }).await?;
        let listener = connection.listener();
        Ok(Connected { engine: Self { connection }, events, version: version.version, listener })
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let mut out = Vec::new();
        for namespace in self.namespaces().await? {
            let Raw(tasks) =
                self.connection.call(TASKS, Some(&namespace), &proto::ListRequest::default()).await?;
            let mut tasks = Items::new(tasks, 1, MAX_ITEM);
            while out.len() < MAX_CONTAINERS
                && let Some(task) = tasks.step::<proto::Process>()?
            {
                if task.status != proto::STOPPED {
                    out.push(if task.container_id.is_empty() { task.id } else { task.container_id });
                }
            }
        }
        Ok(out)
    }

    async fn inspect(&self, id: &str) -> Result<Option<Answer>, Fault> {
        let mut found: Option<(String, proto::Container)> = None;
        for namespace in self.namespaces().await? {
            let Some(container) = self.container(&namespace, id).await? else { continue };
            if let Some((other, _)) = found.replace((namespace.clone(), container)) {
                let why = format!("{other} and {namespace} both have a container of this id");
                return Err(Fault::Garbage { what: "container", why });
            }
        }
        let Some((namespace, container)) = found else { return Ok(None) };
        let pid = self.pid(&namespace, id).await?;
        let digest = self.digest(&namespace, &container.image).await;
        Ok(Some(answer(&namespace, container, pid, digest)))
    }

    async fn next(events: &mut Replies) -> Result<Event, Fault> {
        let envelope: proto::Envelope = events.next().await?.ok_or(Fault::Closed)?;
        Ok(event(&envelope))
    }
}

impl Containerd {
    async fn namespaces(&self) -> Result<Vec<String>, GrpcError> {
        let Raw(list) = self.connection.call(NAMESPACES, None, &proto::ListRequest::default()).await?;
        let list: Vec<proto::Namespace> = Items::new(list, 1, MAX_ITEM).take(MAX_NAMESPACES)?;
        Ok(list.into_iter().map(|namespace| namespace.name).collect())
    }

    async fn container(&self, namespace: &str, id: &str) -> Result<Option<proto::Container>, GrpcError> {
        let request = proto::GetRequest { id: id.to_owned() };
        let reply: Option<proto::GetContainerResponse> =
            known(self.connection.call(CONTAINER, Some(namespace), &request).await)?;
        Ok(reply.and_then(|reply| reply.container).filter(|container| container.id == id))
    }

    /// The first process of a container; 0 if it has none.
    async fn pid(&self, namespace: &str, id: &str) -> Result<u32, GrpcError> {
        let request = proto::GetRequest { id: id.to_owned() };
        let reply: Option<proto::GetTaskResponse> =
            known(self.connection.call(TASK, Some(namespace), &request).await)?;
        let process = reply.and_then(|reply| reply.process);
        Ok(process.filter(|process| process.status != proto::STOPPED).map_or(0, |process| process.pid))
    }

    /// Digest of what an image's name stands for now. An image that is gone has none.
    async fn digest(&self, namespace: &str, image: &str) -> Option<String> {
        if image.is_empty() {
            return None;
        }
        let request = proto::GetRequest { id: image.to_owned() };
        let reply: proto::GetImageResponse =
            self.connection.call(IMAGE, Some(namespace), &request).await.ok()?;
        Some(reply.image?.target?.digest).filter(|digest| !digest.is_empty())
    }
}

/// Takes "there is no such thing" for an answer.
fn known<T>(reply: Result<T, GrpcError>) -> Result<Option<T>, GrpcError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        // The method is there: containerd says so of things in a namespace that is just being removed.
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn answer(namespace: &str, container: proto::Container, pid: u32, digest: Option<String>) -> Answer {
    let mut identity = Identity {
        id: Some(container.id.clone()),
        image: Some(container.image).filter(|image| !image.is_empty()),
        image_digest: digest,
        runtime: container.runtime.and_then(|runtime| runtime_name(&runtime.name)),
        engine: Some(engine_of_namespace(namespace)),
        ..Identity::default()
    };
    let spec = container.spec.and_then(|spec| parse_bundle(&spec.value, Path::new("")).ok());
    let mut grants = Grants::default();
    if let Some(spec) = spec {
        grants.capabilities = Some(spec.declared.cap_bounding);
        fill(&mut identity, &spec.annotations);
    }
    fill(&mut identity, &container.labels);
    Answer { id: container.id, pid, cgroup_path: None, identity, grants }
}

/// The OCI runtime's name in `io.containerd.NAME.vN`.
fn runtime_name(shim: &str) -> Option<String> {
    let (name, version) = shim.strip_prefix("io.containerd.")?.rsplit_once(".v")?;
    version.bytes().all(|b| b.is_ascii_digit()).then(|| name.to_owned())
}

fn event(envelope: &proto::Envelope) -> Event {
    let bytes = envelope.event.as_ref().map(|event| event.value.as_slice()).unwrap_or_default();
    let id = |bytes| Some(<proto::AboutContainer as prost::Message>::decode(bytes).ok()?.container_id);
    let event = match envelope.topic.as_str() {
        "/tasks/start" | "/containers/update" => id(bytes).map(Event::Changed),
        "/containers/delete" => id(bytes).map(Event::Ended),
        // Programs that were started in a container beside its first end with an id of their own.
        "/tasks/exit" => <proto::TaskExit as prost::Message>::decode(bytes)
            .ok()
            .filter(|exit| exit.id == exit.container_id)
            .map(|exit| Event::Ended(exit.container_id)),
        _ => None,
    };
    event.unwrap_or(Event::Other)
}

#[cfg(test)]
mod tests;
