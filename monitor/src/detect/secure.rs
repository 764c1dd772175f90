//! A13: how programs that raise privileges (sudo, pkexec, whatever the loader loads) are made to give them away: by what
//! they are called with, and by what their environment tells the loader.

use monitor_common::event::{Exec, transition};

use super::context::{Context, Sink, compared, observed, path};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

/// Strings of an exec record.
const EXE: usize = 0;
const ARGV: usize = 1;
const ENVIRON: usize = 3;

/// What the C library reads its tunables from.
const TUNABLES: &[u8] = b"GLIBC_TUNABLES";
/// Where it looks for the modules that convert character sets.
const MODULES: &[u8] = b"GCONV_PATH";
/// Variables that say what the loader loads or writes (man 8 ld.so). It removes them where privileges are raised.
const LOADER: &[&[u8]] = &[
    b"LD_AUDIT",
    b"LD_DEBUG_OUTPUT",
    b"LD_DYNAMIC_WEAK",
    b"LD_LIBRARY_PATH",
    b"LD_ORIGIN_PATH",
    b"LD_PRELOAD",
    b"LD_PROFILE",
];
/// Options of sudo(8) that take the next word if nothing follows them.
const SHORT_WITH_WORD: &[u8] = b"CDghpRrTtUu";
const LONG_WITH_WORD: &[&[u8]] = &[
    b"chdir",
    b"close-from",
    b"command-timeout",
    b"group",
    b"host",
    b"other-user",
    b"prompt",
    b"role",
    b"type",
    b"user",
];

pub(super) fn check_exec(cx: &Context<'_>, e: &Exec, sink: &mut Sink<'_>) {
    if e.secure != 1 || e.transition != transition::NONE {
        return;
    }
    let argv = cx.ev.string(ARGV);
    // Since 5.18 the kernel gives a program that was started without arguments one that is empty.
    if e.argv_len == 0 || (e.argv_len == 1 && argv.bytes == [0]) {
        report(cx, Severity::Critical, "no arguments", sink, |_| ());
    }
    let called = argv.list().next().map_or(&[][..], base_name);
    let file = cx.ev.string(EXE).components().next().unwrap_or_default();
    let arguments = || argv.list().skip(1);
    if called == b"sudoedit" && arguments().any(asks_for_shell) && arguments().any(|a| a.ends_with(b"\\")) {
        report(cx, Severity::Critical, "sudoedit -s with a backslash at the end", sink, |_| ());
    }
    if (called == b"sudo" || file == b"sudo") && changes_root(arguments()) {
        report(cx, Severity::Warning, "sudo --chroot", sink, |_| ());
    }
    let Some(severity) = cx.ev.string(ENVIRON).list().filter_map(weight).max() else { return };
    report(cx, severity, "environment for the loader", sink, |list| {
        let variables = cx.ev.string(ENVIRON).list().filter(|v| weight(v).is_some());
        // Names only: values are the container's own business.
        let mut names: Vec<&str> = variables.filter_map(|v| str::from_utf8(name_of(v)).ok()).collect();
        names.sort_unstable();
        names.dedup();
        list.push(observed("variables", Value::Text(names.join(" "))));
    });
}

fn report(
    cx: &Context<'_>,
    severity: Severity,
    pattern: &'static str,
    sink: &mut Sink<'_>,
    more: impl FnOnce(&mut Vec<Evidence>),
) {
    sink.report(Rule::A13, severity, Outcome::Attempted, || {
        let id = |id: u32| Value::Number(u64::from(id));
        let mut list = vec![
            observed("pattern", Value::Word(pattern)),
            observed("exe", Value::Bytes(path(cx.ev.string(EXE)))),
            observed("uid", id(cx.ev.header.uid)),
            compared("euid", id(cx.base.euid), id(cx.ev.header.euid)),
        ];
        more(&mut list);
        list
    });
}

/// How bad it is to raise privileges with this variable; `None` if it is nothing.
fn weight(variable: &[u8]) -> Option<Severity> {
    match name_of(variable) {
        TUNABLES if is_nested(variable) => Some(Severity::Critical),
        TUNABLES | MODULES => Some(Severity::Warning),
        name if LOADER.contains(&name) => Some(Severity::Notice),
        _ => None,
    }
}

fn name_of(variable: &[u8]) -> &[u8] {
    variable.split(|b| *b == b'=').next().unwrap_or_default()
}

/// True if a tunable's value is a tunable again: what the parser of glibc 2.34 to 2.38 writes too far for.
fn is_nested(variable: &[u8]) -> bool {
    let value = variable.get(TUNABLES.len() + 1..).unwrap_or_default();
    value.split(|b| *b == b':').any(|tunable| tunable.iter().filter(|b| **b == b'=').count() > 1)
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// `-s`, `-i`, alone or among other letters, and their long forms.
fn asks_for_shell(argument: &[u8]) -> bool {
    match argument {
        [b'-', b'-', long @ ..] => long == b"shell" || long == b"login",
        [b'-', letters @ ..] => letters.iter().any(|l| matches!(l, b's' | b'i')),
        _ => false,
    }
}

/// True if sudo's own options, which end where the command begins, have `-R` or `--chroot`.
fn changes_root<'a>(mut arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    while let Some(argument) = arguments.next() {
        match argument {
            [b'-', b'-'] => return false,
            [b'-', b'-', long @ ..] => {
                let name = name_of(long);
                // getopt_long(3) takes what is not ambiguous; `ch` may be `chdir`.
                if name.len() > 2 && b"chroot".starts_with(name) {
                    return true;
                }
                if name.len() == long.len() && LONG_WITH_WORD.contains(&name) {
                    arguments.next();
                }
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                let Some(at) = letters.iter().position(|l| SHORT_WITH_WORD.contains(l)) else { continue };
                if letters[at] == b'R' {
                    return true;
                }
                if at + 1 == letters.len() {
                    arguments.next();
                }
            }
            // A variable for the command; more options may follow.
            _ if argument.contains(&b'=') => {}
            _ => return false,
        }
    }
    false
}
