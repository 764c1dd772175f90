//! For each rule, records of which the last one breaks it.

use monitor_common::event::{cgroup_op, state_reason};

use super::build::{HOST, OWN, Rec};
use super::{cgroup, cred, file, mount, namespace, outside, program, socket};

const MOUNT: u32 = 1;
const FSOPEN: u32 = 5;
const BIND: u64 = 1 << 12;

pub(super) fn positives() -> Vec<(&'static str, Vec<Rec>)> {
    let host_net = |s: &mut monitor_common::event::State| s.net_ns = HOST.net_ns;
    let host_cwd = |s: &mut monitor_common::event::State| s.cwd_mnt_ns = HOST.mnt_ns;
    vec![
        ("C01", vec![namespace::setns(HOST.mnt_ns, 0, |n| n.mnt_ns = HOST.mnt_ns)]),
        ("C01", vec![namespace::setns(0, -1, |_| ())]),
        ("C06", vec![namespace::state(state_reason::CHANGE, host_net)]),
        ("C07", vec![cgroup::moved(cgroup_op::ATTACH, OWN, 0, |_| ())]),
        ("C08", vec![cgroup::moved(cgroup_op::BORN, OWN, 0, |_| ())]),
        ("I-3", vec![namespace::state(state_reason::CHANGE, host_cwd)]),
        ("I-4", vec![file::open(HOST.mnt_ns, "/etc/shadow", |_| ())]),
        ("I-7", vec![mount::block(MOUNT)]),
        ("B02", vec![mount::call(MOUNT, BIND, 0, 0)]),
        ("B09", vec![mount::call(FSOPEN, 0, 0, 3)]),
        ("A01", vec![cred::cred(20, 0, [1000; 3], 0, 0)]),
        ("A02", vec![cred::exec(0, |_| ())]),
        ("B14", vec![outside::ptrace(0, 1, 0, |_| ())]),
        ("A10", vec![outside::ptrace(0, 2, 0, |_| ())]),
        ("A11", vec![outside::ptrace(OWN, 2, 0, |_| ())]),
        ("C12", vec![outside::ptrace(0, 2, 0, |p| p.op = 153)]),
        ("C13", vec![outside::signal(0, 1, 9, 0)]),
        ("H01", vec![outside::signal(0, HOST.daemon_pid, 9, 0)]),
        ("I-8", vec![program::exec(|e| e.cap_permitted = 1 << 50)]),
        ("I-10", vec![program::weakened(|s| s.old_seccomp = 2)]),
        ("A16", vec![namespace::state(state_reason::ENTRY, |s| s.cap_inheritable = 1)]),
        ("F01", vec![program::exec(|e| e.exe_layer = 2)]),
        ("F02", vec![program::exec(|e| e.exe_nlink = 0)]),
        ("F03", vec![program::exec(|e| e.exe_dev = 99)]),
        ("F18", vec![program::exec(|_| ()).path("/bin/sleep").text(b"[kworker/0:1]\0")]),
        ("D17", vec![program::memory(1, |_| ())]),
        ("C03", vec![namespace::unshare_mnt()]),
        ("C04", vec![mount::root(3, 0, 101, 101)]),
        ("E01", vec![socket::unix(b"/run/docker.sock", |_| ())]),
    ]
}
