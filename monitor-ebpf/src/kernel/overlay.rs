//! `struct ovl_inode` (kernel `fs/overlayfs/ovl_entry.h`): which layer of an overlay a file comes from.

use monitor_common::event::layer;
use monitor_common::offsets::FieldId as F;

use super::{Ptr, offset};

/// `OVERLAYFS_SUPER_MAGIC`, kernel `include/uapi/linux/magic.h`.
pub(crate) const OVERLAY_MAGIC: u64 = 0x794c_7630;

/// The layer that an inode comes from (`monitor_common::event::layer`); `magic` is its superblock's.
///
/// An inode of an overlay is embedded in a `struct ovl_inode`, whose `__upperdentry` is set as soon as the file
/// exists in the upper layer: made there, or copied up by a write, a chmod or a chown.
#[inline(always)]
pub(crate) fn layer_of(inode: Ptr, magic: u64) -> u32 {
    if magic != OVERLAY_MAGIC {
        return layer::NONE;
    }
    if offset(F::OvlUpper).is_none() {
        return layer::UNKNOWN;
    }
    if inode.follow(F::OvlUpper) == Ptr::NULL { layer::LOWER } else { layer::UPPER }
}
