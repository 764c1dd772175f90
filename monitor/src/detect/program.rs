//! I-15: code comes from the image (F01, F02, F03, D17); F18: a program says what it is.

use monitor_common::event::{Exec, Memory, layer, memory_kind, transition};

use super::context::{Context, Sink, compared, observed, path};
use super::magic;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

/// What is known of a file that code comes from.
struct Code {
    ino: u64,
    dev: u32,
    magic: u64,
    layer: u32,
    ctime: i64,
}

impl Code {
    /// True if the file was made or changed after the container's start.
    fn is_new(&self, cx: &Context<'_>) -> bool {
        cx.base.entered_epoch > 0 && self.ctime > cx.base.entered_epoch
    }

    /// The rule that the file's place breaks, and how badly.
    fn verdict(&self, cx: &Context<'_>) -> Option<(Rule, Severity)> {
        let root = cx.base.state.root_dev;
        match self.layer {
            layer::UPPER if self.is_new(cx) => Some((Rule::F01, Severity::Warning)),
            // Left by an earlier run of the same container, or put there before its start.
            layer::UPPER => Some((Rule::F01, Severity::Notice)),
            _ if root != 0 && self.dev != root => Some((Rule::F03, Severity::Notice)),
            layer::NONE | layer::UNKNOWN if self.is_new(cx) => Some((Rule::F01, Severity::Warning)),
            _ => None,
        }
    }

    fn evidence(&self, cx: &Context<'_>, list: &mut Vec<Evidence>) {
        list.push(observed("file", Value::Bytes(path(cx.ev.string(0)))));
        list.push(observed("file_ino", Value::Number(self.ino)));
        list.push(compared(
            "file_dev",
            Value::Number(u64::from(cx.base.state.root_dev)),
            Value::Number(u64::from(self.dev)),
        ));
        list.push(observed("filesystem", magic::value(self.magic)));
        if self.layer != layer::NONE {
            let layer = layer::NAMES.iter().find(|(n, _)| *n == u64::from(self.layer));
            let seen = Value::Word(layer.map_or("unknown", |(_, name)| name));
            list.push(compared("layer", Value::Word("lower"), seen));
        }
        list.push(compared(
            "changed",
            Value::Number(cx.base.entered_epoch.unsigned_abs()),
            Value::Number(self.ctime.unsigned_abs()),
        ));
    }
}

pub(super) fn check_exec(cx: &Context<'_>, e: &Exec, sink: &mut Sink<'_>) {
    check_name(cx, sink);
    let code =
        Code { ino: e.exe_ino, dev: e.exe_dev, magic: e.exe_magic, layer: e.exe_layer, ctime: e.exe_ctime };
    if e.exe_nlink == 0 {
        sink.report(Rule::F02, Severity::Critical, Outcome::Succeeded, || {
            let kind = match (e.exe_mnt_ns, e.exe_magic) {
                (0, magic::TMPFS | magic::HUGETLBFS) => "memfd",
                _ => "deleted or never linked",
            };
            let mut list = vec![observed("kind", Value::Word(kind))];
            code.evidence(cx, &mut list);
            list
        });
        return;
    }
    // What the container begins with was chosen by whoever started it.
    if e.transition == transition::ENTRY {
        return;
    }
    if let Some((rule, severity)) = code.verdict(cx) {
        sink.report(rule, severity, Outcome::Succeeded, || {
            let mut list = vec![observed("use", Value::Word("executed"))];
            code.evidence(cx, &mut list);
            list
        });
    }
}

/// F18: a name in brackets is how tools show the kernel's own threads.
fn check_name(cx: &Context<'_>, sink: &mut Sink<'_>) {
    let argv = cx.ev.string(1);
    let Some(name) = argv.list().next().filter(|n| n.starts_with(b"[") && n.ends_with(b"]")) else { return };
    sink.report(Rule::F18, Severity::Warning, Outcome::Succeeded, || {
        vec![
            observed("name", Value::Bytes(name.to_vec())),
            observed("exe", Value::Bytes(path(cx.ev.string(0)))),
        ]
    });
}

pub(super) fn check_memory(cx: &Context<'_>, m: &Memory, sink: &mut Sink<'_>) {
    let code = Code { ino: m.ino, dev: m.dev, magic: m.magic, layer: m.layer, ctime: m.ctime };
    let (rule, severity) = match m.kind {
        memory_kind::FILE => match code.verdict(cx) {
            Some((rule, _)) => (rule, Severity::Notice),
            None => return,
        },
        // Without an object: a library with relocations in its code asks for the same.
        memory_kind::UNKNOWN if m.prot & PROT_WRITE == 0 => return,
        _ => (Rule::D17, Severity::Notice),
    };
    sink.report(rule, severity, Outcome::of(m.ret), || {
        let mut list = vec![observed("use", Value::Word("mapped"))];
        list.push(observed("protection", Value::Hex(u64::from(m.prot))));
        if m.ino != 0 {
            code.evidence(cx, &mut list);
        }
        list
    });
}

/// `PROT_WRITE` (kernel `include/uapi/asm-generic/mman-common.h`).
const PROT_WRITE: u32 = 2;
