//! Files opened through a mount that is not the task's own (invariant I-4).

use monitor_common::event::{EventKind, FileOpen};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;

use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, file, mount, ns};

/// Reports an open file whose mount belongs to another mount namespace. Internal mounts (pipes, sockets,
/// memfd), detached ones and those of anonymous namespaces are the task's own making.
#[inline(always)]
pub(crate) fn check_foreign(subject: &Subject, opened: Ptr, ret: i32) -> Option<()> {
    let vfsmount = opened.follow(F::FileMnt);
    let namespace = mount::namespace_of(vfsmount);
    let own = subject.task.mnt_ns();
    let inum = mount::namespace_inum(vfsmount);
    let foreign = namespace != own && inum != 0;
    if !foreign && subject.container != KEY_CANARY {
        return None;
    }
    let facts = file::inode(file::inode_of(opened));
    let mut out = reserve::<FileOpen, { PATH_MAX + 16 }>(Ring::Critical, EventKind::FileOpen, subject)?;
    out.body(FileOpen {
        ino: facts.ino,
        magic: facts.magic,
        file_mnt_ns: inum,
        mnt_ns: ns::mnt_inum(own),
        dev: facts.dev,
        mode: facts.mode,
        flags: opened.read(F::FileFlags),
        ret,
    });
    out.path((vfsmount, opened.follow(F::FileDentry)), (Ptr::NULL, Ptr::NULL));
    out.submit(subject, 0);
    Some(())
}
