//! What a scenario that passed has proved: rows of the catalogue and evasions, each by a finding or by events alone; and
//! which checks of identity and posture passed.

use std::collections::BTreeSet;

use anyhow::bail;

use crate::host::Layout;
use crate::record::Record;
use crate::runtime::Kind;
use crate::scenario::{Rung, Scenario};
use crate::tally::say;

const CATALOGUE: &str = include_str!("../../docs/catalogue.tsv");
const EVASIONS: &str = include_str!("../../docs/evasions.tsv");
const CHECKS: &str = include_str!("../../docs/checks.tsv");

/// The first word of each line.
fn ids(table: &'static str) -> BTreeSet<&'static str> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t')).map(|(id, _)| id).collect()
}

/// Ids of the rows of the catalogue.
pub fn rows() -> BTreeSet<&'static str> {
    ids(CATALOGUE)
}

/// Codes of the evasions.
pub fn evasions() -> BTreeSet<&'static str> {
    ids(EVASIONS)
}

/// True if the check is one of identity or posture; `life_of_*` stands for all that begin so.
fn is_listed(check: &str) -> bool {
    ids(CHECKS).into_iter().any(|known| match known.strip_suffix('*') {
        Some(start) => check.starts_with(start),
        None => check == known,
    })
}

/// How well something is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The act was done, and what was expected did not show: a gap that is known.
    Unseen,
    /// The act shows in events that were expected; no finding names the row.
    Event,
    /// A finding that was expected names the row; for an evasion, any finding that was expected.
    Finding,
}

impl Level {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Event => "event",
            Self::Finding => "finding",
        }
    }
}

/// Rows and evasions with their levels.
pub type Proved = Vec<(String, Level)>;

/// What the records that were expected prove.
///
/// # Errors
/// A row is proved by nothing: no finding names it, and no event was expected.
pub fn of(scenario: &Scenario, expected: &[&Record]) -> anyhow::Result<Proved> {
    let has = |class: &str| expected.iter().any(|record| record.class() == class);
    let mut proved = Proved::new();
    for row in &scenario.rows {
        let level = if expected.iter().any(|record| record.behaviours().contains(&row.as_str())) {
            Level::Finding
        } else if has("event") {
            Level::Event
        } else {
            bail!("row {row} is not proved: no expected finding names it, and no event is expected");
        };
        proved.push((row.clone(), level));
    }
    if let Some(code) = &scenario.evasion {
        proved.push((code.clone(), if has("finding") { Level::Finding } else { Level::Event }));
    }
    Ok(proved)
}

/// Says to standard output what was proved, one line each, for `cargo xtask coverage`.
#[derive(Debug)]
pub struct Ledger {
    /// Series of the kernel (`6.18`) and cgroup layout; `None` if nobody asked.
    site: Option<(String, Layout)>,
}

impl Ledger {
    /// One that speaks if `wanted`.
    pub fn new(wanted: bool, layout: Layout) -> Self {
        let release = rustix::system::uname();
        let series = series(&release.release().to_string_lossy());
        Self { site: wanted.then_some((series, layout)) }
    }

    fn line(&self, rung: Option<Rung>, words: &str) {
        if let Some((kernel, layout)) = &self.site {
            let rung = rung.map_or("none", Rung::name);
            say(&format!("PROOF {kernel} {rung} {} {words}", layout.name()));
        }
    }

    /// The rung that a sensor has, where the daemon was told to use `rung`.
    pub fn sensor(&self, rung: Rung, sensor: &str, got: Option<&str>) {
        self.line(Some(rung), &format!("sensor {sensor} {}", got.unwrap_or("none")));
    }

    /// Whether a check of identity or posture passed; `rung` is none where no daemon runs.
    pub fn check(&self, rung: Option<Rung>, maker: &str, name: &str, passed: bool) {
        if is_listed(name) {
            let result = if passed { "passed" } else { "failed" };
            self.line(rung, &format!("check {maker} {name} {result}"));
        }
    }

    /// What a scenario proved; `None` if it failed, which takes back what it proved before.
    pub fn scenario(&self, rung: Rung, kind: Kind, name: &str, proved: Option<&Proved>) {
        let (kind, mut words) = (kind.name(), String::new());
        let Some(proved) = proved else {
            self.line(Some(rung), &format!("fail {kind} {name}"));
            return;
        };
        for (id, level) in proved {
            words.push_str(&format!(" {id}={}", level.name()));
        }
        if !words.is_empty() {
            self.line(Some(rung), &format!("pass {kind} {name}{words}"));
        }
    }
}

/// `6.18` of `6.18.44-cloud`.
fn series(release: &str) -> String {
    release.split(|c: char| !c.is_ascii_digit()).take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_proves_what_it_names_and_an_event_the_rest() {
        let record = |text: &str| Record::read(text).expect("JSON");
        let finding = record(r#"{"type":"finding","rule":{"id":"C06","behaviours":["C06","C15"]}}"#);
        let event = record(r#"{"type":"event","event":"namespace"}"#);
        let scenario = r#"
            name = "x"
            about = ""
            action = ["marker"]
            rows = ["C15", "A06"]
            evasion = "T3"
        "#;
        let scenario: Scenario = toml::from_str(scenario).expect("well-formed");
        let proved = of(&scenario, &[&finding, &event]).expect("both");
        let wanted = [("C15", Level::Finding), ("A06", Level::Event), ("T3", Level::Finding)];
        assert_eq!(proved, wanted.map(|(id, level)| (id.to_owned(), level)));
        let error = of(&scenario, &[&finding]).expect_err("nothing shows A06");
        assert!(error.to_string().contains("row A06"), "{error}");
    }

    #[test]
    fn checks_are_listed() {
        for (name, wanted) in
            [("life_of_plain", true), ("posture", true), ("posture2", false), ("c01", false)]
        {
            assert_eq!(is_listed(name), wanted, "{name}");
        }
    }

    #[test]
    fn kernel_series() {
        assert_eq!(series("6.18.44-fc-v769"), "6.18");
        assert_eq!(series("5.10.0-35-cloud-amd64"), "5.10");
        assert_eq!(series("7.0+deb13-amd64"), "7.0");
    }
}
