//! JSON Schemas of the JSON format, made from the field tables; `schema/` holds them.
//!
//! Used of JSON Schema: `type`, `const`, `enum`, `pattern`, `properties`, `required`, `additionalProperties`,
//! `items`, `oneOf`, `$ref` into `$defs`.

use monitor_common::event::field::{Field, FieldType, TailField, TailType, Width};
use monitor_common::event::{EventKind, layer};
use serde_json::{Map, Value, json};

use super::accounts::{ContainerCounts, Counts};
use super::kinds::Class;
use super::record::{Status, loss_reason};
use crate::detect::{Outcome, Severity};
use crate::process::Outcome as Hashing;

mod container;
mod message;
mod posture;

/// Keys of a loss that are there where they are known.
const LOSS_OPTIONAL: &[&str] = &[
    "sensor",
    "event",
    "ring",
    "sink",
    "map",
    "limit",
    "program",
    "cpu",
    "first",
    "last",
    "container",
    "by_type",
];

/// The schema of one type of record.
pub fn schema(class: Class) -> Value {
    let mut properties = object([
        ("type", json!({"const": class.name()})),
        ("time", reference("time")),
        ("node", json!({"type": "string"})),
        ("seq", unsigned()),
    ]);
    let (own, optional): (Vec<(&str, Value)>, &[&str]) = match class {
        Class::Event => (event_properties(), &[]),
        Class::Finding => (finding_properties(), &[]),
        Class::Container => (
            container::properties(),
            &[
                "cgroup_path_truncated",
                "bundle_truncated",
                "pod_annotations_truncated",
                "node_labels_truncated",
            ],
        ),
        Class::Executable => (executable_properties(), &["exe_raw", "exe_truncated"]),
        Class::Posture => (posture::properties(), posture::OPTIONAL),
        Class::Loss => (loss_properties(), LOSS_OPTIONAL),
        Class::Status => (Vec::new(), &[]),
    };
    properties.extend(object(own));
    let required: Vec<&String> = properties.keys().filter(|k| !optional.contains(&k.as_str())).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("bulkhead {}", class.name()),
        "type": "object",
        "required": required,
        "$defs": definitions(class),
    });
    match class {
        Class::Event => {
            let kinds: Vec<Value> = written().map(kind_case).collect();
            properties.extend(object(written().map(|k| (k.name(), record_reference(k)))));
            schema["oneOf"] = kinds.into();
            schema["properties"] = properties.into();
            schema["additionalProperties"] = false.into();
        }
        Class::Status => {
            let statuses = status_cases(&properties);
            schema["oneOf"] = statuses.into();
        }
        _ => {
            schema["properties"] = properties.into();
            schema["additionalProperties"] = false.into();
        }
    }
    schema
}

/// The kinds of events that are written.
fn written() -> impl Iterator<Item = EventKind> {
    EventKind::ALL.iter().copied().filter(|kind| !kind.is_part())
}

fn object<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Map<String, Value> {
    entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

/// An object with exactly these keys, all required.
fn closed<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    closed_with(entries, [])
}

/// An object with these keys, those of `optional` not required.
fn closed_with<'a>(
    entries: impl IntoIterator<Item = (&'a str, Value)>,
    optional: impl IntoIterator<Item = (&'a str, Value)>,
) -> Value {
    let mut properties = object(entries);
    let required: Vec<String> = properties.keys().cloned().collect();
    properties.extend(object(optional));
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn record_reference(kind: EventKind) -> Value {
    reference(&format!("event_{}", kind.name()))
}

fn unsigned() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn nullable(ty: &str) -> Value {
    json!({"type": [ty, "null"]})
}

fn words() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"enum": all.into_iter().collect::<Vec<_>>()})
}

/// A severity, or one of `more`.
fn severities(more: &[&'static str]) -> Value {
    let all = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Critical];
    names(all.iter().map(|s| s.name()).chain(more.iter().copied()))
}

/// Marks of strings that may be cut.
fn cut<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(String, Value)> {
    names.into_iter().map(|name| (format!("{name}_truncated"), json!({"const": true}))).collect()
}

/// The keys that may stand beside a string from outside.
fn beside(name: &str, list: bool) -> Vec<(String, Value)> {
    let raw = if list { json!({"type": "array", "items": {"type": ["string", "null"]}}) } else { text() };
    let mut keys = vec![(format!("{name}_raw"), raw)];
    for suffix in ["truncated", "unreachable", "raced"] {
        keys.push((format!("{name}_{suffix}"), json!({"const": true})));
    }
    keys
}

fn merge(schema: &mut Value, keys: Vec<(String, Value)>) {
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.extend(keys);
    }
}

fn definitions(class: Class) -> Value {
    let mut defs = object([(
        "time",
        json!({"type": "string", "description": "RFC 3339, UTC, nanoseconds", "format": "date-time"}),
    )]);
    defs.insert("container".to_owned(), container::definition());
    if matches!(class, Class::Event | Class::Finding) {
        defs.insert("process".to_owned(), process());
        for kind in written() {
            defs.insert(format!("event_{}", kind.name()), record(kind));
        }
    }
    defs.into()
}

fn event_properties() -> Vec<(&'static str, Value)> {
    vec![
        ("container", reference("container")),
        ("process", reference("process")),
        ("event", names(written().map(EventKind::name))),
        ("flags", json!({"type": "array", "items": names(super::FLAG_NAMES.iter().map(|(_, name)| *name))})),
    ]
}

/// The key that belongs to the value of `event`.
fn kind_case(kind: EventKind) -> Value {
    json!({"properties": {"event": {"const": kind.name()}}, "required": [kind.name()]})
}

fn finding_properties() -> Vec<(&'static str, Value)> {
    let value = json!({"type": ["integer", "string"]});
    let mut fact = closed_with([("name", text()), ("observed", value.clone())], [("declared", value)]);
    for name in ["declared", "observed"] {
        merge(&mut fact, beside(name, false));
    }
    let mut event = closed_with(
        event_properties().into_iter().skip(2),
        written().map(|k| (k.name(), record_reference(k))),
    );
    event["oneOf"] = written().map(kind_case).collect::<Vec<_>>().into();
    let outcomes = [Outcome::Succeeded, Outcome::Denied, Outcome::Attempted];
    vec![
        ("container", reference("container")),
        ("process", reference("process")),
        (
            "rule",
            closed([
                ("id", text()),
                ("title", text()),
                ("severity", severities(&[])),
                ("behaviours", words()),
                ("attack", words()),
                ("invariant", nullable("string")),
            ]),
        ),
        ("result", names(outcomes.iter().map(|o| o.name()))),
        ("exe_sha256", nullable("string")),
        ("evidence", json!({"type": "array", "items": fact})),
        ("count", unsigned()),
        ("first_seen", reference("time")),
        ("last_seen", reference("time")),
        ("event", event),
    ]
}

fn executable_properties() -> Vec<(&'static str, Value)> {
    vec![
        ("container", reference("container")),
        ("exe", text()),
        ("exe_raw", text()),
        ("exe_truncated", json!({"const": true})),
        ("dev", text()),
        ("ino", unsigned()),
        ("ctime", json!({"type": "integer"})),
        ("kind", names(["file", "deleted", "memfd"])),
        ("layer", names(layer::NAMES.iter().map(|(_, name)| *name))),
        ("size", json!({"type": ["integer", "null"], "minimum": 0})),
        ("result", names(Hashing::NAMES.iter().copied())),
        ("sha256", nullable("string")),
        ("files_read", unsigned()),
    ]
}

fn loss_properties() -> Vec<(&'static str, Value)> {
    vec![
        ("reason", names(loss_reason::ALL.iter().copied())),
        ("count", unsigned()),
        ("sensor", text()),
        ("ring", text()),
        ("sink", text()),
        ("event", names(EventKind::ALL.iter().map(|k| k.name()))),
        ("map", text()),
        ("limit", unsigned()),
        ("program", text()),
        ("cpu", unsigned()),
        ("first", reference("time")),
        ("last", reference("time")),
        ("container", reference("container")),
        ("by_type", closed(Class::ALL.iter().map(|c| (c.name(), unsigned())))),
    ]
}

fn status_cases(common: &Map<String, Value>) -> Vec<Value> {
    let sensor = closed([
        ("sensor", text()),
        ("rung", nullable("string")),
        ("unseen", words()),
        ("reason", nullable("string")),
    ]);
    let own = |name: &str| match name {
        "starting" => vec![("version", text()), ("kernel", text())],
        "resumed" => vec![("since", reference("time")), ("gap_ns", unsigned()), ("waiting", unsigned())],
        "coverage" => vec![("sensors", json!({"type": "array", "items": sensor}))],
        "ready" => ["attached", "sensors", "containers"].map(|n| (n, unsigned())).to_vec(),
        "accounts" => accounts(),
        "engine" => container::engine(),
        _ => {
            let counts = ["received", "findings", "lost"].map(|n| (n, unsigned()));
            counts.into_iter().chain([("reason", text())]).collect()
        }
    };
    let case = |name: &&'static str| {
        let mut case = closed(own(name));
        let mut properties = common.clone();
        properties.insert("status".to_owned(), json!({"const": name}));
        if let Some(required) = case["required"].as_array_mut() {
            required.extend(properties.keys().map(|k| Value::from(k.as_str())));
        }
        merge(&mut case, properties.into_iter().collect());
        if *name == "engine" {
            merge(&mut case, cut(container::ENGINE_CUT));
        }
        case
    };
    Status::NAMES.iter().map(case).collect()
}

fn accounts() -> Vec<(&'static str, Value)> {
    let counts = || Counts::NAMES.map(|name| (name, unsigned())).into_iter();
    let list = |entry: Value| json!({"type": "array", "items": entry});
    let event = names(EventKind::ALL.iter().map(|k| k.name()));
    let container = ContainerCounts::NAMES.map(|name| (name, unsigned())).into_iter();
    let own = [
        ("skipped_runs", unsigned()),
        ("unaccounted", unsigned()),
        ("balanced", json!({"type": "boolean"})),
        ("events", list(closed(counts().chain([("event", event), ("sensor", nullable("string"))])))),
        ("cpus", list(closed(counts().chain([("cpu", unsigned())])))),
        ("containers", list(closed(container.chain([("container", reference("container"))])))),
        ("containers_left_out", unsigned()),
    ];
    counts().chain(own).collect()
}

fn process() -> Value {
    let strings =
        || [("exe", nullable("string")), ("argv", json!({"type": ["array", "null"], "items": text()}))];
    let mut ancestor = closed(strings().into_iter().chain([("pid", unsigned())]));
    for (name, list) in [("exe", false), ("argv", true)] {
        merge(&mut ancestor, beside(name, list));
    }
    let mut process = closed(strings().into_iter().chain([
        ("ancestors", json!({"type": "array", "items": ancestor})),
        ("pid", unsigned()),
        ("tid", unsigned()),
        ("ppid", nullable("integer")),
        ("cwd", nullable("string")),
        ("uid", unsigned()),
        ("euid", unsigned()),
        ("gid", nullable("integer")),
        ("caps_effective", nullable("string")),
        ("started", reference("time")),
    ]));
    for (name, list) in [("exe", false), ("argv", true), ("cwd", false)] {
        merge(&mut process, beside(name, list));
    }
    process
}

fn record(kind: EventKind) -> Value {
    let fields: Vec<&Field> = kind.fields().iter().filter(|f| f.name != "reserved").collect();
    let tail = kind.tail_fields();
    let fixed = fields.iter().map(|f| (f.name, described(field(f), f.doc)));
    let (messages, strings): (Vec<&TailField>, Vec<&TailField>) =
        tail.iter().partition(|f| f.ty == TailType::Dns);
    let plain = strings.iter().map(|f| (f.name, described(string(f), f.doc)));
    let of_messages = messages.iter().flat_map(|_| message::fields());
    let mut schema = closed(fixed.chain(plain).chain(of_messages));
    for result in fields.iter().filter(|f| f.ty == FieldType::Return) {
        let name = if result.name == "ret" { "errno".to_owned() } else { format!("{}_errno", result.name) };
        merge(&mut schema, vec![(name, text())]);
    }
    for string in strings {
        merge(&mut schema, beside(string.name, string.ty == TailType::List));
    }
    messages.iter().for_each(|message| merge(&mut schema, message::beside(message.name)));
    schema["description"] = kind.doc().trim().into();
    schema
}

fn described(mut schema: Value, doc: &str) -> Value {
    schema["description"] = doc.trim().into();
    schema
}

fn string(field: &TailField) -> Value {
    if field.ty == TailType::List { words() } else { text() }
}

fn field(field: &Field) -> Value {
    match field.ty {
        FieldType::Number if matches!(field.width, Width::I32 | Width::I64) => json!({"type": "integer"}),
        FieldType::Number | FieldType::Namespace => unsigned(),
        FieldType::Seconds | FieldType::Return => json!({"type": "integer"}),
        FieldType::Hex | FieldType::Capabilities => json!({"type": "string", "pattern": "^0x[0-9a-f]+$"}),
        FieldType::Flags(_) => words(),
        FieldType::Choice(_) => text(),
        FieldType::Device => json!({"type": "string", "pattern": "^[0-9]+:[0-9]+$"}),
        FieldType::Address => nullable("string"),
    }
}
