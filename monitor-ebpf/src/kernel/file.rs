//! `struct file`, `struct dentry`, `struct inode` (kernel `include/linux/fs.h`, `include/linux/dcache.h`).

use monitor_common::offsets::FieldId as F;
use monitor_common::policy::FileId;

use super::{Object, Ptr};

/// What Bulkhead reads of an inode.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inode {
    pub(crate) ino: u64,
    pub(crate) ctime: i64,
    pub(crate) magic: u64,
    pub(crate) dev: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) nlink: u32,
}

/// Facts of an inode; zeros where it cannot be read.
#[inline(always)]
pub(crate) fn inode(inode: Ptr) -> Inode {
    let sb = inode.follow(F::InodeSb);
    Inode {
        ino: inode.read(F::InodeIno),
        ctime: inode.read(F::InodeCtime),
        magic: sb.read(F::SbMagic),
        dev: sb.read(F::SbDev),
        mode: u32::from(inode.read::<u16>(F::InodeMode)),
        uid: inode.read(F::InodeUid),
        nlink: inode.read(F::InodeNlink),
    }
}

/// Device and inode number of an inode, the key of `TRUSTED`.
#[inline(always)]
pub(crate) fn id(inode: Ptr) -> FileId {
    FileId { ino: inode.read(F::InodeIno), dev: inode.follow(F::InodeSb).read(F::SbDev), reserved: 0 }
}

/// The inode behind an open file.
#[inline(always)]
pub(crate) fn inode_of<P: Object>(file: P) -> P {
    file.follow(F::FileInode)
}
