//! I-5, I-6, C02 and the rules about devices, files of the kernel, watched files and names; B30, B31, C14.

use monitor_common::event::{
    EventKind, Fanotify, FileChange, FileOpen, Ioctl, Sysctl, change_op as op, fanotify_mark as mark,
    ioctl_cmd as cmd, why,
};
use monitor_common::policy::watch;

use super::build::{Brief, HOST, OWN, Rec, World, fact, rec};
use super::file::open;
use crate::container::DeclaredDevice;
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const PROC: u64 = 0x9fa0;
const WRONLY: u32 = 1;
/// When the container is no longer young, nanoseconds.
const LATER: u64 = 60_000_000_000;

fn check(records: &[Rec], expected: &[Brief]) {
    World::new().check(records, expected);
}

/// A file of the container's own, opened for these reasons.
pub(super) fn opened(path: &str, why: u32, change: impl FnOnce(&mut FileOpen)) -> Rec {
    open(0, path, |f| {
        f.why = why;
        change(f);
    })
    .at(LATER)
}

/// A file of a kernel's file system, opened for writing.
pub(super) fn written(path: &str, magic: u64) -> Rec {
    opened(path, why::KERNEL_WRITE, |f| (f.magic, f.flags) = (magic, WRONLY))
}

pub(super) fn changed(op: u32, why: u32, path: &str, change: impl FnOnce(&mut FileChange)) -> Rec {
    let mut c = FileChange { op, why, is_final: 1, ..FileChange::default() };
    change(&mut c);
    rec(EventKind::FileChange, c).path(path).at(LATER)
}

#[test]
fn files_without_a_path() {
    check(&[opened("/x", why::HANDLE, |_| ())], &[("I-5", Critical, Succeeded)]);
    check(&[opened("/x", why::UNREACHABLE, |_| ())], &[("I-5", Critical, Succeeded)]);
    check(&[opened("", why::HANDLE, |f| f.ret = -1)], &[("I-5", Warning, Denied)]);
    check(&[opened("/x", why::HANDLE, |_| ()).by_runtime()], &[]);
}

#[test]
fn devices() {
    let disk = || opened("/dev/x", why::BLOCK, |f| f.rdev = 8 << 20 | 1);
    let fuse = || opened("/dev/fuse", why::CHAR, |f| f.rdev = 10 << 20 | 229);
    check(&[disk()], &[("I-6", Critical, Succeeded)]);
    check(&[fuse()], &[("I-6", Critical, Succeeded)]);
    let with = |devices: Vec<DeclaredDevice>| {
        let mut world = World::new();
        world.container.declared.as_mut().unwrap().devices = devices;
        world
    };
    let all = DeclaredDevice { block: None, major: None, minor: None };
    with(vec![all]).check(&[fuse()], &[]);
    let found = with(vec![all]).check(&[disk()], &[("I-6", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "device_grant"), (Some(&Value::Word("granted")), &Value::Word("all granted")));
    assert_eq!(fact(&found[0], "device").1, &Value::Text("8:1".into()));
    with(vec![DeclaredDevice { block: Some(true), major: Some(8), minor: None }]).check(&[disk()], &[]);
    with(vec![DeclaredDevice { block: Some(false), major: Some(10), minor: Some(229) }])
        .check(&[fuse()], &[]);
    let mut unknown = World::new();
    unknown.container.declared = None;
    unknown.check(&[fuse()], &[("I-6", Warning, Succeeded)]);
}

#[test]
fn files_of_the_kernel() {
    let cases: [(&str, u64, &[Brief]); 16] = [
        ("/sys/kernel/core_pattern", PROC, &[("B15", Critical, Succeeded)]),
        ("/sys/kernel/modprobe", PROC, &[("B16", Critical, Succeeded)]),
        ("/sys/kernel/usermodehelper/bset", PROC, &[("B16", Critical, Succeeded)]),
        ("/kernel/uevent_helper", 0x6265_6572, &[("B16", Critical, Succeeded)]),
        ("/register", 0x4249_4e4d, &[("B16", Warning, Succeeded)]),
        ("/sysrq-trigger", PROC, &[("B17", Critical, Succeeded)]),
        ("/sys/kernel/sysrq", PROC, &[("B17", Critical, Succeeded)]),
        ("/7/attr/exec", PROC, &[("A12", Warning, Succeeded)]),
        ("/7/attr/apparmor/exec", PROC, &[("A12", Warning, Succeeded)]),
        ("/release_agent", 0x0027_e0eb, &[("B04", Critical, Succeeded)]),
        ("/c1/devices.allow", 0x0027_e0eb, &[("B05", Critical, Succeeded)]),
        ("/c1/tasks", 0x0027_e0eb, &[]),
        ("/system.slice/cgroup.procs", 0x6367_7270, &[("B05", Critical, Succeeded)]),
        ("/kprobe_events", 0x7472_6163, &[("D16", Critical, Succeeded)]),
        ("/7/oom_score_adj", PROC, &[]),
        ("/sys/net/core/somaxconn", PROC, &[]),
    ];
    for (path, magic, expected) in cases {
        check(&[written(path, magic)], expected);
    }
    // A file that has such a name, on an ordinary file system, is never asked about; below its own cgroup it may.
    check(
        &[opened("/own/cgroup.procs", why::KERNEL_WRITE, |f| (f.magic, f.owner) = (0x6367_7270, OWN))],
        &[],
    );
    check(&[opened("/x", why::KERNEL_READ, |f| f.magic = PROC)], &[("B18", Notice, Succeeded)]);
    check(&[opened("/kcore", why::KERNEL_READ, |f| f.magic = PROC)], &[("B18", Critical, Succeeded)]);
    check(&[opened("/keys", why::KERNEL_READ, |f| f.magic = PROC)], &[("B18", Warning, Succeeded)]);
    check(&[opened("/kvm", why::KERNEL_READ, |f| f.magic = 0x6462_6720)], &[("B18", Warning, Succeeded)]);
}

#[test]
fn settings_written() {
    let write =
        |name: &[u8]| rec(EventKind::Sysctl, Sysctl { write: 1, reserved: 0 }).text(name).text(b"|/bin/x");
    let found = World::new().check(&[write(b"kernel/core_pattern")], &[("B15", Critical, Attempted)]);
    assert_eq!(fact(&found[0], "value").1, &Value::Bytes(b"|/bin/x".to_vec()));
    check(&[write(b"kernel/modprobe")], &[("B16", Critical, Attempted)]);
    check(&[write(b"kernel/sysrq")], &[("B17", Critical, Attempted)]);
    check(&[write(b"net/core/somaxconn")], &[]);
}

#[test]
fn watched_files_of_the_host() {
    let of = |class: u32, flags: u32| opened("/h", why::WATCHED, |f| (f.class, f.flags) = (class, flags));
    check(&[of(watch::RUNTIME, WRONLY)], &[("B25", Critical, Succeeded)]);
    check(&[of(watch::RUNTIME, 0)], &[]);
    check(&[of(watch::OWN, WRONLY)], &[("H05", Critical, Succeeded)]);
    check(&[of(watch::NODE, 0)], &[("B20", Warning, Succeeded)]);
    check(&[of(watch::NODE, WRONLY)], &[("B20", Critical, Succeeded)]);
    check(&[of(watch::LOG, WRONLY)], &[]);

    let of = |op, class: u32| changed(op, why::WATCHED, "/h", |c| c.class = class);
    check(&[of(op::RENAME, watch::RUNTIME)], &[("B25", Critical, Succeeded)]);
    check(&[of(op::UNLINK, watch::OWN)], &[("H05", Critical, Succeeded)]);
    check(&[of(op::CHMOD, watch::ACCOUNTS)], &[("B20", Critical, Succeeded)]);
    let link = |target: &[u8]| of(op::SYMLINK, watch::LOG).text(b"").text(target);
    check(&[link(b"/etc/shadow")], &[("B21", Critical, Succeeded)]);
    check(&[link(b"../../etc/shadow")], &[("B21", Critical, Succeeded)]);
    check(&[link(b"app.log.1")], &[]);
    check(&[of(op::UNLINK, watch::LOG)], &[]);
}

#[test]
fn names_that_matter() {
    let write = |path| opened(path, why::NAMED, |f| f.flags = WRONLY);
    check(&[write("/etc/passwd")], &[("A14", Warning, Succeeded)]);
    check(&[write("/etc/passwd").at(600)], &[("A14", Notice, Succeeded)]);
    check(&[write("/etc/sudoers.d/x")], &[("A14", Warning, Succeeded)]);
    check(&[write("/etc/ld.so.preload")], &[("A15", Warning, Succeeded)]);
    check(&[write("/home/x/.ssh/authorized_keys")], &[("F17", Warning, Succeeded)]);
    check(&[write("/home/x/passwd")], &[]);
    check(&[write("/var/log/x.log")], &[]);
    check(
        &[opened("/var/log/x.log", why::NAMED, |f| f.flags = WRONLY | 0o1000)],
        &[("F16", Notice, Succeeded)],
    );

    let change = |op, path| changed(op, why::NAMED, path, |_| ());
    check(&[change(op::RENAME, "/etc/shadow")], &[("A14", Warning, Succeeded)]);
    check(&[change(op::UNLINK, "/home/x/.bash_history")], &[("F16", Notice, Succeeded)]);
    check(&[change(op::CHMOD, "/var/log/x.log")], &[]);
    // Where the kernel's path is not to be had, the program's stands in, and the old name of what is moved.
    check(&[change(op::LINK, "").text(b"/etc/cron.d/x")], &[("F17", Warning, Succeeded)]);
    check(&[change(op::RENAME, "").text(b"/tmp/x").text(b"/etc/passwd")], &[("A14", Warning, Succeeded)]);
    check(
        &[changed(op::RENAME, why::NAMED, "/etc/shadow", |c| c.is_final = 0)],
        &[("A14", Warning, Attempted)],
    );
}

#[test]
fn nodes() {
    let node = |why| changed(op::MKNOD, why, "/tmp/x", |c| c.rdev = 8 << 20);
    check(&[node(why::BLOCK)], &[("B11", Warning, Succeeded)]);
    check(&[node(why::CHAR)], &[("B11", Warning, Succeeded)]);
    check(&[node(0)], &[]);
}

#[test]
fn namespaces() {
    let of = |inode: u32| opened("/x", why::NAMESPACE, |f| f.ino = u64::from(inode));
    check(&[of(HOST.mnt_ns)], &[("C02", Warning, Succeeded)]);
    check(&[of(101)], &[]);
}

#[test]
fn control_calls() {
    let call =
        |cmd, ret| rec(EventKind::Ioctl, Ioctl { cmd, ret, is_final: 1, ..Ioctl::default() }).path("/dev/x");
    check(&[call(cmd::TIOCSTI, 0)], &[("C14", Critical, Succeeded)]);
    check(&[call(cmd::TIOCLINUX, -25)], &[("C14", Warning, Denied)]);
    check(&[call(cmd::LOOP_CONFIGURE, 0)], &[("B31", Warning, Succeeded)]);
    check(&[call(cmd::LOOP_CONFIGURE, 0).by_runtime()], &[]);
    let before = Ioctl { cmd: cmd::TIOCSTI, ..Ioctl::default() };
    check(&[rec(EventKind::Ioctl, before)], &[("C14", Critical, Attempted)]);

    let marked =
        |flags, ret| rec(EventKind::Fanotify, Fanotify { flags, ret, ..Fanotify::default() }).text(b"/");
    check(&[marked(mark::ADD | mark::MOUNT, 0)], &[("B30", Warning, Succeeded)]);
    check(&[marked(mark::ADD | mark::FILESYSTEM, -1)], &[("B30", Notice, Denied)]);
    check(&[marked(mark::ADD, 0)], &[]);
    check(&[marked(mark::FILESYSTEM, 0)], &[]);
}
