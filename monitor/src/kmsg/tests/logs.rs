//! What kernels printed.

/// An oops in a task of a container, as the guests of `xtask/kernels.toml` printed it: the log of `tests/src/run/oops.rs`,
/// without most registers. With the kernel's release, the first line, the function and the thread.
pub(super) const OOPSES: [(&str, &str, &str, &str, u32); 4] = [
    (
        "5,355,2434644,-;dummb: module verification failed: signature and/or required key missing - tainting kernel
4,356,2439252,-;invalid opcode: 0000 [#1] SMP NOPTI
4,357,2439553,-;CPU: 1 PID: 110 Comm: actor Tainted: G            E     5.10.0-46-cloud-amd64 #1 Debian 5.10.262-1
4,358,2439713,-;Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
4,359,2440148,-;RIP: 0010:dummy_init_module+0x5/0x1000 [dummb]
4,360,2440336,-;Code: Unable to access opcode bytes at RIP 0xffffffffc037afdb.
4,371,2440910,-;Call Trace:
4,372,2440910,-; do_one_initcall+0x44/0x1e0
4,388,2444954,-;---[ end trace 0a8f869044e7b8aa ]---
4,389,2445057,-;RIP: 0010:dummy_init_module+0x5/0x1000 [dummb]",
        "5.10.0-46-cloud-amd64",
        "invalid opcode: 0000 [#1] SMP NOPTI",
        "dummy_init_module+0x5/0x1000 [dummb]",
        110,
    ),
    (
        "5,353,2673919,-;dummb: module verification failed: signature and/or required key missing - tainting kernel
4,354,2683500,-;invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
4,355,2683685,-;CPU: 0 PID: 118 Comm: actor Tainted: G            E      6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2
4,356,2683685,-;Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
4,357,2683685,-;RIP: 0010:dummy_init_module+0x5/0x1000 [dummb]
4,358,2683685,-;Code: Unable to access opcode bytes at 0xffffffffc0259fdb.
4,369,2683685,-;Call Trace:
4,370,2683685,-; <TASK>
4,371,2683685,-; do_one_initcall+0x59/0x220
4,393,2683685,-; </TASK>
4,394,2683685,-;Modules linked in: dummb(E+)
4,395,2689718,-;---[ end trace 0000000000000000 ]---
4,396,2689814,-;RIP: 0010:dummy_init_module+0x5/0x1000 [dummb]",
        "6.1.0-56-cloud-amd64",
        "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
        "dummy_init_module+0x5/0x1000 [dummb]",
        118,
    ),
    (
        "5,366,3020022,-;dummb: module verification failed: signature and/or required key missing - tainting kernel
4,367,3026202,-;Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
4,368,3026545,-;CPU: 0 UID: 0 PID: 173 Comm: actor Tainted: G            E      6.12.117+deb13-cloud-amd64 #1  Debian 6.12.117-1
4,369,3026823,-;Tainted: [E]=UNSIGNED_MODULE
4,370,3026887,-;Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
4,371,3027079,-;RIP: 0010:dummy_init_module+0x9/0xff0 [dummb]
4,372,3027445,-;Code: Unable to access opcode bytes at 0xffffffffc05a7fef.
4,383,3028677,-;Call Trace:
4,384,3029235,-; <TASK>
4,385,3029334,-; do_one_initcall+0x5b/0x310
4,407,3032084,-;---[ end trace 0000000000000000 ]---",
        "6.12.117+deb13-cloud-amd64",
        "Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
        "dummy_init_module+0x9/0xff0 [dummb]",
        173,
    ),
    (
        "5,359,3643234,-;dummb: module verification failed: signature and/or required key missing - tainting kernel
4,360,3649615,-;Oops: invalid opcode: 0000 [#1] SMP NOPTI
4,361,3650072,-;CPU: 0 UID: 0 PID: 125 Comm: actor Tainted: G            E       7.3.4+deb13-cloud-amd64 #1 PREEMPT(lazy)  Debian 7.3.4-1~bpo13+1 
4,362,3650384,-;Tainted: [E]=UNSIGNED_MODULE
4,363,3650456,-;Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
4,364,3650720,-;RIP: 0010:dummy_init_module+0x9/0xff0 [dummb]
4,366,3651382,-;RSP: 0018:ff6a4bd58062f9d8 EFLAGS: 00000246
4,376,3652672,-;Call Trace:
4,377,3653074,-; <TASK>
4,378,3653179,-; do_one_initcall+0x57/0x310
4,396,3654820,-;RIP: 0033:0x7fb1a3862009
4,406,3656596,-;---[ end trace 0000000000000000 ]---",
        "7.3.4+deb13-cloud-amd64",
        "Oops: invalid opcode: 0000 [#1] SMP NOPTI",
        "dummy_init_module+0x9/0xff0 [dummb]",
        125,
    ),
];

/// The line about a process that calls itself as an oops begins, as each of those kernels printed it.
pub(super) const NAMED: [&str; 2] = [
    "6,401,2484560,-;Oops: 0000 [#1][112]: segfault at 800 ip 00007f1e7135e95f sp 00007fffb90b6730 error 4 in actor[7f1e71344000+12b000]",
    "6,419,3708091,-;Oops: 0000 [#1][127]: segfault at 800 ip 00007fcde8d6f95f sp 00007ffd46c9fcb0 error 4 in actor[7895f,7fcde8d55000+12b000] likely on CPU 0 (core 0, socket 0)",
];
