//! Docker Engine's API (docs.docker.com/reference/api/engine), as far as who a container is goes. Paths have no version:
//! every engine answers them with the newest it has, and the few fields that are read never changed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http::{Client, Lines, escape};
use super::{
    Answer, Connected, Endpoint, Event, Fault, Grants, MAX_ANSWER, MAX_CONTAINERS, MAX_LIST, Protocol,
};
use crate::container::{Engine, Identity, capability_set, fill, nullable};

/// Capabilities that Docker gives to a container by itself (moby, `oci/caps/defaults.go`).
const DEFAULT_CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A connected Docker Engine.
#[derive(Clone, Debug)]
pub(super) struct Docker {
    client: Client,
    /// This node of the swarm, if it is one: id and name.
    node: Option<(String, String)>,
}

impl Protocol for Docker {
    type Events = Lines;

    async fn connect(endpoint: &Endpoint) -> Result<Connected<Self>, Fault> {
        let client = Client::connect(&endpoint.socket).await?;
        let listener = client.listener();
        let version: Version = client.get("version", "/version", MAX_ANSWER).await?.unwrap_or_default();
        if version.version.is_empty() {
            return Err(Fault::Garbage { what: "version", why: "it has none".to_owned() });
        }
        let filters = escape(r#"{"type":["container"]}"#);
        let events = client.lines("events", &format!("/events?filters={filters}")).await?;
        // Only what a node is called is lost without it.
        let info: Info =
            client.get("info", "/info", MAX_ANSWER).await.unwrap_or_default().unwrap_or_default();
        let node = Some((info.swarm.node_id, info.name)).filter(|(id, _)| !id.is_empty());
        Ok(Connected { engine: Self { client, node }, events, version: version.version, listener })
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let list: Vec<Listed> =
            self.client.get("containers", "/containers/json", MAX_LIST).await?.unwrap_or_default();
        Ok(list.into_iter().map(|listed| listed.id).take(MAX_CONTAINERS).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Answer>, Fault> {
        let path = format!("/containers/{}/json", escape(id));
        let Some(found) = self.client.get::<Inspected>("container", &path, MAX_ANSWER).await? else {
            return Ok(None);
        };
        let digest = self.digest(&found).await;
        Ok(Some(self.answer(found, digest)))
    }

    async fn next(events: &mut Lines) -> Result<Event, Fault> {
        let message: Message = events.next().await?;
        let id = message.actor.id;
        Ok(match message.action.as_str() {
            _ if message.kind != "container" || id.is_empty() => Event::Other,
            "start" | "rename" | "update" => Event::Changed(id),
            "die" | "destroy" => Event::Ended(id),
            _ => Event::Other,
        })
    }
}

impl Docker {
    /// Digest of the image's manifest, if it came from a registry. An image that is gone has none.
    async fn digest(&self, found: &Inspected) -> Option<String> {
        if let Some(descriptor) = &found.image_manifest_descriptor {
            return Some(descriptor.digest.clone());
        }
        let path = format!("/images/{}/json", escape(&found.image));
        let image: Option<Image> = self.client.get("image", &path, MAX_ANSWER).await.unwrap_or_default();
        let digests = image?.repo_digests;
        let digest = digests.first()?.rsplit_once('@')?.1;
        Some(digest.to_owned())
    }

    fn answer(&self, found: Inspected, digest: Option<String>) -> Answer {
        let full = |text: String| Some(text).filter(|text| !text.is_empty());
        let grants = found.grants();
        let mut identity = Identity {
            id: full(found.id.clone()),
            name: full(found.name.trim_start_matches('/').to_owned()),
            image: full(found.config.image),
            image_id: full(found.image),
            image_digest: digest,
            engine: Some(Engine::Docker),
            ..Identity::default()
        };
        fill(&mut identity, &found.config.labels);
        if let Some((swarm, (_, name))) =
            identity.swarm.as_mut().zip(self.node.as_ref()).filter(|(swarm, (id, _))| swarm.node_id == *id)
        {
            swarm.node.clone_from(name);
        }
        Answer { id: found.id, pid: found.state.pid, cgroup_path: None, identity, grants }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Version {
    #[serde(deserialize_with = "nullable")]
    pub(super) version: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    swarm: SwarmInfo,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SwarmInfo {
    #[serde(rename = "NodeID", deserialize_with = "nullable")]
    node_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(rename = "Type", default)]
    pub(super) kind: String,
    #[serde(rename = "Action", default)]
    pub(super) action: String,
    #[serde(rename = "Actor", default)]
    pub(super) actor: Actor,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Actor {
    #[serde(rename = "ID")]
    pub(super) id: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Image {
    #[serde(deserialize_with = "nullable")]
    repo_digests: Vec<String>,
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
    #[serde(default)]
    image_manifest_descriptor: Option<Descriptor>,
    #[serde(default, deserialize_with = "nullable")]
    config: Config,
    #[serde(default, deserialize_with = "nullable")]
    state: State,
    #[serde(default, deserialize_with = "nullable")]
    host_config: HostConfig,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(deserialize_with = "nullable")]
    image: String,
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    #[serde(deserialize_with = "nullable")]
    pid: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    privileged: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    cap_add: Vec<String>,
}

impl Inspected {
    fn grants(&self) -> Grants {
        let asked = &self.host_config;
        let all =
            asked.privileged == Some(true) || asked.cap_add.iter().any(|c| c.eq_ignore_ascii_case("all"));
        let capabilities = if all {
            u64::MAX
        } else {
            capability_set(DEFAULT_CAPABILITIES) | capability_set(&asked.cap_add)
        };
        Grants { privileged: asked.privileged, capabilities: asked.privileged.map(|_| capabilities) }
    }
}
