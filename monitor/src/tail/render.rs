//! A line of JSON becomes a line for people. No I/O.

use std::fmt::Write;

use monitor_common::event::EventKind;
use monitor_common::event::field::{Field, TailField, TailType};
use serde_json::Value;

use super::filter::severity;
use crate::output::describe::{Source, describe};
use crate::output::line::{Composer, Line, Style, Tone};
use crate::output::{Counts, dns, escape, summary};

/// Renders records in one style.
#[derive(Clone, Debug)]
pub struct Renderer {
    composer: Composer,
    line: Line,
}

impl Renderer {
    /// In this style.
    pub fn new(style: Style) -> Self {
        Self { composer: Composer::new(style), line: Line::default() }
    }

    /// Appends one line, and for a finding one more with its evidence where the terminal is wide enough.
    pub fn render(&mut self, record: &Value, out: &mut String) {
        self.line = Line::default();
        let line = &mut self.line;
        time(&mut line.time, &record["time"]);
        let mut below = String::new();
        match record["type"].as_str().unwrap_or_default() {
            "event" => event(line, record),
            "finding" => {
                finding(line, record);
                evidence(&mut below, &record["evidence"]);
            }
            "container" => container_record(line, record),
            "executable" => {
                line.tone = Tone::Notice;
                line.tag.push_str("file");
                place(&mut line.place, record);
                let (exe, result) = (text(&record["exe"]).as_bytes(), text(&record["result"]));
                summary::executable(&mut line.text, exe, result, record["sha256"].as_str());
            }
            "posture" => posture(line, record),
            "loss" => loss(line, record),
            "status" => status(line, record),
            other => {
                line.tone = Tone::Notice;
                escape::terminal(&mut line.tag, other);
                who(line, record);
            }
        }
        self.composer.line(line, out);
        self.composer.below(&below, out);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `HH:MM:SS.mmm` of an RFC 3339 time.
fn time(out: &mut String, value: &Value) {
    let clock =
        value.as_str().and_then(|t| t.get(11..23)).filter(|t| t.bytes().all(|b| b.is_ascii_graphic()));
    out.push_str(clock.unwrap_or("?"));
}

fn place(out: &mut String, record: &Value) {
    match record.get("container") {
        None => {}
        Some(Value::Null) => out.push_str("host"),
        Some(container) => summary::container(out, container["name"].as_str(), container["id"].as_str()),
    }
}

fn who(line: &mut Line, record: &Value) {
    place(&mut line.place, record);
    let process = &record["process"];
    if process.is_object() {
        summary::program(&mut line.process, text(&process["exe"]).as_bytes());
        // Writing to a string cannot fail.
        let _ = write!(line.process, "[{}]", process["pid"].as_u64().unwrap_or(0));
    }
}

fn event(line: &mut Line, record: &Value) {
    line.tone = Tone::Event;
    let name = text(&record["event"]);
    escape::terminal(&mut line.tag, name);
    who(line, record);
    if let Some(kind) = EventKind::ALL.iter().find(|kind| kind.name() == name) {
        describe(*kind, &Fields(&record[name]), &mut line.text);
    }
}

fn finding(line: &mut Line, record: &Value) {
    let rule = &record["rule"];
    let severity = severity(&rule["severity"]);
    line.tone = Tone::Finding(severity);
    line.tag.push_str(Tone::severity_tag(severity));
    who(line, record);
    let count = record["count"].as_u64().unwrap_or(1);
    summary::finding(&mut line.text, text(&rule["id"]), text(&rule["title"]), text(&record["result"]), count);
}

fn evidence(out: &mut String, facts: &Value) {
    for fact in facts.as_array().into_iter().flatten() {
        if !out.is_empty() {
            out.push_str("; ");
        }
        escape::terminal(out, text(&fact["name"]));
        out.push(':');
        for word in ["declared", "observed"] {
            if let Some(value) = fact.get(word) {
                out.push(' ');
                out.push_str(word);
                out.push(' ');
                show(out, value, ",");
            }
        }
    }
}

fn container_record(line: &mut Line, record: &Value) {
    line.tone = Tone::Notice;
    line.tag.push_str("container");
    place(&mut line.place, record);
    show(&mut line.text, &record["change"], "");
    let container = &record["container"];
    for key in ["image", "runtime", "engine"] {
        if container[key].is_string() {
            line.text.push(' ');
            show(&mut line.text, &container[key], "");
        }
    }
    match text(&container["status"]) {
        "pending" => line.text.push_str(" (identity pending)"),
        "unknown" => {
            line.text.push_str(" (identity unknown: ");
            show(&mut line.text, &container["reason"], "");
            line.text.push(')');
        }
        _ => {}
    }
    for mismatch in record["mismatches"].as_array().into_iter().flatten() {
        line.tone = Tone::Loss;
        let shown = ["engine", "what", "said", "observed"].map(|key| text(&mismatch[key]));
        summary::mismatch(&mut line.text, shown);
    }
}

fn posture(line: &mut Line, record: &Value) {
    line.tone = Tone::Notice;
    line.tag.push_str("posture");
    place(&mut line.place, record);
    let findings = record["findings"].as_array().into_iter().flatten();
    let found = findings.map(|f| (text(&f["severity"]), text(&f["id"]), text(&f["title"])));
    summary::posture(&mut line.text, record["unread"].as_str(), found);
}

fn loss(line: &mut Line, record: &Value) {
    line.tone = Tone::Loss;
    line.tag.push_str("LOSS");
    place(&mut line.place, record);
    let origin = ["sensor", "event", "ring", "sink", "program", "map"].map(|key| (key, record[key].as_str()));
    let number = |key: &str| record[key].as_u64();
    let (count, reason) = (number("count").unwrap_or(0), text(&record["reason"]));
    summary::loss(&mut line.text, count, reason, &origin, number("limit"), number("cpu"));
}

fn status(line: &mut Line, record: &Value) {
    line.tone = Tone::Notice;
    line.tag.push_str("status");
    let out = &mut line.text;
    show(out, &record["status"], "");
    let number = |key: &str| record[key].as_u64().unwrap_or(0);
    match text(&record["status"]) {
        "starting" => {
            out.push_str(": bulkhead ");
            show(out, &record["version"], "");
            out.push_str(" on ");
            show(out, &record["kernel"], "");
        }
        "resumed" => {
            let (gap, waiting) = (number("gap_ns") / 1_000_000, number("waiting"));
            let _ = write!(out, ": nobody looked for {gap} ms, {waiting} records waited");
        }
        "engine" => {
            let word = |key: &str| record[key].as_str();
            let (kind, socket) = (text(&record["engine"]), text(&record["socket"]));
            summary::engine(out, kind, socket, word("version"), word("reason"));
        }
        "accounts" => {
            let numbers = Counts::NAMES.map(number);
            summary::accounts(out, &numbers, record["balanced"].as_bool().unwrap_or(false));
        }
        "coverage" => {
            let sensors: Vec<&Value> = record["sensors"].as_array().into_iter().flatten().collect();
            let missing = sensors.iter().filter(|s| s["rung"].is_null()).map(|s| text(&s["sensor"]));
            summary::coverage(out, sensors.len(), missing);
        }
        "ready" => {
            let (attached, sensors, containers) =
                (number("attached"), number("sensors"), number("containers"));
            let _ = write!(out, ": {attached} of {sensors} sensors, {containers} containers running");
        }
        "stopping" => {
            out.push_str(": ");
            show(out, &record["reason"], "");
            let (received, findings, lost) = (number("received"), number("findings"), number("lost"));
            let _ = write!(out, "; {received} records, {findings} findings, {lost} lost");
        }
        _ => {}
    }
}

/// Appends a value as a person reads it; the items of a list with `between` between them.
fn show(out: &mut String, value: &Value, between: &str) {
    match value {
        Value::Null => {}
        Value::String(text) => escape::terminal(out, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(between);
                }
                show(out, item, between);
            }
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// The typed fields of an event in JSON.
struct Fields<'a>(&'a Value);

impl Source for Fields<'_> {
    fn is_set(&self, field: &Field) -> bool {
        match &self.0[field.name] {
            Value::Null => false,
            Value::String(text) => !matches!(text.as_str(), "" | "none" | "0x0" | "0:0"),
            Value::Array(items) => !items.is_empty(),
            other => other.as_i64() != Some(0),
        }
    }

    fn show(&self, field: &Field, out: &mut String) {
        show(out, &self.0[field.name], ",");
    }

    fn show_string(&self, _: usize, field: &TailField, out: &mut String) {
        match field.ty {
            TailType::Dns => dns::describe_json(out, self.0),
            _ => show(out, &self.0[field.name], " "),
        }
    }

    fn show_error(&self, field: &Field, out: &mut String) -> bool {
        let Some(value) = self.0[field.name].as_i64().filter(|value| *value < 0) else {
            return false;
        };
        match self.0["errno"].as_str().filter(|_| field.name == "ret") {
            Some(name) => escape::terminal(out, name),
            None => {
                let _ = write!(out, "{value}");
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
