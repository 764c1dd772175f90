//! A DNS message as fields of its event; `output/dns.rs` lists them.

use std::io::Write;

use monitor_common::event::{TRUNCATED, TailString};
use monitor_common::network::mapped;

use super::writer::Writer;
use crate::dns::{Data, Message};
use crate::output::fields;

/// `"name":…,"type":…,"class":…,"code":…,"answers":[…],"malformed":…`, after what is there.
pub(super) fn message(w: &mut Writer<'_>, field: &str, string: TailString<'_>) {
    let part = string.flags & TRUNCATED != 0;
    let message = Message::new(string.bytes, part);
    match message.question() {
        Some(question) => {
            w.bytes("name", question.name.as_bytes());
            word(w, "type", question.kind);
            word(w, "class", question.class);
        }
        None => ["name", "type", "class"].into_iter().for_each(|name| w.null(name)),
    }
    match message.code() {
        Some(code) => word(w, "code", code),
        None => w.null("code"),
    }
    w.key("answers");
    w.open_list();
    for answer in message.answers() {
        w.open();
        word(w, "type", answer.kind);
        match answer.data {
            Data::V4(address) => data(w, |out| fields::address(out, mapped(address))),
            Data::V6(address) => data(w, |out| fields::address(out, address)),
            Data::Name(name) => w.bytes("data", name.as_bytes()),
            Data::Text(text) => w.bytes("data", text),
            Data::Other => w.null("data"),
        }
        w.close();
    }
    w.close_list();
    if message.has_more() {
        w.mark("answers", "_truncated");
    }
    w.truth("malformed", message.is_malformed());
    if part {
        w.mark(field, "_truncated");
    }
}

/// A name from one of the registries, which needs no escape.
fn word(w: &mut Writer<'_>, key: &str, name: impl std::fmt::Display) {
    w.key(key);
    w.quoted(|out| {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{name}");
    });
}

fn data(w: &mut Writer<'_>, write: impl FnOnce(&mut Vec<u8>)) {
    w.key("data");
    w.quoted(write);
}
