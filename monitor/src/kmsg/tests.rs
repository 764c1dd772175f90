//! Reports as kernels print them, and lines that are none.

use monitor_common::event::fault_report as report;

use super::title::Title;
use super::*;
use logs::{NAMED, OOPSES};

mod forged;
mod logs;

/// A line with which every report goes on.
const TASK: &str = "CPU: 3 PID: 77 Comm: x Not tainted 6.1.0 #1";

/// The kernel that says so, as uname(2) gives it.
const RELEASE: &str = "6.1.0";
const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.1-1 (2026-01-01)";

fn reports() -> Reports {
    Reports::new(RELEASE.as_bytes(), VERSION.as_bytes())
}

fn read(log: &str) -> Vec<Fault> {
    of(reports(), log)
}

fn of(mut reports: Reports, log: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for record in log.lines() {
        let Some(line) = Line::read(record.as_bytes()) else { continue };
        faults.extend(reports.line(&line, line.stamp, |tid| Some(Whose { pid: tid, started: None })));
    }
    faults.extend(reports.gap());
    faults
}

/// Lines of the kernel.
fn kernel(lines: &[&str]) -> Vec<Fault> {
    let log: Vec<String> = lines.iter().enumerate().map(|(n, text)| format!("4,{n},1,-;{text}")).collect();
    read(&log.join("\n"))
}

#[track_caller]
fn one(lines: &[&str]) -> Fault {
    let [fault] = <[Fault; 1]>::try_from(kernel(lines)).unwrap();
    fault
}

#[test]
fn an_oops_of_each_kernel() {
    for (log, release, title, function, tid) in OOPSES {
        let read = |log: &str| of(Reports::new(release.as_bytes(), VERSION.as_bytes()), log);
        let [fault] = <[Fault; 1]>::try_from(read(log)).unwrap();
        assert_eq!((fault.report, fault.tid, fault.interrupt), (report::INVALID_OPCODE, tid, false));
        assert_eq!(
            (fault.title.as_slice(), fault.function.as_slice()),
            (title.as_bytes(), function.as_bytes())
        );
        assert_eq!((fault.comm.as_slice(), fault.taints), (&b"actor"[..], 1 << 13));
        assert_eq!(fault.process, Some(Whose { pid: tid, started: None }));
        for named in NAMED {
            assert_eq!(read(&format!("{named}\n{log}\n{named}")).len(), 1);
        }
    }
}

#[test]
fn a_report_that_is_cut_anywhere_tells_its_task_or_nothing() {
    for (log, release, _, _, tid) in OOPSES {
        let read = |log: &str| of(Reports::new(release.as_bytes(), VERSION.as_bytes()), log);
        let lines: Vec<&str> = log.lines().collect();
        for end in 0..lines.len() {
            let found = read(&lines[..end].join("\n"));
            assert_eq!(found.len(), usize::from(end >= 3), "{end} lines");
            assert!(found.iter().all(|fault| fault.tid == tid));
        }
        for end in 0..log.len() {
            read(&log[..end]);
        }
    }
}

#[test]
fn every_first_line() {
    for (title, wanted) in [
        ("BUG: kernel NULL pointer dereference, address: 0000000000000010", report::NULL_POINTER),
        ("BUG: unable to handle page fault for address: ffffc90000000000", report::PAGE_FAULT),
        ("Unable to handle kernel paging request at virtual address dead000000000108", report::PAGE_FAULT),
        ("general protection fault: 0000 [#1] SMP PTI", report::GENERAL_PROTECTION),
        (
            "general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#2] PREEMPT SMP NOPTI",
            report::GENERAL_PROTECTION,
        ),
        (
            "Oops: general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP KASAN",
            report::GENERAL_PROTECTION,
        ),
        ("Oops: 0002 [#1] SMP NOPTI", report::OOPS),
        ("Oops: Oops: 0002 [#1] SMP NOPTI", report::OOPS),
        ("divide error: 0000 [#1]", report::OOPS),
        ("Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP", report::OOPS),
        ("Internal error: Oops - BUG: 00000000f2000800 [#1] SMP", report::BUG),
        ("kernel BUG at mm/slub.c:4023!", report::BUG),
        ("BUG: Bad page state in process a  b  pfn:12345", report::BUG),
        ("BUG: Bad page map in process x  pte:8000000012345067 pmd:12345067", report::BUG),
        ("BUG: Bad page map in process x  pte:8000000012345067", report::BUG),
        (
            "BUG: stack guard page was hit at 00000000a1b2c3d4 (stack is 00000000a1b2c3d4..00000000e5f60718)",
            report::OOPS,
        ),
        ("BUG: TASK stack guard page was hit at a1b2c3d4 (stack is a1b2c3d4..e5f60718)", report::OOPS),
        ("BUG: #DF stack guard page was hit at a1b2c3d4 (stack is a1b2c3d4..e5f60718)", report::OOPS),
        (
            "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000000000000010",
            report::PAGE_FAULT,
        ),
        ("BUG: KASAN: slab-out-of-bounds in f+0x12/0x34 [m]", report::KASAN),
        ("BUG: KASAN: use-after-free in f+0x12/0x34", report::KASAN),
        ("BUG: KFENCE: use-after-free read in f+0x12/0x34", report::KFENCE),
        ("BUG: KMSAN: uninit-value in f+0x12/0x34", report::KMSAN),
        ("UBSAN: array-index-out-of-bounds in fs/jfs/jfs_dmap.c:2949:15", report::UBSAN),
        ("UBSAN: shift-out-of-bounds in net/x.c:7:1", report::UBSAN),
    ] {
        let fault = one(&[title, "something between", TASK, "RIP: 0010:g+0x1/0x2", "Call Trace:", " <TASK>"]);
        assert_eq!((fault.report, fault.tid, fault.cpu), (wanted, 77, 3), "{title}");
        assert_eq!(fault.title, title.as_bytes());
        let sanitizer = matches!(wanted, report::KASAN | report::KFENCE | report::KMSAN);
        assert!(fault.function.starts_with(if sanitizer { b"f+" } else { b"g+" }), "{fault:?}");
        // Nothing comes before it but where a kind of exception has a name, and nothing after it.
        let (before, after) = (format!("x{title}"), format!("{title}[7]: segfault at 0"));
        let is_exception = title.contains("[#");
        assert_eq!(Title::read(before.as_bytes()).is_some(), is_exception, "{before}");
        assert_eq!(Title::read(after.as_bytes()), None, "{after}");
    }
}

#[test]
fn warnings_of_old_and_new_kernels() {
    for (title, place, function) in [
        ("WARNING: CPU: 3 PID: 77 at kernel/x.c:12 f+0x1/0x20", "kernel/x.c:12", "f+0x1/0x20"),
        ("WARNING: CPU: 3 PID: 77 at net/y-z.h:12 f+0x1/0x20 [m]", "net/y-z.h:12", "f+0x1/0x20 [m]"),
        ("WARNING: CPU: 3 PID: 77 at f+0x1/0x20 [m]", "", "f+0x1/0x20 [m]"),
        ("WARNING: kernel/x.c:12 at f+0x1/0x20, CPU#3: a/b, CPU#9: 1/77", "kernel/x.c:12", "f+0x1/0x20"),
        ("WARNING: at f+0x1/0x20 [m], CPU#3: x/77", "", "f+0x1/0x20 [m]"),
    ] {
        let fault = one(&[
            title,
            "Modules linked in:",
            TASK,
            "RIP: 0010:g+0x1/0x2",
            "---[ end trace 0000000000000000 ]---",
        ]);
        assert_eq!((fault.report, fault.tid, fault.cpu), (report::WARNING, 77, 3), "{title}");
        assert_eq!(
            (fault.place.as_slice(), fault.function.as_slice()),
            (place.as_bytes(), function.as_bytes())
        );
        assert!(fault.is_warning());
        assert_eq!(one(&[title]).tid, 77, "the task is in the first line");
    }
    for odd in [
        "WARNING: possible circular locking dependency detected",
        "WARNING: suspicious RCU usage",
        "WARNING: CPU: 3 PID: x at kernel/x.c:12 f+0x1/0x20",
        "WARNING: kernel/x.c:12 at f+0x1/0x20, CPU#3: x",
        "WARNING: kernel/x.c:12 at evil words, CPU#3: x/77",
    ] {
        assert_eq!(kernel(&[odd, TASK]), [], "{odd}");
    }
}

#[test]
fn several_first_lines_are_one_report() {
    let fault = one(&[
        "BUG: kernel NULL pointer dereference, address: 0000000000000010",
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        "PGD 0 P4D 0 ",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        TASK,
        "RIP: 0010:f+0x1/0x2",
        "---[ end trace 0000000000000000 ]---",
    ]);
    assert_eq!(fault.report, report::NULL_POINTER);
    let fault = one(&["kernel BUG at lib/list_debug.c:26!", "invalid opcode: 0000 [#1] SMP", TASK]);
    assert_eq!((fault.report, fault.place.as_slice()), (report::BUG, &b"lib/list_debug.c:26"[..]));
    // The next report begins before the one before it has ended.
    let two = kernel(&["Oops: 0000 [#1] SMP", TASK, "Oops: 0000 [#2] SMP", TASK]);
    assert_eq!(two.len(), 2);
}

#[test]
fn dumps_that_are_no_reports() {
    for title in [
        "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "x: page allocation failure: order:4, mode:0xdc0(GFP_KERNEL|__GFP_ZERO), nodemask=(null)",
        "INFO: task x:77 blocked for more than 120 seconds.",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:77]",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "traps: x[77] trap invalid opcode ip:55555 sp:7ffd error:0 in x[5555+1000]",
        "x[77]: segfault at 0 ip 0000 sp 0000 error 4 in x[5555+1000]",
        "Oops: 000 [#1] SMP",
        "Oops: 000g [#1] SMP",
        "Oops: 00000000000000000 [#1] SMP",
        "Oops: 0000 [#x] SMP",
        "Oops [#1] SMP",
        "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!",
    ] {
        assert_eq!(kernel(&[title, TASK, "RIP: 0010:f+0x1/0x2"]), [], "{title}");
    }
    assert_eq!(kernel(&[TASK, "Oops: 0000 [#1] SMP"]), [], "the task of an earlier dump");
}

#[test]
fn reports_that_are_printed_at_once_are_told_apart_where_the_kernel_says_who_prints() {
    let said = |caller: &str, text: &str| format!("4,1,1,-,caller={caller};{text}");
    let task = |tid: u32| format!("CPU: 0 PID: {tid} Comm: x Not tainted 6.1.0 #1");
    let found = read(
        &[
            said("T1", "Oops: 0000 [#1] SMP"),
            said("T2", "BUG: KASAN: use-after-free in f+0x12/0x34"),
            said("T3", &task(3)),
            said("T2", &task(2)),
            said("T1", &task(1)),
            said("T1", "---[ end trace 0000000000000000 ]---"),
            said("T2", "Call Trace:"),
            said("T2", " <IRQ>"),
        ]
        .join("\n"),
    );
    let told: Vec<_> = found.iter().map(|fault| (fault.tid, fault.report, fault.interrupt)).collect();
    assert_eq!(told, [(1, report::OOPS, false), (2, report::KASAN, true)]);
}

#[test]
fn what_goes_on_too_late_is_something_else() {
    const SECOND: u64 = 1_000_000_000;
    let mut reports = reports();
    let feed = |reports: &mut Reports, at: u64, caller: &str, text: &str| {
        let record = format!("4,1,1,-,caller={caller};{text}");
        reports.line(&Line::read(record.as_bytes()).unwrap(), at, |pid| Some(Whose { pid, started: None }))
    };
    // A first line without a task: a dump that comes later is not its.
    feed(&mut reports, 10 * SECOND, "T1", "Oops: 0000 [#1] SMP");
    let due = reports.due().unwrap();
    assert!((10 * SECOND + 1..=13 * SECOND).contains(&due));
    assert_eq!(reports.silence(due - 1), []);
    assert_eq!(reports.due(), Some(due));
    assert_eq!((reports.silence(due), reports.due()), (vec![], None));
    assert_eq!(feed(&mut reports, due, "T1", TASK), None);
    assert_eq!(reports.due(), None);
    // One with a task is told, whatever others print meanwhile.
    feed(&mut reports, 20 * SECOND, "T1", "Oops: 0000 [#1] SMP");
    feed(&mut reports, 20 * SECOND + 1, "T1", TASK);
    let due = reports.due().unwrap();
    assert!(due < 21 * SECOND);
    feed(&mut reports, due - 1, "T2", "any");
    assert_eq!(reports.line(&Line::read(b"12,1,1,-,caller=T1;any").unwrap(), due - 1, |_| None), None);
    assert_eq!(reports.due(), Some(due));
    let [fault] = <[Fault; 1]>::try_from(reports.silence(due)).unwrap();
    assert_eq!((fault.tid, fault.at), (77, 20 * SECOND));
    // Its own lines keep it.
    feed(&mut reports, 30 * SECOND, "T1", "Oops: 0000 [#1] SMP");
    feed(&mut reports, 30 * SECOND, "T1", TASK);
    feed(&mut reports, 31 * SECOND, "T1", "RIP: 0010:f+0x1/0x2");
    assert!(reports.due().unwrap() > 31 * SECOND);
}

#[test]
fn what_has_no_end_is_bounded() {
    let mut reports = reports();
    let whose = |tid| Some(Whose { pid: tid, started: None });
    let feed = |reports: &mut Reports, caller: &str, text: &str| {
        let record = format!("4,1,1,-,caller={caller};{text}");
        reports.line(&Line::read(record.as_bytes()).unwrap(), 1, whose)
    };
    assert_eq!(feed(&mut reports, "T1", "Oops: 0000 [#1] SMP"), None);
    for _ in 0..1000 {
        assert_eq!(feed(&mut reports, "T1", "any"), None);
    }
    assert_eq!(feed(&mut reports, "T1", TASK), None);
    assert_eq!(reports.due(), None, "the task of something else by now");
    feed(&mut reports, "T1", "Oops: 0000 [#1] SMP");
    feed(&mut reports, "T1", TASK);
    assert!(reports.due().is_some());
    let told = (0..1000).filter_map(|_| feed(&mut reports, "T1", "any")).count();
    assert_eq!((told, reports.due()), (1, None));
    for caller in 0..10_000 {
        feed(&mut reports, &format!("T{caller}"), "Oops: 0000 [#1] SMP");
        feed(&mut reports, &format!("T{caller}"), TASK);
    }
    assert!(reports.gap().len() <= 8);
    // Behind a gap a task belongs to nothing.
    feed(&mut reports, "T1", "Oops: 0000 [#1] SMP");
    assert_eq!(reports.gap(), []);
    assert_eq!(feed(&mut reports, "T1", TASK), None);
    assert_eq!(reports.due(), None);
    let long = one(&[&format!("kernel BUG at {}:1!", "a".repeat(5000)), TASK]);
    assert!(long.title.len() <= 256 && long.place.len() <= 128);
}
