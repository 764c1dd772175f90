//! `docs/coverage.md`: which rows of the catalogue are detected, by which rule, and what the tests proved of it.

use std::collections::BTreeMap;

use monitor::bpf::probes::{Level, Rung, SENSORS, Sensor};
use monitor::detect::{RULES, RuleInfo};
use monitor::posture::check;

use super::claims::{NEEDS, PARTS};
use super::evasions::Evasion;
use super::proofs::{Column, Proofs};
use super::{GENERATED, conformance, evasions, head, posture, row};

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

/// A row of `docs/catalogue.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behaviour<'a> {
    /// What it is.
    text: &'a str,
    /// Why no rule finds it, if none does.
    reason: Option<&'a str>,
}

/// The rows of the catalogue by id.
pub(crate) fn catalogue(text: &str) -> BTreeMap<&str, Behaviour<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line| {
        let mut words = str::split(line, '\t');
        Some((words.next()?, Behaviour { text: words.next()?, reason: words.next() }))
    };
    lines.filter_map(read).collect()
}

fn needs(rule: &str) -> &'static [&'static str] {
    NEEDS.iter().find(|(id, _)| *id == rule).map_or(&[], |(_, sensors)| sensors)
}

fn sensor(name: &str) -> Option<&'static Sensor> {
    SENSORS.iter().find(|sensor| sensor.name == name)
}

/// What does not fit together: tables of this file, rules, sensors, catalogue.
pub(crate) fn complaints(catalogue: &BTreeMap<&str, Behaviour<'_>>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (id, behaviour) in catalogue {
        match (claims(id).first(), behaviour.reason) {
            (None, None) => {
                complaints.push(format!("no rule names {id}, and docs/catalogue.tsv does not say why"));
            }
            (Some(rule), Some(_)) => {
                let rule = rule.id;
                complaints
                    .push(format!("{id} is found by {rule}: take its reason out of docs/catalogue.tsv"));
            }
            _ => {}
        }
    }
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

/// True if each sensor that a rule needs has a rung there.
fn stands_on(rule: &RuleInfo, trampolines: bool) -> bool {
    needs(rule.id).iter().all(|name| sensor(name).is_some_and(|sensor| rung(sensor, trampolines).is_some()))
}

/// The rules that name a row.
fn claims(row: &str) -> Vec<&'static RuleInfo> {
    RULES.iter().filter(|rule| rule.behaviours.contains(&row)).collect()
}

/// The page.
pub(crate) fn page(
    catalogue: &BTreeMap<&str, Behaviour<'_>>,
    evasions: &BTreeMap<&str, Evasion<'_>>,
    checks: &[(&str, &str)],
    proofs: &Proofs,
) -> String {
    let mut page = format!(
        "# Coverage\n\n{GENERATED}\n\
         What Bulkhead detects of `docs/catalogue.tsv`, by kernel series and by the rung that it was told to use. \
         Scenarios name the rows that they prove; what passed is in `docs/proofs.tsv`, with cgroup layouts and \
         runtimes, and `cargo xtask coverage` brings both files up to date after `cargo xtask test` or `vm`.\n\n\
         - **finding**: a finding that names the row was proved there;\n\
         - **event**: the act was seen there, as an event that no rule judges;\n\
         - **claimed**: a rule names the row and has its sensors there, but no scenario proved it;\n\
         - **–**: nothing.\n\n\
         `bulkhead doctor` says which rung each sensor gets on a machine, and why not a better one.\n"
    );
    let found = |id: &str| proofs.best(id) == Some("finding");
    let (by_rule, rest): (Vec<_>, Vec<_>) =
        catalogue.iter().partition(|(id, _)| !claims(id).is_empty() || found(id));
    let (by_event, open): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(id, _)| proofs.best(id).is_some());
    let (by_posture, open): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|(id, _)| check::find(id).is_some());
    let proved = by_rule.iter().filter(|(id, _)| found(id)).count();
    page.push_str(&format!(
        "\nOf {} rows, {proved} are proved by a finding on some kernel, {} more are claimed by a rule, {} are seen as \
         events only, {} are reported by `bulkhead posture`, and {} are not detected.\n",
        catalogue.len(),
        by_rule.len() - proved,
        by_event.len(),
        by_posture.len(),
        open.len()
    ));
    covered(&mut page, &by_rule, proofs);
    events(&mut page, &by_event, proofs);
    let rows = by_posture.iter().map(|(id, behaviour)| (**id, behaviour.text));
    page.push_str(&posture::granted(rows));
    undetected(&mut page, &open);
    evasions::section(&mut page, evasions, proofs);
    conformance::section(&mut page, checks, proofs);
    stood_on(&mut page, proofs);
    invariants(&mut page);
    rungs(&mut page);
    page
}

/// Titles before, one for each column, titles after.
pub(crate) fn titles(before: &[&str], columns: &[Column], after: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(Column::title).collect();
    let middle = columns.iter().map(String::as_str);
    head(&before.iter().copied().chain(middle).chain(after.iter().copied()).collect::<Vec<_>>())
}

type Rows<'a> = [(&'a &'a str, &'a Behaviour<'a>)];

fn covered(page: &mut String, rows: &Rows<'_>, proofs: &Proofs) {
    let columns = proofs.columns();
    page.push_str("\n## Rows that rules find\n");
    page.push_str(&titles(&["Row", "Behaviour", "Rules"], &columns, &["Which part"]));
    for (id, behaviour) in rows {
        let rules: Vec<&str> = claims(id).iter().map(|rule| rule.id).collect();
        let (rules, part) =
            (rules.join(", "), PARTS.iter().find(|(row, _)| row == *id).map_or("", |part| part.1));
        let mut cells = vec![**id, behaviour.text, &rules];
        cells.extend(columns.iter().map(|column| match proofs.level(id, column) {
            Some(level) => level,
            None if claims(id).iter().any(|rule| stands_on(rule, column.has_trampolines())) => "claimed",
            None => "–",
        }));
        cells.push(part);
        page.push_str(&row(&cells));
    }
}

fn events(page: &mut String, rows: &Rows<'_>, proofs: &Proofs) {
    let columns = proofs.columns();
    page.push_str("\n## Rows that are seen as events only\n");
    page.push_str(&titles(&["Row", "Behaviour"], &columns, &["Why no rule"]));
    for (id, behaviour) in rows {
        let mut cells = vec![**id, behaviour.text];
        cells.extend(columns.iter().map(|column| proofs.level(id, column).unwrap_or("–")));
        cells.push(behaviour.reason.unwrap_or(""));
        page.push_str(&row(&cells));
    }
}

fn undetected(page: &mut String, rows: &Rows<'_>) {
    page.push_str("\n## Rows that are not detected\n");
    page.push_str(&head(&["Row", "Behaviour", "Why not"]));
    for (id, behaviour) in rows {
        page.push_str(&row(&[id, behaviour.text, behaviour.reason.unwrap_or("")]));
    }
}

fn stood_on(page: &mut String, proofs: &Proofs) {
    let columns = proofs.columns();
    page.push_str("\n## The rung that each sensor had where this was proved\n");
    page.push_str(&titles(&["Sensor", "Rules that need it"], &columns, &[]));
    for sensor in SENSORS {
        let needed: Vec<&str> = NEEDS
            .iter()
            .filter(|(_, sensors)| sensors.contains(&sensor.name))
            .map(|(rule, _)| *rule)
            .collect();
        let needed = needed.join(", ");
        let mut cells = vec![sensor.name, &needed];
        let got = |column: &Column| proofs.sensors.get(&(sensor.name.to_owned(), column.clone()));
        cells.extend(columns.iter().map(|column| got(column).map_or("not run", String::as_str)));
        page.push_str(&row(&cells));
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

#[test]
fn a_catalogue_without_a_claimed_row_is_found() {
    let complaints = complaints(&catalogue("# no row\nA01\tonly this\twhy\nG01\tand this\n"));
    for wanted in ["rule C01 names C01", "no rule names G01", "A01 is found by A01"] {
        assert!(complaints.iter().any(|c| c.contains(wanted)), "{complaints:?}");
    }
}

#[test]
fn a_sensor_without_a_rung_below_trampolines_has_none() {
    const RUNG: Rung = Rung { level: Level::Trampoline, probes: &[], unseen: "" };
    let only = Sensor { name: "", about: "", required: false, rungs: &[RUNG], canaries: &[] };
    assert!(rung(&only, true).is_some() && rung(&only, false).is_none());
    let ptrace = sensor("ptrace").unwrap();
    assert!(rung(ptrace, false).is_some_and(|rung| rung.level != Level::Trampoline));
}
