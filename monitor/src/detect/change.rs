//! B11, B20, B21, B25, H05 and the rules about files whose names matter: changed without being opened.

use monitor_common::event::{FileChange, TailString, change_op as op, why};
use monitor_common::policy::watch;

use super::context::{Context, Sink, observed, path, push_bytes, push_errno};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};
use super::{kernel_file, magic};

/// Strings of a change record.
const PATH: usize = 0;
const NAME: usize = 1;
const OTHER: usize = 2;

/// An entrypoint prepares its container: nanoseconds after the start in which that is a notice only.
const WARM_UP: u64 = 30_000_000_000;

pub(super) fn check(cx: &Context<'_>, c: &FileChange, sink: &mut Sink<'_>) {
    let outcome = outcome(c);
    let mut report = |rule, severity: Severity| {
        let severity = if outcome == Outcome::Denied { severity.min(Severity::Warning) } else { severity };
        sink.report(rule, severity, outcome, || evidence(cx, c));
    };
    if c.op == op::MKNOD && c.why & (why::BLOCK | why::CHAR) != 0 {
        report(Rule::B11, Severity::Warning);
    }
    if c.why & why::KERNEL_WRITE != 0
        && let Some((rule @ (Rule::B04 | Rule::B15 | Rule::B16 | Rule::B17), severity)) =
            kernel_file::written(c.magic, cx.ev.string(PATH), true)
    {
        report(rule, severity);
    }
    if c.why & why::WATCHED != 0 {
        if c.class & watch::RUNTIME != 0 {
            report(Rule::B25, Severity::Critical);
        }
        if c.class & watch::OWN != 0 {
            report(Rule::H05, Severity::Critical);
        }
        if c.class & (watch::NODE | watch::ACCOUNTS) != 0 {
            report(Rule::B20, Severity::Critical);
        }
        if c.class & watch::LOG != 0 && c.op == op::SYMLINK && leads_out(cx.ev.string(OTHER).bytes) {
            report(Rule::B21, Severity::Critical);
        }
    }
    if c.why & why::NAMED != 0 {
        let clears = matches!(c.op, op::UNLINK | op::RENAME | op::TRUNCATE);
        let by_path = named(cx.ev.string(PATH).components(), clears);
        let rule = by_path.or_else(|| named_in_text(cx.ev.string(NAME), clears)).or_else(|| {
            // What is moved away is named by its old name.
            (c.op == op::RENAME).then(|| named_in_text(cx.ev.string(OTHER), clears)).flatten()
        });
        if let Some(rule) = rule {
            report(rule, severity(cx, rule));
        }
    }
}

/// The kernel's word is final only at the end of the call.
fn outcome(c: &FileChange) -> Outcome {
    match Outcome::of(c.ret) {
        Outcome::Succeeded if c.is_final == 0 => Outcome::Attempted,
        other => other,
    }
}

/// How bad the change of a named file is: an entrypoint prepares its container.
pub(super) fn severity(cx: &Context<'_>, rule: Rule) -> Severity {
    let usual = rule.info().severity;
    let young = cx.ev.header.time < cx.base.entered.saturating_add(WARM_UP);
    if young { usual.min(Severity::Notice) } else { usual }
}

/// True if a symbolic link's target leaves the directory that it is in.
fn leads_out(target: &[u8]) -> bool {
    target.starts_with(b"/") || target.split(|b| *b == b'/').any(|part| part == b"..")
}

/// The rule about a path in user memory, which is judged only where the kernel's path is not to be had.
fn named_in_text(text: TailString<'_>, clears: bool) -> Option<Rule> {
    named(text.bytes.rsplit(|b| *b == b'/').filter(|part| !part.is_empty()), clears)
}

/// The rule about a file whose name matters; `parts` are the components of its path, last first. `clears` is true if
/// its content goes.
pub(super) fn named<'a>(parts: impl Iterator<Item = &'a [u8]>, clears: bool) -> Option<Rule> {
    let mut parts = parts;
    let mut part = || parts.next().unwrap_or(b"");
    let place = [part(), part(), part()];
    match place {
        [b"passwd" | b"shadow" | b"group" | b"gshadow" | b"sudoers", b"etc", _]
        | [_, b"sudoers.d" | b"pam.d", b"etc"] => Some(Rule::A14),
        [b"ld.so.preload" | b"ld.so.cache" | b"ld.so.conf", b"etc", _] | [_, b"ld.so.conf.d", b"etc"] => {
            Some(Rule::A15)
        }
        [b"crontab" | b"rc.local" | b"profile" | b"bash.bashrc" | b"bashrc", b"etc", _]
        | [
            _,
            b"cron.d" | b"cron.hourly" | b"cron.daily" | b"cron.weekly" | b"cron.monthly" | b"init.d"
            | b"profile.d",
            b"etc",
        ]
        | [_, b"crontabs", b"cron"]
        | [_, b"cron", b"spool"]
        | [b"authorized_keys", b".ssh", _]
        | [b".bashrc" | b".bash_profile" | b".profile", ..] => Some(Rule::F17),
        [b".bash_history" | b".zsh_history", ..] | [_, b"log", b"var"] if clears => Some(Rule::F16),
        _ => None,
    }
}

fn evidence(cx: &Context<'_>, c: &FileChange) -> Vec<Evidence> {
    let act = match c.op {
        op::RENAME => "rename",
        op::LINK => "link",
        op::UNLINK => "unlink",
        op::SYMLINK => "symlink",
        op::MKNOD => "mknod",
        op::CHMOD => "chmod",
        op::CHOWN => "chown",
        op::TRUNCATE => "truncate",
        _ => "setxattr",
    };
    let mut list = vec![observed("act", Value::Word(act))];
    if cx.ev.string(PATH).bytes.is_empty() {
        push_bytes(&mut list, "raced_path", cx.ev.string(NAME).bytes);
    } else {
        list.push(observed("path", Value::Bytes(path(cx.ev.string(PATH)))));
        list.push(observed("filesystem", magic::value(c.magic)));
    }
    push_bytes(&mut list, "other", cx.ev.string(OTHER).bytes);
    if c.op == op::MKNOD {
        list.push(observed("device", Value::Text(format!("{}:{}", c.rdev >> 20, c.rdev & 0xf_ffff))));
    }
    push_errno(&mut list, c.ret);
    list
}
