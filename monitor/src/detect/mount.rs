//! I-7, B02, B09: mounts are made before a container starts; C04: and so is its root; A06: mounts in a new user
//! namespace.

use monitor_common::call::Call;
use monitor_common::event::{Mount, Root};

use super::context::{Context, Sink, compared, observed, push_bytes, push_errno};
use super::kernel::{CAP_SYS_ADMIN, was_granted};
use super::magic;
use super::memory::Memory;
use super::namespace::check_place;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

const MOUNT: u32 = Call::Mount as u32;
const FSOPEN: u32 = Call::Fsopen as u32;
const FSMOUNT: u32 = Call::Fsmount as u32;
const OPEN_TREE: u32 = Call::OpenTree as u32;
const MOVE_MOUNT: u32 = Call::MoveMount as u32;
const MOUNT_SETATTR: u32 = Call::MountSetattr as u32;
const PIVOT_ROOT: u32 = Call::PivotRoot as u32;

const MS_RDONLY: u64 = 1;
const MS_REMOUNT: u64 = 1 << 5;
const MS_BIND: u64 = 1 << 12;
const MS_MOVE: u64 = 1 << 13;
const MS_UNBINDABLE: u64 = 1 << 17;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;
const MS_PROPAGATION: u64 = MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED;
/// Old programs put this into the high half of the flags; it means nothing, but looks like propagation.
const MS_MGC_VAL: u64 = 0xc0ed_0000;
const MS_MGC_MASK: u64 = 0xffff_0000;

const OPEN_TREE_CLONE: u64 = 1;
const MOVE_MOUNT_F_EMPTY_PATH: u64 = 4;

/// How long after its making a user namespace counts as just made, nanoseconds.
const PUT_TO_USE: u64 = 10_000_000_000;

/// Strings of a mount record.
pub(super) const TARGET: usize = 0;
pub(super) const SOURCE: usize = 1;
const FSTYPE: usize = 2;

/// What a call of mount(2) is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Remount,
    Bind,
    Propagation,
    Move,
    New,
}

impl Purpose {
    /// In the order in which the kernel looks at the flags (`path_mount`).
    fn of(flags: u64) -> Self {
        if flags & MS_REMOUNT != 0 {
            Self::Remount
        } else if flags & MS_BIND != 0 {
            Self::Bind
        } else if flags & MS_PROPAGATION != 0 {
            Self::Propagation
        } else if flags & MS_MOVE != 0 {
            Self::Move
        } else {
            Self::New
        }
    }

    /// Of the flags as the call was given them.
    pub(super) fn of_call(flags: u64) -> Self {
        Self::of(without_magic(flags))
    }

    /// True if something else is seen at the target afterwards.
    pub(super) fn covers(self) -> bool {
        matches!(self, Self::Bind | Self::Move | Self::New)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Remount => "remount",
            Self::Bind => "bind",
            Self::Propagation => "propagation",
            Self::Move => "move",
            Self::New => "new file system",
        }
    }
}

fn without_magic(flags: u64) -> u64 {
    if flags & MS_MGC_MASK == MS_MGC_VAL { flags & !MS_MGC_MASK } else { flags }
}

/// A06: a mount, attempted in a user namespace that a container without CAP_SYS_ADMIN has just made.
pub(super) fn check_user_namespace(cx: &Context<'_>, m: &Mount, memory: &Memory, sink: &mut Sink<'_>) {
    let mounts = matches!(m.op, MOUNT | FSOPEN | FSMOUNT | MOVE_MOUNT | MOUNT_SETATTR)
        || (m.op == OPEN_TREE && m.flags & OPEN_TREE_CLONE != 0);
    if !mounts || was_granted(cx, CAP_SYS_ADMIN) {
        return;
    }
    let pids = [cx.ev.header.pid, cx.process.map_or(0, |p| p.ppid)];
    let user_ns = cx.process.and_then(|p| p.state.as_ref()).map_or(0, |s| s.user_ns);
    let since = cx.ev.header.time.saturating_sub(PUT_TO_USE);
    let Some(inode) = memory.new_user_namespace(cx.key(), pids, user_ns, since) else { return };
    let outcome = Outcome::of(m.ret);
    let severity = if outcome == Outcome::Succeeded { Severity::Warning } else { Severity::Notice };
    sink.report(Rule::A06, severity, outcome, || {
        let mut list = vec![compared(
            "user_ns",
            Value::Namespace("user", cx.base.state.user_ns),
            Value::Namespace("user", inode),
        )];
        push_what(&mut list, cx, m);
        push_errno(&mut list, m.ret);
        list
    });
}

pub(super) fn check(cx: &Context<'_>, m: &Mount, memory: &mut Memory, sink: &mut Sink<'_>) {
    let key = cx.key();
    let succeeded = m.ret >= 0;
    let call = match m.op {
        MOUNT => return check_mount(cx, m, sink),
        FSOPEN => "fsopen",
        FSMOUNT => "fsmount",
        OPEN_TREE if m.flags & OPEN_TREE_CLONE != 0 => "open_tree",
        MOVE_MOUNT => "move_mount",
        MOUNT_SETATTR => "mount_setattr",
        _ => return,
    };
    let severity = if succeeded { Severity::Warning } else { Severity::Notice };
    sink.report(Rule::B09, severity, Outcome::of(m.ret), || {
        let mut list = vec![observed("call", Value::Word(call))];
        push_what(&mut list, cx, m);
        push_errno(&mut list, m.ret);
        list
    });

    // A superblock is judged where it appears first: a clone of a tree shows one that is mounted already, and
    // what is attached was made by fsmount(2), unless the descriptor came from outside.
    let appears = match m.op {
        FSMOUNT => true,
        MOVE_MOUNT => m.flags & MOVE_MOUNT_F_EMPTY_PATH != 0 && !memory.has_seen_superblock(key, m.dev),
        _ => false,
    };
    if succeeded && m.object != 0 {
        if appears && let Some(why) = forbidden(cx, m) {
            report_forbidden(cx, m, call, why, sink);
        }
        if m.op == OPEN_TREE || m.op == FSMOUNT {
            memory.note_superblock(key, m.dev);
        }
    }
}

fn check_mount(cx: &Context<'_>, m: &Mount, sink: &mut Sink<'_>) {
    let flags = without_magic(m.flags);
    let purpose = Purpose::of(flags);
    let succeeded = m.ret >= 0;
    if purpose == Purpose::New
        && succeeded
        && let Some(why) = forbidden(cx, m)
    {
        return report_forbidden(cx, m, "mount", why, sink);
    }

    let target = cx.ev.string(TARGET).bytes;
    let unprotects =
        purpose == Purpose::Remount && flags & MS_RDONLY == 0 && declared_protection(cx, target).is_some();
    let shares = purpose == Purpose::Propagation && flags & MS_SHARED != 0;
    let is_tmpfs = purpose == Purpose::New && m.object != 0 && m.magic == magic::TMPFS;
    let severity = match (unprotects || shares, succeeded) {
        (true, true) => Severity::Critical,
        (true, false) => Severity::Warning,
        (false, true) if !is_tmpfs => Severity::Warning,
        (false, _) => Severity::Notice,
    };
    sink.report(Rule::B02, severity, Outcome::of(m.ret), || {
        let mut list = vec![observed("change", Value::Word(purpose.name()))];
        if unprotects && let Some(protection) = declared_protection(cx, target) {
            list.push(compared("protection", Value::Word(protection), Value::Word("writable")));
        }
        if purpose == Purpose::Propagation {
            list.push(observed("propagation", Value::Word(propagation(flags))));
        }
        push_what(&mut list, cx, m);
        list.push(observed("flags", Value::Hex(flags)));
        push_errno(&mut list, m.ret);
        list
    });
}

fn propagation(flags: u64) -> &'static str {
    match flags & MS_PROPAGATION {
        MS_SHARED => "shared",
        MS_SLAVE => "slave",
        MS_PRIVATE => "private",
        MS_UNBINDABLE => "unbindable",
        _ => "several",
    }
}

/// How the OCI configuration protects this path.
fn declared_protection(cx: &Context<'_>, target: &[u8]) -> Option<&'static str> {
    fn trimmed(path: &[u8]) -> &[u8] {
        path.strip_suffix(b"/").unwrap_or(path)
    }
    let declared = cx.container.declared.as_ref()?;
    let listed = |paths: &[String]| paths.iter().any(|p| trimmed(p.as_bytes()) == trimmed(target));
    if listed(&declared.readonly_paths) {
        Some("read-only")
    } else if listed(&declared.masked_paths) {
        Some("masked")
    } else {
        None
    }
}

/// Why this superblock must not be mounted by a running container.
fn forbidden(cx: &Context<'_>, m: &Mount) -> Option<&'static str> {
    if m.object == 0 {
        return None;
    }
    // devtmpfs has the magic of tmpfs. Its name may have been changed while it was copied, so it can only add.
    let is_devtmpfs = m.magic == magic::TMPFS
        && (cx.ev.string(FSTYPE).bytes == b"devtmpfs" || (m.dev != 0 && m.dev == cx.host.devtmpfs_dev));
    if m.block_device != 0 {
        Some("block device")
    } else if is_devtmpfs {
        Some("devtmpfs")
    } else {
        magic::forbidden(m.magic)
    }
}

fn report_forbidden(cx: &Context<'_>, m: &Mount, call: &'static str, why: &'static str, sink: &mut Sink<'_>) {
    sink.report(Rule::I7, Severity::Critical, Outcome::Succeeded, || {
        let mut list = vec![
            compared("mounted_after_start", Value::Word("none"), Value::Word(why)),
            observed("call", Value::Word(call)),
        ];
        push_what(&mut list, cx, m);
        if m.block_device != 0 {
            list.push(observed("device", Value::Hex(u64::from(m.dev))));
        }
        list
    });
}

/// The strings of the call, and the file system that the kernel showed.
fn push_what(list: &mut Vec<Evidence>, cx: &Context<'_>, m: &Mount) {
    if m.object != 0 {
        list.push(observed("filesystem", magic::value(m.magic)));
    }
    push_bytes(list, "target", cx.ev.string(TARGET).bytes);
    push_bytes(list, "source", cx.ev.string(SOURCE).bytes);
    push_bytes(list, "fstype", cx.ev.string(FSTYPE).bytes);
}

/// pivot_root(2) and chroot(2). A chroot within the container's own mounts is nothing.
pub(super) fn check_root(cx: &Context<'_>, r: &Root, memory: &Memory, sink: &mut Sink<'_>) {
    if r.op == PIVOT_ROOT {
        let outcome = Outcome::of(r.ret);
        let severity = if outcome == Outcome::Denied { Severity::Warning } else { Severity::Critical };
        sink.report(Rule::C04, severity, outcome, || {
            let mut list = Vec::new();
            if outcome == Outcome::Succeeded {
                let root = &cx.base.state;
                list.push(compared(
                    "root_dev",
                    Value::Hex(u64::from(root.root_dev)),
                    Value::Hex(u64::from(r.root_dev)),
                ));
                list.push(compared("root_ino", Value::Number(root.root_ino), Value::Number(r.root_ino)));
            }
            push_bytes(&mut list, "new_root", cx.ev.string(0).bytes);
            push_errno(&mut list, r.ret);
            list
        });
    }
    if r.ret >= 0 {
        check_place(cx, "root_mnt_ns", r.root_mnt_ns, r.mnt_ns, memory, sink);
    }
}
