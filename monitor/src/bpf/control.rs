//! What the user side tells the kernel side while it runs: whom to trust, which cgroup is whose.

use super::maps::Maps;
use aya::maps::{Array, HashMap, MapData};
use monitor_common::event::EventKind;
use monitor_common::network::Address;
use monitor_common::policy::{CgroupEntry, ContainerEntry, FileId, FileName, KEY_MNT_NS, TaskEntry};

macro_rules! pod {
    ($($name:ident($inner:ty)),+) => {$(
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(super) struct $name($inner);
        #[expect(unsafe_code, reason = "marks a plain struct as plain for aya")]
        // SAFETY: the type inside is `repr(C)`, has no padding and no invalid bit pattern.
        unsafe impl aya::Pod for $name {}
    )+};
}
pub(super) use pod;
pod!(
    FileIdPod(FileId),
    FileNamePod(FileName),
    CgroupPod(CgroupEntry),
    ContainerPod(ContainerEntry),
    TaskPod(TaskEntry)
);

/// `BPF_NOEXIST`: what the kernel side wrote first is newer than what a scan found.
const NOEXIST: u64 = 1;

/// `BPF_EXIST`: only what is there is changed.
const EXIST: u64 = 2;

/// The maps that both sides write.
pub struct Control {
    trusted: HashMap<MapData, FileIdPod, u32>,
    watched: HashMap<MapData, FileIdPod, u32>,
    watched_bits: Array<MapData, u64>,
    names: HashMap<MapData, FileNamePod, u32>,
    addresses: HashMap<MapData, Address, u32>,
    cgroups: HashMap<MapData, u64, CgroupPod>,
    containers: HashMap<MapData, u64, ContainerPod>,
    storage: HashMap<MapData, u64, u64>,
    tasks: HashMap<MapData, u64, TaskPod>,
}

impl Control {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        Ok(Self {
            trusted: maps.take("TRUSTED")?,
            watched: maps.take("WATCHED")?,
            watched_bits: maps.take("WATCHED_BITS")?,
            names: maps.take("NAMES")?,
            cgroups: maps.take("CGROUPS")?,
            containers: maps.take("CONTAINERS")?,
            storage: maps.take("STORAGE")?,
            tasks: maps.take("TASKS")?,
            addresses: maps.take("ADDRESSES")?,
        })
    }

    /// Trusts an executable for what `trust` says (`monitor_common::policy::trust`).
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn trust(&mut self, file: FileId, trust: u32) -> Result<(), String> {
        self.trusted.insert(FileIdPod(file), trust, 0).map_err(|e| format!("map TRUSTED: {e}"))
    }

    /// Watches a file of the host as what `class` says (`monitor_common::policy::watch`).
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn watch(&mut self, file: FileId, class: u32) -> Result<(), String> {
        let (word, bit) = (file.bit() / 64, 1 << (file.bit() % 64));
        let bits = self.watched_bits.get(&word, 0).map_err(|e| format!("map WATCHED_BITS: {e}"))?;
        self.watched_bits.set(word, bits | bit, 0).map_err(|e| format!("map WATCHED_BITS: {e}"))?;
        self.watched.insert(FileIdPod(file), class, 0).map_err(|e| format!("map WATCHED: {e}"))
    }

    /// Has files of a name reported when `uses` says (`monitor_common::policy::name_use`).
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn watch_name(&mut self, name: FileName, uses: u32) -> Result<(), String> {
        self.names.insert(FileNamePod(name), uses, 0).map_err(|e| format!("map NAMES: {e}"))
    }

    /// Watches an address as what `class` says (`monitor_common::network::address`).
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn watch_address(&mut self, address: Address, class: u32) -> Result<(), String> {
        self.addresses.insert(address, class, 0).map_err(|e| format!("map ADDRESSES: {e}"))
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
    pub fn add_container(&mut self, container: u64, entry: ContainerEntry) -> Result<(), String> {
        for key in entry.storage().into_iter().filter(|key| *key != 0) {
            ignore_existing(self.storage.insert(key, container, NOEXIST), "STORAGE")?;
        }
        ignore_existing(self.containers.insert(container, ContainerPod(entry), NOEXIST), "CONTAINERS")
    }

    /// Forgets that a container was entered, because it has no process any more: the next one that a runtime puts there
    /// is a new container. Its cgroup stays known until it is removed. `until` is when a record said that it was entered,
    /// nanoseconds since boot: what was entered after that is another one. 0 if no record did.
    pub fn left(&mut self, container: u64, until: u64) {
        // What is not there was removed with its cgroup.
        let Ok(ContainerPod(entry)) = self.containers.get(&container, 0) else { return };
        if until != 0 && entry.entered > until {
            return;
        }
        for key in entry.storage().into_iter().filter(|key| *key != 0) {
            if self.storage.get(&key, 0).is_ok_and(|owner| owner == container) {
                let _ = self.storage.remove(&key);
            }
        }
        let _ = if container & KEY_MNT_NS == 0 {
            self.containers.insert(container, ContainerPod(ContainerEntry::default()), EXIST)
        } else {
            self.containers.remove(&container)
        };
    }

    /// Makes a task that is already running known, unless the kernel side has done so.
    ///
    /// # Errors
    /// The map is full, or the kernel refused.
    pub fn add_task(&mut self, tid: u32, entry: TaskEntry) -> Result<(), String> {
        ignore_existing(self.tasks.insert(u64::from(tid), TaskPod(entry), NOEXIST), "TASKS")
    }

    /// Forgets a task.
    pub fn remove_task(&mut self, tid: u32) {
        // Gone already: the kernel side removes tasks at their exit.
        let _ = self.tasks.remove(&u64::from(tid));
    }
}

/// The kinds of events that nobody wants: the kernel side does not write them.
pub struct Unwanted {
    map: Array<MapData, u32>,
    now: u64,
}

const _: () = assert!(EventKind::COUNT <= 64);

impl Unwanted {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        let map: Array<MapData, u32> = maps.take("UNWANTED")?;
        let mut now = 0;
        for (index, value) in map.iter().enumerate() {
            now |= u64::from(value.map_err(|e| format!("map UNWANTED: {e}"))? & 1) << index;
        }
        Ok(Self { map, now })
    }

    /// Sets them: a bit for each kind, by [`EventKind::index`]. Costs nothing if they are as they were.
    ///
    /// # Errors
    /// The kernel refused; it is tried again at the next call.
    pub fn set(&mut self, kinds: u64) -> Result<(), String> {
        let changed = self.now ^ kinds;
        if changed == 0 {
            return Ok(());
        }
        for index in (0..EventKind::COUNT as u32).filter(|index| changed >> index & 1 != 0) {
            let value = (kinds >> index & 1) as u32;
            self.map.set(index, value, 0).map_err(|e| format!("map UNWANTED: {e}"))?;
            self.now = self.now & !(1 << index) | u64::from(value) << index;
        }
        Ok(())
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
