//! B29: pages of files that a program may only read, on their way to code of the kernel that writes into them.

use monitor_common::call::Call;
use monitor_common::event::{Splice, splice_to as to, splice_why as why};

use super::context::{Context, Sink, observed, path, push_bytes, push_errno};
use super::magic;
use super::memory::Memory;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

/// How long pages in a pipe of another process of the container are thought of, nanoseconds.
const WINDOW: u64 = 10_000_000_000;

/// An executable file whose pages went into a pipe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spliced {
    ino: u64,
    dev: u32,
    pid: u32,
    /// When, nanoseconds since boot.
    time: u64,
}

pub(super) fn check(cx: &Context<'_>, s: &Splice, memory: &mut Memory, sink: &mut Sink<'_>) {
    let (pid, time) = (cx.ev.header.pid, cx.ev.header.time);
    let executable = s.why & (why::SETID | why::EXECUTABLE) != 0;
    if s.to == to::PIPE && s.ret > 0 {
        memory.note_spliced(cx.key(), Spliced { ino: s.ino, dev: s.dev, pid, time });
    }
    let before = if s.to == to::PIPE || s.ino != 0 {
        None
    } else {
        let just = |p: &Spliced| p.pid == pid || time.saturating_sub(p.time) <= WINDOW;
        memory.spliced(cx.key(), just)
    };
    let severity = match s.to {
        to::PIPE if s.why & why::SETID == 0 => return,
        // `cat` and `tar` of busybox do that with all they read.
        to::PIPE if s.op == Call::Sendfile as u32 => Severity::Notice,
        to::PIPE => Severity::Warning,
        _ if executable || before.is_some() => Severity::Critical,
        // Nothing of note is known of the pages, and there are servers that send to it by pipes.
        to::UDP => return,
        _ => Severity::Warning,
    };
    let outcome = Outcome::of(s.ret);
    let severity = if outcome == Outcome::Denied { Severity::Notice } else { severity };
    sink.report(Rule::B29, severity, outcome, || evidence(cx, s, before));
}

fn evidence(cx: &Context<'_>, s: &Splice, before: Option<Spliced>) -> Vec<Evidence> {
    let sink = match s.to {
        to::PIPE => "pipe",
        to::ALG => "alg",
        to::UDP => "udp",
        _ => "espintcp",
    };
    let mut list = vec![observed("to", Value::Word(sink))];
    if s.ino != 0 {
        push_bytes(&mut list, "file", &path(cx.ev.string(0)));
        list.push(observed("file_ino", Value::Number(s.ino)));
        list.push(observed("file_dev", Value::Number(u64::from(s.dev))));
        list.push(observed("file_mode", Value::Hex(u64::from(s.mode))));
        list.push(observed("file_uid", Value::Number(u64::from(s.file_uid))));
        list.push(observed("filesystem", magic::value(s.magic)));
    }
    if let Some(before) = before {
        list.push(observed("piped_ino", Value::Number(before.ino)));
        list.push(observed("piped_dev", Value::Number(u64::from(before.dev))));
        list.push(observed("piped_pid", Value::Number(u64::from(before.pid))));
    }
    push_errno(&mut list, s.ret);
    list
}
