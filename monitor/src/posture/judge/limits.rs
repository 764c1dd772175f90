//! G15: limits.

use super::{Item, from_config};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host};
use crate::posture::check::Check;

pub(in crate::posture) const G15: Check = Check {
    id: "G15",
    title: "No limit on tasks or memory",
    severity: Severity::Info,
    rows: &["G15"],
    cis: &["5.11", "5.29"],
    pss: &[],
    checklist: &[],
    what: "Neither the container's cgroup nor one above it sets a limit: a fork bomb or a leak in it takes the whole \
           machine.",
    change: "Set --pids-limit and --memory (resources.limits, and the kubelet's podPidsLimit).",
    judge: g15,
};

fn g15(b: &Baseline, _: &Host) -> Vec<Item> {
    let kinds = [
        ("pids", b.limits.pids, "/linux/resources/pids/limit", "pids.max"),
        ("memory", b.limits.memory, "/linux/resources/memory/limit", "memory.max"),
    ];
    let missing = kinds.into_iter().filter(|(_, limit, ..)| limit.is_none());
    missing
        .map(|(what, _, pointer, file)| {
            let declared = b.config.as_ref().and_then(|config| config.at(pointer).as_i64());
            let pointer = b.config.as_ref().map(|_| pointer.to_owned());
            let item = Item::new(Severity::Info, what, "no limit", from_config(pointer, file));
            match declared {
                Some(limit) => item.declared(limit.to_string()),
                None => item,
            }
        })
        .collect()
}
