//! Descriptors received from other processes (catalogue row B32): directories, devices, files of other mounts.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, FileReceive};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;

use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, file, forget, mount, ns, read_user};
use crate::preempt;

/// `S_IFMT` and types of inodes (kernel `include/uapi/linux/stat.h`).
const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const BLOCK: u32 = 0o060_000;
const CHARACTER: u32 = 0o020_000;
/// `/dev/null`, `zero`, `full`, `random`, `urandom`, as `major << 20 | minor`: everybody has them.
const MEMORY: u32 = 1 << 20;
/// Terminals: `/dev/tty`, `/dev/ptmx`, `/dev/pts/N` (majors 5 and 136 to 143) are passed as consoles.
const TTY: u32 = 5;
const PTS: core::ops::RangeInclusive<u32> = 136..=143;
/// `SOL_SOCKET` and `SCM_RIGHTS` (kernel `include/linux/socket.h`).
const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
/// Most descriptors of one message that are looked at: `SCM_MAX_FD` is 253, and senders use one or two.
const DESCRIPTORS: u32 = 8;
/// Most messages of one `recvmmsg` that are looked at.
const MESSAGES: u32 = 4;

/// True for a device that is in every container.
#[inline(always)]
fn is_common_device(rdev: u32) -> bool {
    let (major, minor) = (rdev >> 20, rdev & 0xf_ffff);
    (rdev & !0xf == MEMORY && matches!(minor, 3 | 5 | 7 | 8 | 9)) || major == TTY || PTS.contains(&major)
}

/// How much a received file is worth a record: 0 nothing, 1 what may be harmless, 2 disks and what is foreign.
#[inline(always)]
fn worth(subject: &Subject, received: Ptr) -> u32 {
    let inode = file::inode_of(received);
    let vfsmount = received.follow(F::FileMnt);
    let foreign =
        mount::namespace_of(vfsmount) != subject.task.mnt_ns() && mount::namespace_inum(vfsmount) != 0;
    match u32::from(inode.read::<u16>(F::InodeMode)) & TYPE {
        BLOCK => 2,
        CHARACTER if is_common_device(inode.read(F::InodeRdev)) => 0,
        _ if foreign => 2,
        DIRECTORY | CHARACTER => 1,
        _ => u32::from(subject.container == KEY_CANARY),
    }
}

/// Reports a received file.
#[inline(never)]
fn report(subject: &Subject, received: Ptr, ret: i32) {
    let inode = file::inode_of(received);
    let vfsmount = received.follow(F::FileMnt);
    let facts = file::inode(inode);
    let Some(mut out) =
        reserve::<FileReceive, { PATH_MAX + 16 }>(Ring::Critical, EventKind::FileReceive, subject)
    else {
        return;
    };
    out.body(FileReceive {
        ino: facts.ino,
        magic: facts.magic,
        file_mnt_ns: mount::namespace_inum(vfsmount),
        mnt_ns: ns::mnt_inum(subject.task.mnt_ns()),
        dev: facts.dev,
        rdev: inode.read(F::InodeRdev),
        mode: facts.mode,
        flags: received.read(F::FileFlags),
        ret,
        reserved: 0,
    });
    out.path((vfsmount, received.follow(F::FileDentry)), (Ptr::NULL, Ptr::NULL));
    out.submit(subject, 0);
}

/// `int security_file_receive(struct file *file)`, kernel `security/security.c`; called for each descriptor of
/// `SCM_RIGHTS`, by `pidfd_getfd`, and for those that seccomp's supervisor adds.
#[fexit(function = "security_file_receive")]
fn security_file_receive(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_receive(&ctx);
    });
    0
}

#[inline(always)]
fn try_receive(ctx: &FExitContext) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime {
        return None;
    }
    let received = Ptr(ctx.arg::<u64>(0));
    if worth(&subject, received) != 0 {
        report(&subject, received, ctx.arg::<i32>(1));
    }
    Some(())
}

/// `recvmsg`, `recvmmsg`: the control message says which descriptors are new; what they are, the kernel's table does.
/// One is reported, the one that matters most: a walk for each would be more than the verifier follows.
#[inline(always)]
pub(crate) fn leave_receive(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if ret < 0 || subject.runtime {
        return;
    }
    let mut best = Best { file: Ptr::NULL, worth: 0 };
    if call == Call::Recvmsg {
        best.look_at_message(subject, args[1]);
    } else {
        // `struct mmsghdr`: a `struct user_msghdr` and a length, 64 bytes; 32 in its 32-bit form.
        let step = if subject.compat { 32 } else { 64 };
        // MESSAGES bounds the loop.
        for index in 0..MESSAGES {
            if i64::from(index) >= ret {
                break;
            }
            best.look_at_message(subject, args[1] + u64::from(index * step));
        }
    }
    if best.worth != 0 {
        report(subject, best.file, 0);
    }
}

/// The received file that matters most.
struct Best {
    file: Ptr,
    worth: u32,
}

impl Best {
    /// One message: `struct user_msghdr` and `struct cmsghdr`, kernel `include/linux/socket.h`.
    #[inline(always)]
    fn look_at_message(&mut self, subject: &Subject, message: u64) {
        // After the call, the length is what the kernel wrote: 0 in nearly all messages.
        let (control, len, head) = if subject.compat {
            (u64::from(read_user::<u32>(message + 16)), u64::from(read_user::<u32>(message + 20)), 12)
        } else {
            (read_user::<u64>(message + 32), read_user::<u64>(message + 40), 16)
        };
        if control == 0 || len <= head {
            return;
        }
        let (level, kind) = (read_user::<u32>(control + head - 8), read_user::<u32>(control + head - 4));
        if level != SOL_SOCKET || kind != SCM_RIGHTS {
            return;
        }
        let size =
            if subject.compat { u64::from(read_user::<u32>(control)) } else { read_user::<u64>(control) };
        // DESCRIPTORS bounds the loop.
        for index in 0..DESCRIPTORS {
            if head + u64::from(index) * 4 >= size {
                break;
            }
            let file = subject.task.file(read_user::<u32>(control + head + u64::from(index) * 4));
            let worth = forget(worth(subject, file));
            if worth > self.worth {
                *self = Self { file, worth };
            }
        }
    }
}
