//! Which containers use the same layers: the one fact that needs all containers at once.

use std::collections::{BTreeMap, BTreeSet};

use super::privilege::is_privileged;
use crate::posture::baseline::{Baseline, Host};

/// Other containers that are named by one.
const MAX_NAMED: usize = 16;

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
