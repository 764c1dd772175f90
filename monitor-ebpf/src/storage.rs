//! Which files are a container's: those on the overlay that is its root, which no other container has, and those
//! reached through its mount namespace.

use monitor_common::counters::Counter;
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{ContainerEntry, KEY_MNT_NS, storage_of_device};

use crate::kernel::overlay::OVERLAY_MAGIC;
use crate::kernel::task::Task;
use crate::kernel::{Ptr, mount, ns};
use crate::maps::{CONTAINERS, STORAGE, config, count};

/// Remembers a container that its task enters now, and its files. Not inlined: only the stack that it needs counts
/// against what is done after it.
#[inline(never)]
pub(crate) fn enter(task: Task, container: u64, now: u64) {
    let own = task.mnt_ns();
    let root = task.root().1.follow(F::DentryInode).follow(F::InodeSb);
    let dev: u32 = root.read(F::SbDev);
    let mut entry = ContainerEntry { entered: now, ..ContainerEntry::default() };
    // One without a cgroup of its own is known by its mount namespace alone: it may be an engine's that lives in one (a
    // snap), and nothing says when it is gone.
    if container & KEY_MNT_NS == 0 {
        if ns::mnt_inum(own) != config!(host_mnt_ns) {
            entry.mnt_id = own.read(F::MntId);
        }
        if root.read::<u64>(F::SbMagic) == OVERLAY_MAGIC && dev != config!(host_root_dev) {
            entry.root_dev = dev;
        }
    } else {
        entry.known_by = own.read::<u64>(F::MntId) as u32;
    }
    for key in entry.storage() {
        if key != 0 && STORAGE.insert(&key, &container, 0).is_err() {
            count(Counter::StorageFull);
        }
    }
    if CONTAINERS.insert(&container, &entry, 0).is_err() {
        count(Counter::ContainersFull);
    }
}

/// Forgets the files of a container that is gone.
#[inline(always)]
pub(crate) fn forget(container: u64) {
    let Some(entry) = CONTAINERS.get_ptr(&container) else { return };
    // SAFETY: a live map value; a copy of it could only be older.
    let keys = unsafe { (*entry).storage() };
    for key in keys {
        if key != 0 && owner_of(key) == container {
            let _ = STORAGE.remove(&key);
        }
    }
}

/// The container whose file this is, 0 for none: an open file, and its superblock.
#[inline(always)]
pub(crate) fn owner(vfsmount: Ptr, sb: Ptr) -> u64 {
    let owner = owner_of(storage_of_device(sb.read(F::SbDev)));
    // The device of an overlay that is gone may be another file system's by now.
    if owner != 0 && sb.read::<u64>(F::SbMagic) == OVERLAY_MAGIC {
        return owner;
    }
    match mount::namespace_of(vfsmount).read::<u64>(F::MntId) {
        0 => 0,
        id => owner_of(id),
    }
}

#[inline(always)]
fn owner_of(key: u64) -> u64 {
    // SAFETY: one aligned u64 is read.
    unsafe { STORAGE.get(&key) }.copied().unwrap_or(0)
}
