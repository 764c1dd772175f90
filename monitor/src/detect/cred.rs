//! A01: a rise to uid 0 by the set*id family; A02: privileges from a program that the image did not bring.

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
