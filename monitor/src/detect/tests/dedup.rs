//! How repeated findings are counted.

use super::build::{Rec, World, process};
use super::file::open;
use super::socket::unix;
use crate::detect::Emitted;

const SECOND: u64 = 1_000_000_000;

fn docker() -> Rec {
    unix(b"/run/docker.sock", |_| ())
}

fn counts(found: &[Emitted]) -> Vec<u64> {
    found.iter().map(|e| e.count).collect()
}

#[test]
fn repetitions_are_emitted_at_powers_of_ten() {
    let mut world = World::new();
    let found: Vec<_> = (1..=1000).flat_map(|n| world.feed(&docker().at(n))).collect();
    assert_eq!(counts(&found), [1, 10, 100, 1000]);
    assert_eq!((found[2].first_seen, found[2].last_seen), (1, 100));
    assert!(found.iter().all(|e| !e.over_budget));
}

#[test]
fn what_differs_is_another_finding() {
    let mut world = World::new();
    world.process = Some(process(500, b"/bin/a"));
    assert_eq!(world.feed(&docker()).len(), 1);
    assert_eq!(world.feed(&docker()).len(), 0);
    // Outcome, evidence, executable, process.
    assert_eq!(world.feed(&unix(b"/run/docker.sock", |s| s.ret = -13)).len(), 1);
    assert_eq!(world.feed(&unix(b"/other/docker.sock", |_| ())).len(), 1);
    world.process = Some(process(500, b"/bin/b"));
    assert_eq!(world.feed(&docker()).len(), 1);
    world.process = Some(process(501, b"/bin/b"));
    assert_eq!(world.feed(&docker()).len(), 1);
    assert_eq!(world.feed(&docker()).len(), 0);
}

#[test]
fn each_process_is_reported_up_to_a_budget() {
    let mut world = World::new();
    let found: Vec<_> = (1..=1100).flat_map(|pid| world.feed(&docker().by_pid(pid))).collect();
    let (over, own): (Vec<_>, Vec<_>) = found.into_iter().partition(|e| e.over_budget);
    assert_eq!(own.len(), 100);
    assert_eq!(counts(&over), [1, 10, 100, 1000]);
    // Another rule has its own budget, and so has the next minute.
    assert_eq!(world.feed(&open(1, "/etc/passwd", |_| ())).len(), 1);
    let later = world.feed(&docker().by_pid(5000).at(61 * SECOND));
    assert_eq!((counts(&later), later[0].over_budget), (vec![1], false));
}

#[test]
fn changing_evidence_does_not_evade_the_budget() {
    let mut world = World::new();
    let flood = (0..20_000).map(|n| open(1, &format!("/f{n}"), |_| ()));
    let emitted = flood.flat_map(|rec| world.feed(&rec)).count();
    assert_eq!(emitted, 100 + 5);
}

#[test]
fn memory_is_bounded_and_old_findings_are_new_again() {
    let mut world = World::new();
    world.feed(&docker());
    for n in 0..10_000_u64 {
        world.feed(&open(1, &format!("/f{n}"), |_| ()).at(n * SECOND));
    }
    let again = world.feed(&docker().at(10_000 * SECOND));
    assert_eq!(counts(&again), [1]);
}
