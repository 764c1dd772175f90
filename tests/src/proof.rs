//! What a scenario that passed has proved: rows of the catalogue, each by a finding or by events alone.

use anyhow::bail;

use crate::record::Record;

/// The catalogue: id, a tab, what it is.
const CATALOGUE: &str = include_str!("../../docs/catalogue.tsv");

/// Ids of all rows.
pub fn rows() -> impl Iterator<Item = &'static str> {
    let lines = CATALOGUE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t')).map(|(id, _)| id)
}

/// How well a row is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The act shows in events that were expected; no finding names the row.
    Event,
    /// A finding that was expected names the row.
    Finding,
}

impl Level {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Finding => "finding",
        }
    }
}

/// What the records that were expected prove of `rows`.
///
/// # Errors
/// A row is proved by nothing: no finding names it, and no event was expected.
pub fn of(rows: &[String], expected: &[&Record]) -> anyhow::Result<Vec<(String, Level)>> {
    let mut proved = Vec::new();
    for row in rows {
        let names_it = |record: &&&Record| record.behaviours().contains(&row.as_str());
        let level = if expected.iter().any(|record| names_it(&record)) {
            Level::Finding
        } else if expected.iter().any(|record| record.class() == "event") {
            Level::Event
        } else {
            bail!("row {row} is not proved: no expected finding names it, and no event is expected");
        };
        proved.push((row.clone(), level));
    }
    Ok(proved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_proves_what_it_names_and_an_event_the_rest() {
        let record = |text: &str| Record::read(text).expect("JSON");
        let finding = record(r#"{"type":"finding","rule":{"id":"C06","behaviours":["C06","C15"]}}"#);
        let event = record(r#"{"type":"event","event":"namespace"}"#);
        let rows = ["C15".to_owned(), "A06".to_owned()];
        let proved = of(&rows, &[&finding, &event]).expect("both");
        assert_eq!(proved, [("C15".to_owned(), Level::Finding), ("A06".to_owned(), Level::Event)]);
        let error = of(&rows, &[&finding]).expect_err("nothing shows A06");
        assert!(error.to_string().contains("row A06"), "{error}");
    }
}
