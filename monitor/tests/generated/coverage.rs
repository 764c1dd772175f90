//! `docs/coverage.md`: which rows of the catalogue are detected, by which rule, on which rung.

use std::collections::BTreeMap;

use monitor::bpf::probes::{Level, Rung, SENSORS, Sensor};
use monitor::detect::{RULES, RuleInfo};

use super::{GENERATED, head, row};

/// The sensors whose records each rule judges. All of them are needed for all of the rule.
const NEEDS: &[(&str, &[&str])] = &[
    ("C01", &["namespace"]),
    ("C06", &["process"]),
    ("C07", &["cgroup"]),
    ("C08", &["process"]),
    ("I-3", &["process", "mount"]),
    ("I-4", &["file"]),
    ("I-7", &["mount"]),
    ("B02", &["mount"]),
    ("B09", &["mount", "mount_setattr"]),
    ("A01", &["credentials"]),
    ("A02", &["process"]),
    ("B14", &["ptrace"]),
    ("C03", &["namespace", "process"]),
    ("C04", &["mount"]),
    ("E01", &["socket"]),
];

/// Rows that a rule covers in part, and which part.
const PARTS: &[(&str, &str)] = &[
    ("B03", "also found by the file system's magic, not by its name"),
    ("B05", "the fresh mount of a cgroup file system; writes to control files are not watched"),
    ("B14", "by rule B14 the access itself, by I-4 the files opened with it"),
    ("B24", "a root or working directory, and files opened through a leaked descriptor"),
    ("B32", "when a file is opened through the descriptor, not when it is received"),
    ("C15", "as a state, when a process is in a foreign IPC namespace; not the use of shared memory"),
];

/// The invariants, in short.
const INVARIANTS: &[(&str, &str)] = &[
    ("I-1", "every namespace of a task is the container's, or made by the container"),
    ("I-2", "a task's cgroup is the container's, or below it"),
    ("I-3", "root and working directory lie in the task's own mount namespace"),
    ("I-4", "files are opened through mounts of the task's own mount namespace"),
    ("I-5", "an opened file is reachable below the mount it was opened through"),
    ("I-6", "opened devices are those that were granted, and never disks"),
    ("I-7", "no disk and no kernel file system is mounted after start"),
    ("I-8", "capabilities stay within the bounding set of the start"),
    ("I-9", "credentials change only by calls that may change them"),
    ("I-10", "seccomp, no_new_privs and the security label never weaken"),
    ("I-11", "processes are traced and signalled within one container"),
    ("I-12", "host processes run no code of a container"),
    ("I-13", "helpers that the kernel starts are programs of the host"),
    ("I-14", "tasks of a container are born in it, or brought by a trusted runtime"),
    ("I-15", "code comes from the image"),
    ("I-16", "files of image and host change only with their times"),
];

/// The rows of the catalogue: id and text, from the lines of `docs/catalogue.tsv`.
pub(crate) fn catalogue(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t')).collect()
}

fn needs(rule: &str) -> &'static [&'static str] {
    NEEDS.iter().find(|(id, _)| *id == rule).map_or(&[], |(_, sensors)| sensors)
}

fn sensor(name: &str) -> Option<&'static Sensor> {
    SENSORS.iter().find(|sensor| sensor.name == name)
}

/// What does not fit together: tables of this file, rules, sensors, catalogue.
pub(crate) fn complaints(catalogue: &BTreeMap<&str, &str>) -> Vec<String> {
    let mut complaints = Vec::new();
    for rule in RULES {
        if needs(rule.id).is_empty() {
            complaints.push(format!("NEEDS does not say what rule {} stands on", rule.id));
        }
        let unknown = rule.behaviours.iter().filter(|id| !catalogue.contains_key(*id));
        complaints
            .extend(unknown.map(|id| format!("rule {} names {id}, which is not in the catalogue", rule.id)));
    }
    for (rule, sensors) in NEEDS {
        if !RULES.iter().any(|r| r.id == *rule) {
            complaints.push(format!("NEEDS has {rule}, which is no rule"));
        }
        let unknown = sensors.iter().filter(|name| sensor(name).is_none());
        complaints.extend(unknown.map(|name| format!("NEEDS has {name}, which is no sensor")));
    }
    for (id, _) in PARTS {
        if !RULES.iter().any(|rule| rule.behaviours.contains(id)) {
            complaints.push(format!("PARTS has {id}, which no rule covers"));
        }
    }
    complaints
}

/// The rung that a sensor gets, with trampolines or without.
fn rung(sensor: &Sensor, trampolines: bool) -> Option<&'static Rung> {
    sensor.rungs.iter().find(|rung| trampolines || rung.level != Level::Trampoline)
}

/// The rungs that a rule stands on: `no` if a sensor has none.
fn stands_on(rule: &RuleInfo, trampolines: bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in needs(rule.id) {
        let level =
            sensor(name).and_then(|sensor| rung(sensor, trampolines)).map_or("no", |rung| rung.level.name());
        if !names.contains(&level) {
            names.push(level);
        }
    }
    if names.contains(&"no") { "no".to_owned() } else { names.join(", ") }
}

/// The page.
pub(crate) fn page(catalogue: &BTreeMap<&str, &str>) -> String {
    let mut page = format!(
        "# Coverage\n\n{GENERATED}\n\
         What Bulkhead claims to detect, from the rules, the probe table and `docs/catalogue.tsv`. It is a claim: \
         `cargo xtask test` runs the scenarios behind it on this host and in virtual machines, and prints what \
         each kernel proved. `bulkhead doctor` says which rung each sensor gets on a machine, and why not a \
         better one.\n"
    );
    covered(&mut page, catalogue);
    invariants(&mut page);
    rungs(&mut page);
    open(&mut page, catalogue);
    page
}

fn covered(page: &mut String, catalogue: &BTreeMap<&str, &str>) {
    let claims = |id: &str| RULES.iter().filter(|rule| rule.behaviours.contains(&id)).collect::<Vec<_>>();
    let count = catalogue.keys().filter(|id| !claims(id).is_empty()).count();
    page.push_str(&format!(
        "\n## Rows that are detected\n\n{count} of {} rows. *Trampolines* and *tracepoints only* name the rungs that \
         the rule stands on where the kernel allows trampolines, and where it does not.\n",
        catalogue.len()
    ));
    page.push_str(&head(&[
        "Row",
        "Behaviour",
        "Rule",
        "Sensors",
        "Trampolines",
        "Tracepoints only",
        "Which part",
    ]));
    for (id, text) in catalogue {
        for rule in claims(id) {
            let part = PARTS.iter().find(|(row, _)| row == id).map_or("", |(_, part)| part);
            let (with, without) = (stands_on(rule, true), stands_on(rule, false));
            page.push_str(&row(&[id, text, rule.id, &needs(rule.id).join(", "), &with, &without, part]));
        }
    }
}

fn invariants(page: &mut String) {
    page.push_str("\n## Invariants\n");
    page.push_str(&head(&["Invariant", "What holds", "Rules"]));
    for (id, text) in INVARIANTS {
        let rules: Vec<&str> = RULES.iter().filter(|r| r.invariant == Some(id)).map(|r| r.id).collect();
        let rules = if rules.is_empty() { "not yet".to_owned() } else { rules.join(", ") };
        page.push_str(&row(&[id, text, &rules]));
    }
}

fn rungs(page: &mut String) {
    page.push_str("\n## What a rung does not see\n");
    page.push_str(&head(&["Sensor", "What it reports", "Rung", "Not seen"]));
    for sensor in SENSORS {
        for rung in sensor.rungs {
            page.push_str(&row(&[sensor.name, sensor.about, rung.level.name(), rung.unseen]));
        }
        if rung(sensor, false).is_none() {
            page.push_str(&row(&[
                sensor.name,
                sensor.about,
                "none",
                "everything, where trampolines are refused",
            ]));
        }
    }
}

fn open(page: &mut String, catalogue: &BTreeMap<&str, &str>) {
    page.push_str("\n## Rows that are not detected yet\n\nNo rule claims these.\n");
    page.push_str(&head(&["Row", "Behaviour"]));
    for (id, text) in catalogue {
        if !RULES.iter().any(|rule| rule.behaviours.contains(id)) {
            page.push_str(&row(&[id, text]));
        }
    }
}

#[test]
fn a_catalogue_without_a_claimed_row_is_found() {
    let complaints = complaints(&catalogue("# no row\nA01\tonly this\n"));
    assert!(complaints.iter().any(|c| c.contains("rule C01 names C01")), "{complaints:?}");
}

#[test]
fn a_rule_without_a_sensor_below_trampolines_says_so() {
    let b14 = RULES.iter().find(|rule| rule.id == "B14").unwrap();
    assert_eq!((stands_on(b14, true).as_str(), stands_on(b14, false).as_str()), ("trampoline", "no"));
}
