//! What goes over the network: whom a container talks to, and through which kinds of sockets.

use core::net::Ipv6Addr;

use monitor_common::event::{Dns, EventKind, FileReceive, Socket, SocketCreate, Stdio, TRUNCATED};
use monitor_common::network::{self, Address};

use super::context::{Context, Sink, compared, observed, path, push_bytes, push_errno, push_owner};
use super::magic;
use super::memory::{MNT, Memory};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};
use crate::dns::{Data, Message};

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const AF_PACKET: u32 = 17;
const AF_VSOCK: u32 = 40;
const SOCK_RAW: u32 = 3;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_ICMPV6: u32 = 58;
/// `IPPROTO_SMC`, kernel `include/uapi/linux/in.h`: shared memory communication under the cloak of TCP.
const IPPROTO_SMC: u32 = 256;
const NETLINK_XFRM: u32 = 6;
const NETLINK_NETFILTER: u32 = 12;
const EPERM: i32 = -1;
const EACCES: i32 = -13;
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFBLK: u32 = 0o060_000;

/// The addresses of this host that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkFacts {
    /// Address and port of the Kubernetes API server, if this node is told of one.
    pub api_server: Option<(Address, u16)>,
    /// This node's own addresses, without the loopback's; sorted.
    pub node: Vec<Address>,
}

/// It happened in the host's network namespace.
fn in_host_network(cx: &Context<'_>, net_ns: u32) -> bool {
    net_ns != 0 && net_ns == cx.host.net_ns
}

/// What came of a connect: a peer that does not answer has been reached for all the same.
fn outcome_of(s: &Socket) -> Outcome {
    match s.ret {
        EPERM | EACCES => Outcome::Denied,
        ret if ret < 0 || s.is_final == 0 => Outcome::Attempted,
        _ => Outcome::Succeeded,
    }
}

/// What was refused harmed nobody.
fn less_if_denied(severity: Severity, outcome: Outcome) -> Severity {
    if outcome == Outcome::Denied { severity.min(Severity::Notice) } else { severity }
}

/// A connect, or a datagram without one.
pub(super) fn check_peer(cx: &Context<'_>, s: &Socket, facts: &NetworkFacts, sink: &mut Sink<'_>) {
    match s.family {
        AF_UNIX => check_abstract(cx, s, sink),
        AF_VSOCK => {
            let outcome = outcome_of(s);
            sink.report(Rule::E15, less_if_denied(Severity::Warning, outcome), outcome, || {
                let mut list = vec![
                    observed("cid", Value::Number(u64::from(s.cid))),
                    observed("port", Value::Number(u64::from(s.port))),
                ];
                push_errno(&mut list, s.ret);
                list
            });
        }
        AF_INET | AF_INET6 => check_address(cx, s, facts, sink),
        _ => {}
    }
}

fn check_abstract(cx: &Context<'_>, s: &Socket, sink: &mut Sink<'_>) {
    // The peer is known only once the connection stands.
    let host_peer = s.ret >= 0 && s.peer_pid != 0 && s.peer_container == 0;
    if s.is_abstract == 0 || !host_peer || !in_host_network(cx, s.net_ns) {
        return;
    }
    let name = cx.ev.string(0).bytes;
    let shim = name.starts_with(b"/containerd-shim/");
    let severity = if shim { Severity::Critical } else { Severity::Warning };
    sink.report(Rule::E02, severity, outcome_of(s), || {
        let mut list = vec![observed("peer_pid", Value::Number(u64::from(s.peer_pid)))];
        push_bytes(&mut list, "name", name);
        if let Some(peer) = cx.procs.process(s.peer_pid) {
            push_bytes(&mut list, "peer_exe", &peer.program.exe);
        }
        list
    });
}

fn check_address(cx: &Context<'_>, s: &Socket, facts: &NetworkFacts, sink: &mut Sink<'_>) {
    let host_network = in_host_network(cx, s.net_ns);
    let node = facts.node.binary_search(&s.addr).is_ok() || host_network && is_loopback(s.addr);
    let service = network::control_service(s.port).filter(|_| node);
    let api = facts.api_server.is_some_and(|(addr, port)| addr == s.addr && u32::from(port) == s.port);
    let (rule, severity) = if network::METADATA.contains(&s.addr) {
        (Rule::E04, Severity::Warning)
    } else if api {
        (Rule::E05, Severity::Notice)
    } else if service.is_some() {
        (Rule::E06, Severity::Warning)
    } else if host_network && is_loopback(s.addr) {
        (Rule::E11, Severity::Notice)
    } else {
        return;
    };
    let outcome = outcome_of(s);
    sink.report(rule, less_if_denied(severity, outcome), outcome, || {
        let mut list = vec![
            observed("address", Value::Text(text(s.addr))),
            observed("port", Value::Number(u64::from(s.port))),
        ];
        if let Some(service) = service {
            list.push(observed("service", Value::Word(service)));
        }
        let how = if cx.ev.kind == EventKind::Send { "datagram" } else { "connect" };
        list.push(observed("how", Value::Word(how)));
        push_errno(&mut list, s.ret);
        list
    });
}

/// A name was looked up: one of a metadata service, or one that leads to its address whatever it is called.
pub(super) fn check_name(cx: &Context<'_>, d: &Dns, sink: &mut Sink<'_>) {
    let string = cx.ev.string(0);
    let message = Message::new(string.bytes, string.flags & TRUNCATED != 0);
    let Some(question) = message.question() else { return };
    let name = question.name.as_bytes();
    let known = network::METADATA_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let address = message.answers().find_map(|answer| {
        let address = match answer.data {
            Data::V4(v4) => network::mapped(v4),
            Data::V6(v6) => v6,
            _ => return None,
        };
        network::METADATA.contains(&address).then_some(address)
    });
    let answered = address.filter(|_| d.op == Dns::ANSWER);
    // What is asked is judged when it is asked.
    if answered.is_none() && !(known && d.op == Dns::QUERY) {
        return;
    }
    sink.report(Rule::E04, Severity::Notice, Outcome::Attempted, || {
        let mut list = Vec::new();
        push_bytes(&mut list, "name", name);
        list.extend(answered.map(|address| observed("address", Value::Text(text(address)))));
        list.push(observed("how", Value::Word("dns")));
        list
    });
}

/// E09: input and output of a program are the network's. What only reads from there may be a download.
pub(super) fn check_stdio(cx: &Context<'_>, s: &Stdio, sink: &mut Sink<'_>) {
    if s.output == 0 && s.error == 0 {
        return;
    }
    let near = is_loopback(s.addr) && !in_host_network(cx, s.net_ns);
    let severity = if near { Severity::Notice } else { Severity::Warning };
    sink.report(Rule::E09, severity, Outcome::Succeeded, || {
        vec![
            observed("address", Value::Text(text(s.addr))),
            observed("port", Value::Number(u64::from(s.port))),
            observed("local_port", Value::Number(u64::from(s.local_port))),
            observed("output", Value::Number(u64::from(s.output))),
            observed("error", Value::Number(u64::from(s.error))),
        ]
    });
}

fn is_loopback(addr: Address) -> bool {
    let ip = Ipv6Addr::from(addr);
    ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
}

fn text(addr: Address) -> String {
    let ip = Ipv6Addr::from(addr);
    ip.to_ipv4_mapped().map_or_else(|| ip.to_string(), |v4| v4.to_string())
}

/// A socket of a kind that is not everybody's.
pub(super) fn check_created(cx: &Context<'_>, s: &SocketCreate, sink: &mut Sink<'_>) {
    let base_user = cx.base.state.user_ns;
    // In a user namespace that the container was not given it has every capability.
    let own_user_ns = base_user != 0 && s.user_ns != 0 && s.user_ns != base_user;
    let (rule, severity) = match (s.family, s.protocol) {
        (AF_PACKET, _) if own_user_ns => (Rule::D13, Severity::Warning),
        (AF_PACKET, _) => (Rule::E07, Severity::Warning),
        (AF_INET | AF_INET6, IPPROTO_SMC) => (Rule::D11, Severity::Warning),
        (AF_INET | AF_INET6, IPPROTO_ICMP | IPPROTO_ICMPV6) if s.sock_type == SOCK_RAW => {
            (Rule::E07, Severity::Notice)
        }
        (AF_INET | AF_INET6, _) if s.sock_type == SOCK_RAW => (Rule::E07, Severity::Warning),
        (AF_INET | AF_INET6 | AF_UNIX, _) => return,
        (AF_NETLINK, NETLINK_NETFILTER | NETLINK_XFRM) if own_user_ns => (Rule::D12, Severity::Warning),
        (AF_NETLINK, NETLINK_NETFILTER | NETLINK_XFRM) if in_host_network(cx, s.net_ns) => {
            (Rule::E14, Severity::Warning)
        }
        (AF_NETLINK, NETLINK_XFRM) => (Rule::D11, Severity::Warning),
        (AF_NETLINK, _) => return,
        (AF_VSOCK, _) => (Rule::E15, Severity::Warning),
        _ => (Rule::D11, Severity::Warning),
    };
    let outcome = Outcome::of(s.ret);
    sink.report(rule, less_if_denied(severity, outcome), outcome, || {
        let mut list = vec![
            observed("family", name(network::FAMILIES, s.family)),
            observed("protocol", Value::Number(u64::from(s.protocol))),
        ];
        if own_user_ns {
            let user = |inode| Value::Namespace("user", inode);
            list.push(compared("user_ns", user(base_user), user(s.user_ns)));
        }
        push_errno(&mut list, s.ret);
        list
    });
}

fn name(names: &'static [(u64, &'static str)], value: u32) -> Value {
    let known = names.iter().find(|(number, _)| *number == u64::from(value));
    known.map_or(Value::Number(u64::from(value)), |(_, name)| Value::Word(name))
}

/// A descriptor came from another process.
pub(super) fn check_received(cx: &Context<'_>, f: &FileReceive, memory: &Memory, sink: &mut Sink<'_>) {
    let base = cx.base_ns.0[MNT];
    let foreign = base != 0 && memory.is_foreign(cx.key(), &cx.base_ns, f.file_mnt_ns);
    let block = f.mode & S_IFMT == S_IFBLK;
    if !foreign && !block {
        return;
    }
    let outcome = Outcome::of(f.ret);
    let severity = match outcome {
        Outcome::Denied => Severity::Warning,
        _ if block || f.mode & S_IFMT == S_IFDIR => Severity::Critical,
        _ => Severity::Warning,
    };
    sink.report(Rule::B32, severity, outcome, || {
        let mut list: Vec<Evidence> = vec![observed("path", Value::Bytes(path(cx.ev.string(0))))];
        if foreign {
            let mnt = |inode| Value::Namespace("mnt", inode);
            list.push(compared("file_mnt_ns", mnt(base), mnt(f.file_mnt_ns)));
            push_owner(&mut list, memory.owner(f.file_mnt_ns, cx.key()));
        }
        if block {
            let (major, minor) = (f.rdev >> 20, f.rdev & 0xf_ffff);
            list.push(observed("device", Value::Text(format!("{major}:{minor}"))));
        }
        list.push(observed("filesystem", magic::value(f.magic)));
        list.push(observed("open_flags", Value::Hex(u64::from(f.flags))));
        push_errno(&mut list, f.ret);
        list
    });
}
