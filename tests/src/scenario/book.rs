//! Every set-up and scenario, as they are compiled in, and what may not contradict in them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use super::{Answer, Forbid, Scenario, Setup};
use crate::proof;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),+
        ];
    };
}

files![
    "setups",
    "namespaces",
    "mounts",
    "files",
    "file_events",
    "credentials",
    "processes",
    "cgroups",
    "sockets",
    "network",
    "telemetry",
    "life",
    "evasions",
    "rootless",
    "kernel"
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Page {
    setup: BTreeMap<String, Setup>,
    pub(super) scenario: Vec<Scenario>,
}

/// Every set-up and scenario.
#[derive(Debug)]
pub struct Book {
    /// By name.
    pub setups: BTreeMap<String, Setup>,
    /// In the order of the files.
    pub scenarios: Vec<Scenario>,
}

impl Book {
    /// Reads what is compiled in.
    ///
    /// # Errors
    /// The data contradicts itself; says where.
    pub fn read() -> anyhow::Result<Self> {
        let mut book = Self { setups: BTreeMap::new(), scenarios: Vec::new() };
        for (name, text) in FILES {
            let page: Page = toml::from_str(text).with_context(|| format!("in {name}.toml"))?;
            book.setups.extend(page.setup);
            book.scenarios.extend(page.scenario);
        }
        book.check()?;
        Ok(book)
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        for scenario in &self.scenarios {
            let name = &scenario.name;
            ensure!(names.insert(name.as_str()), "two scenarios are called {name}");
            for setup in [Some(&scenario.setup), scenario.conformance.as_ref()].into_iter().flatten() {
                ensure!(self.setups.contains_key(setup), "{name}: no set-up {setup}");
            }
            ensure!(!scenario.action.is_empty(), "{name}: no action");
            if let Forbid::Word(word) = &scenario.forbid {
                ensure!(word == "any", "{name}: forbid is a list of rules, or \"any\"");
            }
            if let Answer::Word(word) = &scenario.errno {
                ensure!(word == "any", "{name}: errno is a number, or \"any\"");
            }
            for expect in &scenario.expect {
                if expect.rule.is_empty() == expect.event.is_empty() {
                    bail!("{name}: expect either a rule or an event");
                }
            }
            let says_nothing = matches!(&scenario.forbid, Forbid::Rules(rules) if rules.is_empty());
            ensure!(!scenario.expect.is_empty() || !says_nothing, "{name}: neither expects nor forbids");
        }
        let (catalogue, evasions) = (proof::rows(), proof::evasions());
        for Scenario { name, rows, expect, evasion, unseen, .. } in &self.scenarios {
            for row in rows {
                ensure!(catalogue.contains(row.as_str()), "{name}: no row {row} in docs/catalogue.tsv");
            }
            if let Some(code) = evasion {
                ensure!(evasions.contains(code.as_str()), "{name}: no evasion {code} in docs/evasions.tsv");
            }
            let claims = !rows.is_empty() || evasion.is_some() || unseen.is_some();
            ensure!(!claims || !expect.is_empty(), "{name}: nothing is expected that would prove it");
        }
        for scenario in &self.scenarios {
            for twin in &scenario.twin_of {
                ensure!(names.contains(twin.as_str()), "{}: twin of unknown {twin}", scenario.name);
            }
        }
        Ok(())
    }

    /// The conformance suite alone, in its own set-ups.
    #[must_use]
    pub fn conformance(mut self) -> Self {
        self.scenarios.retain(|scenario| scenario.conformance.is_some());
        for scenario in &mut self.scenarios {
            scenario.setup = scenario.conformance.take().unwrap_or_default();
        }
        self
    }

    /// Every rule that some scenario expects.
    pub fn rules(&self) -> BTreeSet<&str> {
        self.scenarios.iter().flat_map(Scenario::rules).collect()
    }
}
