//! Whose a fault of the kernel is.

use monitor_common::event::{Exit, fault_report};

use super::super::tests::{bytes, entry, lines};
use super::*;
use crate::kmsg::Whose;

/// An oops in a thread of process 50, whose container's first program was executed at 10.
fn fault(tid: u32, pid: Option<u32>, started: Option<u64>) -> Fault {
    Fault {
        report: fault_report::PAGE_FAULT,
        at: 20,
        cpu: 3,
        tid,
        process: pid.map(|pid| Whose { pid, started }),
        taints: 1 << 13,
        title: b"Oops: 0000 [#1]".to_vec(),
        function: b"f+0x1/0x2".to_vec(),
        comm: b"a\nb".to_vec(),
        ..Fault::default()
    }
}

fn begun(pipeline: &mut Pipeline) {
    for record in entry(10) {
        pipeline.record(&record);
    }
}

/// The container and the process of each finding and event about faults.
fn told(lines: &[serde_json::Value]) -> Vec<(&str, Option<u64>, u64)> {
    let of_faults = lines.iter().filter(|line| {
        line["type"] == "event" && line["event"] == "kernel_fault"
            || line["rule"]["id"] == "D14-oops" && line["type"] == "finding"
    });
    of_faults
        .map(|line| {
            let kind = if line["type"] == "finding" { "finding" } else { "event" };
            let key = line["container"].is_object().then_some(9);
            (kind, key, line["process"]["pid"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn a_fault_is_its_processes_and_its_containers() {
    let both = [("event", Some(9), 50), ("finding", Some(9), 50)];
    for (fault, wanted) in [
        (fault(50, Some(50), Some(0)), &both[..]),
        // The first thread of a process that is gone.
        (fault(50, None, None), &both),
        // Another thread.
        (fault(51, Some(50), None), &both),
        (fault(51, Some(50), Some(10_000_000)), &both),
        // A thread of which nothing is known, and a process that has the number now.
        (fault(51, None, None), &[("event", None, 51)]),
        (fault(50, Some(50), Some(900_000_000)), &[("event", None, 50)]),
        // The idle task.
        (fault(0, None, None), &[("event", None, 0)]),
    ] {
        let found = lines(|p| {
            begun(p);
            p.kernel_fault(20, fault.clone());
            p.tell_faults(20);
        });
        assert_eq!(told(&found), wanted, "{fault:?}");
    }
}

#[test]
fn one_that_has_the_number_since_then_is_another() {
    // That of the container started at 5.
    for (at, wanted) in
        [(5, &[("event", Some(9), 50), ("finding", Some(9), 50)][..]), (4, &[("event", None, 50)])]
    {
        let found = lines(|p| {
            begun(p);
            p.kernel_fault(20, Fault { at, ..fault(50, None, None) });
            p.tell_faults(20);
        });
        assert_eq!(told(&found), wanted, "{at}");
    }
}

#[test]
fn it_is_told_with_what_the_kernel_said() {
    let found = lines(|p| {
        begun(p);
        p.kernel_fault(20, fault(50, None, None));
        p.tell_faults(20);
    });
    let event = found.iter().find(|line| line["event"] == "kernel_fault").unwrap();
    let wanted = serde_json::json!({
        "report": "page_fault", "taints": ["unsigned"], "interrupt": 0, "title": "Oops: 0000 [#1]",
        "function": "f+0x1/0x2", "place": "", "comm": "a\nb",
    });
    assert_eq!(event["kernel_fault"], wanted);
    let finding = found.iter().find(|line| line["type"] == "finding").unwrap();
    assert_eq!(finding["rule"]["severity"], "critical");
    assert_eq!(finding["process"]["exe"], "/bin/sh");
}

#[test]
fn it_waits_for_what_was_recorded_before_it() {
    let found = lines(|p| {
        p.kernel_fault(20, fault(50, None, None));
        p.tell_faults(19);
        assert!(p.has_faults());
        begun(p);
        let exit = Exit { code: 11, ..Exit::default() };
        p.record(&bytes(EventKind::Exit, &exit, Header { time: 20, ..Header::default() }, &[]));
        p.tell_faults(20);
        assert!(!p.has_faults());
    });
    assert_eq!(told(&found), [("event", Some(9), 50), ("finding", Some(9), 50)]);
}

#[test]
fn a_runtime_that_sets_a_container_up_is_no_finding() {
    let found = lines(|p| {
        begun(p);
        let exit = Exit::default();
        let header = Header { time: 20, flags: flags::RUNTIME, ..Header::default() };
        p.record(&bytes(EventKind::Exit, &exit, header, &[]));
        p.kernel_fault(20, fault(50, None, None));
        p.tell_faults(20);
    });
    assert_eq!(told(&found), [("event", Some(9), 50)]);
}

#[test]
fn what_is_not_told_is_counted() {
    let found = lines(|p| {
        begun(p);
        for _ in 0..WAITING + 3 {
            p.kernel_fault(20, fault(50, None, None));
        }
        p.fault_over_budget();
        p.log_overwritten(20, 7);
        p.tell_faults(20);
    });
    let losses: Vec<_> = found
        .iter()
        .filter(|line| line["type"] == "loss")
        .map(|line| {
            assert_eq!((&line["sensor"], &line["event"]), (&"kernel_log".into(), &"kernel_fault".into()));
            (line["reason"].as_str().unwrap(), line["count"].as_u64())
        })
        .collect();
    assert_eq!(losses, [("log_overwritten", Some(7)), ("over_budget", Some(4))]);
    // The same fault again and again is one finding, with a count.
    assert_eq!(told(&found).iter().filter(|(kind, ..)| *kind == "finding").count(), 3);
}

#[test]
fn a_container_that_is_gone_does_not_come_back_by_it() {
    let found = lines(|p| {
        begun(p);
        let exit = Exit { code: 11, ..Exit::default() };
        p.record(&bytes(EventKind::Exit, &exit, Header { time: 20, ..Header::default() }, &[]));
        let suspect = p.suspects(true).pop().unwrap();
        assert!(p.ended(30, &suspect));
        p.kernel_fault(40, fault(50, None, None));
        p.tell_faults(40);
    });
    let changes: Vec<_> = found.iter().filter_map(|line| line["change"].as_str()).collect();
    assert_eq!(changes, ["entered", "gone"]);
    assert_eq!(told(&found), [("event", Some(9), 50), ("finding", Some(9), 50)]);
}
