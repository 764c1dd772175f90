//! What the tests proved: `docs/proofs.tsv`, held against the scenarios that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;

use super::file;

/// A scenario, as far as coverage wants to know it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) rows: Vec<String>,
    #[serde(default)]
    pub(crate) evasion: Option<String>,
    #[serde(default)]
    pub(crate) unseen: Option<Unseen>,
}

/// A gap that a scenario holds.
#[derive(Debug, Deserialize)]
pub(crate) struct Unseen {
    /// Rungs; empty for all.
    #[serde(default)]
    rungs: Vec<String>,
    why: String,
}

impl Unseen {
    /// The reason, with the rungs that it is about.
    pub(crate) fn text(&self) -> String {
        if self.rungs.is_empty() {
            self.why.clone()
        } else {
            format!("{}: {}", self.rungs.join(", "), self.why)
        }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    scenario: Vec<Scenario>,
}

/// A kernel's series and the rung that the daemon was told to use there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Column {
    /// For the order.
    pub(crate) version: Vec<u32>,
    pub(crate) kernel: String,
    pub(crate) rung: String,
}

impl Column {
    fn new(kernel: &str, rung: &str) -> Self {
        let version = kernel.split('.').filter_map(|part| part.parse().ok()).collect();
        Self { version, kernel: kernel.to_owned(), rung: rung.to_owned() }
    }

    /// The head of its column.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kernel, self.rung)
    }

    /// True if trampolines may be used there.
    pub(crate) fn has_trampolines(&self) -> bool {
        self.rung == "trampoline"
    }
}

/// A scenario that passed somewhere.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) scenario: String,
    pub(crate) column: Column,
    /// `layout/runtime`.
    pub(crate) places: BTreeSet<String>,
    /// Row or evasion, and its level: `finding`, `event`, `unseen`.
    pub(crate) proved: BTreeMap<String, String>,
}

/// A check of identity or posture that passed somewhere.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) column: Column,
    /// `layout/runtime`.
    pub(crate) places: BTreeSet<String>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) proofs: Vec<Proof>,
    /// Sensor and column, and the rung it got.
    pub(crate) sensors: BTreeMap<(String, Column), String>,
    pub(crate) checks: Vec<Check>,
    /// Lines that are none.
    broken: Vec<String>,
}

impl Proofs {
    /// Reads the repository's files.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let mut scenarios = Vec::new();
        let folder = fs::read_dir(file("tests/scenarios"))?;
        let mut paths = folder.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        paths.sort();
        for path in paths {
            let page: Page = toml::from_str(&fs::read_to_string(path)?)?;
            scenarios.extend(page.scenario);
        }
        Ok(Self::read(scenarios, &fs::read_to_string(file("docs/proofs.tsv")).unwrap_or_default()))
    }

    pub(crate) fn read(scenarios: Vec<Scenario>, text: &str) -> Self {
        let mut all = Self { scenarios, ..Self::default() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["proof", scenario, kernel, rung, places, proved] => all.proofs.push(Proof {
                    scenario: scenario.to_owned(),
                    column: Column::new(kernel, rung),
                    places: places.split(',').map(str::to_owned).collect(),
                    proved: proved
                        .split(',')
                        .filter_map(|word| word.split_once('='))
                        .map(|(id, level)| (id.to_owned(), level.to_owned()))
                        .collect(),
                }),
                ["sensor", name, kernel, rung, got] => {
                    all.sensors.insert((name.to_owned(), Column::new(kernel, rung)), got.to_owned());
                }
                ["check", name, kernel, rung, places] => all.checks.push(Check {
                    name: name.to_owned(),
                    column: Column::new(kernel, rung),
                    places: places.split(',').map(str::to_owned).collect(),
                }),
                _ => all.broken.push(line.to_owned()),
            }
        }
        all
    }

    /// Every kernel and rung, oldest kernel first.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let proofs = self.proofs.iter().map(|proof| &proof.column);
        let sensors = self.sensors.keys().map(|(_, column)| column);
        proofs.chain(sensors).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The best level of a row there: `finding` is more than `event`.
    pub(crate) fn level(&self, row: &str, column: &Column) -> Option<&str> {
        let here = self.proofs.iter().filter(|proof| proof.column == *column);
        let levels = here.filter_map(|proof| proof.proved.get(row));
        levels.max_by_key(|level| *level == "finding").map(String::as_str)
    }

    /// The best level of a row anywhere.
    pub(crate) fn best(&self, row: &str) -> Option<&str> {
        let levels = self.proofs.iter().filter_map(|proof| proof.proved.get(row));
        levels.max_by_key(|level| *level == "finding").map(String::as_str)
    }

    /// Proofs that no scenario of today stands for, and scenarios that are not run.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<String> =
            self.broken.iter().map(|line| format!("docs/proofs.tsv: what is {line:?}?")).collect();
        for Proof { scenario, column, proved, .. } in &self.proofs {
            let Some(known) = self.scenarios.iter().find(|known| known.name == *scenario) else {
                complaints.push(format!("docs/proofs.tsv: there is no scenario {scenario} any more"));
                continue;
            };
            for (id, level) in proved {
                if !known.rows.contains(id) && known.evasion.as_ref() != Some(id) {
                    let column = column.title();
                    complaints.push(format!("docs/proofs.tsv: {scenario} on {column} no longer claims {id}"));
                }
                if !["finding", "event", "unseen"].contains(&level.as_str()) {
                    complaints.push(format!("docs/proofs.tsv: {scenario}: {level} is no level"));
                }
            }
        }
        complaints
    }
}

#[test]
fn a_stale_proof_is_found() {
    let scenario = |name: &str, row: &str| Scenario {
        name: name.to_owned(),
        rows: vec![row.to_owned()],
        ..Scenario::default()
    };
    let check = |scenarios: Vec<Scenario>| {
        Proofs::read(scenarios, "proof\tx\t6.1\ttrampoline\tv2/runc\tC01=finding\n").complaints()
    };
    assert_eq!(check(vec![scenario("x", "C01")]), [""; 0]);
    assert!(check(vec![scenario("y", "C01")])[0].contains("no scenario x"));
    assert!(check(vec![scenario("x", "C02")])[0].contains("no longer claims C01"));
}

#[test]
fn kernels_are_ordered_by_number_and_a_finding_is_the_best() {
    let text = "proof\tx\t6.1\ttracepoint\tv2/runc\tC01=event\nproof\ty\t6.1\ttracepoint\tv2/runc\tC01=finding\n\
                sensor\tmount\t5.10\ttrampoline\tevent\nsensor\tmount\t6.18\ttrampoline\tevent\n";
    let proofs = Proofs::read(Vec::new(), text);
    let titles: Vec<String> = proofs.columns().iter().map(Column::title).collect();
    assert_eq!(titles, ["5.10 trampoline", "6.1 tracepoint", "6.18 trampoline"]);
    assert_eq!(proofs.level("C01", &proofs.columns()[1]), Some("finding"));
    assert_eq!((proofs.best("C01"), proofs.best("C02")), (Some("finding"), None));
}
