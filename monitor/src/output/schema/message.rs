//! The schema of a DNS message.

use serde_json::{Value, json};

use super::{closed, described, merge, nullable, text};
use crate::output::dns;

/// What it becomes.
pub(super) fn fields() -> impl Iterator<Item = (&'static str, Value)> {
    dns::FIELDS.iter().map(|(name, _, doc)| {
        let schema = match *name {
            "answers" => {
                let mut answer = closed([("type", text()), ("data", nullable("string"))]);
                merge(&mut answer, vec![("data_raw".to_owned(), text())]);
                json!({"type": "array", "items": answer})
            }
            "malformed" => json!({"type": "boolean"}),
            _ => nullable("string"),
        };
        (*name, described(schema, doc))
    })
}

/// The keys that may stand beside those; `tail` is the message's name in its record.
pub(super) fn beside(tail: &str) -> Vec<(String, Value)> {
    let mark = |name: &str| (format!("{name}_truncated"), json!({"const": true}));
    vec![("name_raw".to_owned(), text()), mark("answers"), mark(tail)]
}
