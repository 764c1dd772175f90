//! I-15: code comes from the image (F01, F02, F03, D17); F18: a program says what it is; I-12, I-13: the host runs
//! no code of a container.

use monitor_common::event::{EventRef, Exec, HostExec, Memory, layer, memory_kind, transition};

use super::context::{Context, Lineage, Sink, compared, container_value, observed, path, push_bytes};
use super::magic;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};
use crate::container::ContainerKey;

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

/// Where engines keep the layers of containers. The kernel's helpers are looked up by path on the host, so that one that
/// was put into a layer shows under one of these.
const STORAGE: &[&[u8]] = &[
    b"/var/lib/docker/",
    b"/var/lib/containerd/",
    b"/var/lib/containers/storage/",
    b"/var/lib/rancher/",
    b"/var/lib/kubelet/pods/",
    b"/run/containerd/",
    b"/run/k3s/",
];

/// I-12 and I-13: the acting process is one of the host; the finding is about the container, if it is known.
pub(super) fn check_host(ev: &EventRef<'_>, e: &HostExec, procs: &dyn Lineage, sink: &mut Sink<'_>) {
    let file = path(ev.string(0));
    let is_stored = || STORAGE.iter().any(|place| file.starts_with(place));
    let rule = match e.helper {
        0 if e.exe_container != 0 => Rule::I12,
        1 if e.exe_container != 0 || is_stored() => Rule::I13,
        _ => return,
    };
    sink.subject.container = ContainerKey(e.exe_container);
    sink.report(rule, Severity::Critical, Outcome::Succeeded, || {
        let mut list = vec![
            compared("storage", container_value(0), container_value(e.exe_container)),
            observed("exe", Value::Bytes(file)),
            observed("exe_ino", Value::Number(e.exe_ino)),
            observed("filesystem", magic::value(e.exe_magic)),
            observed("exe_mnt_ns", Value::Namespace("mnt", e.exe_mnt_ns)),
        ];
        if let Some(parent) = procs.process(e.ppid) {
            push_bytes(&mut list, "parent_exe", &parent.program.exe);
        }
        let argv: Vec<u8> = ev.string(1).bytes.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        push_bytes(&mut list, "argv", argv.trim_ascii_end());
        list
    });
}
