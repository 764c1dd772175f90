//! `docs/events.md`: the fields of every event, from the tables that the JSON writer uses.

use std::fmt::Write;

use monitor::output::{FLAG_NAMES, dns};
use monitor_common::event::EventKind;
use monitor_common::event::field::{Field, FieldType, TailField, TailType};

use super::{GENERATED, head, row};

/// How a field is written in JSON.
fn json_type(ty: FieldType) -> String {
    match ty {
        FieldType::Number => "number".into(),
        FieldType::Hex => "hexadecimal string".into(),
        FieldType::Flags(names) => format!("list of names: {}", values(names)),
        FieldType::Choice(names) => format!("one of: {}", values(names)),
        FieldType::Return => "number; a negative one is an error, named in `errno`".into(),
        FieldType::Device => "string `major:minor`".into(),
        FieldType::Namespace => "number, inode of the namespace; 0 if unknown".into(),
        FieldType::Capabilities => "hexadecimal string, bit n is capability n".into(),
        FieldType::Address => "string, IPv4 or IPv6; null for other families".into(),
        FieldType::Seconds => "number, seconds since the epoch".into(),
    }
}

fn values(names: &[(u64, &str)]) -> String {
    names.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn tail_type(ty: TailType) -> &'static str {
    match ty {
        TailType::Bytes => "string",
        TailType::Path => "string, an absolute path",
        TailType::List => "list of strings",
        TailType::Dns => "fields of a DNS message",
    }
}

/// The page.
pub(crate) fn page() -> String {
    let flags: Vec<String> = FLAG_NAMES.iter().map(|(_, name)| format!("`{name}`")).collect();
    let mut page = format!(
        "# Events\n\n{GENERATED}\n\
         The fields of every event, in the order of `monitor-common/src/event/`. In JSON an event has `type`, \
         `time`, `node`, `seq`, `container`, `process`, `event` (the name of its kind), `flags` (any of {}) and an \
         object of the kind's name with the fields below. `schema/event.json` is the same for programs.\n\n\
         Strings come from containers and are bytes. `<name>_raw` beside a string holds all of its bytes in \
         hexadecimal where it is not UTF-8; `<name>_truncated`, `<name>_raced` (read from memory that the program \
         could change) and `<name>_unreachable` (the path does not lead to the root) are `true` where they apply.\n",
        flags.join(", ")
    );
    for kind in EventKind::ALL.iter().filter(|kind| !kind.is_part()) {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n", kind.name(), kind.doc().trim());
        page.push_str(&head(&["Field", "JSON", "What it is"]));
        kind.fields()
            .iter()
            .filter(|field| field.name != "reserved")
            .for_each(|field| fixed(&mut page, field));
        kind.tail_fields().iter().for_each(|field| string(&mut page, field));
    }
    page
}

fn fixed(page: &mut String, field: &Field) {
    page.push_str(&row(&[&format!("`{}`", field.name), &json_type(field.ty), field.doc.trim()]));
}

fn string(page: &mut String, field: &TailField) {
    if field.ty == TailType::Dns {
        dns::FIELDS
            .iter()
            .for_each(|(name, json, doc)| page.push_str(&row(&[&format!("`{name}`"), json, doc])));
        return;
    }
    page.push_str(&row(&[&format!("`{}`", field.name), tail_type(field.ty), field.doc.trim()]));
}
