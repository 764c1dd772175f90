//! E01: connections to the sockets by which container engines are controlled.

use monitor_common::event::Socket;

use super::context::{Context, Sink, observed, push_bytes, push_errno};
use super::detector::ControlSocket;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

const AF_UNIX: u32 = 1;
const ENOENT: i32 = -2;

/// Names that the engines give their sockets, wherever they are mounted in a container.
pub const CONTROL_SOCKET_NAMES: &[&str] = &[
    "docker.sock",
    "containerd.sock",
    "crio.sock",
    "podman.sock",
    "dockershim.sock",
    "kubelet.sock",
    "frakti.sock",
    "cri-dockerd.sock",
    "buildkitd.sock",
];

pub(super) fn check(cx: &Context<'_>, s: &Socket, known: &[ControlSocket], sink: &mut Sink<'_>) {
    if s.family != AF_UNIX {
        return;
    }
    let path = cx.ev.string(0).bytes;
    // A socket address may be padded with NULs.
    let path = path.split(|b| *b == 0).next().unwrap_or_default();
    let Some(matched_by) = matched_by(s, path, known) else { return };

    let (severity, outcome) = match s.ret {
        ENOENT => (Severity::Notice, Outcome::Denied),
        ret if ret < 0 => (Severity::Warning, Outcome::Denied),
        _ if s.is_final == 0 => (Severity::Critical, Outcome::Attempted),
        _ => (Severity::Critical, Outcome::Succeeded),
    };
    sink.report(Rule::E01, severity, outcome, || {
        let mut list: Vec<Evidence> = Vec::new();
        push_bytes(&mut list, "path", path);
        list.push(observed("matched_by", Value::Word(matched_by)));
        if s.peer_ino != 0 {
            list.push(observed("socket_ino", Value::Number(s.peer_ino)));
            list.push(observed("socket_dev", Value::Hex(u64::from(s.peer_dev))));
        }
        push_errno(&mut list, s.ret);
        list
    });
}

fn matched_by(s: &Socket, path: &[u8], known: &[ControlSocket]) -> Option<&'static str> {
    let same_file =
        |c: &ControlSocket| c.file.is_some_and(|f| f.ino != 0 && f.ino == s.peer_ino && f.dev == s.peer_dev);
    if known.iter().any(same_file) {
        return Some("file");
    }
    if s.is_abstract != 0 || path.is_empty() {
        return None;
    }
    if known.iter().any(|c| c.path == path) {
        return Some("path");
    }
    let name = path.rsplit(|b| *b == b'/').next()?;
    CONTROL_SOCKET_NAMES.iter().any(|known| known.as_bytes() == name).then_some("name")
}
