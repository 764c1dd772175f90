//! B10: what the runtime laid over the kernel's files, to hide them or to keep them read-only, stays where it is.

use monitor_common::call::Call;
use monitor_common::event::Mount;

use super::context::{Context, Sink, compared, observed, push_bytes, push_errno};
use super::mount::{Purpose, SOURCE, TARGET};
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

const MOUNT: u32 = Call::Mount as u32;
const UMOUNT: u32 = Call::Umount as u32;
const MOVE_MOUNT: u32 = Call::MoveMount as u32;
/// `MNT_DETACH` of umount2(2).
const MNT_DETACH: u64 = 2;

/// What engines mask and keep read-only, for containers whose configuration is not known.
const PROTECTED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What the call does to a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Unmounted,
    MovedAway,
    Covered,
}

pub(super) fn check(cx: &Context<'_>, m: &Mount, sink: &mut Sink<'_>) {
    let moves = m.op == MOVE_MOUNT || (m.op == MOUNT && Purpose::of_call(m.flags) == Purpose::Move);
    let covers = moves || (m.op == MOUNT && Purpose::of_call(m.flags).covers());
    if !covers && m.op != UMOUNT {
        return;
    }
    let (target, source) = (plain(cx.ev.string(TARGET).bytes), plain(cx.ev.string(SOURCE).bytes));
    let act = |place: &[u8]| {
        if m.op == UMOUNT {
            let parent = m.flags & MNT_DETACH != 0 && is_below(place, &target);
            (target == place || parent).then_some(Act::Unmounted)
        } else if moves && (source == place || is_below(place, &source)) {
            Some(Act::MovedAway)
        } else {
            (covers && (target == place || is_below(&target, place))).then_some(Act::Covered)
        }
    };
    let declared = cx.container.declared.as_ref().map(|d| d.masked_paths.iter().chain(&d.readonly_paths));
    let found = match declared {
        Some(mut paths) => paths.find_map(|p| Some((p.as_str(), act(&plain(p.as_bytes()))?))),
        None => PROTECTED.iter().find_map(|p| Some((*p, act(p.as_bytes())?))),
    };
    let Some((place, act)) = found else { return };
    let outcome = Outcome::of(m.ret);
    let severity = match (outcome, act) {
        (Outcome::Succeeded, Act::Covered) => Severity::Warning,
        (Outcome::Succeeded, _) => Severity::Critical,
        _ => Severity::Notice,
    };
    sink.report(Rule::B10, severity, outcome, || {
        let word = match act {
            Act::Unmounted => "unmounted",
            Act::MovedAway => "moved away",
            Act::Covered => "covered",
        };
        let mut list = vec![
            compared("protection", Value::Word("mounted by the runtime"), Value::Word(word)),
            observed("path", Value::Bytes(place.as_bytes().to_vec())),
        ];
        push_bytes(&mut list, "target", cx.ev.string(TARGET).bytes);
        push_bytes(&mut list, "source", cx.ev.string(SOURCE).bytes);
        push_errno(&mut list, m.ret);
        list
    });
}

/// An absolute path without `.`, `..` and doubled slashes; anything else is empty. Links are not known here.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    if path.first() != Some(&b'/') {
        return Vec::new();
    }
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let mut plain = Vec::with_capacity(path.len());
    for part in &parts {
        plain.push(b'/');
        plain.extend_from_slice(part);
    }
    if parts.is_empty() {
        plain.push(b'/');
    }
    plain
}

/// True if one plain path lies below another, and both are known.
fn is_below(path: &[u8], above: &[u8]) -> bool {
    let rest = path.strip_prefix(above.strip_suffix(b"/").unwrap_or(above));
    !above.is_empty() && rest.is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}
