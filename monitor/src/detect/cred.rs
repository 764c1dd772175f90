//! A01: a rise to uid 0 by the set*id family; A02: privileges from a program that the image did not bring; A07: other
//! credentials, and nothing that explains them.

use monitor_common::call::Call;
use monitor_common::event::{Cred, Exec, transition};

use super::context::{Context, Sink, compared, observed, path, push_errno};
use super::magic;
use super::memory::{MNT, Memory};
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

/// The kernel side found other credentials than it last saw, and no watched call between: a 32-bit call, or a
/// write to kernel memory.
const UNSEEN: u32 = 0;
const SETUID: u32 = Call::Setuid as u32;
const SETREUID: u32 = Call::Setreuid as u32;
const SETRESUID: u32 = Call::Setresuid as u32;
const SETFSUID: u32 = Call::Setfsuid as u32;

pub(super) fn check(cx: &Context<'_>, c: &Cred, memory: &Memory, sink: &mut Sink<'_>) {
    let call = match c.op {
        UNSEEN => "none that was seen",
        SETUID => "setuid",
        SETREUID => "setreuid",
        SETRESUID => "setresuid",
        SETFSUID => "setfsuid",
        _ => return,
    };
    // Ids in records are those of the initial user namespace.
    let root = if c.ns_root == u32::MAX { 0 } else { c.ns_root };
    // A set-uid program that comes back to root has it as its saved id.
    if [c.old_uid, c.old_euid, c.old_suid].contains(&root) {
        return;
    }
    let rose = c.new_euid == root || c.new_fsuid == root;
    let outcome = if rose && (c.ret >= 0 || c.op == SETFSUID) {
        Outcome::Succeeded
    } else if c.wanted == 0 && !rose && c.op != UNSEEN && (c.ret < 0 || c.op == SETFSUID) {
        // setfsuid(2) answers with the old id, whether it did something or not.
        Outcome::Denied
    } else {
        return;
    };
    let severity = match outcome {
        Outcome::Succeeded if memory.was_made_by(cx.key(), c.user_ns) => Severity::Notice,
        Outcome::Succeeded => Severity::Critical,
        _ => Severity::Warning,
    };
    sink.report(Rule::A01, severity, outcome, || {
        let mut list = vec![
            observed("call", Value::Word(call)),
            compared("euid", id(cx.base.euid), id(c.new_euid)),
            observed("fsuid", id(c.new_fsuid)),
            observed("old_uid", id(c.old_uid)),
            observed("old_euid", id(c.old_euid)),
            observed("old_suid", id(c.old_suid)),
            observed("root_uid", id(root)),
            observed("cap_permitted", Value::Hex(c.cap_permitted)),
        ];
        if c.op != SETFSUID {
            push_errno(&mut list, c.ret);
        }
        list
    });
}

fn id(id: u32) -> Value {
    Value::Number(u64::from(id))
}

pub(super) fn check_exec(cx: &Context<'_>, e: &Exec, memory: &Memory, sink: &mut Sink<'_>) {
    if e.old_known == 0 || e.transition != transition::NONE || e.old_euid == 0 {
        return;
    }
    let gained = e.cap_permitted & !e.old_cap_permitted;
    let became_root = cx.ev.header.euid == 0;
    // The first exec after `unshare --user` gets or keeps that namespace's capabilities: no program gave them.
    let in_own_user_ns =
        cx.process.and_then(|p| p.state.as_ref()).is_some_and(|s| memory.was_made_by(cx.key(), s.user_ns));
    if !became_root && (gained == 0 || in_own_user_ns) {
        return;
    }

    let foreign_mount = cx.base_ns.0[MNT] != 0 && memory.is_foreign(cx.key(), &cx.base_ns, e.exe_mnt_ns);
    let changed = cx.base.entered_epoch > 0 && e.exe_ctime > cx.base.entered_epoch;
    let origin = if foreign_mount {
        "foreign mount"
    } else if e.exe_nlink == 0 {
        "deleted or never linked"
    } else if changed {
        "made or changed after start"
    } else {
        return;
    };
    sink.report(Rule::A02, Severity::Critical, Outcome::Succeeded, || {
        let mut list = vec![
            compared("euid", id(cx.base.euid), id(cx.ev.header.euid)),
            observed("old_euid", id(e.old_euid)),
            compared("cap_permitted", Value::Hex(cx.base.state.cap_permitted), Value::Hex(e.cap_permitted)),
            observed("old_cap_permitted", Value::Hex(e.old_cap_permitted)),
            observed("exe", Value::Bytes(path(cx.ev.string(0)))),
            observed("exe_origin", Value::Word(origin)),
            observed("exe_mode", Value::Hex(u64::from(e.exe_mode))),
            observed("exe_ino", Value::Number(e.exe_ino)),
            observed("exe_filesystem", magic::value(e.exe_magic)),
        ];
        if foreign_mount {
            list.push(compared(
                "exe_mnt_ns",
                Value::Namespace("mnt", cx.base_ns.0[MNT]),
                Value::Namespace("mnt", e.exe_mnt_ns),
            ));
        }
        if changed {
            list.push(compared(
                "exe_ctime",
                Value::Number(cx.base.entered_epoch.unsigned_abs()),
                Value::Number(e.exe_ctime.unsigned_abs()),
            ));
        }
        list
    });
}

/// A07, of a comparison. A rise to root is A01.
pub(super) fn check_unseen(cx: &Context<'_>, c: &Cred, sink: &mut Sink<'_>) {
    // In another user namespace than the container's, its namespaces are what has to be explained.
    if c.op != UNSEEN || c.user_ns == 0 || c.user_ns != cx.base.state.user_ns {
        return;
    }
    let root = if c.ns_root == u32::MAX { 0 } else { c.ns_root };
    let old = [c.old_uid, c.old_euid, c.old_suid];
    let was_root = old.contains(&root);
    if !was_root && (c.new_euid == root || c.new_fsuid == root) {
        return;
    }
    let gained = c.cap_permitted & !c.old_cap_permitted;
    // Any process may exchange its own ids, and root may take others.
    let taken = !was_root && [c.new_uid, c.new_euid, c.new_suid].iter().any(|new| !old.contains(new));
    let severity = match (gained, taken) {
        (0, false) => return,
        (0, true) => Severity::Warning,
        _ => Severity::Critical,
    };
    sink.report(Rule::A07, severity, Outcome::Succeeded, || {
        vec![
            observed("found", Value::Word("by comparison")),
            compared("euid", id(c.old_euid), id(c.new_euid)),
            compared("uid", id(c.old_uid), id(c.new_uid)),
            compared("suid", id(c.old_suid), id(c.new_suid)),
            compared("cap_permitted", Value::Hex(c.old_cap_permitted), Value::Hex(c.cap_permitted)),
            observed("gained", Value::Hex(gained)),
        ]
    });
}

/// A07, of an exec: the program raised no privileges, and the process has more than before it.
pub(super) fn check_unseen_exec(cx: &Context<'_>, e: &Exec, sink: &mut Sink<'_>) {
    if e.old_known != 1 || e.transition != transition::NONE || e.secure != 0 || e.old_euid == 0 {
        return;
    }
    // Ids and gains mean this in the initial user namespace only: elsewhere every exec of its root gains.
    let user_ns = cx.process.and_then(|p| p.state.as_ref()).map_or(cx.base.state.user_ns, |s| s.user_ns);
    if user_ns == 0 || user_ns != cx.host.user_ns || user_ns != cx.base.state.user_ns {
        return;
    }
    let header = &cx.ev.header;
    let gained = e.cap_permitted & !e.old_cap_permitted;
    let became_root = header.euid == 0;
    if !became_root && (gained == 0 || header.uid == 0) {
        return;
    }
    sink.report(Rule::A07, Severity::Critical, Outcome::Succeeded, || {
        vec![
            observed("found", Value::Word("at an exec")),
            compared("euid", id(e.old_euid), id(header.euid)),
            compared("cap_permitted", Value::Hex(e.old_cap_permitted), Value::Hex(e.cap_permitted)),
            observed("gained", Value::Hex(gained)),
            observed("exe", Value::Bytes(path(cx.ev.string(0)))),
        ]
    });
}
