//! What `/proc` says of the daemon: CPU time, memory, BPF programs and maps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rustix::process::Pid;
use rustix::thread::CpuSet;

/// Nanoseconds of CPU time of a process' threads, by the scheduler's own count.
///
/// A thread that has ended is not in it: for the time between two looks, the threads must be the same.
pub(crate) fn cpu_ns(pid: u32) -> anyhow::Result<f64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).context("the daemon is gone")?;
    let mut sum = 0.0;
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat"))
            .context("the kernel gives no CPU time of threads (CONFIG_SCHED_INFO)")?;
        sum += text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(sum)
}

/// CPUs that the kernel may ever bring up: what per-CPU values have room for.
pub(crate) fn possible_cpus() -> anyhow::Result<usize> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    last_of(text.trim()).map(|last| last + 1).context("the kernel names no possible CPU")
}

/// The highest number of a list like `0-3,8`.
fn last_of(list: &str) -> Option<usize> {
    list.rsplit([',', '-']).next()?.parse().ok()
}

/// Bytes that the maps of a process hold in the kernel, by their descriptors.
pub(crate) fn map_bytes(pid: u32) -> anyhow::Result<f64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the daemon is gone")?.flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        if let Some(id) = value(&text, "map_id") {
            maps.insert(id, value(&text, "memlock").unwrap_or(0));
        }
    }
    Ok(maps.values().sum::<u64>() as f64)
}

/// Keeps a process' threads to one CPU.
pub(crate) fn pin(pid: u32, cpu: usize) -> anyhow::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu);
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the daemon is gone")?.flatten() {
        let tid = task.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
        rustix::thread::sched_setaffinity(tid, &one).context("sched_setaffinity")?;
    }
    Ok(())
}

/// Has a process' threads go before every ordinary one (`SCHED_RR`); what they start does not.
#[expect(unsafe_code, reason = "sched_setscheduler(2)")]
pub(crate) fn hurry(pid: u32) -> anyhow::Result<()> {
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the daemon is gone")?.flatten() {
        let tid = task.file_name().to_string_lossy().parse().context("a thread without a number")?;
        let priority = libc::sched_param { sched_priority: 1 };
        // SAFETY: the parameter outlives the call.
        let done = unsafe {
            libc::sched_setscheduler(tid, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const priority)
        };
        if done != 0 {
            return Err(std::io::Error::last_os_error()).context("sched_setscheduler");
        }
    }
    Ok(())
}

/// CPUs that this thread may use; put back when this goes.
pub(crate) struct Affinity(CpuSet);

impl Affinity {
    /// Keeps this thread, and what it starts, to one CPU for a while.
    pub(crate) fn only(cpu: usize) -> anyhow::Result<Self> {
        let before = rustix::thread::sched_getaffinity(None).context("sched_getaffinity")?;
        let mut one = CpuSet::new();
        one.set(cpu);
        rustix::thread::sched_setaffinity(None, &one).context("sched_setaffinity")?;
        Ok(Self(before))
    }
}

impl Drop for Affinity {
    fn drop(&mut self) {
        // The set was this thread's own a moment ago.
        let _ = rustix::thread::sched_setaffinity(None, &self.0);
    }
}

/// The first two CPUs that this process may use.
pub(crate) fn two_cpus() -> anyhow::Result<Option<(usize, usize)>> {
    let allowed = rustix::thread::sched_getaffinity(None).context("sched_getaffinity")?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    Ok(cpus.next().zip(cpus.next()))
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) rss: f64,
    /// Resident, shared pages divided by those who share them.
    pub(crate) pss: f64,
}

impl Memory {
    /// Of this process, from `smaps_rollup`.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("the daemon is gone")?;
        let rss = field(&text, "Rss:").context("smaps_rollup without Rss")?;
        let pss = field(&text, "Pss:").context("smaps_rollup without Pss")?;
        Ok(Self { rss, pss })
    }
}

fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Ids of the BPF objects that a process holds open: `prog_id` or `map_id`.
pub(crate) fn bpf_ids(pid: u32, what: &str) -> anyhow::Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the daemon is gone")?.flatten() {
        ids.extend(id(&entry.path(), what));
    }
    Ok(ids)
}

fn id(fdinfo: &Path, what: &str) -> Option<u64> {
    value(&fs::read_to_string(fdinfo).ok()?, what)
}

fn value(fdinfo: &str, what: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_smaps() {
        let text = "55-7f ---p 0 00:00 0 [rollup]\nRss:      5120 kB\nPss:      4096 kB\nPss_Dirty: 1 kB\n";
        assert_eq!((field(text, "Rss:"), field(text, "Pss:")), (Some(5120.0), Some(4096.0)));
        assert_eq!(field(text, "Swap:"), None);
    }

    #[test]
    fn lists_of_cpus_and_facts_of_descriptors() {
        assert_eq!(
            (last_of("0-3,8"), last_of("0-1"), last_of("0"), last_of("")),
            (Some(8), Some(1), Some(0), None)
        );
        let text = "map_type:\t27\nmap_id:\t7\nmemlock:\t8392704\n";
        assert_eq!((value(text, "map_id"), value(text, "memlock")), (Some(7), Some(8_392_704)));
        assert_eq!(value(text, "prog_id"), None);
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let pid = std::process::id();
        assert!(cpu_ns(pid).expect("schedstat is there") > 0.0);
        let memory = Memory::of(pid).expect("smaps_rollup is there");
        assert!(memory.rss >= memory.pss && memory.pss > 0.0);
    }
}
