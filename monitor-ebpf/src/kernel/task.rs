//! `struct task_struct` and `struct cred` (kernel `include/linux/sched.h`, `include/linux/cred.h`).

use aya_ebpf::helpers::generated::bpf_get_current_task;
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::confined;

use super::{Cast, Known, Object, Ptr, read_kernel};
use crate::maps::config;

/// A task.
#[derive(Clone, Copy)]
pub(crate) struct Task<P = Ptr>(pub(crate) P);

/// What Bulkhead reads of a task's credentials.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cred {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) suid: u32,
    pub(crate) euid: u32,
    pub(crate) egid: u32,
    pub(crate) fsuid: u32,
    pub(crate) cap_permitted: u64,
    pub(crate) cap_effective: u64,
    pub(crate) user_ns: u64,
}

impl Task {
    /// The current task.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(Ptr(unsafe { bpf_get_current_task() }))
    }
}

impl Task<Known> {
    /// The current task in a program that is not one of a cgroup, see [`Known`].
    #[inline(always)]
    pub(crate) fn known() -> Self {
        Self(Known::current_task())
    }

    /// The open file behind a descriptor; null if there is none.
    #[inline(always)]
    pub(crate) fn opened(self, fd: u32) -> Cast {
        Cast::file(self.slot(fd).map_or(Ptr::NULL, Cast::pointer))
    }
}

impl<P: Object> Task<P> {
    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        self.0.read(F::TaskPid)
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        self.0.read(F::TaskTgid)
    }

    /// The real parent.
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        Self(self.0.follow(F::TaskRealParent))
    }

    /// True for a task of the kernel's own: `PF_KTHREAD` (kernel `include/linux/sched.h`).
    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        self.0.read::<u32>(F::TaskFlags) & 0x0020_0000 != 0
    }

    /// Process id of the real parent.
    #[inline(always)]
    pub(crate) fn ppid(self) -> u32 {
        self.parent().tgid()
    }

    /// Start of the process: that of the group leader.
    #[inline(always)]
    pub(crate) fn started(self) -> u64 {
        self.0.follow(F::TaskGroupLeader).read(F::TaskStartBoottime)
    }

    #[inline(always)]
    pub(crate) fn nsproxy(self) -> P {
        self.0.follow(F::TaskNsproxy)
    }

    /// The mount namespace's address.
    #[inline(always)]
    pub(crate) fn mnt_ns(self) -> P {
        self.nsproxy().follow(F::NsproxyMnt)
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub(crate) fn net_ns_inum(self) -> u32 {
        self.nsproxy().follow(F::NsproxyNet).read(F::NetInum)
    }

    #[inline(always)]
    pub(crate) fn exe_file(self) -> P {
        self.0.follow(F::TaskMm).follow(F::MmExeFile)
    }

    /// True when no thread of the process is left alive.
    #[inline(always)]
    pub(crate) fn group_dead(self) -> bool {
        self.0.follow(F::TaskSignal).read::<i32>(F::SignalLive) == 0
    }

    #[inline(always)]
    pub(crate) fn exit_code(self) -> u32 {
        self.0.read(F::TaskExitCode)
    }

    #[inline(always)]
    pub(crate) fn seccomp_mode(self) -> u32 {
        self.0.read(F::TaskSeccompMode)
    }

    /// True inside a 32-bit call: `TS_COMPAT` (kernel `arch/x86/include/asm/thread_info.h`) while one runs, or
    /// `TIF_32BIT` (kernel `arch/arm64/include/asm/thread_info.h`) in a 32-bit task.
    #[inline(always)]
    pub(crate) fn in_compat_call(self) -> bool {
        if config!(aarch64) == 1 {
            self.0.read::<u64>(F::ThreadFlags) & (1 << 22) != 0
        } else {
            self.0.read::<u32>(F::ThreadStatus) & 2 != 0
        }
    }

    /// How many filters confine the task.
    #[inline(always)]
    pub(crate) fn seccomp_filters(self) -> u32 {
        self.0.read(F::TaskSeccompFilters)
    }

    /// How seccomp and `no_new_privs` confine the task, packed.
    #[inline(always)]
    pub(crate) fn confined(self) -> u32 {
        confined::pack(self.no_new_privs(), self.seccomp_mode(), self.seccomp_filters())
    }

    /// `PFA_NO_NEW_PRIVS` is bit 0 of `atomic_flags` (kernel `include/linux/sched.h`).
    #[inline(always)]
    pub(crate) fn no_new_privs(self) -> u32 {
        (self.0.read::<u64>(F::TaskAtomicFlags) & 1) as u32
    }

    /// The objective credentials: the subjective ones are replaced for a while by file systems (overlayfs opens
    /// with the mounter's) and by io_uring, which is no change of the task.
    #[inline(always)]
    pub(crate) fn cred_ptr(self) -> P {
        self.0.follow(F::TaskCred)
    }

    /// Real and effective uid only: what every header needs.
    #[inline(always)]
    pub(crate) fn uids(self) -> (u32, u32) {
        let cred = self.cred_ptr();
        (cred.read(F::CredUid), cred.read(F::CredEuid))
    }

    /// Address of the user namespace.
    #[inline(always)]
    pub(crate) fn user_ns(self) -> P {
        self.cred_ptr().follow(F::CredUserNs)
    }

    /// The effective credentials.
    #[inline(always)]
    pub(crate) fn cred(self) -> Cred {
        // Sets of capabilities are of two words up to 6.2: none that a plain load could read at once.
        let cred = self.cred_ptr().address();
        Cred {
            uid: cred.read(F::CredUid),
            gid: cred.read(F::CredGid),
            suid: cred.read(F::CredSuid),
            euid: cred.read(F::CredEuid),
            egid: cred.read(F::CredEgid),
            fsuid: cred.read(F::CredFsuid),
            cap_permitted: cred.read(F::CredCapPermitted),
            cap_effective: cred.read(F::CredCapEffective),
            user_ns: cred.read(F::CredUserNs),
        }
    }

    /// Which exec of the task this is; inherited by children.
    #[inline(always)]
    pub(crate) fn exec_id(self) -> u64 {
        self.0.read(F::TaskExecId)
    }

    /// Where the environment of the last exec begins and ends in user memory.
    #[inline(always)]
    pub(crate) fn environment(self) -> (u64, u64) {
        let mm = self.0.follow(F::TaskMm);
        (mm.read(F::MmEnvStart), mm.read(F::MmEnvEnd))
    }

    /// Where the arguments of the last exec begin and end in user memory.
    #[inline(always)]
    pub(crate) fn arguments(self) -> (u64, u64) {
        let mm = self.0.follow(F::TaskMm);
        (mm.read(F::MmArgStart), mm.read(F::MmArgEnd))
    }

    /// The open file behind a descriptor; null if there is none.
    #[inline(always)]
    pub(crate) fn file(self, fd: u32) -> Ptr {
        self.slot(fd).map_or(Ptr::NULL, |slot| Ptr(read_kernel(slot)))
    }

    /// Where the address of the open file behind a descriptor is kept.
    #[inline(always)]
    fn slot(self, fd: u32) -> Option<u64> {
        let table = self.0.follow(F::TaskFiles).follow(F::FilesFdt);
        if fd >= table.read::<u32>(F::FdtMax) {
            return None;
        }
        Some(table.read::<u64>(F::FdtFd) + u64::from(fd) * 8)
    }

    /// Mount and dentry of the root directory.
    #[inline(always)]
    pub(crate) fn root(self) -> (P, P) {
        let fs = self.0.follow(F::TaskFs);
        (fs.follow(F::FsRootMnt), fs.follow(F::FsRootDentry))
    }

    /// The mounts of the root and of the working directory alone.
    #[inline(always)]
    pub(crate) fn root_and_cwd_mounts(self) -> (P, P) {
        let fs = self.0.follow(F::TaskFs);
        (fs.follow(F::FsRootMnt), fs.follow(F::FsPwdMnt))
    }

    /// Mount and dentry of the working directory.
    #[inline(always)]
    pub(crate) fn cwd(self) -> (P, P) {
        let fs = self.0.follow(F::TaskFs);
        (fs.follow(F::FsPwdMnt), fs.follow(F::FsPwdDentry))
    }
}
