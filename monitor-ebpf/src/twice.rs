//! Two programs at one tracepoint, of which the second runs while a task is held inside the first: preempted there, on
//! kernels where that can be (7.0 and later), so that the kernel skips the first for everybody else on that CPU.
//!
//! Who is inside is written before anything else and taken away after everything else. What is left open is the few
//! instructions before and after, and a second task that is held inside the second program.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::maps::{INSIDE, TAKEN_OVER, add_one, config};
use crate::preempt;

/// The first program. It ends with [`end`], by which it may have gone on to another program.
#[inline(always)]
pub(crate) fn begin(program: u32) {
    if config!(preemptible) == 1
        && let Some(inside) = INSIDE.get_ptr_mut(program)
    {
        // SAFETY: a live, aligned map value of this CPU; volatile, because who preempts this task reads it.
        unsafe { inside.write_volatile(bpf_get_current_pid_tgid() as u32) };
    }
}

/// The end of the first program. In what the second one runs it does nothing: somebody else is inside.
#[inline(always)]
pub(crate) fn end(program: u32) {
    if config!(preemptible) == 1
        && let Some(inside) = INSIDE.get_ptr_mut(program)
    {
        // SAFETY: as above.
        unsafe {
            if inside.read_volatile() == bpf_get_current_pid_tgid() as u32 {
                inside.write_volatile(0);
            }
        }
    }
}

/// The first program, whole.
#[inline(always)]
pub(crate) fn first<T>(program: u32, body: impl FnOnce() -> T) {
    begin(program);
    preempt::off_at_tracepoint(body);
    end(program);
}

/// True if the second program has to do what the first does, because the kernel skipped that one for this task.
#[inline(always)]
pub(crate) fn is_held(program: u32) -> bool {
    // SAFETY: a live, aligned map value of this CPU; volatile, because others write it.
    let held = INSIDE.get_ptr_mut(program).is_some_and(|inside| unsafe { inside.read_volatile() } != 0);
    if held && let Some(count) = TAKEN_OVER.get_ptr_mut(program) {
        add_one(count);
    }
    held
}

/// The second program, whole.
#[inline(always)]
pub(crate) fn second<T>(program: u32, body: impl FnOnce() -> T) {
    if is_held(program) {
        preempt::off_at_tracepoint(body);
    }
}
