//! D14.

use monitor_common::event::{EventKind, Exit};

use super::build::{Rec, World, fact, rec};
use crate::detect::Outcome::Attempted;
use crate::detect::Severity::Notice;
use crate::detect::Value;

const SECOND: u64 = 1_000_000_000;

fn death(code: u32, time: u64) -> Rec {
    rec(EventKind::Exit, Exit { code, ppid: 1 }).at(time)
}

/// As many deaths as make a burst.
pub(super) fn burst() -> Vec<Rec> {
    spread(SECOND / 2)
}

fn spread(pause: u64) -> Vec<Rec> {
    // A dumped core is no other signal.
    (1..=16).map(|n| death([4, 7, 11, 0x8b][n as usize % 4], n * pause)).collect()
}

#[test]
fn a_burst_is_reported_once() {
    let mut world = World::new();
    let found = world.check(&burst(), &[("D14", Notice, Attempted)]);
    assert_eq!(fact(&found[0], "deaths"), (Some(&Value::Number(15)), &Value::Number(16)));
    assert_eq!(fact(&found[0], "milliseconds").1, &Value::Number(7500));
    world.check(&[death(11, 9 * SECOND)], &[]);
    assert_eq!(burst().iter().map(|rec| world.feed(rec).len()).sum::<usize>(), 1);
}

#[test]
fn slow_deaths_and_other_deaths_are_none() {
    let quiet = |records: &[Rec]| {
        let mut world = World::new();
        assert!(records.iter().all(|rec| world.feed(rec).is_empty()));
    };
    quiet(&burst()[1..]);
    quiet(&spread(SECOND));
    // Killed, aborted, failed with a status that has the same bits.
    for code in [9, 6, 15, 0, 11 << 8] {
        quiet(&(1..100).map(|n| death(code, n)).collect::<Vec<_>>());
    }
}
