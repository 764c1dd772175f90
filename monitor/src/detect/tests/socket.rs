//! E01.

use monitor_common::event::{EventKind, Socket};

use super::build::{Brief, Rec, World, fact, rec};
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

pub(super) fn unix(path: &[u8], change: impl FnOnce(&mut Socket)) -> Rec {
    let mut s = Socket { family: 1, is_final: 1, ..Socket::default() };
    change(&mut s);
    rec(EventKind::Connect, s).text(path)
}

fn check(rec: Rec, expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(&[rec], expected)
}

#[test]
fn control_sockets() {
    let critical = &[("E01", Critical, Succeeded)];
    for name in [
        "docker",
        "containerd",
        "crio",
        "podman",
        "dockershim",
        "kubelet",
        "frakti",
        "cri-dockerd",
        "buildkitd",
    ] {
        check(unix(format!("/anywhere/{name}.sock").as_bytes(), |_| ()), critical);
    }
    check(unix(b"docker.sock\0\0", |_| ()), critical);
    let by_path = check(unix(b"/run/engine/api", |_| ()), critical);
    assert_eq!(fact(&by_path[0], "matched_by").1, &Value::Word("path"));
    // The file is the same under any name.
    let by_file = check(unix(b"/tmp/s", |s| (s.peer_ino, s.peer_dev) = (4242, 24)), critical);
    assert_eq!(fact(&by_file[0], "matched_by").1, &Value::Word("file"));
}

#[test]
fn outcomes() {
    let docker = |ret, is_final| unix(b"/run/docker.sock", move |s| (s.ret, s.is_final) = (ret, is_final));
    check(docker(0, 0), &[("E01", Critical, Attempted)]);
    check(docker(-13, 1), &[("E01", Warning, Denied)]);
    check(docker(-111, 1), &[("E01", Warning, Denied)]);
    check(docker(-13, 0), &[("E01", Warning, Denied)]);
    check(docker(-2, 1), &[("E01", Notice, Denied)]);
}

#[test]
fn other_sockets() {
    check(unix(b"/run/mysqld/mysqld.sock", |_| ()), &[]);
    check(unix(b"/run/docker.sock.d/app", |_| ()), &[]);
    check(unix(b"docker.sock", |s| s.is_abstract = 1), &[]);
    check(unix(b"", |_| ()), &[]);
    check(unix(b"/run/docker.sock", |s| s.family = 2), &[]);
    check(unix(b"/tmp/s", |s| (s.peer_ino, s.peer_dev) = (4242, 25)), &[]);
    check(unix(b"/run/docker.sock", |_| ()).by_runtime(), &[]);
    let s = Socket { family: 1, is_final: 1, ..Socket::default() };
    check(rec(EventKind::Bind, s).text(b"/run/docker.sock"), &[]);
}
