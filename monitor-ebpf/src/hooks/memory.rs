//! Memory made executable that no file of the image is behind (catalogue row D17, invariant I-15), and memfds.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, Memfd, Memory, RACED, layer, memory_kind};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::task_flags;

use crate::emit::{PATH_MAX, Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, file, mount, overlay};
use crate::maps::{TASKS, task_key};
use crate::{preempt, watch};

/// `PROT_WRITE`, `PROT_EXEC` (kernel `include/uapi/asm-generic/mman-common.h`).
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
/// `VM_EXEC` (kernel `include/linux/mm.h`).
const VM_EXEC: u64 = 4;

/// `int security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`, kernel
/// `security/security.c`; no file for anonymous memory.
#[fexit(function = "security_mmap_file")]
fn security_mmap_file(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        let prot = ctx.arg::<u64>(1);
        if prot & PROT_EXEC != 0 {
            check(Call::Mmap, Ptr(ctx.arg::<u64>(0)), prot, ctx.arg::<i32>(3));
        }
    });
    0
}

/// `int security_file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`, kernel
/// `security/security.c`; called for each area of the range.
#[fexit(function = "security_file_mprotect")]
fn security_file_mprotect(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        let prot = ctx.arg::<u64>(1);
        if prot & PROT_EXEC != 0 {
            try_mprotect(Ptr(ctx.arg::<u64>(0)), prot, ctx.arg::<i32>(3));
        }
    });
    0
}

#[inline(always)]
fn try_mprotect(area: Ptr, prot: u64, ret: i32) -> Option<()> {
    // Nothing becomes executable that was not, unless it becomes writable as well.
    if area.read::<u64>(F::VmaFlags) & VM_EXEC != 0 && prot & PROT_WRITE == 0 {
        return None;
    }
    check(Call::Mprotect, area.follow(F::VmaFile), prot, ret)
}

#[inline(always)]
fn check(call: Call, mapped: Ptr, prot: u64, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime || subject.container == 0 {
        return None;
    }
    // An overlay puts the file of the layer below into an area, with its own path up to 6.5.
    let inode = match call {
        Call::Mprotect => mapped.follow(F::FileDentry).follow(F::DentryInode),
        _ => file::inode_of(mapped),
    };
    report(&subject, call, (mapped, inode), prot, ret)
}

/// Reports executable memory unless a file of the image is behind it. `mapped`, the file and its inode, is null for anonymous
/// memory.
#[inline(always)]
fn report(subject: &Subject, call: Call, mapped: (Ptr, Ptr), prot: u64, ret: i32) -> Option<()> {
    let (mapped, inode) = mapped;
    let facts = file::inode(inode);
    let vfsmount = mapped.follow(F::FileMnt);
    let mut record = Memory {
        ino: facts.ino,
        magic: facts.magic,
        op: call as u32,
        prot: prot as u32,
        ret,
        dev: facts.dev,
        layer: overlay::layer_of(inode, facts.magic),
        nlink: facts.nlink,
        file_mnt_ns: mount::namespace_inum(vfsmount),
        ctime: facts.ctime,
        ..Memory::default()
    };
    let kind = if mapped != Ptr::NULL {
        file_kind(subject, &record)?
    } else if prot & PROT_WRITE != 0 {
        once(subject, task_flags::SAID_RWX)?;
        memory_kind::ANONYMOUS_RWX
    } else {
        once(subject, task_flags::SAID_EXEC)?;
        memory_kind::ANONYMOUS_EXEC
    };
    // The ways on which it was found are no longer told apart.
    record.kind = watch::hidden(u64::from(kind), i64::from(subject.tid)) as u32;
    let mut out = reserve::<Memory, { PATH_MAX + 16 }>(Ring::Bulk, EventKind::Memory, subject)?;
    out.body(record);
    if mapped == Ptr::NULL {
        out.empty();
    } else {
        out.path((vfsmount, mapped.follow(F::FileDentry)), subject.task.root());
    }
    out.submit(subject, 0);
    Some(())
}

/// What a mapped file is; `None` for one of the image, or of the root's file system where that is no overlay.
#[inline(always)]
fn file_kind(subject: &Subject, record: &Memory) -> Option<u32> {
    if record.nlink == 0 {
        return Some(memory_kind::NAMELESS);
    }
    let of_root = record.dev == file::id(subject.task.root().1.follow(F::DentryInode)).dev;
    match record.layer {
        layer::UPPER => Some(memory_kind::FILE),
        _ if of_root => None,
        // On a mount of nobody's: since 6.6 that is what lies below an overlay's file in an area, of whichever layer.
        _ if record.op == Call::Mprotect as u32 && record.file_mnt_ns == 0 => None,
        _ => Some(memory_kind::FILE),
    }
}

/// `None` if this program has been reported for it.
#[inline(always)]
pub(crate) fn once(subject: &Subject, flag: u32) -> Option<()> {
    let entry = TASKS.get_ptr_mut(&task_key(subject.tid))?;
    // SAFETY: a live map value; this task is the only one to write its entry.
    unsafe {
        if (*entry).flags & flag != 0 {
            return None;
        }
        (*entry).flags |= flag;
    }
    Some(())
}

/// A call whose memory this rung cannot look up: reported once for each program.
#[inline(always)]
fn report_unknown(subject: &Subject, call: Call, prot: u64, ret: i32) -> Option<()> {
    let flag = if prot & PROT_WRITE != 0 { task_flags::SAID_RWX } else { task_flags::SAID_EXEC };
    once(subject, flag)?;
    let mut out = reserve::<Memory, 16>(Ring::Bulk, EventKind::Memory, subject)?;
    out.body(Memory {
        op: call as u32,
        kind: memory_kind::UNKNOWN,
        prot: prot as u32,
        ret,
        ..Memory::default()
    });
    out.empty();
    out.submit(subject, 0);
    Some(())
}

/// `MAP_ANONYMOUS` (kernel `include/uapi/asm-generic/mman-common.h`).
const MAP_ANONYMOUS: u64 = 0x20;

/// True if executable memory is asked for.
#[inline(always)]
pub(crate) fn is_wanted(_call: Call, args: &[u64; 6]) -> bool {
    args[2] & PROT_EXEC != 0
}

/// `mmap` and `mprotect` at their end: `(address, length, protection, flags, descriptor, offset)`.
#[inline(never)]
pub(crate) fn leave_memory(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime || subject.container == 0 {
        return;
    }
    // The result of `mmap` is an address; only whether it failed is kept.
    let failed = (-4095..0).contains(&ret);
    let answer = if failed { ret as i32 } else { 0 };
    let _ = match call {
        Call::Mmap if args[3] & MAP_ANONYMOUS != 0 => {
            report(subject, call, (Ptr::NULL, Ptr::NULL), args[2], answer)
        }
        Call::Mmap => {
            let mapped = subject.task.file(args[4] as u32);
            let inode = file::inode_of(mapped);
            if mapped.is_valid() { report(subject, call, (mapped, inode), args[2], answer) } else { None }
        }
        _ => report_unknown(subject, call, args[2], answer),
    };
}

/// `memfd_create(name, flags)` at its end.
#[inline(never)]
pub(crate) fn leave_memfd(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    let _ = report_memfd(subject, args[0], args[1], ret);
}

#[inline(always)]
fn report_memfd(subject: &Subject, name: u64, flags: u64, ret: i64) -> Option<()> {
    if subject.runtime {
        return None;
    }
    let mut out = reserve::<Memfd, { STRING_MAX + 8 }>(Ring::Bulk, EventKind::Memfd, subject)?;
    out.body(Memfd { flags: flags as u32, ret: ret as i32 });
    out.user_string(name, RACED);
    out.submit(subject, 0);
    Some(())
}
