//! File systems by the magic number of their superblock (kernel `include/uapi/linux/magic.h`).

use super::types::Value;

pub(super) const TMPFS: u64 = 0x0102_1994;
pub(super) const HUGETLBFS: u64 = 0x9584_58f6;

/// File systems that a container must not mount anew: they reach into the kernel or show what the runtime
/// had masked. devtmpfs is missing because it has the magic of tmpfs: see `mount.rs`.
const FORBIDDEN: &[(u64, &str)] = &[
    (0x0000_9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xcafe_4a11, "bpf"),
    (0x4249_4e4d, "binfmt_misc"),
    (0xde5e_81e4, "efivarfs"),
    (0x6265_6570, "configfs"),
];

const OTHERS: &[(u64, &str)] = &[
    (TMPFS, "tmpfs"),
    (0x794c_7630, "overlay"),
    (0x0000_ef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x6e73_6673, "nsfs"),
    (0x0000_1cd1, "devpts"),
    (0x6573_5546, "fuse"),
    (0x0000_6969, "nfs"),
    (0x1980_0202, "mqueue"),
    (0x7371_7368, "squashfs"),
    (0xe0f5_e1e2, "erofs"),
    (0x0000_4d44, "vfat"),
    (0x0000_9660, "iso9660"),
    (0x8584_58f6, "ramfs"),
    (HUGETLBFS, "hugetlbfs"),
];

fn named(table: &[(u64, &'static str)], magic: u64) -> Option<&'static str> {
    // Some file systems define their magic as a signed number: only the low half is meant.
    let low = magic & 0xffff_ffff;
    table.iter().find(|(known, _)| *known == low).map(|(_, name)| *name)
}

/// The name of the file system if a container must not mount it anew.
pub(super) fn forbidden(magic: u64) -> Option<&'static str> {
    named(FORBIDDEN, magic)
}

/// The file system as evidence: its name, or the number if we have none.
pub(super) fn value(magic: u64) -> Value {
    match forbidden(magic).or_else(|| named(OTHERS, magic)) {
        Some(name) => Value::Word(name),
        None => Value::Hex(magic),
    }
}
