//! One line a record for people: time (UTC), kind or severity, container, process, what happened.

use std::fmt::Write;

use monitor_common::event::EventKind;

use super::Format;
use crate::container::{Container, Mismatch, Status as ContainerStatus};
use crate::output::describe::{describe, words};
use crate::output::line::{Composer, Line, Style, Tone};
use crate::output::record::{Body, Change, Loss, Place, Record, Status, Subject};
use crate::output::time::Clock;
use crate::output::{escape, summary};
use crate::process::Outcome;

/// The text format. Holds scratch space, so that a record costs no allocation.
#[derive(Debug)]
pub struct TextFormat {
    clock: Clock,
    composer: Composer,
    line: Line,
    out: String,
}

impl TextFormat {
    /// With the relation of boot time to the calendar, and the terminal's style.
    pub fn new(clock: Clock, style: Style) -> Self {
        Self { clock, composer: Composer::new(style), line: Line::default(), out: String::new() }
    }
}

impl Format for TextFormat {
    fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let line = &mut self.line;
        for part in [&mut line.time, &mut line.tag, &mut line.place, &mut line.process, &mut line.text] {
            part.clear();
        }
        let at = self.clock.at(record.common.time);
        let (hour, minute, second, milli) = (at.hour, at.minute, at.second, at.nano / 1_000_000);
        // Writing to a string cannot fail.
        let _ = write!(line.time, "{hour:02}:{minute:02}:{second:02}.{milli:03}");
        fill(line, &record.body);
        self.out.clear();
        self.composer.line(line, &mut self.out);
        out.extend_from_slice(self.out.as_bytes());
    }
}

fn fill(line: &mut Line, body: &Body<'_>) {
    match *body {
        Body::Event { subject, event } => {
            line.tone = Tone::Event;
            line.tag.push_str(event.kind.name());
            who(line, &subject, event.header.pid);
            describe(event.kind, event, &mut line.text);
        }
        Body::Finding { subject, event, finding, count, .. } => {
            line.tone = Tone::Finding(finding.severity);
            line.tag.push_str(Tone::severity_tag(finding.severity));
            who(line, &subject, event.header.pid);
            let rule = finding.rule;
            summary::finding(&mut line.text, rule.id, rule.title, finding.outcome.name(), count);
        }
        Body::Container { container, change } => {
            line.tone = Tone::Notice;
            line.tag.push_str("container");
            place(&mut line.place, Some(container));
            container_text(&mut line.text, container, change);
        }
        Body::Executable { container, hashed } => {
            line.tone = Tone::Notice;
            line.tag.push_str("file");
            place(&mut line.place, container);
            let hash = sha256(&hashed.outcome);
            summary::executable(&mut line.text, &hashed.file.path, hashed.outcome.name(), hash.as_deref());
        }
        Body::Posture { container, ref posture } => {
            line.tone = Tone::Notice;
            line.tag.push_str("posture");
            place(&mut line.place, Some(container));
            let found = posture.findings.iter().map(|f| (f.severity.name(), f.check.id, f.check.title));
            summary::posture(&mut line.text, posture.unread, found);
        }
        Body::Loss(ref loss) => {
            line.tone = Tone::Loss;
            line.tag.push_str("LOSS");
            loss_text(line, loss);
        }
        Body::Status(ref status) => {
            line.tone = Tone::Notice;
            line.tag.push_str("status");
            status_text(&mut line.text, status);
        }
    }
}

fn who(line: &mut Line, subject: &Subject<'_>, pid: u32) {
    place(&mut line.place, subject.container);
    if let Some(process) = subject.process {
        summary::program(&mut line.process, &process.program.exe);
    }
    let _ = write!(line.process, "[{pid}]");
}

fn sha256(outcome: &Outcome) -> Option<String> {
    let Outcome::Hashed(hash) = outcome else { return None };
    let mut digits = Vec::new();
    escape::hex(&mut digits, hash);
    String::from_utf8(digits).ok()
}

fn place(out: &mut String, container: Option<&Container>) {
    let Some(container) = container else {
        return out.push_str("host");
    };
    let identity = &container.identity;
    summary::container(out, identity.name.as_deref(), identity.id.as_deref());
}

fn container_text(out: &mut String, container: &Container, change: Change) {
    out.push_str(change.name());
    let identity = &container.identity;
    let engine = identity.engine.map(crate::container::Engine::name);
    let details = [identity.image.as_deref(), identity.runtime.as_deref(), engine];
    for detail in details.into_iter().flatten() {
        out.push(' ');
        escape::terminal(out, detail);
    }
    match &container.status {
        ContainerStatus::Resolved => {}
        ContainerStatus::Pending => out.push_str(" (identity pending)"),
        ContainerStatus::Unknown(reason) => {
            out.push_str(" (identity unknown: ");
            escape::terminal(out, reason);
            out.push(')');
        }
    }
    for Mismatch { engine, what, said, observed } in &container.mismatches {
        summary::mismatch(out, [engine, what, said, observed]);
    }
}

fn loss_text(line: &mut Line, loss: &Loss<'_>) {
    match loss.place {
        Place::Unknown => {}
        Place::Host => line.place.push_str("host"),
        Place::Container(container) => place(&mut line.place, Some(container)),
    }
    let origin = [
        ("sensor", loss.sensor),
        ("event", loss.event.map(EventKind::name)),
        ("ring", loss.ring),
        ("sink", loss.sink),
        ("program", loss.program),
        ("map", loss.map.map(|(name, _)| name)),
    ];
    let limit = loss.map.map(|(_, limit)| u64::from(limit));
    summary::loss(&mut line.text, loss.count, loss.reason, &origin, limit, loss.cpu.map(u64::from));
}

fn status_text(out: &mut String, status: &Status<'_>) {
    out.push_str(status.name());
    let _ = match *status {
        Status::Starting { version, kernel } => {
            out.push_str(": bulkhead ");
            words(out, [version.as_bytes(), b"on", kernel.as_bytes()].into_iter());
            Ok(())
        }
        Status::Resumed { gap, waiting, .. } => {
            write!(out, ": nobody looked for {} ms, {waiting} records waited", gap / 1_000_000)
        }
        Status::Coverage { sensors } => {
            let missing = sensors.iter().filter(|s| s.rung.is_none()).map(|s| s.sensor);
            summary::coverage(out, sensors.len(), missing);
            Ok(())
        }
        Status::Ready { attached, sensors, containers } => {
            write!(out, ": {attached} of {sensors} sensors, {containers} containers running")
        }
        Status::Engine(engine) => {
            summary::engine(out, engine.engine, engine.socket, engine.version, engine.reason);
            Ok(())
        }
        Status::Accounts(accounts) => {
            summary::accounts(out, &accounts.total.numbers(), accounts.balanced);
            Ok(())
        }
        Status::Stopping { reason, received, findings, lost } => {
            out.push_str(": ");
            escape::terminal(out, reason);
            write!(out, "; {received} records, {findings} findings, {lost} lost")
        }
    };
}
