//! Lines that somebody else than the kernel chose parts of.

use super::*;

#[test]
fn names_of_tasks_make_no_report() {
    // What the kernel puts after a name at the beginning of a line.
    let after = [
        "[77]: segfault at 0 ip 0000 sp 0000 error 4 in x[5555+1000]",
        "[77] general protection fault ip:5555 sp:7ffd error:0 in x[5555+1000]",
        " (77): drop_caches: 3",
        "(77): Using deprecated sysctl",
        " uses obsolete (PF_INET,SOCK_PACKET)",
        ": page allocation failure: order:4, mode:0xdc0(GFP_KERNEL|__GFP_ZERO)",
        " invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "[77] bad frame in rt_sigreturn frame:00 ip:00 sp:00 orax:ff in x!",
        "/77 is behaving badly!",
    ];
    let names = [
        "Oops: 0000 [#1]",
        "Oops: 0000 [#1",
        "Oops: 000 [#1] ",
        "a: 0000 [#1] S",
        "a: 0000 [#1] ",
        "int3: 0000 [#1]",
        "kernel BUG at a",
        "kernel BUG at ",
        "BUG: KASAN: a i",
        "BUG: KFENCE: x ",
        "UBSAN: a in b:1",
        "WARNING: CPU: 0",
        "WARNING: at f+0",
        "WARNING: a:1 at",
        "BUG: kernel NUL",
        "BUG: unable to ",
        "Internal error:",
        "BUG: Bad page s",
    ];
    for name in names {
        assert!(name.len() <= 15, "{name}");
        for after in after {
            let line = format!("{name}{after}");
            assert_eq!(kernel(&[&line, TASK, "RIP: 0010:f+0x1/0x2"]), [], "{line}");
        }
    }
    for name in ["CPU: 0 PID: 1 C", "CPU: 0 UID: 0 P", "CPU: 0 PID: 1"] {
        for after in after {
            let line = format!("{name}{after}");
            assert_eq!(kernel(&["Oops: 0000 [#1] SMP", &line]), [], "{line}");
            assert_eq!(one(&["Oops: 0000 [#1] SMP", &line, TASK]).tid, 77, "{line}");
        }
    }
}

#[test]
fn a_name_that_says_what_comes_after_it_changes_nothing() {
    for (name, shown) in [
        ("a Not tainted 5", "a Not tainted 5"),
        (" Tainted: G B ", " Tainted: G B "),
        ("PID: 1 Comm: z", "PID: 1 Comm: z"),
        ("\\x0aOops\\x5c", "\nOops\\"),
        ("\\x0", "\\x0"),
        ("", ""),
    ] {
        for (state, taints) in [
            ("Not tainted", 0),
            ("Kdump: loaded Not tainted", 0),
            ("Tainted: P      D W  OE", 1 << 7 | 1 << 9 | 1 << 12 | 1 << 13 | 1),
        ] {
            let line = format!(
                "CPU: 3 UID: 1000 PID: 77 Comm: {name} {state} 6.1.0 #1 PREEMPT(lazy)  Debian 6.1.1-1 "
            );
            let fault = one(&["Oops: 0000 [#1] SMP", &line]);
            assert_eq!((fault.tid, fault.taints), (77, taints), "{line}");
            assert_eq!(fault.comm, shown.as_bytes(), "{line}");
        }
    }
}

#[test]
fn only_the_kernel_reports() {
    for level in ["12", "30", "8"] {
        let log = format!("{level},1,1,-;Oops: 0000 [#1] SMP\n{level},2,1,-;{TASK}");
        assert_eq!(read(&log), []);
        assert_eq!(read(&format!("4,1,1,-;Oops: 0000 [#1] SMP\n{level},2,1,-;{TASK}")), []);
    }
    // What follows a record is not its text.
    assert_eq!(Line::read(b"4,1,1,-;a\n SUBSYSTEM=x\n").unwrap().text, b"a");
    for odd in [
        "",
        ";",
        "4;",
        "4,;",
        "4,1;a",
        "4,1,x,-;a",
        "x,1,1,-;a",
        "-4,1,1,-;a",
        "4,99999999999999999999999,1,-;a",
    ] {
        assert_eq!(Line::read(odd.as_bytes()), None, "{odd}");
    }
    let line = Line::read(b"4,7,12,-,caller=T77,x=y;a").unwrap();
    assert_eq!(line.stamp, 12_000);
    assert_eq!((line.seq, line.caller, line.is_kernel), (7, Some(&b"T77"[..]), true));
}

#[test]
fn what_a_rule_of_the_firewall_has_logged_is_no_report() {
    // The prefix is chosen by whoever makes the rule, and its line is the kernel's.
    let logged =
        "IN=lo OUT= MAC=00:00 SRC=127.0.0.1 DST=127.0.0.1 LEN=84 PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1 ";
    for prefix in [
        "BUG: kernel NULL pointer dereference, address: 0",
        "BUG: kernel NULL pointer dereference, address: 0000000000000010 ",
        "BUG: unable to handle page fault for address: ffff",
        "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0",
        "BUG: Bad page state in process x  pfn:1",
        "BUG: Bad page map in process x  pte:1 pmd:2 ",
        "BUG: stack guard page was hit at 0 (stack is 0..1)",
        "kernel BUG at a.c:1!",
        "BUG: KASAN: use-after-free in f+0x1/0x2 [m]",
        "UBSAN: a in b.c:1 ",
        "WARNING: CPU: 0 PID: 7 at a.c:1 f+0x1/0x2 ",
        "WARNING: a.c:1 at f+0x1/0x2, CPU#0: x/7",
        "Oops: 0000 [#1] SMP ",
    ] {
        let line = format!("{prefix}{logged}");
        assert_eq!(kernel(&[&line, TASK]), [], "{line}");
    }
    for prefix in [
        "CPU: 0 PID: 1 Comm: x Not tainted 6",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #1 ",
        "CPU: 0 PID: 1 Comm: x Tainted: G        W          6.1.0 #1",
        "CPU: 0 UID: 0 PID: 1 Comm: x Tainted: 6.1.0 #1 PREEMPT(lazy) ",
    ] {
        let line = format!("{prefix}{logged}");
        assert_eq!(kernel(&["Oops: 0002 [#1] SMP", &line]), [], "{line}");
        assert_eq!(one(&["Oops: 0002 [#1] SMP", &line, TASK]).tid, 77, "{line}");
    }
}

#[test]
fn only_the_kernel_that_runs_says_whose_a_report_is() {
    for other in [
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #12",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0-1 #1",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.12.0 #1",
        "CPU: 0 PID: 1 Comm: x Tainted: G  6.12.0 #1",
        "CPU: 0 PID: 1 Comm: x Not tainted",
        "CPU: 0 PID: 1 Comm: x Tainted: ",
    ] {
        assert_eq!(kernel(&["Oops: 0002 [#1] SMP", other]), [], "{other}");
    }
}
