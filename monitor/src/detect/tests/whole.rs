//! What holds for all rules together.

use std::collections::BTreeSet;

use monitor_common::event::flags;

use super::build::{Rec, World};
use super::positives::positives;
use crate::detect::{RULES, find_rule};

fn ids(world: &mut World, records: &[Rec]) -> Vec<&'static str> {
    records.iter().flat_map(|rec| world.feed(rec)).map(|e| e.finding.rule.id).collect()
}

#[test]
fn rules_are_complete() {
    let unique: BTreeSet<_> = RULES.iter().map(|r| r.id).collect();
    assert_eq!(unique.len(), RULES.len());
    for rule in RULES {
        assert!(!rule.behaviours.is_empty() && !rule.attack.is_empty(), "{}", rule.id);
        for text in [rule.title, rule.what, rule.benign] {
            assert!(text.len() > 10 && !text.contains("  ") && text.is_ascii(), "{}: {text}", rule.id);
        }
        assert!(!rule.title.ends_with('.') && rule.what.ends_with('.') && rule.benign.ends_with('.'));
        assert_eq!(find_rule(rule.id), Some(rule));
    }
    assert_eq!(find_rule("Z99"), None);
}

#[test]
fn every_rule_has_a_positive_test() {
    let tested: BTreeSet<_> = positives().iter().map(|(id, _)| *id).collect();
    let rules: BTreeSet<_> = RULES.iter().map(|r| r.id).collect();
    assert_eq!(tested, rules);
    for (id, records) in positives() {
        assert_eq!(ids(&mut World::new(), &records).last(), Some(&id));
    }
}

#[test]
fn disabling_a_rule_silences_exactly_it() {
    let everything: Vec<Rec> = positives().into_iter().flat_map(|(_, records)| records).collect();
    let all = ids(&mut World::new(), &everything);
    for rule in RULES {
        let left: Vec<_> = all.iter().copied().filter(|id| *id != rule.id).collect();
        assert!(left.len() < all.len(), "{}", rule.id);
        assert_eq!(ids(&mut World::without(&[rule.id]), &everything), left, "{}", rule.id);
    }
}

#[test]
fn disabling_an_invariant_silences_its_rules() {
    let everything: Vec<Rec> = positives().into_iter().flat_map(|(_, records)| records).collect();
    for invariant in ["I-1", "I-2", "I-3", "I-4", "I-7", "I-8", "I-10", "I-11", "I-15"] {
        let found = ids(&mut World::without(&[invariant]), &everything);
        let (checks, others): (Vec<_>, Vec<_>) = RULES.iter().partition(|r| r.invariant == Some(invariant));
        assert!(!checks.is_empty());
        assert!(checks.iter().all(|r| !found.contains(&r.id)), "{invariant}: {found:?}");
        assert!(others.iter().all(|r| found.contains(&r.id)), "{invariant}: {found:?}");
    }
}

#[test]
fn setup_and_canaries_are_quiet() {
    for (_, records) in positives() {
        for rec in records {
            let in_setup = rec.clone().by_runtime();
            assert!(ids(&mut World::new(), &[in_setup]).is_empty());
            let canary = rec.with(|h| h.flags |= flags::CANARY);
            assert!(ids(&mut World::new(), &[canary]).is_empty());
        }
    }
}

#[test]
fn the_same_records_give_the_same_findings() {
    let run = || {
        let mut world = World::new();
        let records = positives().into_iter().flat_map(|(_, records)| records);
        records.flat_map(|rec| world.feed(&rec)).map(|e| format!("{e:?}")).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
