//! E02, E04 to E07, E09, E11, E14, E15, D11 to D13, B32.

use monitor_common::event::{Dns, EventKind, FileReceive, Socket, SocketCreate, Stdio};
use monitor_common::network::{Address, METADATA, METADATA_NAMES, mapped};

use super::build::{Brief, HOST, Rec, World, base_state, fact, rec};
use crate::detect::NetworkFacts;
use crate::detect::Outcome::{Attempted, Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const NODE: Address = mapped([192, 0, 2, 1]);
const API: Address = mapped([192, 0, 2, 7]);
const LOOPBACK: Address = mapped([127, 0, 0, 1]);

pub(super) fn facts() -> NetworkFacts {
    NetworkFacts { api_server: Some((API, 6443)), node: vec![NODE] }
}

pub(super) fn connect(addr: Address, port: u32) -> Rec {
    connect_in(103, addr, port)
}

pub(super) fn connect_in(net_ns: u32, addr: Address, port: u32) -> Rec {
    rec(EventKind::Connect, Socket { family: 2, addr, port, net_ns, ..Socket::default() }).text(b"")
}

pub(super) fn socket(family: u32, sock_type: u32, protocol: u32) -> Rec {
    created(family, sock_type, protocol, |_| ())
}

pub(super) fn created(
    family: u32,
    sock_type: u32,
    protocol: u32,
    change: impl FnOnce(&mut SocketCreate),
) -> Rec {
    let mut s = SocketCreate {
        family,
        sock_type,
        protocol,
        ret: 3,
        user_ns: base_state().user_ns,
        ..Default::default()
    };
    change(&mut s);
    rec(EventKind::Socket, s)
}

/// A program that reads from a socket.
pub(super) fn stdio(net_ns: u32, addr: Address, output: u32) -> Rec {
    rec(EventKind::Stdio, Stdio { family: 2, addr, port: 4444, output, net_ns, ..Default::default() })
}

pub(super) fn received(file_mnt_ns: u32, mode: u32) -> Rec {
    rec(EventKind::FileReceive, FileReceive { file_mnt_ns, mode, mnt_ns: 101, ..Default::default() })
        .path("/etc")
}

/// A connected abstract socket, and whose the process is that listens.
pub(super) fn abstract_name(net_ns: u32, name: &[u8], peer_container: u64) -> Rec {
    let s = Socket {
        family: 1,
        is_abstract: 1,
        is_final: 1,
        peer_pid: 77,
        peer_container,
        net_ns,
        ..Socket::default()
    };
    rec(EventKind::Connect, s).text(name)
}

fn check(rec: Rec, expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(&[rec], expected)
}

#[test]
fn services() {
    for addr in METADATA {
        check(connect(*addr, 80), &[("E04", Warning, Attempted)]);
    }
    let sent = Socket { family: 2, addr: METADATA[0], port: 53, ..Socket::default() };
    let found = check(rec(EventKind::Send, sent).text(b""), &[("E04", Warning, Attempted)]);
    assert_eq!(fact(&found[0], "how").1, &Value::Word("datagram"));
    check(connect(API, 6443), &[("E05", Notice, Attempted)]);
    let found = check(connect(NODE, 10250), &[("E06", Warning, Attempted)]);
    assert_eq!(fact(&found[0], "service").1, &Value::Word("kubelet"));
}

/// A DNS message about `name`, with an address in it if one is given.
fn lookup(op: u32, name: &str, address: Option<[u8; 4]>) -> Rec {
    let (response, answers) = (if op == Dns::ANSWER { 0x80 } else { 0 }, u8::from(address.is_some()));
    let mut bytes = vec![0, 0, response, 0, 0, 1, 0, answers, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    if let Some(address) = address {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        bytes.extend_from_slice(&address);
    }
    rec(EventKind::Dns, Dns { op, protocol: 17, port: 53, ..Dns::default() }).text(&bytes)
}

#[test]
fn names_of_metadata_services() {
    for name in METADATA_NAMES {
        for name in [(*name).to_owned(), name.to_uppercase()] {
            let found = check(lookup(Dns::QUERY, &name, None), &[("E04", Notice, Attempted)]);
            assert_eq!(fact(&found[0], "name").1, &Value::Bytes(name.into_bytes()));
            assert_eq!(fact(&found[0], "how").1, &Value::Word("dns"));
        }
        // It was judged when it was asked.
        check(lookup(Dns::ANSWER, name, None), &[]);
    }
    let found = check(
        lookup(Dns::ANSWER, "innocent.example", Some([169, 254, 169, 254])),
        &[("E04", Notice, Attempted)],
    );
    assert_eq!(fact(&found[0], "address").1, &Value::Text("169.254.169.254".into()));
    check(lookup(Dns::ANSWER, "innocent.example", Some([169, 254, 169, 253])), &[]);
    // Names that contain one, an address in what is no answer, and no message.
    for name in ["metadata.google.internal.example", "x.metadata.google.internal", "metadata"] {
        check(lookup(Dns::QUERY, name, None), &[]);
    }
    check(lookup(Dns::QUERY, "innocent.example", Some([169, 254, 169, 254])), &[]);
    check(rec(EventKind::Dns, Dns { op: Dns::QUERY, ..Dns::default() }).text(b"\xff\xff"), &[]);
}

#[test]
fn outcomes() {
    let with = |ret, is_final| {
        let s = Socket { family: 2, addr: METADATA[0], port: 80, ret, is_final, ..Socket::default() };
        rec(EventKind::Connect, s).text(b"")
    };
    check(with(0, 1), &[("E04", Warning, Succeeded)]);
    check(with(-111, 1), &[("E04", Warning, Attempted)]);
    check(with(-1, 1), &[("E04", Notice, Denied)]);
    check(with(-13, 0), &[("E04", Notice, Denied)]);
}

#[test]
fn other_addresses() {
    for (addr, port) in [
        (mapped([169, 254, 169, 253]), 80),
        (API, 443),
        (NODE, 80),
        (mapped([192, 0, 2, 9]), 10250),
        // Its own loopback.
        (LOOPBACK, 10250),
        ([0; 16], 2375),
    ] {
        check(connect(addr, port), &[]);
    }
    check(connect(METADATA[0], 80).by_runtime(), &[]);
}

#[test]
fn network_of_the_host() {
    let host = HOST.net_ns;
    check(connect_in(host, LOOPBACK, 10250), &[("E06", Warning, Attempted)]);
    check(connect_in(host, LOOPBACK, 8080), &[("E11", Notice, Attempted)]);
    check(connect_in(host, NODE, 8080), &[]);
    check(abstract_name(host, b"/tmp/dbus-1", 0), &[("E02", Warning, Succeeded)]);
    check(abstract_name(host, b"/containerd-shim/x.sock", 0), &[("E02", Critical, Succeeded)]);
    check(abstract_name(host, b"own", super::build::OWN), &[]);
    check(created(16, 3, 12, |s| s.net_ns = HOST.net_ns), &[("E14", Warning, Succeeded)]);
    check(abstract_name(103, b"/tmp/dbus-1", 0), &[]);
}

#[test]
fn kinds_of_sockets() {
    check(socket(17, 3, 0), &[("E07", Warning, Succeeded)]);
    check(socket(2, 3, 255), &[("E07", Warning, Succeeded)]);
    check(socket(10, 3, 58), &[("E07", Notice, Succeeded)]);
    for family in [9, 15, 29, 30, 33, 38, 43, 44] {
        check(socket(family, 2, 0), &[("D11", Warning, Succeeded)]);
    }
    check(socket(16, 3, 6), &[("D11", Warning, Succeeded)]);
    check(socket(2, 1, 256), &[("D11", Warning, Succeeded)]);
    check(socket(40, 1, 0), &[("E15", Warning, Succeeded)]);
    check(created(38, 5, 0, |s| s.ret = -97), &[("D11", Notice, Denied)]);
    let vsock = Socket { family: 40, cid: 2, port: 1024, ..Socket::default() };
    check(rec(EventKind::Connect, vsock).text(b""), &[("E15", Warning, Attempted)]);
    // Ordinary ones, among them ping's and MPTCP.
    for (family, sock_type, protocol) in
        [(16, 3, 0), (16, 3, 12), (16, 3, 15), (2, 2, 1), (2, 1, 262), (2, 1, 132)]
    {
        check(socket(family, sock_type, protocol), &[]);
    }
}

#[test]
fn programs_on_sockets() {
    check(stdio(103, NODE, 1), &[("E09", Warning, Succeeded)]);
    check(stdio(103, LOOPBACK, 1), &[("E09", Notice, Succeeded)]);
    check(stdio(HOST.net_ns, LOOPBACK, 1), &[("E09", Warning, Succeeded)]);
    check(stdio(103, NODE, 0), &[]);
}

#[test]
fn user_namespaces_of_its_own() {
    let own = |s: &mut SocketCreate| s.user_ns = 999;
    check(created(16, 3, 12, own), &[("D12", Warning, Succeeded)]);
    check(created(16, 3, 6, own), &[("D12", Warning, Succeeded)]);
    check(created(17, 3, 0, own), &[("D13", Warning, Succeeded)]);
    check(created(16, 3, 0, own), &[]);
}

#[test]
fn descriptors() {
    check(received(HOST.mnt_ns, 0o040_755), &[("B32", Critical, Succeeded)]);
    check(received(HOST.mnt_ns, 0o100_644), &[("B32", Warning, Succeeded)]);
    check(received(101, 0o060_660), &[("B32", Critical, Succeeded)]);
    for (mnt_ns, mode) in [(101, 0o040_755), (0, 0o100_644), (101, 0o020_666)] {
        check(received(mnt_ns, mode), &[]);
    }
}
