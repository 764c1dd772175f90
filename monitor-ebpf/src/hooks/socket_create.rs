//! Sockets of rare kinds: at the end of the kernel's function, and at the end of the call.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, SocketCreate};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::sock::{AF_INET, AF_INET6, AF_UNIX};
use crate::kernel::task::Task;
use crate::preempt;

/// `SOCK_STREAM`, `SOCK_DGRAM`, `SOCK_RAW`, `SOCK_SEQPACKET` (kernel `include/linux/net.h`).
const STREAM: u32 = 1;
const DGRAM: u32 = 2;
const RAW: u32 = 3;
const SEQPACKET: u32 = 5;
/// `SOCK_TYPE_MASK`: above it are flags.
const TYPE_MASK: u32 = 0xf;
/// `AF_NETLINK` and `NETLINK_ROUTE`: what the resolver of every C library asks for addresses.
const AF_NETLINK: u32 = 16;
const NETLINK_ROUTE: u32 = 0;
/// `IPPROTO_TCP`, `IPPROTO_UDP`.
const TCP: u32 = 6;
const UDP: u32 = 17;

/// True for what every program makes: comparisons only, before anything is looked up.
#[inline(always)]
fn is_ordinary(family: u32, sock_type: u32, protocol: u32) -> bool {
    if family == u32::from(AF_UNIX) {
        return matches!(sock_type, STREAM | DGRAM | RAW | SEQPACKET);
    }
    (family == u32::from(AF_INET) || family == u32::from(AF_INET6))
        && matches!((sock_type, protocol), (STREAM, 0 | TCP) | (DGRAM, 0 | UDP))
}

#[inline(never)]
fn report(subject: &Subject, family: u32, sock_type: u32, protocol: u32, ret: i32) {
    // Asking for addresses is frequent and harmless; nothing is judged by it alone.
    let routine = family == AF_NETLINK && protocol == NETLINK_ROUTE;
    let ring = if routine { Ring::Bulk } else { Ring::Critical };
    let Some(mut out) = reserve::<SocketCreate, 0>(ring, EventKind::Socket, subject) else { return };
    let task = subject.task;
    out.body(SocketCreate {
        family,
        sock_type,
        protocol,
        ret,
        net_ns: task.net_ns_inum(),
        user_ns: task.user_ns().read(F::UserInum),
    });
    out.submit(subject, 0);
}

/// `int __sock_create(struct net *net, int family, int type, int protocol, struct socket **res, int kern)`, kernel
/// `net/socket.c`; `kern` is 1 for the kernel's own sockets. Reached by io_uring and by 32-bit calls, too.
#[fexit(function = "__sock_create")]
fn sock_create(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_create(&ctx);
    });
    0
}

#[inline(always)]
fn try_create(ctx: &FExitContext) -> Option<()> {
    let (family, sock_type, protocol) = (ctx.arg::<u32>(1), ctx.arg::<u32>(2), ctx.arg::<u32>(3));
    if is_ordinary(family, sock_type, protocol) || ctx.arg::<u32>(5) != 0 {
        return None;
    }
    let subject = Subject::current()?;
    filter::compare_creds(&subject, Task::known());
    filter::compare(&subject, Task::known());
    report(&subject, family, sock_type, protocol, ctx.arg::<i32>(6));
    Some(())
}

/// `socket`: the arguments are in registers, which no other thread can change.
#[inline(always)]
pub(crate) fn leave_socket_create(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    let (family, sock_type, protocol) = (args[0] as u32, args[1] as u32 & TYPE_MASK, args[2] as u32);
    if !is_ordinary(family, sock_type, protocol) {
        report(subject, family, sock_type, protocol, ret as i32);
    }
}
