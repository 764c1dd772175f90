//! Execs by the host: of a container's file, and by helpers of the kernel (invariants I-12 and I-13). Every exec of the
//! host passes here: what is none of the two must cost next to nothing.

use monitor_common::event::{EventKind, HostExec};
use monitor_common::offsets::FieldId as F;

use crate::emit::{PATH_MAX, Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::task::Task;
use crate::kernel::{Ptr, file, mount, overlay};
use crate::storage;

/// Looks at an exec of a task of the host.
#[inline(always)]
pub(super) fn look(executable: Ptr, inode: Ptr) {
    let container = storage::owner(executable.follow(F::FileMnt), inode.follow(F::InodeSb));
    let helper = Task::current().parent().is_kernel_thread();
    if container != 0 || helper {
        report(executable, inode, container, u32::from(helper));
    }
}

#[inline(never)]
fn report(executable: Ptr, inode: Ptr, container: u64, helper: u32) {
    let subject = Subject::anyone();
    let vfsmount = executable.follow(F::FileMnt);
    let Some(mut out) =
        reserve::<HostExec, { PATH_MAX + STRING_MAX + 16 }>(Ring::Critical, EventKind::HostExec, &subject)
    else {
        return;
    };
    let facts = file::inode(inode);
    let body = out.body_ptr();
    // Field by field: a whole record on the stack would leave too little of its 512 bytes.
    // SAFETY: `body` is the slot's payload, writable and aligned; every field is written.
    unsafe {
        (*body).exe_container = container;
        (*body).exe_ino = facts.ino;
        (*body).exe_magic = facts.magic;
        (*body).exe_ctime = facts.ctime;
        (*body).exe_dev = facts.dev;
        (*body).exe_mnt_ns = mount::namespace_inum(vfsmount);
        (*body).exe_nlink = facts.nlink;
        (*body).exe_layer = overlay::layer_of(inode, facts.magic);
        (*body).helper = helper;
        (*body).ppid = subject.task.ppid();
    }
    out.path((vfsmount, executable.follow(F::FileDentry)), (Ptr::NULL, Ptr::NULL));
    let (start, end) = subject.task.arguments();
    out.user_bytes::<STRING_MAX>(start, end.wrapping_sub(start), 0);
    out.submit(&subject, 0);
}
