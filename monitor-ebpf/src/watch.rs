//! Which files are worth a record: cheap tests of kernel objects, the cheapest first.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str};
use monitor_common::event::why;
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{FILE_NAME_MAX, FileId, FileName, name_use, watch};

use crate::kernel::{Object, Ptr};
use crate::maps::{NAMES, WATCHED, WATCHED_BITS};

/// What kind of file system a superblock magic stands for (kernel `include/uapi/linux/magic.h`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Holds files.
    Ordinary,
    /// Holds the files of images and their changes.
    Overlay,
    /// proc, sysfs: read all the time, reaches into the kernel when written.
    Information,
    /// cgroup, cgroup2.
    Cgroup,
    /// Rarely opened by containers at all.
    Rare,
    /// The files of namespaces.
    Nsfs,
}

impl Kind {
    #[inline(always)]
    pub(crate) fn of(magic: u64) -> Self {
        // Some file systems define their magic as a signed number: only the low half is meant.
        match magic as u32 {
            0x794c_7630 => Self::Overlay,
            0x9fa0 | 0x6265_6572 => Self::Information,
            0x0027_e0eb | 0x6367_7270 => Self::Cgroup,
            // debugfs, tracefs, securityfs, bpf, binfmt_misc, efivarfs, configfs
            0x6462_6720 | 0x7472_6163 | 0x7363_6673 | 0xcafe_4a11 | 0x4249_4e4d | 0xde5e_81e4
            | 0x6265_6570 => Self::Rare,
            magic if u64::from(magic) == NSFS => Self::Nsfs,
            _ => Self::Ordinary,
        }
    }
}

/// Magic of the file system of namespaces.
pub(crate) const NSFS: u64 = 0x6e73_6673;
/// Magic of cgroup v2.
pub(crate) const CGROUP2: u64 = 0x6367_7270;

const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// Why the opening or making of a device node is worth a record; 0 if it is not.
#[inline(always)]
pub(crate) fn device(mode: u32, rdev: impl FnOnce() -> u32) -> u32 {
    match mode & S_IFMT {
        S_IFBLK => why::BLOCK,
        S_IFCHR if !usual(rdev()) => why::CHAR,
        _ => 0,
    }
}

/// The devices that every container is given (invariant I-6), and 0:0, the mark of a file removed in an overlay.
#[inline(always)]
fn usual(rdev: u32) -> bool {
    match (rdev >> 20, rdev & 0xf_ffff) {
        // null, zero, full, random, urandom
        (1, minor) => matches!(minor, 3 | 5 | 7 | 8 | 9),
        // tty, console, ptmx
        (5, minor) => minor <= 2,
        // Pseudo-terminals have eight major numbers (kernel `include/uapi/linux/major.h`).
        (major, _) => major == 0 || (136..=143).contains(&major),
    }
}

/// When a file of this dentry's name is reported: bits of [`name_use`].
#[inline(always)]
fn name_bits(dentry: Ptr, magic: u32) -> u32 {
    let mut key = FileName { name: [0; FILE_NAME_MAX], magic };
    // SAFETY: the helper writes at most FILE_NAME_MAX bytes and checks the source; a name that is cut off matches
    // no key, because keys end with a NUL before their last byte.
    unsafe {
        bpf_probe_read_kernel_str(
            key.name.as_mut_ptr().cast(),
            FILE_NAME_MAX as u32,
            dentry.follow(F::DentryName).0 as *const _,
        );
        NAMES.get(&key).copied().unwrap_or(0)
    }
}

/// True if a file of this name, or in a directory of this name, is one whose change is reported.
#[inline(always)]
pub(crate) fn is_named(dentry: Ptr, parent: Ptr) -> bool {
    name_bits(dentry, 0) & name_use::WRITE != 0 || name_bits(parent, 0) & name_use::INSIDE != 0
}

/// True if reading this file of a kernel's file system is reported.
#[inline(always)]
pub(crate) fn is_information(dentry: Ptr, magic: u64) -> bool {
    name_bits(dentry, magic as u32) & name_use::READ != 0
}

/// True for the name of the attribute that holds file capabilities. `name` is in user memory or the kernel's.
#[inline(always)]
pub(crate) fn is_privilege(name: u64, user: bool) -> bool {
    const WANTED: [u64; 3] = words(b"security.capability");
    let mut text = [0u64; 3];
    // SAFETY: the helpers write at most 24 bytes and check the source.
    unsafe {
        let to = text.as_mut_ptr().cast();
        if user {
            bpf_probe_read_user_str(to, 24, name as *const _);
        } else {
            bpf_probe_read_kernel_str(to, 24, name as *const _);
        }
    }
    text[0] == WANTED[0] && text[1] == WANTED[1] && text[2] == WANTED[2]
}

/// A string as whole words, which compare without a loop.
const fn words(text: &[u8]) -> [u64; 3] {
    let mut bytes = [[0u8; 8]; 3];
    let mut at = 0;
    while at < text.len() {
        bytes[at / 8][at % 8] = text[at];
        at += 1;
    }
    [u64::from_ne_bytes(bytes[0]), u64::from_ne_bytes(bytes[1]), u64::from_ne_bytes(bytes[2])]
}

/// Bytes of a path in user memory that are looked through; a longer one is reported whatever it names.
const USER_PATH: usize = 128;

/// True if a path in user memory names a file whose change is reported; `parent` is where it begins. The path may be
/// changed while it is read: this decides only whether there is a record.
#[inline(always)]
pub(crate) fn is_named_by_user(path: u64, parent: Ptr) -> bool {
    let mut text = [0u8; USER_PATH];
    // SAFETY: the helper writes at most USER_PATH bytes and checks the source.
    let got =
        unsafe { bpf_probe_read_user_str(text.as_mut_ptr().cast(), USER_PATH as u32, path as *const _) };
    if got == USER_PATH as i64 {
        return true;
    }
    // Where the last component begins, and the one before it; both unknown to the verifier, so that the rounds of
    // the loop look alike to it.
    let (mut last, mut before) = (hidden(0, got), hidden(0, got));
    for (at, byte) in text.iter().enumerate() {
        // SAFETY: inside the array; volatile, so that the compiler does not look at several bytes at once.
        if unsafe { core::ptr::read_volatile(byte) } == b'/' {
            before = last;
            last = hidden(at as u64 + 1, got);
        }
    }
    if user_name_bits(path + last) & name_use::WRITE != 0 {
        return true;
    }
    if last == 0 {
        return name_bits(parent, 0) & name_use::INSIDE != 0;
    }
    // The component ends at the slash before the last one.
    let mut key = FileName { name: [0; FILE_NAME_MAX], magic: 0 };
    let mut len = last.wrapping_sub(before).wrapping_sub(1);
    if len >= FILE_NAME_MAX as u64 {
        return false;
    }
    len &= 31;
    // SAFETY: the helper writes fewer than FILE_NAME_MAX bytes and checks the source.
    unsafe {
        bpf_probe_read_user(key.name.as_mut_ptr().cast(), len as u32, (path + before) as *const _);
        NAMES.get(&key).copied().unwrap_or(0) & name_use::INSIDE != 0
    }
}

/// When a file is reported whose name is this one in user memory.
#[inline(always)]
fn user_name_bits(name: u64) -> u32 {
    let mut key = FileName { name: [0; FILE_NAME_MAX], magic: 0 };
    // SAFETY: the helper writes at most FILE_NAME_MAX bytes and checks the source.
    unsafe {
        bpf_probe_read_user_str(key.name.as_mut_ptr().cast(), FILE_NAME_MAX as u32, name as *const _);
        NAMES.get(&key).copied().unwrap_or(0)
    }
}

/// The value, of which the verifier knows nothing any more; `unknown` must come from a helper. Ways that differ in it
/// alone meet again here, and what follows (a loop, most of all) is looked at once instead of once for each of them.
#[inline(always)]
pub(crate) fn hidden(mut value: u64, unknown: i64) -> u64 {
    // SAFETY: arithmetic on registers.
    unsafe {
        core::arch::asm!(
            "{v} ^= {m}",
            "{v} ^= {m}",
            v = inout(reg) value,
            m = in(reg) unknown,
            options(nomem, nostack, preserves_flags)
        );
    }
    value
}

/// The verdict on a file as one number that the verifier knows nothing about: it would follow each of the many
/// verdicts that it can tell apart through all of the record's writing.
///
/// What is mixed in and out again comes from a helper, so that it is unknown.
#[inline(always)]
pub(crate) fn seal(why: u32, class: u32, unknown: u32) -> u64 {
    let mix = u64::from(unknown) << 32 | u64::from(unknown);
    hidden(u64::from(why) | u64::from(class) << 32, mix as i64)
}

/// Takes a sealed verdict apart: reasons and classes.
#[inline(always)]
pub(crate) fn unseal(sealed: u64) -> (u32, u32) {
    (sealed as u32, (sealed >> 32) as u32)
}

/// Classes of an inode.
#[inline(always)]
pub(crate) fn class_of(inode: Ptr) -> u32 {
    class_on(inode, inode.follow(F::InodeSb).read(F::SbDev))
}

/// The same where the device of its superblock is known.
#[inline(always)]
fn class_on<P: Object>(inode: P, dev: u32) -> u32 {
    let id = FileId { ino: inode.read(F::InodeIno), dev, reserved: 0 };
    let bit = id.bit();
    if WATCHED_BITS.get(bit / 64).is_none_or(|word| word >> (bit % 64) & 1 == 0) {
        return 0;
    }
    // SAFETY: one aligned u32 is read.
    unsafe { WATCHED.get(&id) }.copied().unwrap_or(0)
}

/// Most directories between a file and the root of its mount that are looked at.
const DEPTH: u32 = 24;

/// Where a file on an ordinary file system lies: classes of itself and of what is above it, and whether it lies
/// below the root of its mount.
///
/// Host directories reach a container only by bind mounts. So the mount's root tells in one look whether something
/// watched can lie below it; only then, or if the mount shows a part of a file system, the way up is walked.
#[inline(always)]
pub(crate) fn place<P: Object>(vfsmount: P, dentry: P, inode: P, sb: P) -> (u32, u32) {
    let root = vfsmount.follow(F::VfsmountRoot);
    // Everything up to the mount's root is on one superblock.
    let dev = sb.read(F::SbDev);
    let mut class = class_on(inode, dev);
    let above = class_on(root.follow(F::DentryInode), dev);
    let part = root.address() != sb.follow(F::SbRoot).address();
    let mut unreachable = 0;
    if above != 0 || part {
        let mut at = dentry;
        // DEPTH bounds the loop; what lies deeper counts as reachable.
        for _ in 0..DEPTH {
            if above != 0 {
                class |= class_on(at.follow(F::DentryInode), dev);
            }
            if at.address() == root.address() {
                break;
            }
            let parent = at.follow(F::DentryParent);
            if parent.address() == at.address() {
                unreachable = why::UNREACHABLE;
                break;
            }
            at = parent;
        }
    }
    (class & !watch::ABOVE, unreachable)
}
