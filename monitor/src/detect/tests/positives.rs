//! For each rule, records of which the last one breaks it.

use monitor_common::call::Call;
use monitor_common::event::{
    EventKind, Fanotify, Ioctl, cgroup_op, change_op as op, module_op, state_reason, why,
};
use monitor_common::network::{METADATA, mapped};
use monitor_common::policy::watch;

use super::build::{HOST, OWN, Rec, rec};
use super::{
    cgroup, crash, cred, file, kernel, mask, mount, namespace, network, open, outside, program, secure,
    socket, splice, tracing,
};

const MOUNT: u32 = 1;
const FSOPEN: u32 = 5;
const BIND: u64 = 1 << 12;
const PROC: u64 = 0x9fa0;

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
        ("A07", vec![cred::unseen([1000; 3], [1001; 3], 0)]),
        ("A07", vec![cred::exec(0, |e| (e.exe_ctime, e.secure) = (0, 0))]),
        ("A13", vec![secure::exec("", "", |_| ())]),
        ("B10", vec![mask::umount("/proc/kcore", 0, 0)]),
        ("D14", crash::burst()),
        ("D14-oops", vec![crash::fault(1, 0)]),
        ("B29", vec![splice::file(1, 1, 4)]),
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
        ("I-12", vec![program::host(|e| e.exe_container = OWN)]),
        ("I-13", vec![program::host(|e| (e.exe_container, e.helper) = (OWN, 1))]),
        ("C10", vec![cgroup::moved(cgroup_op::ATTACH, 0, OWN, |_| ()).by_host()]),
        ("C03", vec![namespace::unshare_mnt()]),
        ("C04", vec![mount::root(3, 0, 101, 101)]),
        ("D01", vec![kernel::module(module_op::LOAD, b"evil")]),
        ("D02", vec![kernel::module(module_op::REQUEST, b"net-pf-33")]),
        ("D03", vec![tracing::bpf(5, 26, 3)]),
        ("D04", vec![tracing::perf(|p| p.pid = -1)]),
        ("D05", vec![kernel::call(Call::IoUringSetup, -1, |_| ())]),
        ("D06", vec![kernel::call(Call::Keyctl, 0, |_| ())]),
        ("D07", vec![kernel::call(Call::Userfaultfd, 3, |_| ())]),
        ("D08", vec![kernel::call(Call::KexecLoad, -1, |_| ())]),
        ("D09", vec![kernel::call(Call::Iopl, -1, |c| c.arg0 = 3)]),
        ("D10", vec![kernel::call(Call::Syslog, 0, |c| c.arg0 = 5)]),
        ("D15", vec![kernel::call(Call::Swapon, -1, |_| ())]),
        ("A06", vec![kernel::new_user_namespace(), kernel::mount()]),
        ("I-5", vec![open::opened("/x", why::HANDLE, |_| ())]),
        ("I-6", vec![open::opened("/dev/x", why::BLOCK, |f| f.rdev = 8 << 20)]),
        ("B11", vec![open::changed(op::MKNOD, why::BLOCK, "/x", |_| ())]),
        ("B15", vec![open::written("/sys/kernel/core_pattern", PROC)]),
        ("B16", vec![open::written("/sys/kernel/modprobe", PROC)]),
        ("B17", vec![open::written("/sysrq-trigger", PROC)]),
        ("B18", vec![open::opened("/kcore", why::KERNEL_READ, |f| f.magic = PROC)]),
        ("B04", vec![open::written("/release_agent", 0x0027_e0eb)]),
        ("B05", vec![open::written("/cgroup.procs", 0x6367_7270)]),
        ("B20", vec![open::opened("/h", why::WATCHED, |f| f.class = watch::NODE)]),
        (
            "B21",
            vec![
                open::changed(op::SYMLINK, why::WATCHED, "/h", |c| c.class = watch::LOG).text(b"").text(b"/"),
            ],
        ),
        ("B25", vec![open::changed(op::UNLINK, why::WATCHED, "/h", |c| c.class = watch::RUNTIME)]),
        ("H05", vec![open::changed(op::UNLINK, why::WATCHED, "/h", |c| c.class = watch::OWN)]),
        ("B30", vec![rec(EventKind::Fanotify, Fanotify { flags: 1 | 1 << 4, ..Fanotify::default() })]),
        ("B31", vec![rec(EventKind::Ioctl, Ioctl { cmd: 0x4C00, ..Ioctl::default() })]),
        ("C02", vec![open::opened("/x", why::NAMESPACE, |f| f.ino = u64::from(HOST.mnt_ns))]),
        ("C14", vec![rec(EventKind::Ioctl, Ioctl { cmd: 0x5412, ..Ioctl::default() })]),
        ("A12", vec![open::written("/7/attr/exec", PROC)]),
        ("A14", vec![open::changed(op::RENAME, why::NAMED, "/etc/shadow", |_| ())]),
        ("A15", vec![open::changed(op::RENAME, why::NAMED, "/etc/ld.so.preload", |_| ())]),
        ("F16", vec![open::changed(op::UNLINK, why::NAMED, "/var/log/x", |_| ())]),
        ("F17", vec![open::changed(op::LINK, why::NAMED, "/etc/crontab", |_| ())]),
        ("D16", vec![open::written("/kprobe_events", 0x7472_6163)]),
        ("E04", vec![network::connect(METADATA[0], 80)]),
        ("E05", vec![network::connect(network::facts().api_server.map_or([0; 16], |(a, _)| a), 6443)]),
        ("E06", vec![network::connect(network::facts().node[0], 10250)]),
        ("E07", vec![network::socket(17, 3, 0)]),
        ("E02", vec![network::abstract_name(HOST.net_ns, b"/tmp/dbus-1", 0)]),
        ("E09", vec![network::stdio(103, network::facts().node[0], 1)]),
        ("E11", vec![network::connect_in(HOST.net_ns, mapped([127, 0, 0, 1]), 80)]),
        ("E14", vec![network::created(16, 3, 12, |s| s.net_ns = HOST.net_ns)]),
        ("E15", vec![network::socket(40, 1, 0)]),
        ("D11", vec![network::socket(38, 5, 0)]),
        ("D12", vec![network::created(16, 3, 12, |s| s.user_ns = 999)]),
        ("D13", vec![network::created(17, 3, 0, |s| s.user_ns = 999)]),
        ("B32", vec![network::received(HOST.mnt_ns, 0o040_755)]),
        ("E01", vec![socket::unix(b"/run/docker.sock", |_| ())]),
    ]
}
