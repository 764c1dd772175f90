//! The end of a watched system call, whatever told us of it: the state is read from kernel objects, after the
//! fact.

use monitor_common::call::Call;
use monitor_common::event::{EventKind, Fanotify, Mount, Namespace, RACED, Root, why};
use monitor_common::offsets::FieldId as F;

use super::file::{check_open, report_refused};
use super::security::report_socket_call;
use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, file, mount, ns};

/// Three strings.
const MOUNT_TAIL: usize = 3 * (STRING_MAX + 8);
const MS_REMOUNT: u64 = 1 << 5;
const MS_MOVE: u64 = 1 << 13;
const MS_PROPAGATION: u64 = (1 << 17) | (1 << 18) | (1 << 19) | (1 << 20);
const MOVE_MOUNT_F_EMPTY_PATH: u64 = 4;

/// Mounts and file system contexts. `args` are the call's, `ret` its result.
#[inline(never)]
pub(crate) fn leave_mount(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    // Where each call keeps its target, source, type and flags (man 2 of each); 0 where it has none.
    let (target, source, fstype, flags) = match call {
        Call::Mount => (args[1], args[0], args[2], args[3]),
        Call::Umount => (args[0], 0, 0, args[1]),
        Call::Fsopen => (0, 0, args[0], args[1]),
        Call::Fsmount => (0, 0, 0, args[1]),
        Call::OpenTree => (0, args[1], 0, args[2]),
        Call::MoveMount => (args[3], args[1], 0, args[4]),
        _ => (args[1], 0, 0, args[2]),
    };
    let mut made = Ptr::NULL;
    if ret >= 0 {
        made = match call {
            Call::Mount if flags & (MS_REMOUNT | MS_MOVE | MS_PROPAGATION) == 0 => {
                mount::newest(subject.task)
            }
            Call::Fsmount | Call::OpenTree => subject.task.file(ret as u32).follow(F::FileMnt),
            Call::MoveMount if flags & MOVE_MOUNT_F_EMPTY_PATH != 0 => {
                subject.task.file(args[0] as u32).follow(F::FileMnt)
            }
            _ => Ptr::NULL,
        };
    }
    let facts = mount::superblock_of(made);
    let known = made.is_valid();
    let Some(mut out) = reserve::<Mount, MOUNT_TAIL>(Ring::Critical, EventKind::Mount, subject) else {
        return;
    };
    out.body(Mount {
        flags,
        magic: facts.magic,
        op: call as u32,
        ret: ret as i32,
        dev: facts.dev,
        block_device: facts.block_device,
        mnt_ns: ns::mnt_inum(subject.task.mnt_ns()),
        object: u32::from(known),
    });
    out.user_string(target, RACED);
    out.user_string(source, RACED);
    if known && facts.type_name != 0 {
        out.kernel_string(facts.type_name, 0);
    } else {
        out.user_string(fstype, RACED);
    }
    out.submit(subject, 0);
}

/// `pivot_root` and `chroot`.
#[inline(never)]
pub(crate) fn leave_root(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    let Some(mut out) = reserve::<Root, { STRING_MAX + 8 }>(Ring::Critical, EventKind::Root, subject) else {
        return;
    };
    let root = subject.task.root();
    let id = file::id(root.1.follow(F::DentryInode));
    out.body(Root {
        root_ino: id.ino,
        op: call as u32,
        ret: ret as i32,
        root_dev: id.dev,
        root_mnt_ns: mount::namespace_inum(root.0),
        mnt_ns: ns::mnt_inum(subject.task.mnt_ns()),
        reserved: 0,
    });
    out.user_string(args[0], RACED);
    out.submit(subject, 0);
}

/// `setns` and `unshare`.
#[inline(never)]
pub(crate) fn leave_namespace(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    let (flags, wanted) = match call {
        Call::Setns => (args[1], namespace_of_fd(subject, args[0] as u32)),
        _ => (args[0], 0),
    };
    let names = ns::Inums::of(subject.task);
    let Some(mut out) = reserve::<Namespace, 0>(Ring::Critical, EventKind::Namespace, subject) else {
        return;
    };
    out.body(Namespace {
        flags,
        op: call as u32,
        ret: ret as i32,
        wanted_ns: wanted,
        mnt_ns: names.mnt,
        pid_ns: names.pid,
        net_ns: names.net,
        ipc_ns: names.ipc,
        uts_ns: names.uts,
        cgroup_ns: names.cgroup,
        time_ns: names.time,
        user_ns: names.user,
        child_pid: 0,
    });
    out.submit(subject, 0);
}

/// `NSFS_MAGIC`, kernel `include/uapi/linux/magic.h`.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Inode of the namespace that a descriptor names; 0 if it names none.
#[inline(always)]
fn namespace_of_fd(subject: &Subject, fd: u32) -> u32 {
    let facts = file::inode(file::inode_of(subject.task.file(fd)));
    if facts.magic == NSFS_MAGIC { facts.ino as u32 } else { 0 }
}

/// The set*id family and `capset`.
#[inline(never)]
pub(crate) fn leave_cred(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    filter::report_creds(subject, call as u32, ret as i32, args[0] as u32);
}

/// `connect`, `bind`, `listen`.
#[inline(always)]
pub(crate) fn leave_socket(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    report_socket_call(subject, call, args, ret as i32);
}

/// After an open: what was opened is judged.
#[inline(always)]
pub(crate) fn leave_open(subject: &Subject, call: Call, _args: &[u64; 6], ret: i64) {
    if subject.runtime {
        return;
    }
    let by_handle = call == Call::OpenByHandleAt;
    if ret >= 0 {
        let reasons = if by_handle { why::HANDLE } else { 0 };
        let _ = check_open(subject, Task::known().opened(ret as u32), 0, reasons);
    } else if by_handle {
        let _ = report_refused(subject, ret as i32);
    }
}

/// `fanotify_mark`.
#[inline(always)]
pub(crate) fn leave_fanotify(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    // A 32-bit program gives the 64 bits of the mask as two arguments.
    let (mask, directory, name) = if subject.compat {
        (args[2] | args[3] << 32, args[4], args[5])
    } else {
        (args[2], args[3], args[4])
    };
    let directory = file::inode(file::inode_of(subject.task.file(directory as u32)));
    let Some(mut out) = reserve::<Fanotify, { STRING_MAX + 8 }>(Ring::Critical, EventKind::Fanotify, subject)
    else {
        return;
    };
    out.body(Fanotify {
        mask,
        magic: directory.magic,
        flags: args[1] as u32,
        ret: ret as i32,
        dev: directory.dev,
        reserved: 0,
    });
    out.user_string(name, RACED);
    out.submit(subject, 0);
}
