//! Schema of what is said about containers, and of the engines that say it.

use serde_json::{Value, json};

use super::{closed, cut, merge, names, nullable, reference, text, unsigned};
use crate::container::{Engine, Qos};
use crate::output::record::{Change, EngineStatus};

/// Keys of a Swarm task.
const SWARM: &[&str] = &["service", "service_id", "task", "task_id", "node", "node_id", "stack"];

/// What only a `container` record has.
pub(super) fn properties() -> Vec<(&'static str, Value)> {
    let mut mismatch = closed(["engine", "what", "said", "observed"].map(|name| (name, text())));
    merge(&mut mismatch, cut(["engine", "said", "observed"]));
    vec![
        ("change", names(Change::ALL.iter().map(|c| c.name()))),
        ("container", reference("container")),
        ("cgroup_path", text()),
        ("cgroup_path_truncated", json!({"const": true})),
        ("bundle", nullable("string")),
        ("bundle_truncated", json!({"const": true})),
        ("entered", json!({"oneOf": [reference("time"), {"type": "null"}]})),
        ("pod_annotations", texts(vec!["object", "null"])),
        ("pod_annotations_truncated", json!({"const": true})),
        ("node_labels", texts(vec!["object", "null"])),
        ("node_labels_truncated", json!({"const": true})),
        ("mismatches", json!({"type": "array", "items": mismatch})),
    ]
}

/// What a status about an engine has.
pub(super) fn engine() -> Vec<(&'static str, Value)> {
    let numbers = EngineStatus::NUMBERS.map(|name| (name, unsigned())).into_iter();
    let own = [
        ("engine", text()),
        ("socket", text()),
        ("version", nullable("string")),
        ("containers", json!({"type": ["integer", "null"], "minimum": 0})),
        ("reason", nullable("string")),
    ];
    own.into_iter().chain(numbers).collect()
}

/// The strings of such a status that may be cut.
pub(super) const ENGINE_CUT: [&str; 3] = ["socket", "version", "reason"];

fn pod() -> Value {
    let qos = [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort].map(|qos| Value::from(qos.name()));
    let mut owner = closed([("kind", text()), ("name", text())]);
    merge(&mut owner, cut(["kind", "name"]));
    let mut pod = closed([
        ("name", text()),
        ("namespace", text()),
        ("uid", text()),
        ("qos", json!({"enum": qos.into_iter().chain([Value::Null]).collect::<Vec<_>>()})),
        ("sandbox", nullable("string")),
        ("attempt", json!({"type": ["integer", "null"], "minimum": 0})),
        ("owner", json!({"oneOf": [owner, {"type": "null"}]})),
        ("node", nullable("string")),
        ("labels", texts("object")),
    ]);
    merge(&mut pod, cut(["name", "namespace", "uid", "sandbox", "node", "labels"]));
    pod
}

/// Texts by name; `kind` is `object`, or that and `null`.
fn texts(kind: impl Into<Value>) -> Value {
    json!({"type": kind.into(), "additionalProperties": {"type": "string"}})
}

/// The `container` object.
pub(super) fn definition() -> Value {
    let engines = [
        Engine::Docker,
        Engine::Podman,
        Engine::Containerd,
        Engine::Kubernetes,
        Engine::CriO,
        Engine::Lxc,
        Engine::SystemdNspawn,
        Engine::None,
    ];
    let engine_names = engines.iter().map(|e| Value::from(e.name())).chain([Value::Null]);
    let or_null = |schema: Value| json!({"oneOf": [schema, {"type": "null"}]});
    let mut swarm = closed(SWARM.iter().map(|name| (*name, text())));
    merge(&mut swarm, cut(SWARM.iter().copied()));
    let mut compose = closed([("project", text()), ("service", text())]);
    merge(&mut compose, cut(["project", "service"]));
    let mut known = closed([
        ("status", names(["resolved", "pending", "unknown"])),
        ("id", nullable("string")),
        ("name", nullable("string")),
        ("image", nullable("string")),
        ("image_id", nullable("string")),
        ("image_digest", nullable("string")),
        ("runtime", nullable("string")),
        ("engine", json!({"enum": engine_names.collect::<Vec<_>>()})),
        ("labels", texts("object")),
        ("pod", or_null(pod())),
        ("swarm", or_null(swarm)),
        ("compose", or_null(compose)),
        ("cgroup_id", json!({"type": ["integer", "null"], "minimum": 0})),
        ("reason", nullable("string")),
    ]);
    let own = ["id", "name", "image", "image_id", "image_digest", "runtime", "labels", "reason"];
    merge(&mut known, cut(own));
    json!({"description": "null for the host", "oneOf": [known, {"type": "null"}]})
}
