//! I-1: namespaces are the container's own (C01, C06), or of its making (C03); I-3: so are root and working
//! directory.

use monitor_common::call::Call;
use monitor_common::event::{Namespace, State, state_reason};

use super::context::{
    Context, Sink, compared, namespace_names, observed, path, push_bytes, push_errno, push_owner,
};
use super::memory::{FIELDS, KINDS, MNT, Memory, NsSet, Owner, TIME, USER};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

const SETNS: u32 = Call::Setns as u32;
const UNSHARE: u32 = Call::Unshare as u32;
const CLONE: u32 = 12;

const EBADF: i32 = -9;

const ALL_FLAGS: u64 = {
    let (mut all, mut kind) = (0, 0);
    while kind < KINDS.len() {
        all |= KINDS[kind].1;
        kind += 1;
    }
    all
};
/// The cgroup and the user namespace: the new ones that weigh more than others.
const WEIGHTY_FLAGS: u64 = 0x0200_0000 | 0x1000_0000;

pub(super) fn check(cx: &Context<'_>, n: &Namespace, memory: &mut Memory, sink: &mut Sink<'_>) {
    match n.op {
        SETNS if n.ret < 0 => check_refused_setns(cx, n, memory, sink),
        SETNS => check_setns(cx, n, memory, sink),
        UNSHARE | CLONE => check_new(cx, n, memory, sink),
        _ => {}
    }
}

fn check_refused_setns(cx: &Context<'_>, n: &Namespace, memory: &Memory, sink: &mut Sink<'_>) {
    let tells = if n.wanted_ns == 0 {
        // A pidfd, or refused before the descriptor was looked at; a wrong descriptor is no attempt.
        n.ret != EBADF
    } else {
        is_foreign_target(cx, n, memory).is_some()
    };
    if tells {
        sink.report(Rule::C01, Severity::Warning, Outcome::Denied, || {
            let mut list = Vec::new();
            if n.wanted_ns != 0 {
                let kind = kind_of_flags(n.flags);
                list.push(differs(cx, kind, n.wanted_ns));
                push_owner(&mut list, memory.owner(n.wanted_ns, cx.key()));
            }
            push_types(&mut list, n.flags);
            push_errno(&mut list, n.ret);
            list
        });
    }
}

fn check_setns(cx: &Context<'_>, n: &Namespace, memory: &mut Memory, sink: &mut Sink<'_>) {
    let key = cx.key();
    let seen = NsSet::of_record(n);
    if n.wanted_ns != 0 {
        let Some(kind) = is_foreign_target(cx, n, memory) else { return };
        sink.report(Rule::C01, Severity::Critical, Outcome::Succeeded, || {
            let mut list = vec![differs(cx, kind, n.wanted_ns)];
            push_owner(&mut list, memory.owner(n.wanted_ns, key));
            list
        });
        memory.note_joined(key, n.wanted_ns);
        return;
    }
    // A pidfd: several at once. Types that were not asked for are as they were before the call.
    let asked = |kind: usize| n.flags & ALL_FLAGS == 0 || n.flags & KINDS[kind].1 != 0;
    if memory.foreign(key, &cx.base_ns, &seen).any(|(kind, _)| asked(kind)) {
        sink.report(Rule::C01, Severity::Critical, Outcome::Succeeded, || {
            foreign_evidence(
                cx,
                memory,
                memory.foreign(key, &cx.base_ns, &seen).filter(|(kind, _)| asked(*kind)),
            )
        });
        for (kind, inode) in seen.0.into_iter().enumerate() {
            if asked(kind) && memory.is_foreign(key, &cx.base_ns, inode) {
                memory.note_joined(key, inode);
            }
        }
    }
}

/// The type of the namespace that the descriptor of `setns` names, if it is foreign; `None` within the `Some`
/// if it can't be told.
fn is_foreign_target(cx: &Context<'_>, n: &Namespace, memory: &Memory) -> Option<Option<usize>> {
    if !memory.is_foreign(cx.key(), &cx.base_ns, n.wanted_ns) {
        return None;
    }
    let seen = NsSet::of_record(n);
    let kind = seen.0.iter().position(|inode| *inode == n.wanted_ns).or(kind_of_flags(n.flags));
    // What the baseline does not know cannot differ from it, unless it is known to be somebody else's.
    let comparable = kind.is_none_or(|kind| cx.base_ns.0[kind] != 0);
    (comparable || memory.owner(n.wanted_ns, cx.key()) != Owner::Unknown).then_some(kind)
}

/// The type, if `flags` name exactly one.
fn kind_of_flags(flags: u64) -> Option<usize> {
    KINDS.iter().position(|(_, flag)| *flag == flags & ALL_FLAGS)
}

fn check_new(cx: &Context<'_>, n: &Namespace, memory: &mut Memory, sink: &mut Sink<'_>) {
    let key = cx.key();
    let mut flags = n.flags & ALL_FLAGS;
    if n.ret >= 0 {
        let seen = NsSet::of_record(n);
        // A clone's record comes without flags: what differs from the parent is new.
        let untold = flags == 0 && n.op == CLONE;
        let before = cx.process.and_then(|p| p.state.as_deref()).map(NsSet::of_state);
        for (kind, inode) in seen.0.into_iter().enumerate() {
            let flag = KINDS[kind].1;
            // A time namespace made by unshare(2) is entered by the next child only.
            let expected = flags & flag != 0 || untold || (n.op == CLONE && kind == TIME);
            let fresh =
                before.is_some_and(|b| inode != 0 && b.0[kind] != 0 && inode != b.0[kind] && expected);
            if fresh {
                memory.claim(key, inode);
            } else if expected && cx.base_ns.0[kind] != 0 && memory.is_foreign(key, &cx.base_ns, inode) {
                memory.note_made(key, &cx.base_ns, inode);
            }
            let is_new = before.map_or(inode != cx.base_ns.0[kind], |_| fresh);
            if kind == USER && expected && is_new && memory.was_made_by(key, inode) {
                let first = if n.op == CLONE { n.child_pid } else { cx.ev.header.pid };
                memory.note_user_namespace(key, inode, first, cx.ev.header.time);
            }
            if untold && is_new && memory.was_made_by(key, inode) {
                flags |= flag;
            }
        }
    }
    if flags == 0 {
        return;
    }
    let outcome = Outcome::of(n.ret);
    let severity = if outcome == Outcome::Succeeded && flags & WEIGHTY_FLAGS != 0 {
        Severity::Warning
    } else {
        Severity::Notice
    };
    sink.report(Rule::C03, severity, outcome, || {
        let call = if n.op == CLONE { "clone" } else { "unshare" };
        let mut list = vec![observed("call", Value::Word(call))];
        push_types(&mut list, flags);
        push_errno(&mut list, n.ret);
        list
    });
}

pub(super) fn check_state(cx: &Context<'_>, s: &State, memory: &mut Memory, sink: &mut Sink<'_>) {
    let key = cx.key();
    let seen = NsSet::of_state(s);
    match s.reason {
        state_reason::ENTRY => {
            // A key is used again if the removal of the cgroup that had it was not seen.
            memory.forget(key);
            memory.learn_baseline(key, cx.base_ns);
        }
        state_reason::SCAN => {
            memory.learn_baseline(key, cx.base_ns);
            // How it came to these is not known: what is nobody else's counts as made by the container.
            for inode in seen.0 {
                memory.note_made(key, &cx.base_ns, inode);
            }
        }
        state_reason::JOIN => check_join(cx, &seen, memory, sink),
        _ => check_change(cx, &seen, memory, sink),
    }
    check_place(cx, "root_mnt_ns", s.root_mnt_ns, s.mnt_ns, memory, sink);
    check_place(cx, "cwd_mnt_ns", s.cwd_mnt_ns, s.mnt_ns, memory, sink);
}

/// A trusted runtime may put a process where it likes; only another mount namespace is worth a word.
fn check_join(cx: &Context<'_>, seen: &NsSet, memory: &mut Memory, sink: &mut Sink<'_>) {
    for (kind, inode) in seen.0.into_iter().enumerate() {
        if inode == 0 || cx.base_ns.contains(inode) {
            continue;
        }
        if kind != MNT {
            memory.note_granted(cx.key(), inode);
        } else if cx.base_ns.0[MNT] != 0 && memory.is_foreign(cx.key(), &cx.base_ns, inode) {
            sink.report(Rule::C06, Severity::Notice, Outcome::Succeeded, || {
                foreign_evidence(cx, memory, [(MNT, inode)].into_iter())
            });
            memory.note_joined(cx.key(), inode);
        }
    }
}

fn check_change(cx: &Context<'_>, seen: &NsSet, memory: &Memory, sink: &mut Sink<'_>) {
    let key = cx.key();
    let unexplained =
        || memory.foreign(key, &cx.base_ns, seen).filter(|(_, inode)| !memory.is_joined(key, *inode));
    if unexplained().next().is_none() {
        return;
    }
    // A namespace that is nobody's may be the container's own, made by a call whose record was lost.
    let is_owned = unexplained().any(|(_, inode)| memory.owner(inode, key) != Owner::Unknown);
    let severity = if is_owned { Severity::Critical } else { Severity::Warning };
    sink.report(Rule::C06, severity, Outcome::Succeeded, || foreign_evidence(cx, memory, unexplained()));
}

/// I-3: the mount namespace that a directory of the task belongs to is the task's own, or the container's.
pub(super) fn check_place(
    cx: &Context<'_>,
    name: &'static str,
    inode: u32,
    task_mnt_ns: u32,
    memory: &Memory,
    sink: &mut Sink<'_>,
) {
    let known = task_mnt_ns != 0 && cx.base_ns.0[MNT] != 0;
    if !known || inode == task_mnt_ns || !memory.is_foreign(cx.key(), &cx.base_ns, inode) {
        return;
    }
    sink.report(Rule::I3, Severity::Critical, Outcome::Succeeded, || {
        let mut list =
            vec![compared(name, Value::Namespace("mnt", cx.base_ns.0[MNT]), Value::Namespace("mnt", inode))];
        push_owner(&mut list, memory.owner(inode, cx.key()));
        if name == "cwd_mnt_ns" {
            push_bytes(&mut list, "cwd", &path(cx.ev.string(0)));
        }
        list
    });
}

fn differs(cx: &Context<'_>, kind: Option<usize>, inode: u32) -> Evidence {
    match kind {
        Some(kind) => {
            let ty = KINDS[kind].0;
            compared(FIELDS[kind], Value::Namespace(ty, cx.base_ns.0[kind]), Value::Namespace(ty, inode))
        }
        None => observed("namespace", Value::Namespace("unknown", inode)),
    }
}

fn foreign_evidence(
    cx: &Context<'_>,
    memory: &Memory,
    foreign: impl Iterator<Item = (usize, u32)>,
) -> Vec<Evidence> {
    let mut list = Vec::new();
    for (kind, inode) in foreign {
        list.push(differs(cx, Some(kind), inode));
        push_owner(&mut list, memory.owner(inode, cx.key()));
    }
    list
}

fn push_types(list: &mut Vec<Evidence>, flags: u64) {
    if flags & ALL_FLAGS != 0 {
        list.push(observed("namespaces", Value::Text(namespace_names(flags))));
    }
}
