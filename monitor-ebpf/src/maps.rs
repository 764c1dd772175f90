//! Every map, with the reason for its size.

use aya_ebpf::btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use aya_ebpf::macros::btf_map;
use monitor_common::account::{Budget, BudgetKey, CpuAccount, LossEntry, LossKey};
use monitor_common::call::{Call, table};
use monitor_common::counters::Counter;
use monitor_common::event::EventKind;
use monitor_common::network::Address;
use monitor_common::policy::{
    self, BULK_RING_BYTES, BudgetLimit, CgroupEntry, Config, ContainerEntry, DeadThread, FileId, FileName,
    TaskEntry, daemon,
};
use monitor_common::twice;

/// Set-up of containers and everything an invariant is judged by: about 300 bytes a record, so 512 KiB hold
/// 1,700 of them, which is 20 container starts between two reads.
#[btf_map]
pub(crate) static CRITICAL: RingBuf<u8, { 512 * 1024 }> = RingBuf::new();

/// One ring for each CPU; the loader makes the inner maps and sets how many there are.
#[btf_map]
pub(crate) static BULK: ArrayOfMaps<RingBuf<u8, { BULK_RING_BYTES as usize }>, 512> = ArrayOfMaps::new();

/// Cgroups inside containers, the top ones and those below.
#[btf_map]
pub(crate) static CGROUPS: HashMap<u64, CgroupEntry, 16_384> = HashMap::new();

/// Containers, by key.
#[btf_map]
pub(crate) static CONTAINERS: HashMap<u64, ContainerEntry, 8_192> = HashMap::new();

/// Containers by what their files are known by on the host ([`ContainerEntry::storage`]): two entries each at most.
#[btf_map]
pub(crate) static STORAGE: HashMap<u64, u64, 16_384> = HashMap::new();

/// Tasks of containers and of trusted runtimes: 32,768 is the default `pid_max`. By [`task_key`].
#[btf_map]
pub(crate) static TASKS: HashMap<u64, TaskEntry, 32_768> = HashMap::new();

/// A thread's key in [`TASKS`]: the kernel compares eight bytes at once, and fewer one by one (`memcmp()`,
/// `lib/string.c`), at every look-up.
#[inline(always)]
pub(crate) fn task_key(tid: u32) -> u64 {
    u64::from(tid)
}

/// Threads of containers, but for the first ones of their processes, that died of a signal. Whoever reads of one in the kernel's log asks
/// whose it was; one that others have pushed out costs a fault of the kernel its container.
#[btf_map]
pub(crate) static DEAD_THREADS: LruHashMap<u32, DeadThread, 1_024> = LruHashMap::new();

/// Executables of runtimes and engines on this host.
#[btf_map]
pub(crate) static TRUSTED: HashMap<FileId, u32, 256> = HashMap::new();

/// Files of the host that are watched, and the directories above them.
#[btf_map]
pub(crate) static WATCHED: HashMap<FileId, u32, 4_096> = HashMap::new();

/// The bit [`FileId::bit`] of each file in [`WATCHED`]: one load tells most files that they are not.
#[btf_map]
pub(crate) static WATCHED_BITS: Array<u64, { (policy::WATCHED_BITS / 64) as usize }> = Array::new();

/// File names that are worth a record.
#[btf_map]
pub(crate) static NAMES: HashMap<FileName, u32, 512> = HashMap::new();
/// Addresses that are watched, and whose they are, see [`monitor_common::network::address`]: a node has some tens.
#[btf_map]
pub(crate) static ADDRESSES: HashMap<Address, u32, 1_024> = HashMap::new();

/// Who sent the last DNS query through a socket, by the socket's cookie. One that is forgotten costs an answer its
/// process, not its container.
#[btf_map]
pub(crate) static ASKERS: LruHashMap<u64, Asker, 4_096> = LruHashMap::new();

/// Value of [`ASKERS`], which only the kernel side reads.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) container: u64,
    pub(crate) cgroup: u64,
    /// Start of the process, nanoseconds since boot.
    pub(crate) started: u64,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) uid: u32,
    pub(crate) euid: u32,
}

/// Which system call is which watched one, see [`table`]; filled by the loader.
#[btf_map]
pub(crate) static CALL_TABLE: Array<u32, { table::LEN as usize }> = Array::new();

/// The program of each watched call, by the call's number; filled by the loader.
#[btf_map]
pub(crate) static CALL_PROGRAMS: ProgramArray<{ Call::LIMIT as usize }> = ProgramArray::new();

/// Thread that is inside each program of [`twice`] on this CPU, 0 for none.
#[btf_map]
pub(crate) static INSIDE: PerCpuArray<u32, { twice::COUNT as usize }> = PerCpuArray::new();

/// Runs that the second program of each took over.
#[btf_map]
pub(crate) static TAKEN_OVER: PerCpuArray<u64, { twice::COUNT as usize }> = PerCpuArray::new();

/// Counters, see [`Counter`].
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<u64, { Counter::COUNT as usize }> = PerCpuArray::new();

/// What became of every attempt to write a record.
#[btf_map]
pub(crate) static ACCOUNTS: PerCpuArray<CpuAccount, 1> = PerCpuArray::new();

/// Not 0 for each kind of event that nobody wants, by its index. Zeros, as at the start, let everything pass.
#[btf_map]
pub(crate) static UNWANTED: Array<u32, { EventKind::COUNT }> = Array::new();

/// Token buckets by container, kind and ring: some ten of each container. The daemon takes out those that have
/// been idle; what finds the map full has no limit.
#[btf_map]
pub(crate) static BUDGETS: HashMap<BudgetKey, Budget, 16_384> = HashMap::new();

/// Records that found a ring full, by container, kind, CPU and ring. The daemon takes out those that it has
/// reported.
#[btf_map]
pub(crate) static LOSSES: HashMap<LossKey, LossEntry, 4_096> = HashMap::new();

/// Records that nobody wanted, by container. The daemon takes out those that have not grown for a while.
#[btf_map]
pub(crate) static FILTERED: HashMap<u64, u64, 16_384> = HashMap::new();

/// What the daemon says of itself, see [`daemon`].
#[btf_map]
pub(crate) static DAEMON: Array<u64, { daemon::LEN as usize }> = Array::new();

/// Process id of the daemon, 0 if there is none.
#[inline(always)]
pub(crate) fn daemon_pid() -> u32 {
    DAEMON.get(daemon::PID).copied().unwrap_or(0) as u32
}

/// Set by the loader before the object is loaded; frozen with the rest of `.rodata`.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config {
    abi: 0,
    host_mnt_ns: 0,
    cgroup_v2: 1,
    v1_hierarchy: 0,
    v1_subsys: 0,
    aarch64: 0,
    host_root_dev: 0,
    environ: 0,
    preemptible: 0,
    typed: 0,
    file_type: 0,
    mount_type: 0,
    fd_type: 0,
    setxattr_idmap: 0,
    host_root_ino: 0,
    root_cgroup: 1,
    bulk_budget: BudgetLimit { interval: 0, burst: 0 },
    critical_budget: BudgetLimit { interval: 0, burst: 0 },
};

/// A field of the configuration, read so that the compiler may not fold it, because the loader changes the bytes.
/// Field by field: a copy of all of it would be a fifth of the stack.
macro_rules! config {
    ($field:ident) => {{
        // SAFETY: a field of a valid, aligned static.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::CONFIG.$field) }
    }};
}
pub(crate) use config;

/// Adds one to a counter of this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        add_one(slot);
    }
}

/// Adds one with a single instruction: two programs may interleave on one CPU.
#[inline(always)]
pub(crate) fn add_one(slot: *mut u64) {
    add(slot, 1);
}

/// Adds with a single instruction.
#[inline(always)]
pub(crate) fn add(slot: *mut u64, value: u64) {
    // SAFETY: the slot is a live, aligned map value. The result is not used, so this is the `lock add` that
    // every kernel since 5.10 knows, not the fetching form of 5.12.
    unsafe {
        core::arch::asm!("lock *(u64 *)({slot} + 0) += {value}", slot = in(reg) slot, value = in(reg) value);
    }
}

/// Hides a value from the compiler, so that the bound checked after it is checked on the register that is
/// used: the verifier tracks registers, not expressions.
#[inline(always)]
pub(crate) fn opaque(mut value: usize) -> usize {
    // SAFETY: moves a register to itself. An empty sequence would leave a debug line without an instruction,
    // which the kernel refuses.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}
