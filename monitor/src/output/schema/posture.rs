//! Schema of what only a `posture` record has.

use serde_json::{Value, json};

use super::{closed, cut, merge, names, nullable, reference, severities, text, unsigned, words};
use crate::posture::CHECKS;

/// Keys that are there where they apply.
pub(super) const OPTIONAL: &[&str] = &["grants", "cgroup_path_truncated", "config_truncated"];

fn with_cuts<const N: usize>(mut object: Value, names: [&str; N]) -> Value {
    merge(&mut object, cut(names));
    object
}

fn finding() -> Value {
    let source = json!({"type": "string", "description": "a JSON pointer into config.json, a mount, or a file of /proc"});
    let item = closed([
        ("severity", severities(&[])),
        ("what", text()),
        ("declared", nullable("string")),
        ("observed", text()),
        ("source", source),
    ]);
    let item = with_cuts(item, ["what", "declared", "observed", "source"]);
    closed([
        ("id", names(CHECKS.iter().map(|check| check.id))),
        ("title", text()),
        ("severity", severities(&[])),
        ("rows", words()),
        ("cis", described(words(), "CIS Docker Benchmark 1.6.0")),
        ("pss", described(words(), "Pod Security Standards")),
        ("checklist", json!({"type": "array", "items": unsigned()})),
        ("change", text()),
        ("items", json!({"type": "array", "items": item})),
    ])
}

fn grant() -> Value {
    let kinds = ["namespace", "capability", "confinement", "mount", "mask", "device", "socket", "other"];
    let grant = closed([
        ("kind", names(kinds)),
        ("name", text()),
        ("declared", nullable("string")),
        ("observed", text()),
        ("verdict", severities(&["ok"])),
        ("checks", words()),
    ]);
    with_cuts(grant, ["name", "declared", "observed"])
}

pub(super) fn properties() -> Vec<(&'static str, Value)> {
    let worst = json!({"oneOf": [severities(&[]), {"type": "null"}]});
    let list = |entry: Value| json!({"type": "array", "items": entry});
    vec![
        ("container", reference("container")),
        ("pid", described(unsigned(), "first process of the container, on the host")),
        ("cgroup_path", text()),
        ("cgroup_path_truncated", json!({"const": true})),
        ("config", nullable("string")),
        ("config_truncated", json!({"const": true})),
        ("unread", described(nullable("string"), "why the container could not be looked at")),
        ("worst", worst),
        ("findings", list(finding())),
        ("grants", described(list(grant()), "of `bulkhead posture --explain`: everything that was granted")),
    ]
}

fn described(mut schema: Value, what: &str) -> Value {
    schema["description"] = what.into();
    schema
}
