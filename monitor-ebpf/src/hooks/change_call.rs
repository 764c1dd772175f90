//! Changes of the file tree as the last rung sees them: at the end of the call the objects are gone or moved, and only
//! names in user memory are left. A descriptor still leads to its file.

use monitor_common::call::Call;
use monitor_common::event::{EventKind, FileChange, RACED, change_op as op, why};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;

use super::change::{Change, decode_device, setid};
use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::Ptr;
use crate::watch;

/// Empty path and two strings.
const TAIL: usize = 2 * (STRING_MAX + 8);
/// `AT_FDCWD`, and the flag of `unlinkat(2)` for directories (`include/uapi/linux/fcntl.h`).
const AT_FDCWD: u32 = -100_i32 as u32;
const AT_REMOVEDIR: u64 = 0x200;
/// Argument that a call does not have.
const NONE: usize = usize::MAX;

/// Calls that name a file.
#[inline(always)]
pub(crate) fn leave_change(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime {
        return;
    }
    // Which argument is the directory's descriptor, the name, the other string; and what was done.
    let (directory, name, other, op) = match call {
        Call::Rename => (NONE, 1, 0, op::RENAME),
        Call::Renameat | Call::Renameat2 => (2, 3, 1, op::RENAME),
        Call::Link => (NONE, 1, 0, op::LINK),
        Call::Linkat => (2, 3, 1, op::LINK),
        Call::Unlink => (NONE, 0, NONE, op::UNLINK),
        Call::Unlinkat => (0, 1, NONE, op::UNLINK),
        Call::Symlink => (NONE, 1, 0, op::SYMLINK),
        Call::Symlinkat => (1, 2, 0, op::SYMLINK),
        Call::Mknod => (NONE, 0, NONE, op::MKNOD),
        Call::Mknodat => (0, 1, NONE, op::MKNOD),
        Call::Chmod => (NONE, 0, NONE, op::CHMOD),
        Call::Fchmodat | Call::Fchmodat2 => (0, 1, NONE, op::CHMOD),
        Call::Chown | Call::Lchown => (NONE, 0, NONE, op::CHOWN),
        Call::Fchownat => (0, 1, NONE, op::CHOWN),
        Call::Setxattrat => (0, 1, 3, op::SETXATTR),
        Call::Setxattr | Call::Lsetxattr => (NONE, 0, 1, op::SETXATTR),
        _ => (NONE, 0, NONE, op::TRUNCATE),
    };
    if call == Call::Unlinkat && args[2] & AT_REMOVEDIR != 0 {
        return;
    }
    let argument = |n: usize| if n < 6 { args[n] } else { 0 };
    let (mut mode, mut rdev) = (0, 0);
    let why = match op {
        op::MKNOD => {
            // The argument after the name, and the one after that.
            mode = argument(name + 1) as u32 & 0xffff;
            rdev = decode_device(argument(name + 2) as u32);
            watch::device(mode, || rdev)
        }
        op::CHMOD => {
            mode = argument(name + 1) as u32 & 0o7777;
            setid(mode)
        }
        op::SETXATTR if watch::is_privilege(argument(other), true) => why::SETID,
        _ => 0,
    };
    let fd = if directory < 6 { args[directory] as u32 } else { AT_FDCWD };
    let unknown = subject.tid as i64;
    let op = watch::hidden(u64::from(op), unknown) as u32;
    let mut why = watch::hidden(u64::from(why), unknown) as u32;
    let node = watch::hidden(u64::from(mode) << 32 | u64::from(rdev), unknown);
    let names = [watch::hidden(argument(name), unknown), watch::hidden(argument(other), unknown)];
    let fd = watch::hidden(u64::from(fd), unknown) as u32;
    let parent =
        if fd == AT_FDCWD { subject.task.cwd().1 } else { subject.task.file(fd).follow(F::FileDentry) };
    if watch::is_named_by_user(names[0], parent)
        || (op == op::RENAME && watch::is_named_by_user(names[1], parent))
    {
        why |= why::NAMED;
    }
    if why == 0 && subject.container != KEY_CANARY {
        return;
    }
    let result = u64::from(op) << 32 | u64::from(ret as u32);
    write(subject, result, node, watch::seal(why, 0, subject.tid), &names);
}

#[inline(never)]
fn write(subject: &Subject, result: u64, node: u64, verdict: u64, names: &[u64; 2]) {
    let _ = try_write(subject, result, node, verdict, names);
}

#[inline(always)]
fn try_write(subject: &Subject, result: u64, node: u64, verdict: u64, names: &[u64; 2]) -> Option<()> {
    let (why, class) = watch::unseal(verdict);
    let ring = if why & why::BLOCK == 0 { Ring::Bulk } else { Ring::Critical };
    let mut out = reserve::<FileChange, TAIL>(ring, EventKind::FileChange, subject)?;
    out.body(FileChange {
        op: (result >> 32) as u32,
        ret: result as i32,
        mode: (node >> 32) as u32,
        rdev: node as u32,
        why,
        class,
        is_final: 1,
        ..FileChange::default()
    });
    out.empty();
    out.user_string(names[0], RACED);
    out.user_string(names[1], RACED);
    out.submit(subject, 0);
    Some(())
}

/// Calls that take a descriptor: what it leads to is still there.
#[inline(always)]
pub(crate) fn leave_change_fd(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime {
        return;
    }
    let opened = subject.task.file(args[0] as u32);
    let (op, mode) = match call {
        Call::Fchmod => (op::CHMOD, args[1] as u32 & 0o7777),
        Call::Fchown => (op::CHOWN, 0),
        Call::Fsetxattr => (op::SETXATTR, 0),
        _ => (op::TRUNCATE, 0),
    };
    let mut why = setid(mode);
    if op == op::SETXATTR && watch::is_privilege(args[1], true) {
        why |= why::SETID;
    }
    let change = Change {
        op,
        vfsmount: opened.follow(F::FileMnt),
        dentry: opened.follow(F::FileDentry),
        mode,
        rdev: 0,
        why,
        other: 0,
        ret: ret as i32,
        is_final: 1,
    };
    if opened != Ptr::NULL {
        let _ = change.report(subject);
    }
}
