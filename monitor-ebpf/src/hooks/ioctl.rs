//! Control calls on terminals and block devices: few of the many.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, Ioctl, ioctl_cmd as cmd};
use monitor_common::offsets::FieldId as F;

use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, file};
use crate::preempt;

/// True for the calls that are reported. Asked first: programs make other control calls all the time.
#[inline(always)]
fn is_watched(call: u32) -> bool {
    let group = (call >> 8) & 0xff;
    matches!(
        call,
        cmd::TIOCSTI
            | cmd::TIOCLINUX
            | cmd::TIOCCONS
            | cmd::LOOP_SET_FD
            | cmd::LOOP_CHANGE_FD
            | cmd::LOOP_CONFIGURE
            | cmd::LOOP_CTL_ADD
            | cmd::LOOP_CTL_GET_FREE
    ) || group == cmd::GROUP_DM
        || group == cmd::GROUP_NBD
}

/// `int security_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`, kernel `security/security.c`.
#[fexit(function = "security_file_ioctl")]
fn security_file_ioctl(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_ioctl(&ctx);
    });
    0
}

/// The same for 32-bit calls, from 6.8 on.
#[fexit(function = "security_file_ioctl_compat")]
fn security_file_ioctl_compat(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_ioctl(&ctx);
    });
    0
}

#[inline(always)]
fn try_ioctl(ctx: &FExitContext) -> Option<()> {
    let call = ctx.arg::<u32>(1);
    if !is_watched(call) {
        return None;
    }
    let subject = Subject::current()?;
    report(&subject, Ptr(ctx.arg::<u64>(0)), call, ctx.arg(2), ctx.arg(3), 0)
}

/// True if this call of `ioctl(2)` is reported.
#[inline(always)]
pub(crate) fn is_wanted(_call: Call, args: &[u64; 6]) -> bool {
    is_watched(args[1] as u32)
}

/// `ioctl(2)` at its end.
#[inline(always)]
pub(crate) fn leave_ioctl(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    let _ = report(subject, subject.task.file(args[0] as u32), args[1] as u32, args[2], ret as i32, 1);
}

#[inline(always)]
fn report(subject: &Subject, opened: Ptr, call: u32, arg: u64, ret: i32, is_final: u32) -> Option<()> {
    if subject.runtime {
        return None;
    }
    let inode = file::inode_of(opened);
    let facts = file::inode(inode);
    let mut out = reserve::<Ioctl, { PATH_MAX + 16 }>(Ring::Critical, EventKind::Ioctl, subject)?;
    out.body(Ioctl {
        ino: facts.ino,
        magic: facts.magic,
        arg,
        cmd: call,
        ret,
        dev: facts.dev,
        rdev: inode.read(F::InodeRdev),
        mode: facts.mode,
        is_final,
    });
    out.path((opened.follow(F::FileMnt), opened.follow(F::FileDentry)), (Ptr::NULL, Ptr::NULL));
    out.submit(subject, 0);
    Some(())
}
