//! Addresses at the root of cgroup v2: the kernel's own copy, before it is used, in the task that makes the call.
//!
//! The programs only look: each returns 1, which is "go on". They run for 32-bit calls and io_uring as well. The
//! result of the call is not known yet; in return a connect that nobody answers is reported at once.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use monitor_common::event::EventKind;
use monitor_common::network::{Address, address, mapped};

use super::security::{class_of, report_address};
use crate::filter::{self, Subject};
use crate::kernel::sock::{AF_INET, AF_INET6};
use crate::maps::{TASKS, task_key};

/// What is read of the context. Each field by a load of its own, of its own width: the verifier rewrites them.
#[derive(Clone, Copy)]
struct Target {
    family: u16,
    addr: Address,
    port: u32,
    socket: u64,
}

#[inline(always)]
fn port(ctx: *mut bpf_sock_addr) -> u32 {
    // SAFETY: the kernel gives a context of this type; the port is in network order in the lower half.
    u32::from(u16::from_be(unsafe { (&raw const (*ctx).user_port).read_volatile() } as u16))
}

#[inline(always)]
fn socket(ctx: *mut bpf_sock_addr) -> u64 {
    // SAFETY: as above. The pointer is only compared.
    unsafe { (&raw const (*ctx).__bindgen_anon_1.sk).read_volatile() as u64 }
}

#[inline(always)]
fn v4(ctx: &SockAddrContext) -> Target {
    let at = ctx.sock_addr;
    // SAFETY: as above; in network order.
    let word = unsafe { (&raw const (*at).user_ip4).read_volatile() };
    Target { family: AF_INET, addr: mapped(word.to_ne_bytes()), port: port(at), socket: socket(at) }
}

#[inline(always)]
fn v6(ctx: &SockAddrContext) -> Target {
    let at = ctx.sock_addr;
    let mut addr = [0; 16];
    for (index, bytes) in addr.chunks_exact_mut(4).enumerate() {
        // SAFETY: as above; `index` is below 4.
        let word = unsafe { (&raw const (*at).user_ip6[index]).read_volatile() };
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Target { family: AF_INET6, addr, port: port(at), socket: socket(at) }
}

/// A connect or a bind that begins; the end of the call knows by `told` that it has been reported.
#[inline(always)]
fn tell(kind: EventKind, target: Target) -> Option<()> {
    let subject = Subject::current()?;
    filter::compare_creds(&subject, subject.task);
    filter::compare(&subject, subject.task);
    report_address(&subject, kind, target.family, &target.addr, target.port);
    let entry = TASKS.get_ptr_mut(&task_key(subject.tid))?;
    // SAFETY: a live map value; this task is the only one to write its entry.
    unsafe { (*entry).told = target.socket };
    Some(())
}

#[inline(always)]
fn tell_connect(target: Target) -> Option<()> {
    tell(EventKind::Connect, target)
}

#[inline(always)]
fn tell_bind(target: Target) -> Option<()> {
    tell(EventKind::Bind, target)
}

/// A datagram without a connect: few are reported.
#[inline(always)]
fn tell_send(target: Target) -> Option<()> {
    if class_of(&target.addr) & address::DATAGRAMS == 0 {
        return None;
    }
    let subject = Subject::current()?;
    report_address(&subject, EventKind::Send, target.family, &target.addr, target.port);
    Some(())
}

macro_rules! programs {
    ($( $(#[doc = $doc:literal])+ $name:ident at $hook:ident: $tell:ident of $read:ident; )+) => {$(
        $(#[doc = $doc])+
        #[cgroup_sock_addr($hook)]
        fn $name(ctx: SockAddrContext) -> i32 {
            let _ = $tell($read(&ctx));
            1
        }
    )+};
}

programs! {
    /// `BPF_CGROUP_INET4_CONNECT`: TCP and UDP, `inet_stream_connect` and `inet_dgram_connect`, kernel
    /// `net/ipv4/af_inet.c`.
    cgroup_connect4 at connect4: tell_connect of v4;
    /// `BPF_CGROUP_INET6_CONNECT`: likewise.
    cgroup_connect6 at connect6: tell_connect of v6;
    /// `BPF_CGROUP_INET4_BIND`: `inet_bind`, kernel `net/ipv4/af_inet.c`.
    cgroup_bind4 at bind4: tell_bind of v4;
    /// `BPF_CGROUP_INET6_BIND`: `inet6_bind`, kernel `net/ipv6/af_inet6.c`.
    cgroup_bind6 at bind6: tell_bind of v6;
    /// `BPF_CGROUP_UDP4_SENDMSG`: `udp_sendmsg` to an address, kernel `net/ipv4/udp.c`.
    cgroup_sendmsg4 at sendmsg4: tell_send of v4;
    /// `BPF_CGROUP_UDP6_SENDMSG`: `udpv6_sendmsg` to an address, kernel `net/ipv6/udp.c`.
    cgroup_sendmsg6 at sendmsg6: tell_send of v6;
}
