//! What does not fit into the record of an exec: the rest of long arguments, and the environment if it is wanted or
//! meets raised privileges.
//! Both go ahead of the record in pieces of their own, which user space joins into it.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use monitor_common::event::exec_args::{INLINE, MOST, PIECE, part};
use monitor_common::event::{EventKind, ExecArgs};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Ring, reserve};
use crate::filter::Subject;
use crate::kernel::task::Task;
use crate::kernel::{Ptr, forget, offset};
use crate::maps::config;

/// Pieces of each part: MOST bytes without those of the exec's own record, or all of them.
const PIECES: u64 = (MOST / PIECE) as u64;

/// The strings of a program, in its own memory.
#[derive(Clone, Copy)]
pub(super) struct Strings {
    /// Where the arguments begin.
    pub(super) argv: u64,
    /// Bytes of them.
    pub(super) argv_len: u64,
    /// Not 0 if there is an environment that is sent.
    pub(super) environ: u64,
    /// 1 if the exec raised privileges, 0 if not, 2 if that is not known.
    pub(super) secure: u32,
}

/// Sends what the record of the exec has no room for. Programs with short arguments pay for a comparison. `bprm` is the
/// pointer that the tracepoint gave. An environment that nobody asked for is sent if the exec raised privileges, which is
/// rare: rules judge it.
#[inline(always)]
pub(super) fn send(subject: &Subject, bprm: Ptr) -> Strings {
    let secure = raises(bprm);
    let (argv, argv_len) = memory(subject.task, part::ARGV);
    let bits = u64::from(subject.runtime) << 40;
    if argv_len > INLINE as u64 {
        bulkhead_exec_part(subject.container, subject.cgroup, bits | u64::from(part::ARGV) << 32, argv_len);
    }
    let mut environ = 0;
    if config!(environ) == 1 || secure == 1 {
        environ = memory(subject.task, part::ENVIRON).1;
        bulkhead_exec_part(subject.container, subject.cgroup, bits | u64::from(part::ENVIRON) << 32, environ);
    }
    // The record is written in one way, whatever was sent before it.
    forget(Strings { argv, argv_len, environ, secure })
}

/// Sends the pieces of a part of `total` bytes, of which the exec's own record holds the first of the arguments. A
/// global function, which the verifier looks at once and by itself; it is given numbers only, because before 5.13 it
/// can be given no pointers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bulkhead_exec_part(container: u64, cgroup: u64, bits: u64, total: u64) -> u64 {
    let from = if (bits >> 32) as u32 & 0xff == part::ARGV { INLINE as u64 } else { 0 };
    // PIECES bounds the loop: beyond them the record says that there was more.
    for n in 0..PIECES {
        let offset = from + n * PIECE as u64;
        if offset >= total || offset >= MOST as u64 {
            break;
        }
        if bulkhead_exec_piece(container, cgroup, bits | offset) == 0 {
            // What comes after a gap could not be joined.
            break;
        }
    }
    0
}

/// Sends one piece; 0 if that could not be done. A global function for the same reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bulkhead_exec_piece(container: u64, cgroup: u64, bits: u64) -> u64 {
    let ids = bpf_get_current_pid_tgid();
    let subject = Subject {
        task: Task::current(),
        pid: (ids >> 32) as u32,
        tid: ids as u32,
        container,
        cgroup,
        runtime: bits >> 40 & 1 != 0,
        compat: false,
        stale: false,
    };
    u64::from(write(&subject, (bits >> 32) as u32 & 0xff, bits & 0xffff_ffff).is_some())
}

#[inline(always)]
fn write(subject: &Subject, part: u32, offset: u64) -> Option<()> {
    let (from, total) = memory(subject.task, part);
    let end = if total > MOST as u64 { MOST as u64 } else { total };
    let mut out = reserve::<ExecArgs, { PIECE + 8 }>(Ring::Bulk, EventKind::ExecArgs, subject)?;
    out.body(ExecArgs {
        exec_id: subject.task.exec_id(),
        part,
        offset: offset as u32,
        total: total as u32,
        reserved: 0,
    });
    out.user_bytes::<PIECE>(from.wrapping_add(offset), end.saturating_sub(offset), 0);
    out.submit(subject, 0);
    Some(())
}

/// Address and length of a part.
#[inline(always)]
fn memory(task: Task, part: u32) -> (u64, u64) {
    let (start, end) = if part == part::ENVIRON { task.environment() } else { task.arguments() };
    (start, end.saturating_sub(start))
}

/// 1 if the kernel found that the exec raises privileges, 2 if it does not say so: `secureexec` of `struct linux_binprm` (kernel
/// `include/linux/binfmts.h`), set by `cap_bprm_creds_from_file()` for set-uid and set-gid programs and for file
/// capabilities. `bprm` must be the pointer that a typed tracepoint gives, as for `regs::number`.
#[inline(always)]
fn raises(bprm: Ptr) -> u32 {
    let Some(bit) = offset(F::BinprmSecure) else { return 2 };
    // SAFETY: the verifier checks type and offset, and a fault reads as 0; volatile, so that the load stays as it is
    // written.
    let byte = unsafe { ((bprm.0 as *const u8).add((bit / 8) as usize)).read_volatile() };
    u32::from(byte) >> (bit % 8) & 1
}
