//! The typed fields of an event, written through its field table: no event has code of its own here.
//!
//! The keys are rendered once, from the same table.

use monitor_common::event::field::{FieldType, TailField, TailType, Width};
use monitor_common::event::plain::Plain;
use monitor_common::event::{EventKind, EventRef, RACED, TRUNCATED, Tail, TailString, UNREACHABLE};

use super::dns;
use super::writer::{Word, Writer};
use crate::output::escape::MAX_STRING;
use crate::output::fields;
use crate::output::{FLAG_NAMES, errno};

/// How to write the events, one plan a kind.
#[derive(Clone, Debug)]
pub(super) struct Plans {
    /// By [`EventKind::index`].
    plans: Vec<Plan>,
    scratch: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Plan {
    /// `"event":"<kind>","flags":[`
    head: String,
    /// `],"<kind>":{`
    body: String,
    fields: Vec<PlannedField>,
    tail: &'static [TailField],
    /// Where the address family is, if the record has one.
    family: Option<(usize, Width)>,
}

#[derive(Clone, Debug)]
struct PlannedField {
    /// `,"<name>":`; the first one without the comma.
    key: Word,
    /// `,"errno":` beside a field `ret`, `,"<name>_errno":` beside another result.
    errno_key: String,
    offset: usize,
    width: Width,
    ty: FieldType,
}

impl Plans {
    pub(super) fn new() -> Self {
        Self { plans: EventKind::ALL.iter().map(|kind| Plan::new(*kind)).collect(), scratch: Vec::new() }
    }

    /// `"event":"<kind>","flags":[…],"<kind>":{…}`.
    pub(super) fn write(&mut self, w: &mut Writer<'_>, event: &EventRef<'_>) {
        // There is one plan for each kind.
        let Some(plan) = self.plans.get(event.kind.index()) else { return };
        w.literal(&plan.head);
        for (bit, name) in FLAG_NAMES {
            if event.header.has(*bit) {
                w.raw_word(name);
            }
        }
        w.literal(&plan.body);
        for field in &plan.fields {
            w.word(&field.key);
            fixed(w, plan, field, event.payload);
        }
        for (field, string) in plan.tail.iter().zip(Tail::new(event.tail)) {
            string_field(w, field, string, &mut self.scratch);
        }
        w.close();
    }
}

impl Plan {
    fn new(kind: EventKind) -> Self {
        let fields = kind.fields();
        let is_family = |f: &&_| {
            let f: &monitor_common::event::field::Field = f;
            f.name == "family" && matches!(f.ty, FieldType::Choice(_))
        };
        let mut planned: Vec<PlannedField> = Vec::new();
        // A field that only fills the layout says nothing.
        for field in fields.iter().filter(|field| field.name != "reserved") {
            let comma = if planned.is_empty() { "" } else { "," };
            planned.push(PlannedField {
                key: format!("{comma}\"{}\":", field.name).into(),
                errno_key: match field.name {
                    "ret" => ",\"errno\":".to_owned(),
                    name => format!(",\"{name}_errno\":"),
                },
                offset: field.offset,
                width: field.width,
                ty: field.ty,
            });
        }
        Self {
            head: format!("\"event\":\"{}\",\"flags\":[", kind.name()),
            body: format!("],\"{}\":{{", kind.name()),
            fields: planned,
            tail: kind.tail_fields(),
            family: fields.iter().find(is_family).map(|f| (f.offset, f.width)),
        }
    }
}

/// The number in a field, without its sign; 0 where the payload is too short, which the decoder has ruled out.
#[inline]
fn bits(payload: &[u8], at: usize, width: Width) -> u64 {
    match width {
        Width::U16 => u16::read(payload, at).unwrap_or(0).into(),
        Width::U32 => u32::read(payload, at).unwrap_or(0).into(),
        Width::U64 => u64::read(payload, at).unwrap_or(0),
        Width::I32 => i64::from(i32::read(payload, at).unwrap_or(0)).cast_unsigned(),
        Width::I64 => i64::read(payload, at).unwrap_or(0).cast_unsigned(),
        Width::Bytes16 => fields::Number::Bytes(<[u8; 16]>::read(payload, at).unwrap_or([0; 16])).bits(),
    }
}

/// The value of a field, after its key.
fn fixed(w: &mut Writer<'_>, plan: &Plan, field: &PlannedField, payload: &[u8]) {
    let bits = bits(payload, field.offset, field.width);
    match field.ty {
        FieldType::Number | FieldType::Namespace | FieldType::Seconds => match field.width {
            Width::I32 | Width::I64 => w.digits(bits.cast_signed()),
            _ => w.unsigned(bits),
        },
        FieldType::Hex | FieldType::Capabilities => w.hex_digits(bits),
        FieldType::Flags(names) => {
            let (set, rest) = fields::flags(names, bits);
            w.literal("[");
            set.for_each(|name| w.raw_word(name));
            if rest != 0 {
                w.hex(rest);
            }
            w.literal("]");
        }
        FieldType::Choice(names) => {
            w.literal("\"");
            match fields::choice(names, bits) {
                Some(name) => w.literal(name),
                None => {
                    w.literal("unknown(");
                    w.digits(bits);
                    w.literal(")");
                }
            }
            w.literal("\"");
        }
        FieldType::Return => {
            let value = bits.cast_signed();
            match value {
                0.. => w.unsigned(bits),
                _ => w.digits(value),
            }
            // Beside a negative result, what the error is called.
            let name = || u32::try_from(-value.max(-i64::from(u32::MAX))).ok().and_then(errno::name);
            if value < 0
                && let Some(name) = name()
            {
                w.literal(&field.errno_key);
                w.literal("\"");
                w.literal(name);
                w.literal("\"");
            }
        }
        FieldType::Device => {
            let (major, minor) = fields::device(bits);
            w.literal("\"");
            w.unsigned(major);
            w.literal(":");
            w.unsigned(minor);
            w.literal("\"");
        }
        FieldType::Address => {
            let family = plan.family.map(|(at, width)| self::bits(payload, at, width));
            match <[u8; 16]>::read(payload, field.offset) {
                Some(bytes) if family.is_none_or(fields::is_inet) => {
                    w.literal("\"");
                    fields::address(w.out(), bytes);
                    w.literal("\"");
                }
                _ => w.literal("null"),
            }
        }
    }
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
        TailType::Dns => return dns::message(w, field.name, string),
    }
    for (bit, suffix) in [(UNREACHABLE, "_unreachable"), (RACED, "_raced")] {
        if string.flags & bit != 0 {
            w.mark(field.name, suffix);
        }
    }
}
