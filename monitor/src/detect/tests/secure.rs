//! A13.

use monitor_common::event::{EventKind, Exec, layer, transition};

use super::build::{Brief, ENTERED, ROOT_DEV, Rec, World, fact, rec};
use crate::detect::Outcome::Attempted;
use crate::detect::Severity::{self, Critical, Notice, Warning};
use crate::detect::Value;

/// An exec of a set-uid program of the image, by a user; list items are separated by `|`.
pub(super) fn exec(argv: &str, environ: &str, change: impl FnOnce(&mut Exec)) -> Rec {
    let list = |text: &str| {
        let all = text.replace('|', "\0");
        if text.is_empty() { Vec::new() } else { [all.as_bytes(), b"\0"].concat() }
    };
    let mut e = Exec {
        secure: 1,
        old_known: 1,
        old_euid: 1000,
        argv_len: u32::try_from(list(argv).len()).unwrap(),
        exe_ctime: ENTERED - 60,
        exe_nlink: 1,
        exe_dev: ROOT_DEV,
        exe_layer: layer::LOWER,
        exe_mnt_ns: 101,
        ..Exec::default()
    };
    change(&mut e);
    rec(EventKind::Exec, e)
        .with(|h| h.euid = 0)
        .path("/usr/bin/su")
        .text(&list(argv))
        .path("/")
        .text(&list(environ))
}

#[track_caller]
fn check(rec: Rec, expected: Option<Severity>) {
    let expected: Vec<Brief> = expected.map(|severity| ("A13", severity, Attempted)).into_iter().collect();
    // A set-uid program that raises nothing is A07's.
    World::without(&["A07"]).check(&[rec], &expected);
}

#[test]
fn started_without_arguments() {
    check(exec("", "", |_| ()), Some(Critical));
    // As kernels since 5.18 give it.
    check(exec("", "", |e| e.argv_len = 1).bytes_of_argv(b"\0"), Some(Critical));
    check(exec("su", "", |_| ()), None);
    check(exec("", "", |e| e.secure = 0), None);
    // Whether it raised privileges is not known.
    check(exec("", "", |e| e.secure = 2), None);
    check(exec("", "", |e| e.transition = transition::JOIN), None);
}

#[test]
fn what_the_loader_is_told() {
    let of = |environ, expected| check(exec("su", environ, |_| ()), expected);
    of("PATH=/bin|GLIBC_TUNABLES=glibc.malloc.check=0", Some(Warning));
    of("GLIBC_TUNABLES=glibc.malloc.mxfast=glibc.malloc.mxfast=A", Some(Critical));
    of("GLIBC_TUNABLES=a=1:b=2", Some(Warning));
    of("GCONV_PATH=.", Some(Warning));
    of("LD_PRELOAD=/tmp/x.so|LANG=C", Some(Notice));
    of("LD_BIND_NOW=1|PATH=/bin|TERM=xterm|X_LD_PRELOAD=1|=", None);
    check(exec("su", "LD_PRELOAD=x", |e| e.secure = 0), None);
}

#[test]
fn names_and_no_values_are_told() {
    let act = exec("su", "LD_PRELOAD=secret|GLIBC_TUNABLES=secret|PATH=secret", |_| ());
    let found = World::new().check(&[act], &[("A13", Warning, Attempted)]);
    assert_eq!(fact(&found[0], "variables").1, &Value::Text("GLIBC_TUNABLES LD_PRELOAD".to_owned()));
    assert!(!format!("{found:?}").contains("secret"));
}

#[test]
fn sudoedit_with_a_backslash() {
    let of = |argv: &str, expected| check(exec(argv, "", |_| ()), expected);
    of("sudoedit|-s|\\", Some(Critical));
    of("/usr/bin/sudoedit|-A|-ni|x\\|y", Some(Critical));
    of("sudoedit|--shell|x\\", Some(Critical));
    of("sudoedit|-s|x", None);
    of("sudoedit|x\\", None);
    of("su|-s|\\", None);
}

#[test]
fn sudo_with_another_root() {
    let of = |argv: &str, expected| check(exec(argv, "", |_| ()), expected);
    for argv in ["-R|/x|id", "-nR/x|id", "--chroot=/x|id", "--chr|/x|id", "-u|root|A=b|-R|/x|id"] {
        of(&format!("sudo|{argv}"), Some(Warning));
    }
    for argv in
        ["id|-R", "-u|-R|id", "--user|-R|id", "-uR|id", "--|-R", "-p-R|id", "--chdir=/x|id", "-|-R", ""]
    {
        of(&format!("sudo|{argv}"), None);
    }
    of("su|-R|x", None);
}
