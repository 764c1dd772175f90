//! Words that the text format and `tail` share. Everything appended is safe for a terminal.

use std::fmt::Write;

use super::escape;

/// `C01 Host root mounted`, with the outcome before the title unless it succeeded, and how often.
pub fn finding(out: &mut String, id: &str, title: &str, outcome: &str, count: u64) {
    escape::terminal(out, id);
    if outcome != "succeeded" {
        out.push(' ');
        escape::terminal(out, outcome);
        out.push(':');
    }
    out.push(' ');
    escape::terminal(out, title);
    if count > 1 {
        // Writing to a string cannot fail.
        let _ = write!(out, " ×{count}");
    }
}

/// The container's name, or the first twelve characters of its id: for the eye only.
pub fn container(out: &mut String, name: Option<&str>, id: Option<&str>) {
    match (name.filter(|n| !n.is_empty()), id) {
        (Some(name), _) => escape::terminal(out, name),
        (None, Some(id)) => {
            let end = id.char_indices().nth(12).map_or(id.len(), |(at, _)| at);
            escape::terminal(out, &id[..end]);
        }
        (None, None) => out.push('?'),
    }
}

/// `/bin/sh sha256 e3b0…`, or why there is no hash.
pub fn executable(out: &mut String, exe: &[u8], result: &str, sha256: Option<&str>) {
    escape::terminal_bytes(out, exe);
    match sha256 {
        Some(hash) => {
            out.push_str(" sha256 ");
            escape::terminal(out, hash);
        }
        None => {
            out.push_str(" not hashed: ");
            escape::terminal(out, result);
        }
    }
}

/// `critical: G01 Privileged, G12 Devices granted; notice: G03 …`, the worst first, or why nothing is known.
pub fn posture<'a>(
    out: &mut String,
    unread: Option<&str>,
    findings: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) {
    let mut last = "";
    for (severity, id, title) in findings {
        if severity == last {
            out.push_str(", ");
        } else {
            out.push_str(if last.is_empty() { "" } else { "; " });
            escape::terminal(out, severity);
            out.push_str(": ");
            last = severity;
        }
        escape::terminal(out, id);
        out.push(' ');
        escape::terminal(out, title);
    }
    match unread {
        Some(why) => {
            out.push_str("not known: ");
            escape::terminal(out, why);
        }
        None if last.is_empty() => out.push_str("nothing to say"),
        None => {}
    }
}

/// The last component of an executable's path.
pub fn program(out: &mut String, exe: &[u8]) {
    let name = exe.rsplit(|b| *b == b'/').next().unwrap_or(exe);
    escape::terminal_bytes(out, name);
}

/// `12 records lost: ring_full, ring bulk, cpu 1`; entries of a map that is full with its limit.
pub fn loss(
    out: &mut String,
    count: u64,
    reason: &str,
    origin: &[(&str, Option<&str>)],
    limit: Option<u64>,
    cpu: Option<u64>,
) {
    let noun = match (reason, count) {
        ("map_full", 1) => "entry",
        ("map_full", _) => "entries",
        ("skipped_run", 1) => "run",
        ("skipped_run", _) => "runs",
        ("unhashed", 1) => "file",
        ("unhashed", _) => "files",
        ("uninspected", 1) => "container",
        ("uninspected", _) => "containers",
        ("unanswered", 1) => "look",
        ("unanswered", _) => "looks",
        (_, 1) => "record",
        _ => "records",
    };
    let _ = write!(out, "{count} {noun} lost: ");
    escape::terminal(out, reason);
    for (name, value) in origin {
        if let Some(value) = value {
            let _ = write!(out, ", {name} ");
            escape::terminal(out, value);
        }
    }
    if let Some(cpu) = cpu {
        let _ = write!(out, ", cpu {cpu}");
    }
    if let Some(limit) = limit {
        let _ = write!(out, ", which holds {limit}: raise it with --map-limit");
    }
}

/// `: 12 attempted, 12 submitted …, balanced`; the numbers are those of `Counts::NAMES`.
pub fn accounts(out: &mut String, numbers: &[u64; 6], balanced: bool) {
    out.push(':');
    for (name, number) in super::accounts::Counts::NAMES.iter().zip(numbers) {
        let _ = write!(out, " {number} {name},");
    }
    out.push_str(if balanced { " balanced" } else { " not balanced" });
}

/// `: 14 sensors, not attached: ptrace`.
pub fn coverage<'a>(out: &mut String, sensors: usize, missing: impl Iterator<Item = &'a str>) {
    let _ = write!(out, ": {sensors} sensors");
    for (at, sensor) in missing.enumerate() {
        out.push_str(if at == 0 { ", not attached: " } else { ", " });
        escape::terminal(out, sensor);
    }
}

/// `: docker at /run/docker.sock, version 28.2.2`, or why not.
pub fn engine(out: &mut String, kind: &str, socket: &str, version: Option<&str>, reason: Option<&str>) {
    out.push_str(": ");
    escape::terminal(out, kind);
    out.push_str(" at ");
    escape::terminal(out, socket);
    for (before, what) in [(", version ", version), (": ", reason)] {
        if let Some(what) = what {
            out.push_str(before);
            escape::terminal(out, what);
        }
    }
}

/// `; docker at /run/docker.sock says pid 7, but: in cgroup /x`; engine, what, said, observed.
pub fn mismatch(out: &mut String, [engine, what, said, observed]: [&str; 4]) {
    for (before, word) in [("; ", engine), (" says ", what), (" ", said), (", but: ", observed)] {
        out.push_str(before);
        escape::terminal(out, word);
    }
}
