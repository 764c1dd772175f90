//! I-4: files are opened through the container's own mounts.

use monitor_common::event::FileOpen;

use super::context::{Context, Sink, compared, observed, path, push_errno, push_owner};
use super::magic;
use super::memory::{MNT, Memory};
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;

pub(super) fn check(cx: &Context<'_>, f: &FileOpen, memory: &Memory, sink: &mut Sink<'_>) {
    let base = cx.base_ns.0[MNT];
    let foreign = base != 0 && memory.is_foreign(cx.key(), &cx.base_ns, f.file_mnt_ns);
    if !foreign || is_host_null(cx, f) {
        return;
    }
    let outcome = Outcome::of(f.ret);
    let severity = if outcome == Outcome::Denied { Severity::Warning } else { Severity::Critical };
    sink.report(Rule::I4, severity, outcome, || {
        let mut list = vec![
            compared("file_mnt_ns", Value::Namespace("mnt", base), Value::Namespace("mnt", f.file_mnt_ns)),
            observed("path", Value::Bytes(path(cx.ev.string(0)))),
        ];
        push_owner(&mut list, memory.owner(f.file_mnt_ns, cx.key()));
        list.push(observed("task_mnt_ns", Value::Namespace("mnt", f.mnt_ns)));
        list.push(observed("filesystem", magic::value(f.magic)));
        list.push(observed("open_flags", Value::Hex(u64::from(f.flags))));
        push_errno(&mut list, f.ret);
        list
    });
}

/// Engines give `/dev/null` of the host as standard input; `/dev/stdin` then opens it again. It leads nowhere.
fn is_host_null(cx: &Context<'_>, f: &FileOpen) -> bool {
    f.mode & S_IFMT == S_IFCHR
        && f.magic == magic::TMPFS
        && cx.ev.string(0).components().eq([b"null".as_slice(), b"dev".as_slice()])
}
