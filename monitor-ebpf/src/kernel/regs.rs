//! Arguments of a system call from `struct pt_regs` (kernel `arch/{x86,arm64}/include/asm/ptrace.h`).

use monitor_common::offsets::FieldId as F;

use super::{Object, offset, read_kernel};
use crate::maps::config;

/// The number of the call, `u32::MAX` if this kernel keeps it elsewhere. `regs` must be the pointer that a typed
/// tracepoint gives: the verifier knows its type, so that no helper is needed, which is half of what a call that
/// nobody watches costs.
#[inline(always)]
pub(crate) fn number(regs: *const u8) -> u32 {
    let Some(at) = offset(F::RegsNr) else { return u32::MAX };
    // SAFETY: the verifier checks type and offset, and a fault reads as 0; volatile, so that the load stays as it
    // is written.
    unsafe { regs.add(at as usize).cast::<u32>().read_volatile() }
}

/// The arguments, as `__x64_sys_*` and `__arm64_sys_*` get them.
#[inline(always)]
pub(crate) fn arguments<P: Object>(regs: P) -> [u64; 6] {
    if config!(aarch64) == 1 {
        // All six names resolve to the array `regs`.
        return read_kernel(regs.address().inside(F::RegsDi).0);
    }
    [
        regs.read(F::RegsDi),
        regs.read(F::RegsSi),
        regs.read(F::RegsDx),
        regs.read(F::RegsR10),
        regs.read(F::RegsR8),
        regs.read(F::RegsR9),
    ]
}

/// The arguments once the call has ended: on arm64 the result has taken the first one's place.
#[inline(always)]
pub(crate) fn ended_arguments<P: Object>(regs: P) -> [u64; 6] {
    let mut args = arguments(regs);
    if config!(aarch64) == 1 {
        args[0] = regs.read(F::RegsOrigX0);
    }
    args
}

/// The arguments of a 32-bit call of x86 (`int 0x80`, `sysenter`), which leaves them as they were.
#[inline(always)]
pub(crate) fn compat_arguments<P: Object>(regs: P) -> [u64; 6] {
    // The names are those of the 64-bit registers; a 32-bit program has only their lower halves.
    [
        regs.read::<u32>(F::RegsBx),
        regs.read::<u32>(F::RegsCx),
        regs.read::<u32>(F::RegsDx),
        regs.read::<u32>(F::RegsSi),
        regs.read::<u32>(F::RegsDi),
        regs.read::<u32>(F::RegsBp),
    ]
    .map(u64::from)
}
