//! What `/proc` says of the daemon: CPU time, memory, BPF programs and maps.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

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
    let text = fs::read_to_string(fdinfo).ok()?;
    text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')?.trim().parse().ok())
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
    fn this_process_has_used_cpu_and_memory() {
        let pid = std::process::id();
        assert!(cpu_ns(pid).expect("schedstat is there") > 0.0);
        let memory = Memory::of(pid).expect("smaps_rollup is there");
        assert!(memory.rss >= memory.pss && memory.pss > 0.0);
    }
}
