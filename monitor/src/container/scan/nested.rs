//! Containers in containers: all that an engine in a container makes belongs to that container.
//!
//! Records say so too while Bulkhead runs: a runtime in a container is not trusted to make another one.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{Group, Seen, within};

/// The first process of the host, as Bulkhead sees it.
const HOST: u32 = 1;

/// Puts the processes of nested containers among those of the outermost one. `listed` are first processes in the
/// host's own state directories of runtimes.
pub(super) fn merge(groups: Vec<Group>, seen: &BTreeMap<u32, Seen>, listed: &BTreeSet<u32>) -> Vec<Group> {
    let of: BTreeMap<u32, usize> = groups
        .iter()
        .enumerate()
        .flat_map(|(at, group)| group.pids.iter().map(move |pid| (*pid, at)))
        .collect();
    let outer: Vec<Option<usize>> =
        (0..groups.len()).map(|at| outer(at, &groups, seen, &of, listed)).collect();
    let outermost = |at: usize| {
        let mut top = at;
        // Each step leads to another group; as many steps as there are groups would be a circle.
        for _ in 0..groups.len() {
            match outer.get(top).copied().flatten() {
                Some(next) => top = next,
                None => return top,
            }
        }
        at
    };
    let owners: Vec<usize> = (0..groups.len()).map(outermost).collect();
    let mut merged: BTreeMap<usize, Group> = BTreeMap::new();
    let mut inner = Vec::new();
    for (at, (group, owner)) in groups.into_iter().zip(owners).enumerate() {
        if owner == at {
            merged.insert(at, group);
        } else {
            inner.push((owner, group.pids));
        }
    }
    for (owner, pids) in inner {
        if let Some(group) = merged.get_mut(&owner) {
            group.pids.extend(pids);
            group.pids.sort_unstable();
        }
    }
    merged.into_values().collect()
}

/// The group that one is nested in.
fn outer(
    at: usize,
    groups: &[Group],
    seen: &BTreeMap<u32, Seen>,
    of: &BTreeMap<u32, usize>,
    listed: &BTreeSet<u32>,
) -> Option<usize> {
    let group = groups.get(at)?;
    // What all the host is in, if it is in one, is no container of its own.
    let is_other = |other: usize| other != at && of.get(&HOST) != Some(&other);
    let members = group.pids.iter().filter_map(|pid| seen.get(pid));
    let enters = |process: &&Seen| of.get(&process.ppid) != Some(&at);
    let first = members.filter(enters).min_by_key(|process| (process.started, process.pid))?;
    let mut up = seen.get(&first.ppid);
    // A chain of parents is no longer than there are processes.
    for _ in 0..seen.len() {
        let Some(process) = up.filter(|process| process.pid != HOST) else { break };
        if let Some(other) = of.get(&process.pid).copied().filter(|other| is_other(*other)) {
            return Some(other);
        }
        up = seen.get(&process.ppid);
    }
    // Its parent may have ended, and what became its parent then is the outer one's shim. Of containers of the host's
    // own, which may be put below another's cgroup, the host has a state.
    if listed.contains(&first.pid) {
        return None;
    }
    let around = groups.iter().enumerate().filter(|(other, outer)| {
        is_other(*other) && outer.top != group.top && within(&group.top, &outer.top) && outer.top.len() > 1
    });
    around.max_by_key(|(_, outer)| outer.top.len()).map(|(other, _)| other)
}
