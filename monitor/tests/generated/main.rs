//! The documents that are made from tables of the code: each is compared with what the code says now, and
//! `BULKHEAD_BLESS=1 cargo test -p monitor --test generated` writes them.

mod claims;
mod conformance;
mod coverage;
mod evasions;
mod events;
mod posture;
mod proofs;
mod rules;

use std::fs;
use std::path::Path;

use proofs::Proofs;

/// What every generated page says of itself.
const GENERATED: &str =
    "Generated; `BULKHEAD_BLESS=1 cargo test -p monitor --test generated` writes it. Do not edit it.\n";

fn file(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[track_caller]
fn check(path: &str, want: &str) {
    if std::env::var_os("BULKHEAD_BLESS").is_some() {
        assert!(fs::write(file(path), want).is_ok(), "cannot write {path}");
    }
    let found = fs::read_to_string(file(path)).unwrap_or_default();
    if let Some(complaint) = difference(path, &found, want) {
        panic!("{complaint}");
    }
}

/// Where the two differ.
fn difference(path: &str, found: &str, want: &str) -> Option<String> {
    if found == want {
        return None;
    }
    let same = found.lines().zip(want.lines()).take_while(|(a, b)| a == b).count();
    Some(format!(
        "{path} is out of date from line {} on: BULKHEAD_BLESS=1 cargo test -p monitor --test generated",
        same + 1
    ))
}

/// A row of a Markdown table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a Markdown table.
fn head(cells: &[&str]) -> String {
    format!("\n{}{}", row(cells), row(&vec!["---"; cells.len()]))
}

/// The name by which a heading is linked to.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn coverage_is_up_to_date() {
    let catalogue = fs::read_to_string(file("docs/catalogue.tsv")).unwrap();
    let catalogue = coverage::catalogue(&catalogue);
    let evasions = fs::read_to_string(file("docs/evasions.tsv")).unwrap();
    let evasions = evasions::read(&evasions);
    let proofs = Proofs::load().unwrap();
    let mut complaints = coverage::complaints(&catalogue);
    complaints.extend(proofs.complaints());
    complaints.extend(evasions::complaints(&evasions, &proofs));
    let checks = fs::read_to_string(file("docs/checks.tsv")).unwrap();
    let checks = conformance::read(&checks);
    complaints.extend(conformance::complaints(&checks, &proofs));
    assert_eq!(complaints, [""; 0]);
    check("docs/coverage.md", &coverage::page(&catalogue, &evasions, &checks, &proofs));
}

#[test]
fn the_event_reference_is_up_to_date() {
    check("docs/events.md", &events::page());
}

#[test]
fn the_rule_reference_is_up_to_date() {
    check("docs/rules.md", &rules::page());
}

#[test]
fn the_posture_reference_is_up_to_date() {
    check("docs/posture.md", &posture::page());
}

#[test]
fn a_page_out_of_date_is_found() {
    assert_eq!(difference("p", "a\nb\n", "a\nb\n"), None);
    for (found, line) in [("a\nc\n", "line 2"), ("a\n", "line 2"), ("", "line 1"), ("a\nb\nc\n", "line 3")] {
        assert!(difference("p", found, "a\nb\n").unwrap().contains(line), "{found:?}");
    }
}
