//! What the user side tells the kernel side while it runs: whom to trust, which cgroup is whose.

use aya::Ebpf;
use aya::maps::{HashMap, MapData, PerCpuArray};
use monitor_common::counters::Counter;
use monitor_common::policy::{CgroupEntry, ContainerEntry, FileId, TaskEntry};

macro_rules! pod {
    ($($name:ident($inner:ty)),+) => {$(
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        struct $name($inner);
        #[expect(unsafe_code, reason = "marks a plain struct as plain for aya")]
        // SAFETY: the type inside is `repr(C)`, has no padding and no invalid bit pattern.
        unsafe impl aya::Pod for $name {}
    )+};
}
pod!(FileIdPod(FileId), CgroupPod(CgroupEntry), ContainerPod(ContainerEntry), TaskPod(TaskEntry));

/// `BPF_NOEXIST`: what the kernel side wrote first is newer than what a scan found.
const NOEXIST: u64 = 1;

/// The maps that both sides write.
pub struct Control {
    trusted: HashMap<MapData, FileIdPod, u32>,
    cgroups: HashMap<MapData, u64, CgroupPod>,
    containers: HashMap<MapData, u64, ContainerPod>,
    tasks: HashMap<MapData, u32, TaskPod>,
    counters: PerCpuArray<MapData, u64>,
}

pub(super) fn take<T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(
    bpf: &mut Ebpf,
    name: &str,
) -> Result<T, String> {
    let map = bpf.take_map(name).ok_or_else(|| format!("no map {name} in the eBPF object"))?;
    T::try_from(map).map_err(|e| format!("map {name}: {e}"))
}

impl Control {
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, String> {
        Ok(Self {
            trusted: take(bpf, "TRUSTED")?,
            cgroups: take(bpf, "CGROUPS")?,
            containers: take(bpf, "CONTAINERS")?,
            tasks: take(bpf, "TASKS")?,
            counters: take(bpf, "COUNTERS")?,
        })
    }

    /// Trusts an executable for what `trust` says (`monitor_common::policy::trust`).
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn trust(&mut self, file: FileId, trust: u32) -> Result<(), String> {
        self.trusted.insert(FileIdPod(file), trust, 0).map_err(|e| format!("map TRUSTED: {e}"))
    }

    /// Makes a cgroup part of a container, unless the kernel side has done so.
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn add_cgroup(&mut self, cgroup: u64, container: u64) -> Result<(), String> {
        ignore_existing(self.cgroups.insert(cgroup, CgroupPod(CgroupEntry { container }), NOEXIST), "CGROUPS")
    }

    /// Makes a container that is already running known, unless the kernel side has done so.
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn add_container(&mut self, container: u64, entered: u64) -> Result<(), String> {
        ignore_existing(
            self.containers.insert(container, ContainerPod(ContainerEntry { entered }), NOEXIST),
            "CONTAINERS",
        )
    }

    /// Makes a task that is already running known, unless the kernel side has done so.
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn add_task(&mut self, tid: u32, entry: TaskEntry) -> Result<(), String> {
        ignore_existing(self.tasks.insert(tid, TaskPod(entry), NOEXIST), "TASKS")
    }

    /// Forgets a task.
    pub fn remove_task(&mut self, tid: u32) {
        // Gone already: the kernel side removes tasks at their exit.
        let _ = self.tasks.remove(&tid);
    }

    /// The counters, summed over the CPUs, in the order of [`Counter::ALL`].
    ///
    /// # Errors
    /// The kernel refused the read.
    pub fn counters(&self) -> Result<[u64; Counter::COUNT as usize], String> {
        let mut sums = [0; Counter::COUNT as usize];
        for (counter, sum) in Counter::ALL.iter().zip(&mut sums) {
            let values =
                self.counters.get(&(*counter as u32), 0).map_err(|e| format!("map COUNTERS: {e}"))?;
            *sum = values.iter().sum();
        }
        Ok(sums)
    }
}

fn ignore_existing(result: Result<(), aya::maps::MapError>, map: &str) -> Result<(), String> {
    match result {
        Ok(()) => Ok(()),
        Err(aya::maps::MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::AlreadyExists =>
        {
            Ok(())
        }
        Err(error) => Err(format!("map {map}: {error}")),
    }
}
