//! Execs that fail: those that succeed are `process.rs`'s.

use monitor_common::call::Call;
use monitor_common::event::{EventKind, ExecFailed, RACED};

use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::Subject;

/// What a search along a path makes for each directory.
const ENOENT: i64 = -2;
/// `AT_FDCWD` (kernel `include/uapi/linux/fcntl.h`).
const AT_FDCWD: i32 = -100;

/// True for the result of an exec that is reported.
#[inline(always)]
pub(crate) fn is_wanted(ret: i64) -> bool {
    ret < 0 && ret != ENOENT
}

/// `execve(name, argv, envp)` and `execveat(directory, name, argv, envp, flags)` at their end.
#[inline(always)]
pub(crate) fn leave_exec(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    let at = call == Call::Execveat;
    let Some(mut out) = reserve::<ExecFailed, { STRING_MAX + 8 }>(Ring::Bulk, EventKind::ExecFailed, subject)
    else {
        return;
    };
    out.body(ExecFailed {
        op: call as u32,
        ret: ret as i32,
        fd: if at { args[0] as i32 } else { AT_FDCWD },
        flags: if at { args[4] as u32 } else { 0 },
    });
    out.user_string(if at { args[1] } else { args[0] }, RACED);
    out.submit(subject, 0);
}
