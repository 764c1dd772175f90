//! Names out of annotations and labels: image, pod, Swarm task, Compose service, and which engine wrote them.

use std::collections::BTreeMap;

use super::{Compose, Engine, Identity, Pod, Swarm};

/// Labels kept of one container, and bytes kept of one: engines put whole documents into annotations.
const MAX_LABELS: usize = 128;
const MAX_LABEL: usize = 1024;

type Labels = BTreeMap<String, String>;

/// The first of `keys` with a value.
fn first(labels: &Labels, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| labels.get(*key)).filter(|value| !value.is_empty()).cloned()
}

/// Fills what annotations or labels say and nobody has said yet, and keeps them as labels.
pub(crate) fn fill(identity: &mut Identity, labels: &Labels) {
    let sandbox = first(labels, &["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"])
        .is_some_and(|kind| kind == "sandbox");
    let names: &[&str] = if sandbox {
        &["io.kubernetes.cri.sandbox-name", "io.kubernetes.cri-o.KubeName", "io.kubernetes.pod.name"]
    } else {
        &[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "io.kubernetes.cri-o.ContainerName",
            "nerdctl/name",
        ]
    };
    // With dockershim's labels the engine's own name is the better one, and is set before.
    let name = first(labels, names);
    let image = first(
        labels,
        &[
            "io.kubernetes.cri.image-name",
            "io.kubernetes.cri-o.ImageName",
            "io.kubernetes.cri-o.Image",
            "io.podman.annotations.image",
            "org.opencontainers.image.ref.name",
            "nerdctl/image",
        ],
    );
    identity.name = identity.name.take().or(name);
    identity.image = identity.image.take().or(image);
    if identity.pod.is_none()
        && let Some(pod_name) = first(
            labels,
            &["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", "io.kubernetes.cri-o.KubeName"],
        )
    {
        identity.pod = Some(Pod {
            name: pod_name,
            namespace: first(
                labels,
                &[
                    "io.kubernetes.cri.sandbox-namespace",
                    "io.kubernetes.pod.namespace",
                    "io.kubernetes.cri-o.Namespace",
                ],
            )
            .unwrap_or_default(),
            uid: first(labels, &["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"])
                .unwrap_or_default(),
            sandbox: first(labels, &["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]),
            ..Pod::default()
        });
    }
    if identity.swarm.is_none() {
        identity.swarm = swarm(labels);
    }
    if identity.compose.is_none()
        && let Some(project) = first(labels, &["com.docker.compose.project"])
    {
        let service = first(labels, &["com.docker.compose.service"]).unwrap_or_default();
        identity.compose = Some(Compose { project, service });
    }
    keep_labels(&mut identity.labels, labels);
}

fn swarm(labels: &Labels) -> Option<Swarm> {
    let of = |key: &str| first(labels, &[key]).unwrap_or_default();
    Some(Swarm {
        service: first(labels, &["com.docker.swarm.service.name"])?,
        service_id: of("com.docker.swarm.service.id"),
        task: of("com.docker.swarm.task.name"),
        task_id: of("com.docker.swarm.task.id"),
        node: String::new(),
        node_id: of("com.docker.swarm.node.id"),
        stack: of("com.docker.stack.namespace"),
    })
}

/// True if one more label is kept beside so many.
pub(crate) fn keeps_label(have: usize, key: &str, value: &str) -> bool {
    have < MAX_LABELS && key.len() <= MAX_LABEL && value.len() <= MAX_LABEL
}

/// Keeps labels that are not there yet, as many as are kept.
pub(crate) fn keep_labels(into: &mut Labels, labels: &Labels) {
    for (key, value) in labels {
        if keeps_label(into.len(), key, value) {
            into.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

impl Identity {
    /// Takes from `other` what nobody has said yet.
    pub fn fill_from(&mut self, other: &Self) {
        fn fill<T: Clone>(into: &mut Option<T>, from: &Option<T>) {
            if into.is_none() {
                into.clone_from(from);
            }
        }
        fill(&mut self.id, &other.id);
        fill(&mut self.name, &other.name);
        fill(&mut self.image, &other.image);
        fill(&mut self.image_id, &other.image_id);
        fill(&mut self.image_digest, &other.image_digest);
        fill(&mut self.runtime, &other.runtime);
        fill(&mut self.engine, &other.engine);
        fill(&mut self.pod, &other.pod);
        fill(&mut self.swarm, &other.swarm);
        fill(&mut self.compose, &other.compose);
        // Labels do not have the name of a node.
        if let (Some(own), Some(other)) = (&mut self.swarm, &other.swarm)
            && own.node.is_empty()
            && own.node_id == other.node_id
        {
            own.node.clone_from(&other.node);
        }
        // Files say which pod it is, the engine the rest.
        if let (Some(own), Some(other)) = (&mut self.pod, &other.pod)
            && own.uid == other.uid
        {
            fill(&mut own.qos, &other.qos);
            fill(&mut own.sandbox, &other.sandbox);
            fill(&mut own.attempt, &other.attempt);
            fill(&mut own.owner, &other.owner);
            fill(&mut own.node, &other.node);
            keep_labels(&mut own.labels, &other.labels);
            keep_labels(&mut own.annotations, &other.annotations);
        }
        keep_labels(&mut self.labels, &other.labels);
    }
}

/// The engine that writes such annotations.
pub(super) fn engine_of(labels: &Labels) -> Option<Engine> {
    let has = |prefix: &str| {
        labels.range(prefix.to_owned()..).next().is_some_and(|(key, _)| key.starts_with(prefix))
    };
    let manager = labels.get("io.container.manager").map(String::as_str);
    // Podman borrows two of CRI-O's annotations for its pods, so it is asked about first.
    if manager == Some("libpod") || has("io.podman.annotations.") {
        Some(Engine::Podman)
    } else if manager == Some("cri-o") || has("io.kubernetes.cri-o.") {
        Some(Engine::CriO)
    } else if has("io.kubernetes.cri.") {
        Some(Engine::Kubernetes)
    } else if has("io.containerd.") || has("nerdctl/") {
        Some(Engine::Containerd)
    } else {
        None
    }
}

/// The engine behind a namespace of containerd.
pub(crate) fn engine_of_namespace(namespace: &str) -> Engine {
    match namespace {
        "moby" => Engine::Docker,
        "k8s.io" => Engine::Kubernetes,
        _ => Engine::Containerd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn engines() {
        for (key, value, want) in [
            ("io.container.manager", "libpod", Some(Engine::Podman)),
            ("io.podman.annotations.privileged", "TRUE", Some(Engine::Podman)),
            ("io.kubernetes.cri-o.Name", "x", Some(Engine::CriO)),
            ("io.kubernetes.cri.container-type", "x", Some(Engine::Kubernetes)),
            ("io.kubernetes.cri", "x", None),
            ("zz", "x", None),
        ] {
            assert_eq!(engine_of(&labels(&[(key, value)])), want, "{key}");
        }
    }

    #[test]
    fn a_pod_and_a_service() {
        let mut id = Identity::default();
        fill(
            &mut id,
            &labels(&[
                ("io.kubernetes.cri.container-type", "container"),
                ("io.kubernetes.cri.container-name", "app"),
                ("io.kubernetes.cri.sandbox-name", "pod-0"),
                ("io.kubernetes.cri.sandbox-namespace", "ns"),
                ("io.kubernetes.cri.sandbox-uid", "u"),
                ("io.kubernetes.cri.image-name", "img:1"),
            ]),
        );
        assert_eq!((id.name.as_deref(), id.image.as_deref()), (Some("app"), Some("img:1")));
        assert_eq!(
            id.pod,
            Some(Pod { name: "pod-0".into(), namespace: "ns".into(), uid: "u".into(), ..Pod::default() })
        );
        let mut id = Identity { name: Some("svc.1.x".into()), ..Identity::default() };
        fill(
            &mut id,
            &labels(&[("com.docker.swarm.service.name", "svc"), ("com.docker.swarm.task.name", "svc.1.x")]),
        );
        let want = Swarm { service: "svc".into(), task: "svc.1.x".into(), ..Swarm::default() };
        assert_eq!(id.swarm, Some(want));
        assert_eq!(id.labels.len(), 2);
    }

    #[test]
    fn what_was_said_stays() {
        let mut own = Identity { name: Some("files".into()), ..Identity::default() };
        fill(
            &mut own,
            &labels(&[("com.docker.swarm.service.name", "svc"), ("com.docker.swarm.node.id", "n1")]),
        );
        let mut other = Identity { name: Some("engine".into()), image_id: Some("i".into()), ..own.clone() };
        fill(&mut other, &labels(&[("com.docker.compose.project", "p"), ("tier", "front")]));
        other.swarm.as_mut().expect("a service").node = "host-1".into();
        own.fill_from(&other);
        assert_eq!((own.name.as_deref(), own.image_id.as_deref()), (Some("files"), Some("i")));
        assert_eq!(own.swarm.map(|s| s.node).as_deref(), Some("host-1"));
        assert_eq!(own.compose.map(|c| (c.project, c.service)), Some(("p".into(), String::new())));
        assert_eq!(own.labels.len(), 4);
    }

    #[test]
    fn labels_are_bounded() {
        let mut many: Labels = (0..1000).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        many.insert("a".into(), "x".repeat(MAX_LABEL + 1));
        let mut id = Identity::default();
        fill(&mut id, &many);
        assert_eq!(id.labels.len(), MAX_LABELS);
        assert!(!id.labels.contains_key("a"));
    }
}
