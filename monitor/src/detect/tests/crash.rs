//! D14 and D14-oops.

use monitor_common::event::{EventKind, Exit, KernelFault, fault_report};

use super::build::{Rec, World, fact, rec};
use crate::detect::Outcome::Attempted;
use crate::detect::Severity::{Critical, Notice, Warning};
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

/// A report of the kernel in a task of the container.
pub(super) fn fault(report: u32, interrupt: u32) -> Rec {
    rec(EventKind::KernelFault, KernelFault { report, interrupt, taints: 0 })
        .text(b"a title with an address in it")
        .text(b"f+0x1/0x2")
        .text(b"mm/slub.c:1")
        .text(b"name")
}

#[test]
fn faults_of_the_kernel() {
    for (report, name) in fault_report::NAMES {
        let report = *report as u32;
        let (own, interrupted) = match report {
            fault_report::WARNING | fault_report::UBSAN => (Notice, Notice),
            _ => (Critical, Warning),
        };
        let found = World::new().check(&[fault(report, 0)], &[("D14-oops", own, Attempted)]);
        assert_eq!(fact(&found[0], "report").1, &Value::Word(name));
        assert_eq!(fact(&found[0], "function").1, &Value::Bytes(b"f+0x1/0x2".to_vec()));
        assert_eq!(fact(&found[0], "place").1, &Value::Bytes(b"mm/slub.c:1".to_vec()));
        World::new().check(&[fault(report, 1)], &[("D14-oops", interrupted, Attempted)]);
        World::new().check(&[fault(report, 0).by_host()], &[]);
        World::new().check(&[fault(report, 0).by_runtime()], &[]);
        World::without(&["D14-oops"]).check(&[fault(report, 0)], &[]);
        World::without(&["D14"]).check(&[fault(report, 0)], &[("D14-oops", own, Attempted)]);
    }
}

#[test]
fn a_warning_in_a_loop_is_one_finding_with_its_count() {
    let mut world = World::new();
    let found = (0..1000).map(|_| world.feed(&fault(fault_report::WARNING, 0)).len()).sum::<usize>();
    assert_eq!(found, 4, "the first, the 10th, the 100th, the 1000th");
    // By a new process each time.
    let found = (0..1000)
        .map(|pid| world.feed(&fault(fault_report::WARNING, 0).by_pid(600 + pid)).len())
        .sum::<usize>();
    assert!(found < 110, "{found}");
}
