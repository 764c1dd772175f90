//! JSON Schema of the objects that `bulkhead posture --format json` writes; `schema/posture.json` holds it.

use serde_json::{Value, json};

use super::check::CHECKS;
use crate::detect::Severity;
use crate::output::schema::container_definition;

fn severities(more: &[&str]) -> Value {
    let all = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Critical];
    json!({"enum": all.iter().map(|s| s.name()).chain(more.iter().copied()).collect::<Vec<_>>()})
}

fn closed(properties: &Value, optional: &[&str]) -> Value {
    let keys = properties.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let required: Vec<&str> = keys.filter(|key| !optional.contains(key)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The schema.
pub fn schema() -> Value {
    let text = || json!({"type": "string"});
    let words = || json!({"type": "array", "items": {"type": "string"}});
    let or_null = || json!({"type": ["string", "null"]});
    let item = closed(
        &json!({
            "severity": severities(&[]),
            "what": text(),
            "declared": or_null(),
            "observed": text(),
            "source": {"type": "string", "description": "a JSON pointer into config.json, a mount, or a file of /proc"},
        }),
        &[],
    );
    let finding = closed(
        &json!({
            "id": {"enum": CHECKS.iter().map(|check| check.id).collect::<Vec<_>>()},
            "title": text(),
            "severity": severities(&[]),
            "rows": words(),
            "cis": {"type": "array", "items": {"type": "string"}, "description": "CIS Docker Benchmark 1.6.0"},
            "pss": {"type": "array", "items": {"type": "string"}, "description": "Pod Security Standards"},
            "checklist": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "change": text(),
            "items": {"type": "array", "items": item},
        }),
        &[],
    );
    let grant = closed(
        &json!({
            "kind": {"enum": [
                "namespace", "capability", "confinement", "mount", "mask", "device", "socket", "other",
            ]},
            "name": text(),
            "declared": or_null(),
            "observed": text(),
            "verdict": severities(&["ok"]),
            "checks": words(),
        }),
        &[],
    );
    let worst: Vec<Value> = severities(&[])["enum"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .chain([Value::Null])
        .collect();
    let mut schema = closed(
        &json!({
            "type": {"const": "posture"},
            "time": {"type": "string", "description": "RFC 3339, UTC, nanoseconds", "format": "date-time"},
            "node": text(),
            "container": {"$ref": "#/$defs/container"},
            "pid": {"type": "integer", "minimum": 0, "description": "first process of the container, on the host"},
            "cgroup_path": text(),
            "config": or_null(),
            "worst": {"enum": worst},
            "findings": {"type": "array", "items": finding},
            "grants": {"type": "array", "items": grant, "description": "with --explain: everything that was granted"},
        }),
        &["grants"],
    );
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "bulkhead posture".into();
    schema["$defs"] = json!({"container": container_definition()});
    schema
}
