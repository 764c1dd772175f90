//! I-4, B14.

use monitor_common::event::{EventKind, FileOpen, Ptrace};

use super::build::{Brief, HOST, OTHER, OWN, Rec, World, fact, rec};
use super::namespace::unshare_mnt;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Warning};
use crate::detect::Value;

const CHARACTER_DEVICE: u32 = 0o020_666;
const TMPFS: u64 = 0x0102_1994;

pub(super) fn open(file_mnt_ns: u32, path: &str, change: impl FnOnce(&mut FileOpen)) -> Rec {
    let mut f = FileOpen { file_mnt_ns, mnt_ns: 101, magic: 0xef53, mode: 0o100_644, ..FileOpen::default() };
    change(&mut f);
    rec(EventKind::FileOpen, f).path(path)
}

fn check(records: &[Rec], expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(records, expected)
}

#[test]
fn files_of_others() {
    let found = check(&[open(HOST.mnt_ns, "/etc/shadow", |_| ())], &[("I-4", Critical, Succeeded)]);
    assert_eq!(fact(&found[0], "path").1, &Value::Bytes(b"/etc/shadow".to_vec()));
    assert_eq!(fact(&found[0], "owner").1, &Value::Word("host"));
    assert_eq!(fact(&found[0], "filesystem").1, &Value::Word("ext4"));
    check(&[open(555, "/", |_| ())], &[("I-4", Critical, Succeeded)]);
    check(&[open(HOST.mnt_ns, "/etc/shadow", |f| f.ret = -13)], &[("I-4", Warning, Denied)]);
}

#[test]
fn own_files() {
    check(&[open(0, "/deleted", |_| ())], &[]);
    // From inside a mount namespace that the container made, through its outer one, and the reverse.
    check(&[unshare_mnt(), open(101, "/etc/hosts", |f| f.mnt_ns = 900)], &[]);
    check(&[unshare_mnt(), open(900, "/etc/hosts", |_| ())], &[]);
    check(&[open(HOST.mnt_ns, "/etc/shadow", |_| ()).by_runtime()], &[]);
    check(&[open(HOST.mnt_ns, "/etc/shadow", |_| ()).by_host()], &[]);
}

#[test]
fn standard_input_from_the_hosts_null_device() {
    let null = |f: &mut FileOpen| (f.mode, f.magic) = (CHARACTER_DEVICE, TMPFS);
    check(&[open(HOST.mnt_ns, "/dev/null", null)], &[]);
    // Only the device itself.
    check(&[open(HOST.mnt_ns, "/dev/mem", null)], &[("I-4", Critical, Succeeded)]);
    check(&[open(HOST.mnt_ns, "/srv/dev/null", null)], &[("I-4", Critical, Succeeded)]);
    check(&[open(HOST.mnt_ns, "/dev/null", |_| ())], &[("I-4", Critical, Succeeded)]);
}

pub(super) fn ptrace(target_container: u64, mode: u32, ret: i32) -> Rec {
    rec(EventKind::Ptrace, Ptrace { target_container, target_pid: 1, mode, ret, reserved: 0 })
}

#[test]
fn processes_of_others() {
    const READ: u32 = 1 | 8;
    const ATTACH: u32 = 2 | 16;
    let found = check(&[ptrace(0, READ, 0)], &[("B14", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "target_container"), (Some(&Value::Hex(OWN)), &Value::Word("host")));
    assert_eq!(fact(&found[0], "target_exe").1, &Value::Bytes(b"/sbin/init".to_vec()));
    check(&[ptrace(OTHER, ATTACH, 0)], &[("B14", Critical, Succeeded)]);
    check(&[ptrace(0, ATTACH, -1)], &[("B14", Warning, Denied)]);

    check(&[ptrace(OWN, ATTACH, 0)], &[]);
    check(&[ptrace(0, READ | 4, 0)], &[]);
    check(&[ptrace(0, READ, 0).by_runtime()], &[]);
}
