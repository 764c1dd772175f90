//! One JSON object a line: the format that programs read. `schema/` describes it.
//!
//! Strings from outside are bytes. Valid UTF-8 is written as it is, with control and other hidden characters
//! as `\uXXXX`. A byte that is not UTF-8 is written as the four characters `\xHH`, and then a key
//! `<name>_raw` beside it holds all the bytes in hexadecimal, so that nothing is lost and nothing is
//! ambiguous. `<name>_truncated`, `<name>_unreachable` and `<name>_raced` are `true` where they apply, and
//! absent elsewhere. Sets of capabilities, masks and magic numbers are strings in hexadecimal; ids are
//! numbers of up to 64 bits.

mod context;
mod dns;
mod event;
mod fragments;
mod posture;
mod writer;

use super::Format;
use crate::detect::{Evidence, Finding, Value};
use crate::output::accounts::{Accounts, ContainerCounts, Counts};
use crate::output::kinds::Class;
use crate::output::record::{Body, EngineStatus, Loss, Place, Record, Status};
use crate::output::time::Clock;
use crate::output::{escape, fields};
use crate::process::{Hashed, Outcome};
use monitor_common::event::{EventKind, layer};
use writer::Writer;

/// The JSON format. Holds scratch space, so that a record costs no allocation.
#[derive(Clone, Debug)]
pub struct JsonFormat {
    clock: Clock,
    kept: context::Kept,
    events: event::Plans,
}

impl JsonFormat {
    /// With the relation of boot time to the calendar.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: context::Kept::default(), events: event::Plans::new() }
    }
}

impl Format for JsonFormat {
    fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        let common = &record.common;
        w.literal("{\"type\":\"");
        w.literal(record.body.class().name());
        w.literal("\",\"time\":\"");
        self.clock.rfc3339(common.time, w.out());
        w.literal("\"");
        w.text("node", common.node);
        w.literal(",\"seq\":");
        w.digits(common.seq);
        match record.body {
            Body::Event { subject, event } => {
                context::who(&mut w, &mut self.kept, &subject, event, self.clock);
                w.literal(",");
                self.events.write(&mut w, event);
            }
            Body::Finding { subject, event, finding, count, exe_sha256, first_seen, last_seen } => {
                rule(&mut w, finding);
                w.text("result", finding.outcome.name());
                evidence(&mut w, &finding.evidence);
                w.field("count", count);
                for (name, time) in [("first_seen", first_seen), ("last_seen", last_seen)] {
                    w.key(name);
                    w.quoted(|out| self.clock.rfc3339(time, out));
                }
                match exe_sha256 {
                    Some(hash) => {
                        w.key("exe_sha256");
                        w.quoted(|out| escape::hex(out, &hash));
                    }
                    None => w.null("exe_sha256"),
                }
                context::who(&mut w, &mut self.kept, &subject, event, self.clock);
                w.literal(",\"event\":{");
                self.events.write(&mut w, event);
                w.close();
            }
            Body::Container { container, change } => {
                w.text("change", change.name());
                context::container(&mut w, Some(container));
                context::particulars(&mut w, container, self.clock);
            }
            Body::Executable { container, hashed } => {
                context::container(&mut w, container);
                executable(&mut w, hashed);
            }
            Body::Posture { container, ref posture } => {
                context::container(&mut w, Some(container));
                posture::write(&mut w, container, posture);
            }
            Body::Loss(ref body) => loss(&mut w, body, self.clock),
            Body::Status(ref body) => status(&mut w, body, self.clock),
        }
        w.close();
        w.end_line();
    }
}

fn words(w: &mut Writer<'_>, name: &str, words: &[&str]) {
    w.key(name);
    w.open_list();
    for word in words {
        w.string(word);
    }
    w.close_list();
}

fn rule(w: &mut Writer<'_>, finding: &Finding) {
    let rule = finding.rule;
    w.key("rule");
    w.open();
    w.text("id", rule.id);
    w.text("title", rule.title);
    w.text("severity", finding.severity.name());
    words(w, "behaviours", rule.behaviours);
    words(w, "attack", rule.attack);
    w.optional("invariant", rule.invariant);
    w.close();
}

fn evidence(w: &mut Writer<'_>, facts: &[Evidence]) {
    w.key("evidence");
    w.open_list();
    for fact in facts {
        w.open();
        w.text("name", fact.name);
        if let Some(declared) = &fact.declared {
            value(w, "declared", declared);
        }
        value(w, "observed", &fact.observed);
        w.close();
    }
    w.close_list();
}

fn value(w: &mut Writer<'_>, name: &str, value: &Value) {
    match value {
        Value::Namespace(ty, inode) => {
            w.key(name);
            // As the links of /proc/PID/ns show it.
            w.quoted(|out| {
                let _ = std::io::Write::write_fmt(out, format_args!("{ty}:[{inode}]"));
            });
        }
        Value::Number(number) => w.field(name, *number),
        Value::Hex(number) => {
            w.key(name);
            w.hex(*number);
        }
        Value::Bytes(bytes) => w.bytes(name, bytes),
        Value::Text(text) => w.text(name, text),
        Value::Word(word) => w.text(name, word),
    }
}

fn executable(w: &mut Writer<'_>, hashed: &Hashed) {
    let file = &hashed.file;
    w.bytes("exe", &file.path);
    w.key("dev");
    let (major, minor) = fields::device(file.dev.into());
    w.quoted(|out| {
        let _ = std::io::Write::write_fmt(out, format_args!("{major}:{minor}"));
    });
    w.field("ino", file.ino);
    w.field("ctime", file.ctime);
    w.text("kind", file.kind());
    w.text("layer", fields::choice(layer::NAMES, file.layer.into()).unwrap_or("unknown"));
    match hashed.size {
        Some(size) => w.field("size", size),
        None => w.null("size"),
    }
    w.text("result", hashed.outcome.name());
    match &hashed.outcome {
        Outcome::Hashed(hash) => {
            w.key("sha256");
            w.quoted(|out| escape::hex(out, hash));
        }
        _ => w.null("sha256"),
    }
    w.field("files_read", hashed.files_read);
}

fn loss(w: &mut Writer<'_>, loss: &Loss<'_>, clock: Clock) {
    w.text("reason", loss.reason);
    w.field("count", loss.count);
    let event = loss.event.map(EventKind::name);
    let texts = [
        ("sensor", loss.sensor),
        ("event", event),
        ("ring", loss.ring),
        ("sink", loss.sink),
        ("program", loss.program),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            w.text(name, value);
        }
    }
    if let Some((map, limit)) = loss.map {
        w.text("map", map);
        w.field("limit", limit);
    }
    if let Some((first, last)) = loss.between {
        for (name, time) in [("first", first), ("last", last)] {
            w.key(name);
            w.quoted(|out| clock.rfc3339(time, out));
        }
    }
    if let Some(cpu) = loss.cpu {
        w.field("cpu", cpu);
    }
    match loss.place {
        Place::Unknown => {}
        Place::Host => context::container(w, None),
        Place::Container(container) => context::container(w, Some(container)),
    }
    if let Some(shed) = loss.by_type {
        w.key("by_type");
        w.open();
        for class in Class::ALL {
            w.field(class.name(), shed.of(*class));
        }
        w.close();
    }
}

fn status(w: &mut Writer<'_>, status: &Status<'_>, clock: Clock) {
    w.text("status", status.name());
    match *status {
        Status::Starting { version, kernel } => {
            w.text("version", version);
            w.text("kernel", kernel);
        }
        Status::Resumed { since, gap, waiting } => {
            w.key("since");
            w.quoted(|out| clock.rfc3339(since, out));
            w.field("gap_ns", gap);
            w.field("waiting", waiting);
        }
        Status::Coverage { sensors } => {
            w.key("sensors");
            w.open_list();
            for sensor in sensors {
                w.open();
                w.text("sensor", sensor.sensor);
                w.optional("rung", sensor.rung);
                words(w, "unseen", sensor.unseen);
                w.optional("reason", sensor.reason);
                w.close();
            }
            w.close_list();
        }
        Status::Ready { attached, sensors, containers } => {
            w.field("attached", attached);
            w.field("sensors", sensors);
            w.field("containers", containers);
        }
        Status::Engine(ref engine) => {
            w.text("engine", engine.engine);
            w.text("socket", engine.socket);
            w.optional("version", engine.version);
            match engine.containers {
                Some(count) => w.field("containers", count),
                None => w.null("containers"),
            }
            w.optional("reason", engine.reason);
            for (name, number) in EngineStatus::NUMBERS.iter().zip(engine.numbers()) {
                w.field(name, number);
            }
        }
        Status::Accounts(ref body) => accounts(w, body),
        Status::Stopping { reason, received, findings, lost } => {
            w.text("reason", reason);
            w.field("received", received);
            w.field("findings", findings);
            w.field("lost", lost);
        }
    }
}

fn counts(w: &mut Writer<'_>, counts: &Counts) {
    for (name, number) in Counts::NAMES.iter().zip(counts.numbers()) {
        w.field(name, number);
    }
}

fn accounts(w: &mut Writer<'_>, accounts: &Accounts<'_>) {
    counts(w, &accounts.total);
    w.field("skipped_runs", accounts.skipped_runs);
    w.field("unaccounted", accounts.unaccounted);
    w.truth("balanced", accounts.balanced);
    w.key("events");
    w.open_list();
    for (kind, sensor, row) in accounts.events {
        w.open();
        w.text("event", kind.name());
        w.optional("sensor", *sensor);
        counts(w, row);
        w.close();
    }
    w.close_list();
    w.key("cpus");
    w.open_list();
    for (cpu, row) in accounts.cpus {
        w.open();
        w.field("cpu", *cpu);
        counts(w, row);
        w.close();
    }
    w.close_list();
    w.key("containers");
    w.open_list();
    for row in accounts.containers {
        w.open();
        context::container(w, Some(row.container));
        for (name, number) in ContainerCounts::NAMES.iter().zip(row.numbers()) {
            w.field(name, number);
        }
        w.close();
    }
    w.close_list();
    w.field("containers_left_out", accounts.containers_left_out);
}
