//! Arguments of a system call from `struct pt_regs`, as `__x64_sys_*` and `__arm64_sys_*` get them.

use monitor_common::offsets::FieldId as F;

use super::{Ptr, read_kernel};
use crate::maps::config;

/// The first five arguments.
#[inline(always)]
pub(crate) fn arguments(regs: Ptr) -> [u64; 5] {
    if config().aarch64 == 1 {
        // All five names resolve to the array `regs`.
        return read_kernel(regs.inside(F::RegsDi).0);
    }
    [
        regs.read(F::RegsDi),
        regs.read(F::RegsSi),
        regs.read(F::RegsDx),
        regs.read(F::RegsR10),
        regs.read(F::RegsR8),
    ]
}
