//! I-4.

use monitor_common::event::{EventKind, FileOpen, why};

use super::build::{Brief, HOST, Rec, World, fact, rec};
use super::namespace::unshare_mnt;
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Warning};
use crate::detect::Value;

const CHARACTER_DEVICE: u32 = 0o020_666;
const TMPFS: u64 = 0x0102_1994;

pub(super) fn open(file_mnt_ns: u32, path: &str, change: impl FnOnce(&mut FileOpen)) -> Rec {
    let why = if file_mnt_ns == 0 { 0 } else { why::FOREIGN };
    let mut f =
        FileOpen { file_mnt_ns, mnt_ns: 101, magic: 0xef53, mode: 0o100_644, why, ..FileOpen::default() };
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
