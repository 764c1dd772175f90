//! The part of `docs/coverage.md` about identity and posture: with which engine, cgroup layout and kernel it was proved.

use std::collections::{BTreeMap, BTreeSet};

use super::proofs::{Column, Proofs};
use super::{head, row};

/// What makes containers in the tests, and who is meant.
const RUNTIMES: &[(&str, &str)] = &[
    ("runc", "runc, called directly"),
    ("crun", "crun, called directly"),
    ("youki", "youki, called directly"),
    ("docker", "Docker Engine with runc"),
    ("podman", "Podman as root with runc"),
    ("podman-rootless", "Podman without root, with crun"),
    ("containerd", "containerd through `ctr`"),
    ("cri", "containerd's CRI service"),
    ("lxc", "LXC, by `lxc-start`"),
    ("nspawn", "systemd-nspawn, called directly"),
];
const LAYOUTS: &[&str] = &["v2", "hybrid", "v1"];

/// The lines of `docs/checks.tsv`: name and what holds.
pub(crate) fn read(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

/// True if the check's name is this; `life_of_*` stands for all that begin so.
fn is_named(known: &str, check: &str) -> bool {
    match known.strip_suffix('*') {
        Some(start) => check.starts_with(start),
        None => check == known,
    }
}

/// Checks that passed and are not listed, and places that the tables have no room for.
pub(crate) fn complaints(checks: &[(&str, &str)], proofs: &Proofs) -> Vec<String> {
    let mut complaints = Vec::new();
    for check in &proofs.checks {
        if !checks.iter().any(|(known, _)| is_named(known, &check.name)) {
            complaints.push(format!("docs/proofs.tsv: docs/checks.tsv does not have {}", check.name));
        }
        let known = |place: &&String| {
            place.split_once('/').is_some_and(|(layout, runtime)| {
                LAYOUTS.contains(&layout) && RUNTIMES.iter().any(|(name, _)| *name == runtime)
            })
        };
        let unknown = check.places.iter().filter(|place| !known(place));
        complaints
            .extend(unknown.map(|place| format!("docs/proofs.tsv: {}: {place} is no place", check.name)));
    }
    complaints
}

/// Kernel series, oldest first, whichever rung was used.
fn kernels(proofs: &Proofs) -> Vec<&str> {
    let columns = proofs.proofs.iter().map(|proof| &proof.column);
    let columns = columns.chain(proofs.checks.iter().map(|check| &check.column));
    let ordered: BTreeMap<&[u32], &str> =
        columns.map(|Column { version, kernel, .. }| (version.as_slice(), kernel.as_str())).collect();
    ordered.into_values().collect()
}

/// Checks and scenarios that passed there with any rung; empty if none ran.
fn passed(proofs: &Proofs, place: &str, kernel: &str) -> String {
    let checks = proofs.checks.iter().filter(|c| c.column.kernel == kernel && c.places.contains(place));
    let checks: BTreeSet<&str> = checks.map(|check| check.name.as_str()).collect();
    let scenarios = proofs.proofs.iter().filter(|p| p.column.kernel == kernel && p.places.contains(place));
    let scenarios: BTreeSet<&str> = scenarios.map(|proof| proof.scenario.as_str()).collect();
    match (checks.len(), scenarios.len()) {
        (0, 0) => String::new(),
        (checks, scenarios) => format!("{checks} + {scenarios}"),
    }
}

/// Both tables.
pub(crate) fn section(page: &mut String, checks: &[(&str, &str)], proofs: &Proofs) {
    page.push_str(
        "\n## Identity and posture by engine, cgroup layout and kernel\n\n\
         How many checks of identity, posture and the event path passed there, **+** how many scenarios, with whichever rung. Each \
         scenario also demands that its records name the container by its full id. Blank: never run there. Where the \
         numbers are small, the conformance suite alone ran, in a virtual machine whose cgroups are mounted that way \
         (`engines` in `xtask/kernels.toml`). What it leaves out there: Docker's AppArmor profile, which refuses the acts \
         themselves; and the pods of Podman 4.3 with cgroup v2, which do not start there, with Bulkhead or without it \
         (`error reopening /dev/null inside container: open /dev/null: operation not permitted`: Podman puts a program on \
         the pod's cgroup that allows no device).\n",
    );
    let kernels = kernels(proofs);
    let titles: Vec<&str> =
        ["Containers are made by", "Cgroups"].into_iter().chain(kernels.clone()).collect();
    page.push_str(&head(&titles));
    for (runtime, about) in RUNTIMES {
        for layout in LAYOUTS {
            let place = format!("{layout}/{runtime}");
            let counts = kernels.iter().map(|kernel| passed(proofs, &place, kernel));
            let cells: Vec<String> =
                [(*about).to_owned(), (*layout).to_owned()].into_iter().chain(counts).collect();
            page.push_str(&row(&cells.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }
    page.push_str("\nThe checks, and where each passed:\n");
    page.push_str(&head(&["Check", "What holds", "Kernels", "Cgroups and runtimes"]));
    for (name, about) in checks {
        let of_it = || proofs.checks.iter().filter(|check| is_named(name, &check.name));
        let on: BTreeMap<&[u32], &str> =
            of_it().map(|c| (c.column.version.as_slice(), c.column.kernel.as_str())).collect();
        let on: Vec<&str> = on.into_values().collect();
        let places: BTreeSet<&str> = of_it().flat_map(|check| &check.places).map(String::as_str).collect();
        let places: Vec<&str> = places.into_iter().collect();
        page.push_str(&row(&[&format!("`{name}`"), about, &on.join(", "), &places.join(", ")]));
    }
}

#[test]
fn checks_are_counted_once_for_each_place_and_unknown_ones_are_found() {
    let text = "check\tlife_of_plain\t6.1\ttracepoint\tv2/runc\ncheck\tlife_of_plain\t6.1\ttrampoline\tv2/runc\n\
                check\tposture\t5.10\tnone\tv1/crun,v3/runc\nproof\tx\t6.1\ttracepoint\tv2/runc\tC01=event\n";
    let proofs = Proofs::read(Vec::new(), text);
    assert_eq!(kernels(&proofs), ["5.10", "6.1"]);
    let counts = [("v2/runc", "6.1"), ("v1/crun", "5.10"), ("v1/crun", "6.1")]
        .map(|(place, kernel)| passed(&proofs, place, kernel));
    assert_eq!(counts, ["1 + 1", "1 + 0", ""]);
    let known = read("# none\nlife_of_*\tis known\n");
    let found = complaints(&known, &proofs);
    assert!(
        found.len() == 2 && found[0].contains("have posture") && found[1].contains("v3/runc"),
        "{found:?}"
    );
}
