//! Podman's own API (docs.podman.io/en/latest/_static/api.html), as far as who a container is goes: it knows pods, which the
//! API that Podman shares with Docker does not. Podman 4 and later.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::docker::{Listed, Message, Version};
use super::http::{Client, Lines, escape};
use super::{
    Answer, Connected, Endpoint, Event, Fault, Grants, MAX_ANSWER, MAX_CONTAINERS, MAX_LIST, Protocol,
};
use crate::container::{Engine, Identity, Pod, capability_set, fill, nullable};

/// The oldest version of the API that every Podman since 4.0 speaks.
const API: &str = "/v4.0.0/libpod";

/// A connected Podman.
#[derive(Clone, Debug)]
pub(super) struct Podman {
    client: Client,
}

impl Protocol for Podman {
    type Events = Lines;

    async fn connect(endpoint: &Endpoint) -> Result<Connected<Self>, Fault> {
        let client = Client::connect(&endpoint.socket).await?;
        let listener = client.listener();
        let version: Version = client.get("version", "/version", MAX_ANSWER).await?.unwrap_or_default();
        if version.version.is_empty() {
            return Err(Fault::Garbage { what: "version", why: "it has none".to_owned() });
        }
        let filters = escape(r#"{"type":["container"]}"#);
        let events = client.lines("events", &format!("{API}/events?stream=true&filters={filters}")).await?;
        Ok(Connected { engine: Self { client }, events, version: version.version, listener })
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let path = format!("{API}/containers/json");
        let list: Vec<Listed> = self.client.get("containers", &path, MAX_LIST).await?.unwrap_or_default();
        Ok(list.into_iter().map(|listed| listed.id).take(MAX_CONTAINERS).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Answer>, Fault> {
        let path = format!("{API}/containers/{}/json", escape(id));
        let Some(found) = self.client.get::<Inspected>("container", &path, MAX_ANSWER).await? else {
            return Ok(None);
        };
        let pod = if found.pod.is_empty() { None } else { Some(self.pod(&found.pod).await) };
        Ok(Some(answer(found, pod)))
    }

    async fn next(events: &mut Lines) -> Result<Event, Fault> {
        let message: Message = events.next().await?;
        let id = message.actor.id;
        Ok(match message.action.as_str() {
            _ if message.kind != "container" || id.is_empty() => Event::Other,
            "start" | "restart" | "rename" | "update" => Event::Changed(id),
            "died" | "remove" => Event::Ended(id),
            _ => Event::Other,
        })
    }
}

impl Podman {
    /// The pod with this id; only its name is lost if it is gone.
    async fn pod(&self, id: &str) -> Pod {
        let path = format!("{API}/pods/{}/json", escape(id));
        let found: Option<Named> = self.client.get("pod", &path, MAX_ANSWER).await.unwrap_or_default();
        Pod { name: found.unwrap_or_default().name, uid: id.to_owned(), ..Pod::default() }
    }
}

fn answer(found: Inspected, pod: Option<Pod>) -> Answer {
    let full = |text: String| Some(text).filter(|text| !text.is_empty());
    let image_id = full(found.image).map(|id| format!("sha256:{}", id.trim_start_matches("sha256:")));
    let mut identity = Identity {
        id: full(found.id.clone()),
        name: full(found.name),
        image: full(found.image_name),
        image_id,
        image_digest: full(found.image_digest),
        engine: Some(Engine::Podman),
        pod,
        ..Identity::default()
    };
    fill(&mut identity, &found.config.labels);
    let capabilities = found.bounding_caps.as_ref().map(|names| capability_set(names));
    let grants = Grants { privileged: found.host_config.privileged, capabilities };
    let cgroup_path = full(found.state.cgroup_path);
    Answer { id: found.id, pid: found.state.pid, cgroup_path, identity, grants }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Named {
    #[serde(deserialize_with = "nullable")]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    /// Id of the image.
    #[serde(default, deserialize_with = "nullable")]
    image: String,
    #[serde(default, deserialize_with = "nullable")]
    image_name: String,
    #[serde(default, deserialize_with = "nullable")]
    image_digest: String,
    /// Id of the pod.
    #[serde(default, deserialize_with = "nullable")]
    pod: String,
    #[serde(default)]
    bounding_caps: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    config: Config,
    #[serde(default, deserialize_with = "nullable")]
    state: State,
    #[serde(default, deserialize_with = "nullable")]
    host_config: HostConfig,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    #[serde(deserialize_with = "nullable")]
    pid: u32,
    #[serde(deserialize_with = "nullable")]
    cgroup_path: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    privileged: Option<bool>,
}
