//! The daemon's programs and maps, as the kernel counts them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;

use crate::bench::bpf::{self, ProgramInfo};
use crate::bench::process;

/// The daemon's programs.
pub(crate) fn of(pid: u32) -> anyhow::Result<Vec<ProgramInfo>> {
    let ids = process::bpf_ids(pid, "prog_id")?;
    Ok(bpf::programs().into_iter().filter(|program| ids.contains(&u64::from(program.id))).collect())
}

/// Ids of the daemon's programs.
pub(crate) fn ids(pid: u32) -> anyhow::Result<BTreeSet<u32>> {
    Ok(process::bpf_ids(pid, "prog_id")?.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())
}

/// What programs did between two looks; those that did not run are left out, the costliest comes first.
pub(crate) fn difference(before: &[ProgramInfo], after: &[ProgramInfo]) -> Vec<ProgramInfo> {
    let old: BTreeMap<u32, &ProgramInfo> = before.iter().map(|program| (program.id, program)).collect();
    let mut grown: Vec<ProgramInfo> = after
        .iter()
        .map(|program| {
            let old = old.get(&program.id);
            let since = |now: f64, then: fn(&ProgramInfo) -> f64| now - old.map_or(0.0, |old| then(old));
            ProgramInfo {
                time: since(program.time, |p| p.time),
                runs: since(program.runs, |p| p.runs),
                missed: since(program.missed, |p| p.missed),
                ..program.clone()
            }
        })
        .filter(|program| program.runs > 0.0 || program.missed > 0.0)
        .collect();
    grown.sort_by(|a, b| b.time.total_cmp(&a.time));
    grown
}

/// Programs of somebody else's Bulkhead: of these names, but not of these ids.
pub(crate) fn foreign(names: &BTreeSet<String>, ours: &BTreeSet<u32>) -> usize {
    bpf::programs().iter().filter(|p| names.contains(&p.name) && !ours.contains(&p.id)).count()
}

/// The kernel side's account of records, summed over kinds and CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Account {
    pub(crate) attempted: f64,
    pub(crate) submitted: f64,
    pub(crate) ring_full: f64,
    pub(crate) over_budget: f64,
    pub(crate) filtered: f64,
}

impl Account {
    /// Of the daemon, now.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        for id in process::bpf_ids(pid, "map_id")? {
            let Ok(fd) = bpf::map(u32::try_from(id)?) else { continue };
            let (name, bytes) = bpf::map_info(&fd)?;
            if name == "ACCOUNTS" {
                let words = bytes.div_ceil(8) as usize;
                return Ok(Self::read(&bpf::lookup_first(&fd, words, process::possible_cpus()?)?, words));
            }
        }
        anyhow::bail!("the daemon has no map ACCOUNTS")
    }

    /// From `monitor-common`'s `CpuAccount` of each CPU: two words, then five of each kind of event.
    fn read(words: &[u64], of_cpu: usize) -> Self {
        let mut sum = Self::default();
        for cpu in words.chunks_exact(of_cpu) {
            for kind in cpu.get(2..).unwrap_or_default().as_chunks::<5>().0 {
                let [attempted, submitted, ring_full, over_budget, filtered] = kind.map(|word| word as f64);
                sum.attempted += attempted;
                sum.submitted += submitted;
                sum.ring_full += ring_full;
                sum.over_budget += over_budget;
                sum.filtered += filtered;
            }
        }
        sum
    }

    /// From then until now.
    pub(crate) fn since(self, then: Self) -> Self {
        Self {
            attempted: self.attempted - then.attempted,
            submitted: self.submitted - then.submitted,
            ring_full: self.ring_full - then.ring_full,
            over_budget: self.over_budget - then.over_budget,
            filtered: self.filtered - then.filtered,
        }
    }

    /// Attempts of which nobody knows what became: always 0 when nothing is on its way.
    pub(crate) fn unaccounted(self) -> f64 {
        self.attempted - self.submitted - self.ring_full - self.over_budget - self.filtered
    }
}

/// The daemon's program of this name.
pub(crate) fn named(pid: u32, name: &str) -> anyhow::Result<ProgramInfo> {
    let found = of(pid)?.into_iter().find(|program| program.name == name);
    found.with_context(|| format!("the daemon has no program {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(id: u32, time: f64, runs: f64) -> ProgramInfo {
        ProgramInfo { id, kind: 17, name: format!("p{id}"), time, runs, missed: 0.0, verified: 9 }
    }

    #[test]
    fn what_programs_did() {
        let before = [program(7, 100.0, 1.0), program(8, 5.0, 1.0)];
        let after = [program(7, 400.0, 3.0), program(8, 5.0, 1.0), program(9, 900.0, 2.0)];
        let grown: Vec<(u32, f64, f64)> =
            difference(&before, &after).iter().map(|p| (p.id, p.time, p.runs)).collect();
        assert_eq!(grown, [(9, 900.0, 2.0), (7, 300.0, 2.0)]);
    }

    #[test]
    fn accounts_of_all_cpus_and_kinds() {
        let cpu = |first: u64| [vec![99, 98], vec![first, 1, 2, 3, 4], vec![10, 10, 0, 0, 0]].concat();
        let account = Account::read(&[cpu(10), cpu(11)].concat(), 12);
        assert_eq!((account.attempted, account.submitted, account.filtered), (41.0, 22.0, 8.0));
        assert_eq!(account.unaccounted(), 1.0);
        assert_eq!(account.since(account), Account::default());
    }
}
