//! B30, B31, C14, and settings written by whatever path: what is asked of the kernel through open files.

use monitor_common::event::{Fanotify, Ioctl, fanotify_mark as mark, ioctl_cmd as cmd};

use super::context::{Context, Sink, observed, path, push_bytes, push_errno};
use super::kernel_file;
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

pub(super) fn check_ioctl(cx: &Context<'_>, i: &Ioctl, sink: &mut Sink<'_>) {
    let (rule, severity) = match i.cmd {
        cmd::TIOCSTI | cmd::TIOCLINUX | cmd::TIOCCONS => (Rule::C14, Severity::Critical),
        _ => (Rule::B31, Severity::Warning),
    };
    let outcome = match Outcome::of(i.ret) {
        Outcome::Succeeded if i.is_final == 0 => Outcome::Attempted,
        other => other,
    };
    let severity = if outcome == Outcome::Denied { severity.min(Severity::Warning) } else { severity };
    sink.report(rule, severity, outcome, || {
        let mut list = vec![
            observed("command", Value::Hex(u64::from(i.cmd))),
            observed("path", Value::Bytes(path(cx.ev.string(0)))),
        ];
        if i.rdev != 0 {
            list.push(observed("device", Value::Text(format!("{}:{}", i.rdev >> 20, i.rdev & 0xf_ffff))));
        }
        push_errno(&mut list, i.ret);
        list
    });
}

pub(super) fn check_fanotify(cx: &Context<'_>, f: &Fanotify, sink: &mut Sink<'_>) {
    if f.flags & mark::ADD == 0 || f.flags & (mark::MOUNT | mark::FILESYSTEM) == 0 {
        return;
    }
    let outcome = Outcome::of(f.ret);
    let severity = if outcome == Outcome::Denied { Severity::Notice } else { Severity::Warning };
    sink.report(Rule::B30, severity, outcome, || {
        let scope = if f.flags & mark::FILESYSTEM != 0 { "file system" } else { "mount" };
        let mut list = vec![observed("scope", Value::Word(scope)), observed("events", Value::Hex(f.mask))];
        push_bytes(&mut list, "raced_path", cx.ev.string(0).bytes);
        push_errno(&mut list, f.ret);
        list
    });
}

pub(super) fn check_setting(cx: &Context<'_>, sink: &mut Sink<'_>) {
    let name = cx.ev.string(0).bytes;
    let Some((rule, severity)) = kernel_file::setting_written(name) else { return };
    sink.report(rule, severity, Outcome::Attempted, || {
        let mut list = vec![observed("setting", Value::Bytes(name.to_vec()))];
        push_bytes(&mut list, "value", cx.ev.string(1).bytes);
        list
    });
}
