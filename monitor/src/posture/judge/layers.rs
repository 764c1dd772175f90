//! Which containers use the same layers: the one fact that needs all containers at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::privilege::is_privileged;
use crate::posture::baseline::{Baseline, Host};

/// Other containers that are named by one.
const MAX_NAMED: usize = 16;
/// Containers whose layers are kept; the oldest go first.
const MAX_KEPT: usize = 1024;

/// Fills `shares_layers_with` of each container by what its root mount says, where one of two is privileged. The names
/// are those of the containers, in the same order.
pub fn link_layers(baselines: &mut [Baseline], names: &[String], host: &Host) {
    let mut users: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (at, baseline) in baselines.iter().enumerate() {
        for layer in layers(baseline) {
            users.entry(layer).or_default().insert(at);
        }
    }
    let privileged: Vec<bool> = baselines.iter().map(|baseline| is_privileged(baseline, host)).collect();
    for (at, baseline) in baselines.iter_mut().enumerate() {
        let sharing = users.values().filter(|users| users.contains(&at)).flatten();
        let others: BTreeSet<usize> =
            sharing.copied().filter(|other| *other != at && privileged[*other] != privileged[at]).collect();
        let named = others.iter().filter_map(|other| names.get(*other)).take(MAX_NAMED);
        baseline.shares_layers_with = named.cloned().collect();
    }
}

/// The layers of containers that are looked at one by one.
#[derive(Debug, Default)]
pub struct Layers(VecDeque<Used>);

#[derive(Debug)]
struct Used {
    pid: u32,
    started: u64,
    name: String,
    layers: Vec<String>,
    is_privileged: bool,
}

impl Layers {
    /// Fills `shares_layers_with` by the containers that were looked at before and still run: `runs` says that of a
    /// process and its start.
    pub fn link(
        &mut self,
        baseline: &mut Baseline,
        name: &str,
        started: u64,
        host: &Host,
        runs: impl Fn(u32, u64) -> bool,
    ) {
        let own = Used {
            pid: baseline.pid,
            started,
            name: name.to_owned(),
            layers: layers(baseline),
            is_privileged: is_privileged(baseline, host),
        };
        let shares = |other: &&Used| {
            other.is_privileged != own.is_privileged
                && other.layers.iter().any(|layer| own.layers.contains(layer))
                && runs(other.pid, other.started)
        };
        let named = self.0.iter().filter(shares).take(MAX_NAMED);
        baseline.shares_layers_with = named.map(|other| other.name.clone()).collect();
        if self.0.len() >= MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(own);
    }
}

/// Lower directories of an overlay; for another root the directory itself.
fn layers(baseline: &Baseline) -> Vec<String> {
    let Some(root) = baseline.root() else { return Vec::new() };
    if root.fstype != "overlay" {
        return vec![format!("{} {}", root.dev, root.root)];
    }
    let lower = root.super_options.iter().filter_map(|option| {
        let (key, value) = option.split_once('=')?;
        ["lowerdir", "lowerdir+", "datadir+"].contains(&key).then_some(value)
    });
    // A colon divides layers, two divide those that hold only data.
    lower.flat_map(|value| value.split(':')).filter(|layer| !layer.is_empty()).map(str::to_owned).collect()
}
