//! Files opened: judged by kernel objects, never by the name that the program gave.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::event::{EventKind, FileOpen, why};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::KEY_CANARY;
use monitor_common::policy::watch::LOG;

use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::task::Task;
use crate::kernel::{Cast, Known, Object, Ptr, file, mount, ns, overlay};
use crate::listed::Listed;
use crate::preempt;
use crate::watch::{self, CGROUP2, Kind, NSFS};

/// Access modes other than reading, and `O_TRUNC` (`include/uapi/asm-generic/fcntl.h`).
const WRITING: u32 = 0o3 | 0o1000;

/// What a flood of would drown what matters more.
const COMMON: u32 = why::NAMED | why::NAMESPACE | why::CHAR | why::KERNEL_READ;

/// `int security_file_open(struct file *file)`, kernel `security/security.c`; also reached by io_uring and by
/// 32-bit calls.
#[fexit(function = "security_file_open")]
fn security_file_open(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_file_open(Known::argument(ctx.arg::<u64>(0)), ctx.arg::<i32>(1));
    });
    0
}

#[inline(always)]
fn try_file_open(opened: Known, ret: i32) -> Option<()> {
    let task = Task::known();
    let is_done = match Listed::of(task) {
        Some(listed) => {
            let mount = Mounted::of(opened);
            is_quiet_on(listed, opened, mount)
                && !listed.has_changed_beside(Some((mount.vfsmount.address(), mount.namespace.address())))
        }
        // The host's, mostly.
        None => !filter::is_unlisted(task),
    };
    if is_done {
        return None;
    }
    let subject = Subject::current()?;
    if subject.runtime {
        return None;
    }
    filter::compare_creds(&subject, Task::known());
    filter::compare(&subject, Task::known());
    check_open(&subject, opened, ret, 0)
}

/// Reports an open file if there is a reason to; `reasons` are those that the caller knows.
#[inline(always)]
pub(crate) fn check_open<P: Object>(subject: &Subject, opened: P, ret: i32, reasons: u32) -> Option<()> {
    let mount = Mounted::of(opened);
    let (why, class) = judge(subject.container == KEY_CANARY, Task::known(), opened, mount)?;
    let why = why | reasons;
    if why == 0 && subject.container != KEY_CANARY {
        return None;
    }
    report(subject, opened.address(), ret, watch::seal(why, class, subject.tid));
    Some(())
}

/// True if there is nothing to report of what a task has opened: as [`check_open`], without a [`Subject`].
#[inline(always)]
pub(crate) fn is_quiet<P: Object>(listed: Listed, opened: P) -> bool {
    is_quiet_on(listed, opened, Mounted::of(opened))
}

#[inline(always)]
fn is_quiet_on<P: Object>(listed: Listed, opened: P, mount: Mounted<P>) -> bool {
    if listed.is_runtime() {
        return true;
    }
    listed.container() != KEY_CANARY
        && judge(false, listed.task, opened, mount).is_none_or(|(why, _)| why == 0)
}

/// The mount of an open file, and the namespace of that.
#[derive(Clone, Copy)]
struct Mounted<P> {
    vfsmount: P,
    namespace: Cast,
}

impl<P: Object> Mounted<P> {
    #[inline(always)]
    fn of(opened: P) -> Self {
        let vfsmount = opened.follow(F::FileMnt);
        Self { vfsmount, namespace: mount::raw_namespace_of(vfsmount.address()) }
    }
}

/// Why an open is worth a record, and which watched objects it is of; `None` for what is no file of the container's
/// making. `canary`: whether everything is to be judged; `task` is the current one.
#[inline(always)]
fn judge<P: Object>(canary: bool, task: Task<Known>, opened: P, mount: Mounted<P>) -> Option<(u32, u32)> {
    let Mounted { vfsmount, namespace } = mount;
    let mut why = 0;
    let inode = file::inode_of(opened);
    let sb = inode.follow(F::InodeSb);
    let magic = sb.read::<u64>(F::SbMagic);
    if namespace.address() != task.mnt_ns().address() {
        let internal = namespace.address().0 != 0 && !namespace.address().is_valid();
        // A memfd, or what an overlay opens below itself; files of namespaces are on such a mount, too.
        if internal && magic != NSFS && !canary {
            return None;
        }
        if mount::raw_namespace_inum(namespace) != 0 {
            why |= why::FOREIGN;
        }
    }
    let mode = u32::from(inode.read::<u16>(F::InodeMode));
    why |= watch::device(mode, || inode.read(F::InodeRdev));
    let mut why = watch::hidden(u64::from(why), magic as i64) as u32;
    let writing = opened.read::<u32>(F::FileFlags) & WRITING != 0;
    let mut class = 0;
    match Kind::of(magic) {
        Kind::Overlay if !writing => {}
        kind @ (Kind::Overlay | Kind::Ordinary) => {
            let dentry = opened.follow(F::FileDentry);
            if kind == Kind::Ordinary {
                // Older overlays open the file below with their own mount's path: it is judged as the overlay's.
                if vfsmount.follow(F::VfsmountSb).address() != sb.address() && !canary {
                    return None;
                }
                let unreachable;
                (class, unreachable) = watch::place(vfsmount, dentry, inode, sb);
                why |= unreachable;
                // Logs are read all day, by those whose work it is.
                if class & !LOG != 0 || (class != 0 && writing) {
                    why |= why::WATCHED;
                }
            }
            if writing && watch::is_named(dentry.address(), dentry.follow(F::DentryParent).address()) {
                why |= why::NAMED;
            }
        }
        Kind::Nsfs => why |= why::NAMESPACE,
        Kind::Cgroup if !writing => {}
        _ if writing => why |= why::KERNEL_WRITE,
        Kind::Rare => why |= why::KERNEL_READ,
        _ => {
            if watch::is_information(opened.follow(F::FileDentry).address(), magic) {
                why |= why::KERNEL_READ;
            }
        }
    }
    Some((why, class))
}

#[inline(never)]
fn report(subject: &Subject, opened: Ptr, ret: i32, verdict: u64) {
    let _ = try_report(subject, opened, ret, verdict);
}

#[inline(always)]
fn try_report(subject: &Subject, opened: Ptr, ret: i32, verdict: u64) -> Option<()> {
    let (why, class) = watch::unseal(verdict);
    let flags = opened.read::<u32>(F::FileFlags);
    let common = if flags & WRITING != 0 { COMMON } else { COMMON | why::WATCHED };
    let ring = if why & !common == 0 { Ring::Bulk } else { Ring::Critical };
    let mut out = reserve::<FileOpen, { PATH_MAX + 16 }>(ring, EventKind::FileOpen, subject)?;
    let (vfsmount, dentry) = (opened.follow(F::FileMnt), opened.follow(F::FileDentry));
    let inode = file::inode_of(opened);
    let facts = file::inode(inode);
    let body = out.body_ptr();
    // Field by field: a whole record on the stack would leave too little of its 512 bytes for the caller.
    // SAFETY: `body` is the slot's payload, writable and aligned; every field is written.
    unsafe {
        (*body).ino = facts.ino;
        (*body).magic = facts.magic;
        (*body).owner = if why & why::KERNEL_WRITE != 0 { cgroup_owner(dentry, facts.magic) } else { 0 };
        (*body).file_mnt_ns = mount::namespace_inum(vfsmount);
        (*body).mnt_ns = ns::mnt_inum(subject.task.mnt_ns());
        (*body).dev = facts.dev;
        (*body).rdev = inode.read(F::InodeRdev);
        (*body).mode = facts.mode;
        (*body).flags = flags;
        (*body).ret = ret;
        (*body).why = why;
        (*body).class = class;
        (*body).layer = overlay::layer_of(inode, facts.magic);
    }
    // A file of a kernel's file system is named up to the root of that, whatever it is mounted or bound as.
    let bare = why & (why::KERNEL_WRITE | why::KERNEL_READ) != 0 && why & why::FOREIGN == 0;
    out.path((if bare { Ptr::NULL } else { vfsmount }, dentry), (Ptr::NULL, Ptr::NULL));
    out.submit(subject, 0);
    Some(())
}

/// Reports that a file handle was refused: there is no file to look at.
#[inline(always)]
pub(crate) fn report_refused(subject: &Subject, ret: i32) -> Option<()> {
    let mut out = reserve::<FileOpen, 16>(Ring::Critical, EventKind::FileOpen, subject)?;
    let mnt_ns = ns::mnt_inum(subject.task.mnt_ns());
    out.body(FileOpen { mnt_ns, ret, why: why::HANDLE, ..FileOpen::default() });
    out.empty();
    out.submit(subject, 0);
    Some(())
}

/// The container that the cgroup of a control file belongs to, 0 if to none or if that cannot be said: the inode
/// of a cgroup's directory is its id (kernel `fs/kernfs/inode.c`), in the one hierarchy of version 2.
#[inline(always)]
fn cgroup_owner(dentry: Ptr, magic: u64) -> u64 {
    if magic != CGROUP2 {
        return 0;
    }
    let directory = dentry.follow(F::DentryParent).follow(F::DentryInode);
    filter::container_of(directory.read(F::InodeIno)).unwrap_or(0)
}
