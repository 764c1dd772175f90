//! The typed fields of an event, written through its field table: no event has code of its own here.

use monitor_common::event::field::{Field, FieldType, TailField, TailType};
use monitor_common::event::{EventRef, RACED, TRUNCATED, TailString, UNREACHABLE};

use super::writer::Writer;
use crate::output::escape::MAX_STRING;
use crate::output::fields::{self, Number};
use crate::output::{FLAG_NAMES, errno};

/// `"event":"<kind>","flags":[…],"<kind>":{…}`.
pub(super) fn record(w: &mut Writer<'_>, event: &EventRef<'_>, scratch: &mut Vec<u8>) {
    w.text("event", event.kind.name());
    w.key("flags");
    w.open_list();
    for (bit, name) in FLAG_NAMES {
        if event.header.has(*bit) {
            w.raw_word(name);
        }
    }
    w.close_list();
    w.key(event.kind.name());
    w.open();
    for field in event.kind.fields() {
        // A field that only fills the layout says nothing.
        if field.name != "reserved" {
            fixed(w, event, field);
        }
    }
    let tail = monitor_common::event::Tail::new(event.tail);
    for (field, string) in event.kind.tail_fields().iter().zip(tail) {
        string_field(w, field, string, scratch);
    }
    w.close();
}

fn fixed(w: &mut Writer<'_>, event: &EventRef<'_>, field: &Field) {
    let number = fields::number(field, event.payload);
    w.key(field.name);
    match field.ty {
        FieldType::Hex | FieldType::Capabilities => w.hex(number.bits()),
        FieldType::Flags(names) => {
            let (set, rest) = fields::flags(names, number.bits());
            w.open_list();
            set.for_each(|name| w.raw_word(name));
            if rest != 0 {
                w.hex(rest);
            }
            w.close_list();
        }
        FieldType::Choice(names) => match fields::choice(names, number.bits()) {
            Some(name) => w.raw_word(name),
            None => w.quoted(|out| {
                let _ = std::io::Write::write_fmt(out, format_args!("unknown({})", number.bits()));
            }),
        },
        FieldType::Return => {
            w.number(number.signed());
            error_name(w, field, number.signed());
        }
        FieldType::Device => w.quoted(|out| {
            let (major, minor) = fields::device(number.bits());
            let _ = std::io::Write::write_fmt(out, format_args!("{major}:{minor}"));
        }),
        FieldType::Address => match number {
            Number::Bytes(bytes) if fields::has_address(event.kind, event.payload) => {
                w.quoted(|out| fields::address(out, bytes));
            }
            _ => w.raw("null"),
        },
        FieldType::Number | FieldType::Namespace | FieldType::Seconds => match number {
            Number::Signed(n) => w.number(n),
            other => w.number(other.bits()),
        },
    }
}

/// `"errno":"EPERM"` beside a negative `ret`, `"<name>_errno"` beside another negative result.
fn error_name(w: &mut Writer<'_>, field: &Field, value: i64) {
    let Some(name) = u32::try_from(-value.max(-i64::from(u32::MAX))).ok().and_then(errno::name) else {
        return;
    };
    if field.name == "ret" {
        w.key("errno");
    } else {
        w.key_with(field.name, "_errno");
    }
    w.raw_word(name);
}

fn string_field(w: &mut Writer<'_>, field: &TailField, string: TailString<'_>, scratch: &mut Vec<u8>) {
    let truncated = string.flags & TRUNCATED != 0;
    match field.ty {
        TailType::Bytes => w.bytes_part(field.name, string.bytes, MAX_STRING, truncated),
        TailType::Path => {
            fields::path(scratch, string);
            w.bytes_part(field.name, scratch, MAX_STRING, truncated);
        }
        TailType::List => {
            let bytes = string.bytes.strip_suffix(&[0]).unwrap_or(string.bytes);
            let items = bytes.split(|b| *b == 0).filter(|_| !string.bytes.is_empty());
            w.list(field.name, items, truncated);
        }
    }
    for (bit, suffix) in [(UNREACHABLE, "_unreachable"), (RACED, "_raced")] {
        if string.flags & bit != 0 {
            w.mark(field.name, suffix);
        }
    }
}
