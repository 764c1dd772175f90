//! The file behind a program: what identifies it, and what was found out about its contents.

use crate::container::ContainerKey;

/// File systems whose server may keep a reader waiting for as long as it likes, some of them from inside a container
/// (kernel `include/uapi/linux/magic.h`, and the file systems' own headers): FUSE, NFS, SMB three times, 9P, Ceph, AFS,
/// Coda, Lustre.
const REMOTE: &[u64] = &[
    0x6573_5546,
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x0bd0_0bd0,
];
const TMPFS: u64 = 0x0102_1994;
const HUGETLBFS: u64 = 0x9584_58f6;

/// An executable as the kernel saw it at an exec, and where to look for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executable {
    /// Container that executed it.
    pub container: ContainerKey,
    /// Process that executed it.
    pub pid: u32,
    /// First process of the container, under whose root the path holds too.
    pub root_pid: u32,
    /// Path in the container, as the kernel resolved it.
    pub path: Vec<u8>,
    /// Kernel device number of the superblock.
    pub dev: u32,
    /// Inode number.
    pub ino: u64,
    /// Change time of the inode, seconds since the epoch.
    pub ctime: i64,
    /// Superblock magic.
    pub magic: u64,
    /// `monitor_common::event::layer`.
    pub layer: u32,
    /// Hard links; 0 for a file without a name.
    pub nlink: u32,
    /// Mount namespace that its mount belongs to; 0 if internal.
    pub mnt_ns: u32,
}

impl Executable {
    /// `file`, `deleted` for one that has no name any more, or `memfd`.
    pub const fn kind(&self) -> &'static str {
        match (self.nlink, self.mnt_ns, self.magic) {
            (0, 0, TMPFS | HUGETLBFS) => "memfd",
            (0, ..) => "deleted",
            _ => "file",
        }
    }

    /// True if reading it may take for ever.
    pub fn is_remote(&self) -> bool {
        REMOTE.contains(&self.magic)
    }
}

/// What became of hashing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// SHA-256 of its contents.
    Hashed([u8; 32]),
    /// It is larger than the limit.
    TooLarge,
    /// Its file system may keep a reader waiting.
    Remote,
    /// Neither process nor path led to it any more.
    Gone,
    /// It changed while it was read.
    Changed,
    /// It could not be opened or read.
    Unreadable,
    /// Its file system did not answer in time, or too many others had not.
    Unanswered,
}

impl Outcome {
    /// The names of all of them.
    pub const NAMES: &'static [&'static str] =
        &["hashed", "too_large", "remote", "gone", "changed", "unreadable", "unanswered"];

    /// The name in output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hashed(_) => "hashed",
            Self::TooLarge => "too_large",
            Self::Remote => "remote",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
            Self::Unanswered => "unanswered",
        }
    }

    /// True if the next exec may have more luck.
    pub const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Gone | Self::Changed | Self::Unreadable)
    }
}

/// The answer to one question about an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// Which file.
    pub file: Executable,
    /// Its size in bytes, where it was found.
    pub size: Option<u64>,
    /// What became of it.
    pub outcome: Outcome,
    /// Files that were read since the start, this one included.
    pub files_read: u64,
    /// False if the same was said before.
    pub is_news: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_a_name_are_told_apart() {
        let kind = |nlink, mnt_ns, magic| Executable { nlink, mnt_ns, magic, ..Executable::default() }.kind();
        assert_eq!((kind(1, 7, 0xef53), kind(0, 7, 0xef53)), ("file", "deleted"));
        assert_eq!((kind(0, 0, TMPFS), kind(0, 7, TMPFS)), ("memfd", "deleted"));
        assert!(Executable { magic: REMOTE[0], ..Executable::default() }.is_remote());
        assert!(!Executable { magic: TMPFS, ..Executable::default() }.is_remote());
    }
}
