//! What the outputs have in common about DNS messages: the fields, and the line for people.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use monitor_common::event::{TRUNCATED, TailString};
use serde_json::Value;

use super::escape;
use crate::dns::{Data, Message};

/// The fields that a message becomes: name, what it is in JSON, what it says.
pub const FIELDS: &[(&str, &str, &str)] = &[
    (
        "name",
        "string; null if there is none",
        "Name that is asked for, without the last dot; a dot inside a label is `\\.`.",
    ),
    ("type", "string; null if there is none", "Type that is asked for, such as `A` or `TYPE65281`."),
    ("class", "string; null if there is none", "Class, `IN` nearly always."),
    ("code", "string; null in a query", "How the server answers, such as `NOERROR` or `NXDOMAIN`."),
    (
        "answers",
        "list of objects with `type` and `data`",
        "The first 16 answers; `data` is an address, a name (`CNAME`, `NS`, `PTR`), the first string of `TXT`, else null.",
    ),
    ("malformed", "true or false", "It is no DNS message, or one that breaks off where nothing was cut off."),
];

/// Appends what a message says, safe for a terminal: `A www.example.com NOERROR: 192.0.2.1`.
pub fn describe(out: &mut String, string: TailString<'_>) {
    let message = Message::new(string.bytes, string.flags & TRUNCATED != 0);
    // Writing to a string cannot fail.
    if let Some(question) = message.question() {
        let _ = write!(out, "{} ", question.kind);
        escape::terminal_bytes(out, question.name.as_bytes());
    }
    if let Some(code) = message.code() {
        blank(out);
        let _ = write!(out, "{code}");
    }
    let mut mark = ": ";
    for answer in message.answers() {
        out.push_str(std::mem::replace(&mut mark, ", "));
        let _ = match answer.data {
            Data::V4(address) => write!(out, "{}", Ipv4Addr::from(address)),
            Data::V6(address) => write!(out, "{}", Ipv6Addr::from(address)),
            Data::Name(name) => {
                escape::terminal_bytes(out, name.as_bytes());
                Ok(())
            }
            Data::Text(text) => {
                escape::terminal_bytes(out, text);
                Ok(())
            }
            Data::Other => write!(out, "{}", answer.kind),
        };
    }
    end(out, message.has_more(), message.is_malformed());
}

/// The same from the fields of an event in JSON.
pub fn describe_json(out: &mut String, event: &Value) {
    let text = |value: &Value, out: &mut String| escape::terminal(out, value.as_str().unwrap_or_default());
    if event["name"].is_string() {
        text(&event["type"], out);
        out.push(' ');
        text(&event["name"], out);
    }
    if event["code"].is_string() {
        blank(out);
        text(&event["code"], out);
    }
    let mut mark = ": ";
    for answer in event["answers"].as_array().into_iter().flatten() {
        out.push_str(std::mem::replace(&mut mark, ", "));
        let data = if answer["data"].is_string() { &answer["data"] } else { &answer["type"] };
        text(data, out);
    }
    end(out, event["answers_truncated"] == true, event["malformed"] == true);
}

fn end(out: &mut String, more: bool, malformed: bool) {
    for (_, word) in [(more, "…"), (malformed, "malformed")].iter().filter(|(is, _)| *is) {
        blank(out);
        out.push_str(word);
    }
}

fn blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}
