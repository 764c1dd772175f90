//! Changes of the file tree: renames, links, removals, special files, attributes. The hooks are those that get a
//! path, which an overlay calls once, and not again for the file below it.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::event::{EventKind, FileChange, change_op as op, why};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;

use crate::emit::{PATH_MAX, Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, file};
use crate::maps::config;
use crate::preempt;
use crate::watch::{self, Kind};

/// Path, empty name, other string.
const TAIL: usize = PATH_MAX + STRING_MAX + 16;

const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;
const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;
const S_IXGRP: u32 = 0o0010;

/// What a flood of would drown what matters more.
const COMMON: u32 = why::NAMED | why::CHAR | why::SETID;

/// A change of the file tree.
pub(crate) struct Change {
    pub(crate) op: u32,
    /// Mount that it was reached through.
    pub(crate) vfsmount: Ptr,
    pub(crate) dentry: Ptr,
    /// New file mode, 0 to read that of the inode.
    pub(crate) mode: u32,
    pub(crate) rdev: u32,
    /// Reasons to report it that the caller knows.
    pub(crate) why: u32,
    /// A string in kernel memory, 0 for none.
    pub(crate) other: u64,
    pub(crate) ret: i32,
    /// 1 if `ret` is the result of the call.
    pub(crate) is_final: u32,
}

impl Change {
    #[inline(always)]
    fn new(op: u32, path: Ptr, dentry: Ptr, ret: i32) -> Self {
        Self {
            op,
            vfsmount: path.follow(F::PathMnt),
            dentry,
            mode: 0,
            rdev: 0,
            why: 0,
            other: 0,
            ret,
            is_final: 0,
        }
    }

    /// Reports it, if there is a reason to.
    #[inline(always)]
    pub(crate) fn report(self, subject: &Subject) -> Option<()> {
        let inode = self.dentry.follow(F::DentryInode);
        let sb = self.vfsmount.follow(F::VfsmountSb);
        // The ways on which they were found are no longer told apart.
        let unknown = i64::from(subject.tid);
        let (mut why, mut class) = (watch::hidden(u64::from(self.why), unknown) as u32, 0);
        let node = watch::hidden(u64::from(self.mode) << 32 | u64::from(self.rdev), unknown);
        match Kind::of(sb.read(F::SbMagic)) {
            kind @ (Kind::Overlay | Kind::Ordinary) => {
                if kind == Kind::Ordinary {
                    let unreachable;
                    (class, unreachable) = watch::place(self.vfsmount, self.dentry, inode, sb);
                    why |= unreachable;
                    if class != 0 {
                        why |= why::WATCHED;
                    }
                }
                if watch::is_named(self.dentry, self.dentry.follow(F::DentryParent)) {
                    why |= why::NAMED;
                }
            }
            Kind::Nsfs => {}
            Kind::Cgroup | Kind::Information | Kind::Rare => why |= why::KERNEL_WRITE,
        }
        if why == 0 && subject.container != KEY_CANARY {
            return None;
        }
        let verdict = watch::seal(why, class, subject.tid);
        let place = Place { vfsmount: self.vfsmount, dentry: self.dentry, other: self.other };
        let op = self.op | self.is_final << 16;
        let result = u64::from(op) << 32 | u64::from(self.ret as u32);
        write(subject, &place, result, node, verdict);
        Some(())
    }
}

/// Where a change is made.
struct Place {
    vfsmount: Ptr,
    dentry: Ptr,
    other: u64,
}

/// Writes the record. `result` is operation, whether the result is final (from bit 48 on), and result, `node` mode and device: five arguments are the most that a
/// function can have.
#[inline(never)]
fn write(subject: &Subject, place: &Place, result: u64, node: u64, verdict: u64) {
    let _ = try_write(subject, place, result, node, verdict);
}

#[inline(always)]
fn try_write(subject: &Subject, place: &Place, result: u64, node: u64, verdict: u64) -> Option<()> {
    let (why, class) = watch::unseal(verdict);
    let ring = if why & !COMMON == 0 { Ring::Bulk } else { Ring::Critical };
    let mut out = reserve::<FileChange, TAIL>(ring, EventKind::FileChange, subject)?;
    let inode = place.dentry.follow(F::DentryInode);
    let facts = file::inode(inode);
    // What is new has no inode yet.
    let sb = if inode.0 == 0 {
        place.dentry.follow(F::DentryParent).follow(F::DentryInode).follow(F::InodeSb)
    } else {
        inode.follow(F::InodeSb)
    };
    let mode = (node >> 32) as u32;
    out.body(FileChange {
        ino: facts.ino,
        magic: sb.read(F::SbMagic),
        op: (result >> 32) as u32 & 0xffff,
        ret: result as i32,
        dev: sb.read(F::SbDev),
        mode: if mode != 0 { mode } else { facts.mode },
        rdev: node as u32,
        why,
        class,
        is_final: (result >> 48) as u32,
    });
    // A file of a kernel's file system is named up to the root of that, whatever it is mounted or bound as.
    let vfsmount = if why & why::KERNEL_WRITE != 0 { Ptr::NULL } else { place.vfsmount };
    out.path((vfsmount, place.dentry), (Ptr::NULL, Ptr::NULL));
    out.empty();
    out.kernel_string(place.other, 0);
    out.submit(subject, 0);
    Some(())
}

/// The task, unless it sets a container up.
#[inline(always)]
fn subject() -> Option<Subject> {
    let subject = Subject::current()?;
    if subject.runtime { None } else { Some(subject) }
}

/// `int security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir,
/// struct dentry *new_dentry, unsigned int flags)`, kernel `security/security.c`.
#[fexit(function = "security_path_rename")]
fn change_rename(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        let (old, new) = (Ptr(ctx.arg::<u64>(1)), Ptr(ctx.arg::<u64>(3)));
        moved(op::RENAME, old, Ptr(ctx.arg::<u64>(2)), new, ctx.arg::<i32>(5));
    });
    0
}

/// `int security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`,
/// kernel `security/security.c`.
#[fexit(function = "security_path_link")]
fn change_link(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        let (old, new) = (Ptr(ctx.arg::<u64>(0)), Ptr(ctx.arg::<u64>(2)));
        moved(op::LINK, old, Ptr(ctx.arg::<u64>(1)), new, ctx.arg::<i32>(3));
    });
    0
}

/// A file gets another name: the old one is looked at as well.
#[inline(always)]
fn moved(op: u32, old: Ptr, path: Ptr, new: Ptr, ret: i32) -> Option<()> {
    let subject = subject()?;
    let mut change = Change::new(op, path, new, ret);
    if watch::class_of(old.follow(F::DentryInode)) & !monitor_common::policy::watch::ABOVE != 0 {
        change.why |= why::WATCHED;
    }
    if watch::is_named(old, old.follow(F::DentryParent)) {
        change.why |= why::NAMED;
    }
    change.other = old.follow(F::DentryName).0;
    change.report(&subject)
}

/// `int security_path_unlink(const struct path *dir, struct dentry *dentry)`, kernel `security/security.c`.
#[fexit(function = "security_path_unlink")]
fn change_unlink(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        unlinked(&ctx);
    });
    0
}

#[inline(always)]
fn unlinked(ctx: &FExitContext) -> Option<()> {
    let subject = subject()?;
    let (path, dentry) = (Ptr(ctx.arg::<u64>(0)), Ptr(ctx.arg::<u64>(1)));
    Change::new(op::UNLINK, path, dentry, ctx.arg(2)).report(&subject)
}

/// `int security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`, kernel
/// `security/security.c`.
#[fexit(function = "security_path_symlink")]
fn change_symlink(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        linked_by_name(&ctx);
    });
    0
}

#[inline(always)]
fn linked_by_name(ctx: &FExitContext) -> Option<()> {
    let subject = subject()?;
    let (path, dentry) = (Ptr(ctx.arg::<u64>(0)), Ptr(ctx.arg::<u64>(1)));
    let change = Change { other: ctx.arg(2), ..Change::new(op::SYMLINK, path, dentry, ctx.arg(3)) };
    change.report(&subject)
}

/// `int security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`, kernel
/// `security/security.c`; also called for every regular file that an open makes, which is dropped at once. `dev`
/// is as user space encodes it.
#[fexit(function = "security_path_mknod")]
fn change_mknod(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        made_node(&ctx);
    });
    0
}

#[inline(always)]
fn made_node(ctx: &FExitContext) -> Option<()> {
    let mode = ctx.arg::<u32>(2) & 0xffff;
    if mode & S_IFMT != S_IFCHR && mode & S_IFMT != S_IFBLK {
        return None;
    }
    let subject = subject()?;
    let rdev = decode_device(ctx.arg::<u32>(3));
    let (path, dentry) = (Ptr(ctx.arg::<u64>(0)), Ptr(ctx.arg::<u64>(1)));
    let why = watch::device(mode, || rdev);
    let change = Change { mode, rdev, why, ..Change::new(op::MKNOD, path, dentry, ctx.arg(4)) };
    change.report(&subject)
}

/// `new_decode_dev()`, kernel `include/linux/kdev_t.h`, as major << 20 | minor.
#[inline(always)]
pub(crate) fn decode_device(dev: u32) -> u32 {
    let major = (dev & 0xf_ff00) >> 8;
    let minor = (dev & 0xff) | ((dev >> 12) & 0xf_ff00);
    major << 20 | minor
}

/// Why a new file mode is worth a record.
#[inline(always)]
pub(crate) fn setid(mode: u32) -> u32 {
    // Set-group-ID without execution meant mandatory locks, and on a directory means inheritance.
    if mode & S_ISUID != 0 || mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP { why::SETID } else { 0 }
}

/// `int security_path_chmod(const struct path *path, umode_t mode)`, kernel `security/security.c`.
#[fexit(function = "security_path_chmod")]
fn change_chmod(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        let mode = ctx.arg::<u32>(1) & 0o7777;
        attribute(op::CHMOD, Ptr(ctx.arg::<u64>(0)), mode, ctx.arg(2));
    });
    0
}

/// `int security_path_chown(const struct path *path, kuid_t uid, kgid_t gid)`, kernel `security/security.c`.
#[fexit(function = "security_path_chown")]
fn change_chown(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        attribute(op::CHOWN, Ptr(ctx.arg::<u64>(0)), 0, ctx.arg(3));
    });
    0
}

/// `int security_path_truncate(const struct path *path)`, kernel `security/security.c`.
#[fexit(function = "security_path_truncate")]
fn change_truncate(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        attribute(op::TRUNCATE, Ptr(ctx.arg::<u64>(0)), 0, ctx.arg(1));
    });
    0
}

#[inline(always)]
fn attribute(op: u32, path: Ptr, mode: u32, ret: i32) -> Option<()> {
    let subject = subject()?;
    let mut change = Change::new(op, path, path.follow(F::PathDentry), ret);
    if mode != 0 {
        let is = u32::from(change.dentry.follow(F::DentryInode).read::<u16>(F::InodeMode)) & S_IFMT;
        const S_IFREG: u32 = 0o100_000;
        change.why = if is == S_IFREG { setid(mode) } else { 0 };
        change.mode = is | mode;
    }
    change.report(&subject)
}

/// `int security_file_truncate(struct file *file)`, kernel `security/security.c`, 6.2 and later.
#[fexit(function = "security_file_truncate")]
fn change_file_truncate(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        truncated(Ptr(ctx.arg::<u64>(0)), ctx.arg(1));
    });
    0
}

#[inline(always)]
fn truncated(opened: Ptr, ret: i32) -> Option<()> {
    let subject = subject()?;
    let vfsmount = opened.follow(F::FileMnt);
    let dentry = opened.follow(F::FileDentry);
    let change =
        Change { op: op::TRUNCATE, vfsmount, dentry, mode: 0, rdev: 0, why: 0, other: 0, ret, is_final: 0 };
    change.report(&subject)
}

/// `int security_inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name, const void *value,
/// size_t size, int flags)`, kernel `security/security.c`; without the first argument before 5.12, where the verifier
/// refuses to read as many as there are since.
#[fexit(function = "security_inode_setxattr")]
fn change_setxattr(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        if config!(setxattr_idmap) == 1 {
            attribute_set(Ptr(ctx.arg::<u64>(1)), ctx.arg(2), ctx.arg(6));
        } else {
            attribute_set(Ptr(ctx.arg::<u64>(0)), ctx.arg(1), ctx.arg(5));
        }
    });
    0
}

/// There is no path here, so the file is named up to the root of its file system.
#[inline(always)]
fn attribute_set(dentry: Ptr, name: u64, ret: i32) -> Option<()> {
    let subject = subject()?;
    let class = watch::class_of(dentry.follow(F::DentryInode)) & !monitor_common::policy::watch::ABOVE;
    let mut why = if class != 0 { why::WATCHED } else { 0 };
    if watch::is_privilege(name, false) {
        why |= why::SETID;
    }
    if why == 0 && subject.container != KEY_CANARY {
        return None;
    }
    let place = Place { vfsmount: Ptr::NULL, dentry, other: name };
    let result = u64::from(op::SETXATTR) << 32 | u64::from(ret as u32);
    write(&subject, &place, result, 0, watch::seal(why, class, subject.tid));
    Some(())
}
