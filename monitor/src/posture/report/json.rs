//! One JSON object a container; `schema/posture.json` describes it.

use serde_json::{Map, Value, json};

use super::Judged;
use crate::detect::Severity;
use crate::output::escape::{self, MAX_STRING};
use crate::output::format::json::container_json;
use crate::posture::explain::Grant;
use crate::posture::judge::Finding;

/// What every object has beside its container.
#[derive(Clone, Debug)]
pub struct Header {
    /// When the host was read, RFC 3339.
    pub time: String,
    /// Name of this machine.
    pub node: String,
}

/// Appends one object and a newline.
pub fn json(out: &mut Vec<u8>, header: &Header, judged: &Judged<'_>) {
    let subject = judged.subject;
    let mut object = json!({
        "type": "posture",
        "time": header.time,
        "node": header.node,
        "container": container_json(&subject.container),
        "pid": subject.baseline.pid,
        "cgroup_path": subject.container.cgroup_path,
        "config": subject.baseline.config.as_ref().map(|config| config.path.as_str()),
        "worst": judged.worst().map(Severity::name),
        "findings": judged.findings.iter().map(finding).collect::<Vec<_>>(),
    });
    if !judged.grants.is_empty() {
        object["grants"] = judged.grants.iter().map(grant).collect::<Vec<_>>().into();
    }
    write(out, &object);
    out.push(b'\n');
}

fn finding(finding: &Finding) -> Value {
    let check = finding.check;
    let items: Vec<Value> = finding
        .items
        .iter()
        .map(|item| {
            json!({
                "severity": item.severity.name(),
                "what": item.what,
                "declared": item.declared,
                "observed": item.observed,
                "source": item.source.to_string(),
            })
        })
        .collect();
    json!({
        "id": check.id,
        "title": check.title,
        "severity": finding.severity.name(),
        "rows": check.rows,
        "cis": check.cis,
        "pss": check.pss,
        "checklist": check.checklist,
        "change": check.change,
        "items": items,
    })
}

fn grant(grant: &Grant) -> Value {
    json!({
        "kind": grant.kind,
        "name": grant.name,
        "declared": grant.declared,
        "observed": grant.observed,
        "verdict": grant.verdict.severity.map_or("ok", Severity::name),
        "checks": grant.verdict.checks,
    })
}

/// Writes a value with this project's escapes: hidden characters never reach a terminal.
fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => string(out, text),
        Value::Array(list) => {
            out.push(b'[');
            for (n, value) in list.iter().enumerate() {
                comma(out, n);
                write(out, value);
            }
            out.push(b']');
        }
        Value::Object(map) => object(out, map),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.push(b'{');
    for (n, (key, value)) in map.iter().enumerate() {
        comma(out, n);
        string(out, key);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

fn comma(out: &mut Vec<u8>, n: usize) {
    if n > 0 {
        out.push(b',');
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    let (kept, cut) = escape::cut(text.as_bytes(), MAX_STRING);
    out.push(b'"');
    escape::json_bytes(out, kept);
    if cut {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}
