//! The maps that both sides write: which cgroup is which container, which task belongs where, whom to trust.
//!
//! A *container key* is a `u64`: the id of the container's top cgroup in the v2 hierarchy; or that id in a
//! v1 hierarchy with [`KEY_V1`]; or, for a container without a cgroup of its own, the inode of its mount
//! namespace with [`KEY_MNT_NS`]. 0 is the host.

/// Bit of a container key that is a cgroup v1 id.
pub const KEY_V1: u64 = 1 << 63;
/// Bit of a container key that is the inode of a mount namespace.
pub const KEY_MNT_NS: u64 = 1 << 62;

/// Container key of the daemon's own canary process: whatever it does is reported, and never part of the output.
pub const KEY_CANARY: u64 = 1 << 61;

/// Value of `CGROUPS`: a cgroup inside a container.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupEntry {
    /// Key of the container.
    pub container: u64,
}

/// Value of `CONTAINERS`, by container key.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerEntry {
    /// When it reached ENTRY, nanoseconds since boot; 0 while it is set up.
    pub entered: u64,
    /// Unique id of its mount namespace; 0 if it is the host's, or not known.
    pub mnt_id: u64,
    /// Device of the overlay that is its root; 0 if its root is none.
    pub root_dev: u32,
    /// Low half of the unique id of the mount namespace that it is known by; 0 if it has a cgroup of its own, or if the id is
    /// not known.
    pub known_by: u32,
}

impl ContainerEntry {
    /// The keys of `STORAGE` by which its files are known; 0 for none.
    #[inline(always)]
    pub const fn storage(&self) -> [u64; 2] {
        [self.mnt_id, if self.root_dev == 0 { 0 } else { storage_of_device(self.root_dev) }]
    }
}

/// Key of `STORAGE` for the files of an overlay. Those that are reached through a mount namespace have its unique id.
#[inline(always)]
pub const fn storage_of_device(dev: u32) -> u64 {
    dev as u64 | 1 << 63
}

/// Value of `TASKS`, by thread id: tasks of containers and tasks of trusted runtimes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskEntry {
    /// Key of the container that the task was born in or joined; stays when it leaves the cgroup.
    pub container: u64,
    /// Digest of the state last reported; 0 if none was.
    pub state: u64,
    /// Address of the socket that a program at the root of cgroup v2 has told of, until the end of the call.
    pub told: u64,
    /// For the kernel side to compute in.
    pub scratch: u64,
    /// Permitted capabilities last seen.
    pub cap_permitted: u64,
    /// [`task_flags`].
    pub flags: u32,
    /// Real uid last seen.
    pub uid: u32,
    /// Effective uid last seen.
    pub euid: u32,
    /// Saved uid last seen.
    pub suid: u32,
    /// Seccomp and `no_new_privs` last seen, as [`confined`] packs them.
    pub confined: u32,
    /// Unused, 0.
    pub reserved: u32,
}

/// Value of `DEAD_THREADS`, by thread id: a thread that died of a signal and was not its process's first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadThread {
    /// When, nanoseconds since boot.
    pub died: u64,
    /// Its process.
    pub pid: u32,
    /// Unused, 0.
    pub reserved: u32,
}

/// Bits of [`TaskEntry::flags`].
pub mod task_flags {
    /// A trusted runtime task that has not yet executed container content.
    pub const RUNTIME: u32 = 1 << 0;
    /// The credentials in the entry have been read.
    pub const CREDS: u32 = 1 << 1;
    /// The record of the last exec was not sent; inherited by children.
    pub const STALE: u32 = 1 << 2;
    /// Its exec just made it the container's first task: for the program that writes the exec record.
    pub const ENTERED: u32 = 1 << 3;
    /// Its exec just made it one of the container's.
    pub const JOINED: u32 = 1 << 4;
    /// Beside [`RUNTIME`]: the program is one of [`super::trust::RESIDENT`].
    pub const RESIDENT: u32 = 1 << 5;
    /// Anonymous memory that is writable and executable was reported of this program.
    pub const SAID_RWX: u32 = 1 << 8;
    /// Anonymous memory that became executable was reported of this program.
    pub const SAID_EXEC: u32 = 1 << 9;
    /// That an executable file was spliced into a pipe was reported of this program.
    pub const SAID_SPLICE: u32 = 1 << 10;
    /// What holds for a program, and not for the next one of the same task.
    pub const OF_PROGRAM: u32 = SAID_RWX | SAID_EXEC | SAID_SPLICE;
}

/// How seccomp and `no_new_privs` confine a task, in one number.
pub mod confined {
    /// Set in every number that was read from a task.
    pub const KNOWN: u32 = 1 << 31;

    /// Packs `no_new_privs` (0 or 1), the seccomp mode (0 to 3) and the number of filters.
    pub const fn pack(no_new_privs: u32, mode: u32, filters: u32) -> u32 {
        let filters = if filters > 0xffff { 0xffff } else { filters };
        KNOWN | (no_new_privs & 1) << 30 | (mode & 3) << 16 | filters
    }

    /// `no_new_privs`.
    pub const fn no_new_privs(packed: u32) -> u32 {
        packed >> 30 & 1
    }

    /// The seccomp mode.
    pub const fn mode(packed: u32) -> u32 {
        packed >> 16 & 3
    }

    /// The number of filters.
    pub const fn filters(packed: u32) -> u32 {
        packed & 0xffff
    }

    /// True if a task that was confined as `before` is confined less `now`.
    pub const fn fell(before: u32, now: u32) -> bool {
        before & now & KNOWN != 0
            && (no_new_privs(now) < no_new_privs(before)
                || mode(now) < mode(before)
                || filters(now) < filters(before))
    }
}

/// Key of `TRUSTED`: a file, whatever its name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Inode number.
    pub ino: u64,
    /// Kernel device number (major << 20 | minor).
    pub dev: u32,
    /// Unused, 0.
    pub reserved: u32,
}

/// How many bits `WATCHED_BITS` has: with as many files as `WATCHED` holds, one in sixteen is set.
pub const WATCHED_BITS: u32 = 1 << 16;

impl FileId {
    /// The bit of `WATCHED_BITS` that is set if this file is watched: by Fibonacci hashing.
    #[inline(always)]
    pub const fn bit(self) -> u32 {
        let mixed = (self.ino ^ (self.dev as u64) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 48) as u32
    }
}

/// Values of `TRUSTED`.
pub mod trust {
    /// An OCI runtime: its tasks set containers up and join them.
    pub const RUNTIME: u32 = 1;
    /// An engine, shim, kubelet or init: may move tasks between cgroups.
    pub const ENGINE: u32 = 2;
    /// A runtime that stays beside its container, in a cgroup of its own (`lxc-start`, `systemd-nspawn`): as
    /// [`RUNTIME`], but no cgroup that one of its tasks comes to is a container before that executes the container's
    /// first program.
    pub const RESIDENT: u32 = 3;

    /// The [`super::task_flags`] of a task that executes such a file, 0 if it is no runtime.
    #[inline(always)]
    pub const fn task_flags(trusted_for: u32) -> u32 {
        match trusted_for {
            RUNTIME => super::task_flags::RUNTIME,
            RESIDENT => super::task_flags::RUNTIME | super::task_flags::RESIDENT,
            _ => 0,
        }
    }
}

/// Places of `DAEMON`: what the daemon says of itself. The map outlives a daemon that has pinned it, so that the next
/// one can go on.
pub mod daemon {
    /// Process id of the daemon, whose own events are left out.
    pub const PID: u32 = 0;
    /// When the daemon last looked at the rings, nanoseconds since boot.
    pub const ALIVE: u32 = 1;
    /// Which eBPF object the programs come from: a hash of its bytes.
    pub const OBJECT: u32 = 2;
    /// Not 0 once everything is pinned.
    pub const PINNED: u32 = 3;
    /// Where the sensors begin, in the order of the probe table: number of the rung plus one, 0 for none; from bit 8
    /// on a bit for each optional program of that rung that was left out.
    pub const SENSORS: u32 = 8;
    /// Where the losses that the daemon has reported begin, by kind of event: records that found a ring full.
    pub const TOLD_FULL: u32 = SENSORS + 96;
    /// The same for records of containers over their budget.
    pub const TOLD_CUT: u32 = TOLD_FULL + 64;
    /// How long it is.
    pub const LEN: u32 = TOLD_CUT + 64;
}

/// Values of `WATCHED`: what a file of the host is. Bits; a file may be several things.
pub mod watch {
    /// Executable of a container runtime or engine.
    pub const RUNTIME: u32 = 1 << 0;
    /// Bulkhead's own executable or configuration.
    pub const OWN: u32 = 1 << 1;
    /// State of kubelet, runtimes and network plug-ins: keys, manifests, data roots.
    pub const NODE: u32 = 1 << 2;
    /// Directory of the host's logs.
    pub const LOG: u32 = 1 << 3;
    /// The host's accounts, and what it starts by itself.
    pub const ACCOUNTS: u32 = 1 << 4;
    /// A directory above a watched one: never reported itself.
    pub const ABOVE: u32 = 1 << 31;
}

/// Bytes of a name in a [`FileName`], its NUL included.
pub const FILE_NAME_MAX: usize = 28;

/// Key of `NAMES`: a file name that is worth a record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// The name, filled up with NULs.
    pub name: [u8; FILE_NAME_MAX],
    /// Low half of the magic of the kernel's file system that it is on; 0 for any ordinary file system.
    pub magic: u32,
}

impl FileName {
    /// The key of a name; `None` if it is too long.
    pub fn new(name: &str, magic: u32) -> Option<Self> {
        let mut bytes = [0; FILE_NAME_MAX];
        // One byte stays NUL: the kernel side reads names as strings.
        bytes[..FILE_NAME_MAX - 1].get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { name: bytes, magic })
    }
}

/// Values of `NAMES`: when a file of that name is reported. Bits.
pub mod name_use {
    /// When it is opened, for whatever.
    pub const READ: u32 = 1 << 0;
    /// When it is opened for writing, or changed.
    pub const WRITE: u32 = 1 << 1;
    /// When a file directly below it is opened for writing, or changed.
    pub const INSIDE: u32 = 1 << 2;
}

/// What the loader tells the kernel side once, in `.rodata`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Must equal [`crate::ABI_VERSION`].
    pub abi: u32,
    /// Inode of the initial mount namespace.
    pub host_mnt_ns: u32,
    /// 1: identity is by cgroup v2; 0: by the v1 hierarchy below.
    pub cgroup_v2: u32,
    /// Number of the v1 hierarchy used for identity.
    pub v1_hierarchy: u32,
    /// Index of its controller in `css_set.subsys`.
    pub v1_subsys: u32,
    /// 1 on arm64, 0 on x86-64: which system call table and register names hold.
    pub aarch64: u32,
    /// Device of the initial root directory.
    pub host_root_dev: u32,
    /// 1 if the environment of programs is wanted.
    pub environ: u32,
    /// 1 if programs of tracepoints can be preempted.
    pub preemptible: u32,
    /// 1 if the current task can be had as an object of known type (from 5.11 on).
    pub typed: u32,
    /// Type of `struct file` in the kernel's type information; 0 if an address cannot be given a type (before 6.2).
    pub file_type: u32,
    /// The same of `struct mount`.
    pub mount_type: u32,
    /// The same of `struct fd`.
    pub fd_type: u32,
    /// 1 if `security_inode_setxattr()` gets the mount's idmap as its first argument (from 5.12 on).
    pub setxattr_idmap: u32,
    /// Inode of the initial root directory.
    pub host_root_ino: u64,
    /// Id of the root cgroup of the identity hierarchy.
    pub root_cgroup: u64,
    /// What a container may send by the bulk rings, of each kind.
    pub bulk_budget: BudgetLimit,
    /// What a container may send by the critical ring, of each kind.
    pub critical_budget: BudgetLimit,
}

/// A token bucket's size and speed, in time: the account of a bucket is one number then.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetLimit {
    /// Nanoseconds for one record; 0 for no limit.
    pub interval: u64,
    /// Nanoseconds' worth of records that may come at once.
    pub burst: u64,
}

impl BudgetLimit {
    /// `rate` records a second, and `burst` at once. A rate of 0 is no limit.
    pub const fn new(rate: u64, burst: u64) -> Self {
        match 1_000_000_000u64.checked_div(rate) {
            None => Self { interval: 0, burst: 0 },
            // Above a billion a second no clock tells one record from the next.
            Some(0) => Self { interval: 1, burst },
            Some(interval) => Self { interval, burst: interval.saturating_mul(burst) },
        }
    }
}

/// Bytes of the bulk ring of each CPU: 1 MiB holds 10,000 records of 100 bytes, which is what one CPU writes in
/// 50 ms at 200,000 a second.
pub const BULK_RING_BYTES: u32 = 1024 * 1024;

/// Value of `SELFTEST`: facts that the kernel side read of the daemon itself, by helper and by offset.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says whose fact it is and how it was read")]
pub struct SelfTest {
    pub done: u32,
    pub abi: u32,
    pub pid_helper: u32,
    pub pid_offsets: u32,
    pub tid_helper: u32,
    pub tid_offsets: u32,
    pub uid_helper: u32,
    pub uid_offsets: u32,
    pub ppid: u32,
    pub mnt_ns: u32,
    pub pid_ns: u32,
    pub net_ns: u32,
    pub ipc_ns: u32,
    pub uts_ns: u32,
    pub cgroup_ns: u32,
    pub user_ns: u32,
    pub root_dev: u32,
    pub exe_dev: u32,
    pub root_ino: u64,
    pub exe_ino: u64,
    pub cgroup_helper: u64,
    pub cgroup_offsets: u64,
    pub cap_effective: u64,
    pub started: u64,
}
