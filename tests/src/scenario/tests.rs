//! The data as a whole: every rule is covered, every detection has its quiet twin.

use super::book::Page;
use super::*;

/// What the first release has to detect: invariants and catalogue rows.
const WANTED: &[&str] = &[
    "A01", "A02", "B02", "B09", "B14", "C01", "C03", "C04", "C06", "C07", "C08", "E01", "I-3", "I-4", "I-7",
];

#[test]
fn every_rule_has_an_attack() {
    let book = Book::read().expect("the data is sound");
    let rules = book.rules();
    let missing: Vec<_> = WANTED.iter().filter(|rule| !rules.contains(**rule)).collect();
    assert!(missing.is_empty(), "no scenario expects {missing:?}");
}

#[test]
fn every_detection_has_a_quiet_twin() {
    let book = Book::read().expect("the data is sound");
    for rule in book.rules() {
        let attacks: Vec<&str> =
            book.scenarios.iter().filter(|s| s.rules().contains(rule)).map(|s| s.name.as_str()).collect();
        let twin = book
            .scenarios
            .iter()
            .find(|s| s.forbid.covers(rule) && s.twin_of.iter().any(|of| attacks.contains(&of.as_str())));
        assert!(twin.is_some(), "{rule}: no twin of {attacks:?} forbids it");
    }
}

#[test]
fn contradictions_are_named() {
    let check = |text: &str, wanted: &str| {
        let page: Page = toml::from_str(text).expect("well-formed");
        let setups = BTreeMap::from([("plain".to_owned(), Setup::default())]);
        let error = Book { setups, scenarios: page.scenario }.check().expect_err("contradiction");
        assert!(error.to_string().contains(wanted), "{error}");
    };
    let head = "[[scenario]]\nname = \"x\"\nabout = \"\"\naction = [\"marker\"]\n";
    check(head, "neither expects nor forbids");
    check(&format!("{head}setup = \"none\"\nforbid = \"any\""), "no set-up none");
    check(&format!("{head}expect = [{{}}]"), "either a rule or an event");
    check(&format!("{head}forbid = \"all\""), "forbid is");
    check(&format!("{head}forbid = \"any\"\nrows = [\"C99\"]"), "no row C99");
    check(&format!("{head}forbid = \"any\"\nrows = [\"C01\"]"), "nothing is expected that would");
    check(&format!("{head}forbid = \"any\"\nevasion = \"T99\""), "no evasion T99");
    check(&format!("{head}forbid = \"any\"\ntwin_of = [\"y\"]"), "twin of unknown y");
    check(&format!("{head}forbid = \"any\"\n{head}forbid = \"any\""), "two scenarios");
}

#[test]
fn the_conformance_suite_is_for_every_engine_and_quiet_twins_are_in_it() {
    let book = Book::read().expect("the data is sound");
    let suite = book.conformance().scenarios;
    let engines = [Kind::Docker, Kind::Podman, Kind::Containerd, Kind::Cri];
    for engine in engines {
        for layout in [Layout::V1, Layout::V2, Layout::Hybrid] {
            let is_in = |s: &&Scenario| s.excluded(engine, Rung::Trampoline, layout).is_none();
            let attacks = suite.iter().filter(is_in).filter(|s| !s.rules().is_empty()).count();
            assert!(attacks >= 5, "{engine:?} with {layout:?}: {attacks} detections");
        }
    }
    for rule in suite.iter().flat_map(|s| s.rules()) {
        let attacks: Vec<&str> =
            suite.iter().filter(|s| s.rules().contains(rule)).map(|s| s.name.as_str()).collect();
        let is_twin = |s: &Scenario| s.twin_of.iter().any(|of| attacks.contains(&of.as_str()));
        assert!(suite.iter().any(is_twin), "{rule}: no twin of {attacks:?} in the suite");
    }
}
