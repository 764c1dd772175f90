//! Schema of what is said about containers.

use serde_json::{Value, json};

use super::{closed, cut, merge, names, nullable, reference, text};
use crate::container::Engine;
use crate::output::record::Change;

/// What only a `container` record has.
pub(super) fn properties() -> Vec<(&'static str, Value)> {
    vec![
        ("change", names(Change::ALL.iter().map(|c| c.name()))),
        ("container", reference("container")),
        ("cgroup_path", text()),
        ("cgroup_path_truncated", json!({"const": true})),
        ("bundle", nullable("string")),
        ("bundle_truncated", json!({"const": true})),
        ("entered", json!({"oneOf": [reference("time"), {"type": "null"}]})),
    ]
}

/// The `container` object.
pub(super) fn definition() -> Value {
    let engines =
        [Engine::Docker, Engine::Podman, Engine::Containerd, Engine::Kubernetes, Engine::CriO, Engine::None];
    let engine_names = engines.iter().map(|e| Value::from(e.name())).chain([Value::Null]);
    let or_null = |schema: Value| json!({"oneOf": [schema, {"type": "null"}]});
    let mut known = closed([
        ("status", names(["resolved", "pending", "unknown"])),
        ("id", nullable("string")),
        ("name", nullable("string")),
        ("image", nullable("string")),
        ("runtime", nullable("string")),
        ("engine", json!({"enum": engine_names.collect::<Vec<_>>()})),
        ("labels", json!({"type": "object", "additionalProperties": {"type": "string"}})),
        ("pod", or_null(closed([("name", text()), ("namespace", text()), ("uid", text())]))),
        ("swarm", or_null(closed([("service", text()), ("task", text())]))),
        ("cgroup_id", json!({"type": ["integer", "null"], "minimum": 0})),
        ("reason", nullable("string")),
    ]);
    merge(&mut known, cut(["id", "name", "image", "runtime", "labels", "reason"]));
    json!({"description": "null for the host", "oneOf": [known, {"type": "null"}]})
}
