//! Says what an event is in a few words, through its field table: no event has code of its own here.
//!
//! Shown are: the operation and other named values, names of flags, strings, addresses, process ids of others,
//! `old_x`/`new_x` pairs that differ, and the error. A list of arguments says enough alone.

use std::fmt::Write;

use monitor_common::event::field::{Field, FieldType, TailField, TailType};
use monitor_common::event::{EventKind, EventRef, Tail};

use super::{dns, errno, escape, fields};

/// Where the fields come from: a record, or a line of JSON.
pub trait Source {
    /// True if the field is there and is not 0, empty or `none`.
    fn is_set(&self, field: &Field) -> bool;
    /// Appends the field as a person reads it, safe for a terminal.
    fn show(&self, field: &Field, out: &mut String);
    /// Appends the string number `n`, safe for a terminal; a list with blanks between its items.
    fn show_string(&self, n: usize, field: &TailField, out: &mut String);
    /// Appends the name of the error, if the field is a result that says one. True if it did.
    fn show_error(&self, field: &Field, out: &mut String) -> bool;
}

/// Appends what the event says, in one line that is safe for a terminal.
pub fn describe(kind: EventKind, source: &impl Source, out: &mut String) {
    let begin = out.len();
    let list = kind.tail_fields().iter().enumerate().find(|(_, f)| f.ty == TailType::List);
    match list {
        Some((n, field)) => source.show_string(n, field, out),
        None => {
            for field in kind.fields() {
                fixed(kind, field, source, out);
            }
            for (n, field) in kind.tail_fields().iter().enumerate() {
                let mark = out.len();
                if field.ty != TailType::Dns {
                    let _ = write!(out, "{}=", field.name);
                }
                let empty = out.len();
                source.show_string(n, field, out);
                if out.len() == empty {
                    out.truncate(mark);
                } else {
                    out.push(' ');
                }
            }
        }
    }
    let error = kind.fields().iter().filter(|f| f.ty == FieldType::Return);
    for field in error {
        let mark = out.len();
        out.push_str("= ");
        if !source.show_error(field, out) {
            out.truncate(mark);
        }
    }
    while out.len() > begin && out.ends_with(' ') {
        out.pop();
    }
}

fn fixed(kind: EventKind, field: &Field, source: &impl Source, out: &mut String) {
    if let Some(name) = field.name.strip_prefix("old_") {
        return change(kind, name, field, source, out);
    }
    let plain = match field.ty {
        FieldType::Choice(_) => matches!(field.name, "op" | "reason" | "family"),
        FieldType::Number => false,
        _ => true,
    };
    let wanted = match field.ty {
        FieldType::Choice(_) | FieldType::Flags(_) | FieldType::Address => true,
        FieldType::Number => field.name.ends_with("_pid") || field.name == "port",
        FieldType::Hex => field.name == "code",
        FieldType::Namespace => field.name.starts_with("wanted"),
        _ => false,
    };
    if !wanted || !source.is_set(field) {
        return;
    }
    if !plain {
        let _ = write!(out, "{}=", field.name);
    }
    source.show(field, out);
    out.push(' ');
}

/// `euid 1000→0`, if there is a value after the act and it differs.
fn change(kind: EventKind, name: &str, old: &Field, source: &impl Source, out: &mut String) {
    let after = kind.fields().iter().find(|f| f.name == name || f.name.strip_prefix("new_") == Some(name));
    let Some(new) = after else { return };
    let begin = out.len();
    let _ = write!(out, "{name} ");
    let from = out.len();
    source.show(old, out);
    let to = out.len();
    out.push('→');
    let new_at = out.len();
    source.show(new, out);
    if out[from..to] == out[new_at..] {
        out.truncate(begin);
    } else {
        out.push(' ');
    }
}

impl Source for EventRef<'_> {
    fn is_set(&self, field: &Field) -> bool {
        match field.ty {
            FieldType::Address => fields::has_address(self.kind, self.payload),
            FieldType::Choice(names) => {
                let bits = fields::number(field, self.payload).bits();
                fields::choice(names, bits) != Some("none")
            }
            _ => !fields::number(field, self.payload).is_zero(),
        }
    }

    fn show(&self, field: &Field, out: &mut String) {
        let number = fields::number(field, self.payload);
        let bits = number.bits();
        // Writing to a string cannot fail.
        let _ = match field.ty {
            FieldType::Choice(names) => match fields::choice(names, bits) {
                Some(name) => out.write_str(name),
                None => write!(out, "unknown({bits})"),
            },
            FieldType::Flags(names) => {
                let (set, rest) = fields::flags(names, bits);
                let mut first = true;
                for name in set {
                    out.push_str(if first { "" } else { "," });
                    out.push_str(name);
                    first = false;
                }
                match rest {
                    0 => Ok(()),
                    rest => write!(out, "{}0x{rest:x}", if first { "" } else { "," }),
                }
            }
            FieldType::Hex | FieldType::Capabilities => write!(out, "0x{bits:x}"),
            FieldType::Device => {
                let (major, minor) = fields::device(bits);
                write!(out, "{major}:{minor}")
            }
            FieldType::Address => match number {
                fields::Number::Bytes(bytes) => {
                    let ip = std::net::Ipv6Addr::from(bytes);
                    match ip.to_ipv4_mapped() {
                        Some(v4) => write!(out, "{v4}"),
                        None => write!(out, "{ip}"),
                    }
                }
                _ => Ok(()),
            },
            FieldType::Number | FieldType::Namespace | FieldType::Seconds | FieldType::Return => match number
            {
                fields::Number::Signed(n) => write!(out, "{n}"),
                _ => write!(out, "{bits}"),
            },
        };
    }

    fn show_string(&self, n: usize, field: &TailField, out: &mut String) {
        let string = Tail::new(self.tail).nth_string(n);
        match field.ty {
            TailType::Bytes => escape::terminal_bytes(out, string.bytes),
            TailType::List => words(out, string.list()),
            TailType::Dns => dns::describe(out, string),
            TailType::Path => {
                if string.bytes.is_empty() {
                    return;
                }
                let bytes = string.bytes.strip_suffix(&[0]).unwrap_or(string.bytes);
                for component in bytes.rsplit(|b| *b == 0) {
                    if !out.ends_with('/') {
                        out.push('/');
                    }
                    escape::terminal_bytes(out, component.strip_prefix(b"/").unwrap_or(component));
                }
            }
        }
    }

    fn show_error(&self, field: &Field, out: &mut String) -> bool {
        let value = fields::number(field, self.payload).signed();
        if value >= 0 {
            return false;
        }
        match u32::try_from(value.unsigned_abs()).ok().and_then(errno::name) {
            Some(name) => out.push_str(name),
            None => {
                let _ = write!(out, "{value}");
            }
        }
        true
    }
}

/// Appends the items with blanks between them.
pub fn words<'a>(out: &mut String, items: impl Iterator<Item = &'a [u8]>) {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        escape::terminal_bytes(out, item);
    }
}
