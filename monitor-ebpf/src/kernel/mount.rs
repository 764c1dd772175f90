//! `struct mount`, `struct vfsmount`, `struct super_block`, `struct mnt_namespace` (kernel `fs/mount.h`,
//! `include/linux/mount.h`, `include/linux/fs.h`).

use monitor_common::offsets::FieldId as F;

use super::task::Task;
use super::{Cast, Object as _, Ptr, offset};

/// `MNT_NS_ANON_INO` (kernel `include/uapi/linux/nsfs.h`, 6.18): every anonymous mount namespace.
const ANONYMOUS_INO: u32 = 0xEFFF_FFF7;

/// What a mount shows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Superblock {
    pub(crate) magic: u64,
    pub(crate) dev: u32,
    pub(crate) block_device: u32,
    /// Address of the file system type's name.
    pub(crate) type_name: u64,
}

/// As [`namespace_of`], but an internal mount keeps its mark, which is no valid address (`MNT_NS_INTERNAL`, kernel
/// `fs/mount.h`).
#[inline(always)]
pub(crate) fn raw_namespace_of(vfsmount: Ptr) -> Cast {
    Cast::mount(vfsmount.container_of(F::MountMnt)).follow(F::MountNs)
}

/// The mount namespace that a `struct vfsmount` belongs to; null for internal and detached mounts.
#[inline(always)]
pub(crate) fn namespace_of(vfsmount: Ptr) -> Ptr {
    let ns = vfsmount.container_of(F::MountMnt).follow(F::MountNs);
    if ns.is_valid() { ns } else { Ptr::NULL }
}

/// Inode number of the namespace a mount belongs to, 0 if it belongs to none or to an anonymous one.
#[inline(always)]
pub(crate) fn namespace_inum(vfsmount: Ptr) -> u32 {
    numbered(super::ns::mnt_inum(namespace_of(vfsmount)))
}

/// The same of a namespace that [`raw_namespace_of`] gave.
#[inline(always)]
pub(crate) fn raw_namespace_inum(namespace: Cast) -> u32 {
    if namespace.address().is_valid() { numbered(namespace.read(F::MntInum)) } else { 0 }
}

#[inline(always)]
fn numbered(inum: u32) -> u32 {
    if inum == ANONYMOUS_INO { 0 } else { inum }
}

/// Facts of the superblock behind a `struct vfsmount`; zeros if there is none.
#[inline(always)]
pub(crate) fn superblock_of(vfsmount: Ptr) -> Superblock {
    let sb = vfsmount.follow(F::VfsmountSb);
    Superblock {
        magic: sb.read(F::SbMagic),
        dev: sb.read(F::SbDev),
        block_device: u32::from(sb.follow(F::SbBdev).0 != 0),
        type_name: sb.follow(F::SbType).read(F::FsTypeName),
    }
}

/// The mount made last in the task's mount namespace, as a `struct vfsmount`; null if it cannot be found.
///
/// From 6.14 on the namespace keeps the last node of its tree, which is ordered by age; from 6.8 the tree has
/// to be walked to the right; before, new mounts are at the end of a list.
#[inline(always)]
pub(crate) fn newest(task: Task) -> Ptr {
    let ns = task.mnt_ns();
    let mount = if offset(F::MntNsLast).is_some() {
        ns.follow(F::MntNsLast).container_of(F::MountNode)
    } else if offset(F::MntNsTree).is_some() && offset(F::MountNode).is_some() {
        let mut node = ns.follow(F::MntNsTree);
        // The limit of mounts is 100,000, and a red-black tree of that many is at most 34 deep.
        for _ in 0..34 {
            let right = node.follow(F::RbRight);
            if right.0 == 0 {
                break;
            }
            node = right;
        }
        node.container_of(F::MountNode)
    } else {
        ns.inside(F::MntNsList).follow(F::ListPrev).container_of(F::MountList)
    };
    mount.inside(F::MountMnt)
}
