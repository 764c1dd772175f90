//! DNS messages of containers, at the root of cgroup v2: what is asked, when it leaves the socket, and what is
//! answered, when it arrives.
//!
//! The programs run for every packet of every socket on the host, so that they look at ports before anything else; they
//! let everything pass. A datagram leaves in the task that sends it: `ip_finish_output()` runs in its system call. An
//! answer arrives in whatever task was interrupted: whose it is, the socket's cookie tells.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_skb_cgroup_id};
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use monitor_common::event::{Dns, EventKind};
use monitor_common::network::{Address, DNS_MESSAGE_MAX, DNS_PORT, DOCKER_RESOLVER, mapped};
use monitor_common::policy::{KEY_CANARY, task_flags};

use crate::emit::{Ring, reserve};
use crate::filter::{self, Owner, Subject};
use crate::kernel::Ptr;
use crate::kernel::cgroup;
use crate::kernel::task::Task;
use crate::maps::{ASKERS, Asker, CONTAINERS, config, daemon_pid};

/// `IPPROTO_TCP`, `IPPROTO_UDP`.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Bytes of a header of IPv4 without options, of IPv6, of UDP; of the length before a message over TCP.
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const UDP_HEADER: u32 = 8;
const TCP_PREFIX: u32 = 2;
/// Bytes of the two ports with which the headers of TCP and UDP begin.
const PORTS: usize = 4;

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// Reads a number from a packet at once, wherever it lies: the compiler would read each byte by itself.
macro_rules! packet_word {
    ($name:ident, $word:literal) => {
        /// # Safety
        /// The program has checked that what is `AT` bytes after `data` lies in the packet.
        #[inline(always)]
        unsafe fn $name<const AT: usize>(data: usize) -> u64 {
            let word: u64;
            // SAFETY: by contract; the verifier checks the same.
            unsafe {
                core::arch::asm!(
                    concat!("{word} = *(", $word, " *)({data} + {at})"),
                    word = lateout(reg) word,
                    data = in(reg) data,
                    at = const AT,
                    options(readonly, nostack, preserves_flags)
                );
            }
            word
        }
    };
}

packet_word!(load_u8, "u8");
packet_word!(load_u16, "u16");
packet_word!(load_u32, "u32");

/// True for a packet that may be one of DNS: by port and address alone, because nearly all packets of a host end here.
/// `V4`, `PEER` and `V6` are where the port and the address at the other end are in a packet.
#[inline(always)]
fn may_be_dns<const V4: usize, const PEER: usize, const V6: usize>(ctx: &SkBuffContext) -> bool {
    const PORT: u64 = DNS_PORT.to_be() as u64;
    const RESOLVER: u64 = u32::from_ne_bytes(DOCKER_RESOLVER) as u64;
    // SAFETY: the kernel gives a context of this type; both are rewritten to pointers to the packet.
    let (data, end) = unsafe { ((*ctx.skb.skb).data as usize, (*ctx.skb.skb).data_end as usize) };
    if data + IPV4 as usize + PORTS > end {
        return false;
    }
    // SAFETY: the first 24 bytes were checked to lie in the packet.
    let first = unsafe { load_u8::<0>(data) };
    if first == 0x45 {
        // SAFETY: as above.
        return unsafe { load_u16::<V4>(data) == PORT || load_u32::<PEER>(data) == RESOLVER };
    }
    if first >> 4 != 6 {
        return true;
    }
    // SAFETY: the first 44 bytes are checked to lie in the packet.
    data + IPV6 as usize + PORTS <= end && unsafe { load_u16::<V6>(data) == PORT }
}

/// A packet to or from a DNS server.
#[derive(Clone, Copy)]
struct Packet {
    v6: bool,
    protocol: u8,
    /// Port of the server.
    port: u16,
    /// Where the header of TCP or UDP begins.
    transport: u32,
}

impl Packet {
    /// The packet, if it is one of DNS. The kernel has headers in the linear part by now; extension headers of IPv6 are
    /// not followed.
    #[inline(always)]
    fn of(ctx: &SkBuffContext, way: Way) -> Option<Self> {
        // SAFETY: the kernel gives a context of this type; both are rewritten to pointers to the packet.
        let (data, end) = unsafe { ((*ctx.skb.skb).data as usize, (*ctx.skb.skb).data_end as usize) };
        let (port_at, v4_at) = if way == Way::Out { (2, 16) } else { (0, 12) };
        if data + IPV4 as usize + PORTS > end {
            return None;
        }
        // SAFETY: the first 24 bytes were checked to lie in the packet.
        let first = unsafe { *(data as *const u8) };
        match first >> 4 {
            4 => {
                // SAFETY: as above.
                let protocol = unsafe { *((data + 9) as *const u8) };
                // SAFETY: as above.
                let peer = unsafe { *((data + v4_at) as *const [u8; 4]) };
                let transport = u32::from(first & 0xf) * 4;
                let port = if transport == IPV4 {
                    // SAFETY: as above.
                    unsafe { *((data + IPV4 as usize + port_at) as *const [u8; 2]) }
                } else {
                    ctx.load(transport as usize + port_at).ok()?
                };
                Self { v6: false, protocol, port: u16::from_be_bytes(port), transport }
                    .if_dns(peer == DOCKER_RESOLVER)
            }
            6 if data + IPV6 as usize + PORTS <= end => {
                // SAFETY: the first 44 bytes were checked to lie in the packet.
                let protocol = unsafe { *((data + 6) as *const u8) };
                // SAFETY: as above.
                let port = unsafe { *((data + IPV6 as usize + port_at) as *const [u8; 2]) };
                Self { v6: true, protocol, port: u16::from_be_bytes(port), transport: IPV6 }.if_dns(false)
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn if_dns(self, docker: bool) -> Option<Self> {
        ((self.port == DNS_PORT || docker) && (self.protocol == UDP || self.protocol == TCP)).then_some(self)
    }

    /// The address at the other end.
    #[inline(always)]
    fn peer(&self, ctx: &SkBuffContext, way: Way) -> Address {
        if self.v6 {
            ctx.load(if way == Way::Out { 24 } else { 8 }).unwrap_or_default()
        } else {
            mapped(ctx.load(if way == Way::Out { 16 } else { 12 }).unwrap_or_default())
        }
    }

    /// Where the message begins, and how long it is. Over TCP, a message that is alone and whole in its segment, which
    /// queries are; what else a segment may hold cannot be told from the middle of a message.
    #[inline(always)]
    fn message(&self, ctx: &SkBuffContext) -> Option<(u32, u32)> {
        if self.protocol == UDP {
            let at = self.transport + UDP_HEADER;
            return Some((at, ctx.len().checked_sub(at)?));
        }
        // The header's length is in the upper half of byte 12, in words of four bytes.
        let words = ctx.load::<u8>(self.transport as usize + 12).ok()? >> 4;
        let at = self.transport + u32::from(words) * 4;
        let len = ctx.len().checked_sub(at + TCP_PREFIX).filter(|len| *len > 0)?;
        let said = u16::from_be_bytes(ctx.load(at as usize).ok()?);
        (u32::from(said) == len).then_some((at + TCP_PREFIX, len))
    }
}

/// `BPF_CGROUP_RUN_PROG_INET_EGRESS()` in `ip_finish_output()` and `ip6_finish_output()`, kernel
/// `net/ipv4/ip_output.c`, `net/ipv6/ip6_output.c`. 1 lets the packet pass.
#[cgroup_skb(egress)]
fn dns_egress(ctx: SkBuffContext) -> i32 {
    if may_be_dns::<22, 16, 42>(&ctx) {
        ask(ctx.skb.skb);
    }
    1
}

/// `BPF_CGROUP_RUN_PROG_INET_INGRESS()` in `sk_filter_trim_cap()`, kernel `net/core/filter.c`. 1 lets the packet pass.
#[cgroup_skb(ingress)]
fn dns_ingress(ctx: SkBuffContext) -> i32 {
    if may_be_dns::<20, 12, 40>(&ctx) {
        answer(ctx.skb.skb);
    }
    1
}

/// Functions in the kernel, too, as [`answer`]: what they need of the stack and of registers would be set up for each packet.
#[inline(never)]
fn ask(skb: *mut __sk_buff) {
    let _ = asked(&SkBuffContext::new(skb));
}

#[inline(never)]
fn answer(skb: *mut __sk_buff) {
    let _ = answered(&SkBuffContext::new(skb));
}

#[inline(always)]
fn asked(ctx: &SkBuffContext) -> Option<()> {
    let packet = Packet::of(ctx, Way::Out)?;
    let (subject, owner) = asker(ctx, packet.protocol)?;
    let kept = Asker {
        container: subject.container,
        cgroup: subject.cgroup,
        started: owner.started,
        pid: subject.pid,
        tid: subject.tid,
        uid: owner.uid,
        euid: owner.euid,
    };
    // SAFETY: the helper has no preconditions.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.skb.skb.cast()) };
    // It can only fail for want of memory; then an answer has no process.
    let _ = ASKERS.insert(&cookie, &kept, 0);
    report(ctx, &packet, Way::Out, &subject, owner)
}

/// Whose packet it is. The current task's, but for a segment of TCP, which the kernel may send later in any task: there
/// the socket must be of the task's cgroup. Otherwise only the container is known, where cgroup v2 says it.
#[inline(always)]
fn asker(ctx: &SkBuffContext, protocol: u8) -> Option<(Subject, Owner)> {
    let task = Task::current();
    let pid = task.tgid();
    if pid == daemon_pid() {
        return None;
    }
    let tid = task.tid();
    let cgroup = cgroup::of_task(task);
    let is_v2 = config!(cgroup_v2) == 1;
    // SAFETY: the helper has no preconditions.
    let socket_cgroup = unsafe { bpf_skb_cgroup_id(ctx.skb.skb) };
    if protocol == UDP || (is_v2 && cgroup == socket_cgroup) {
        let (container, bits) = match filter::entry(tid) {
            Some(entry) => (entry.container, entry.flags),
            None => (filter::container_of(cgroup).unwrap_or(0), 0),
        };
        // Nothing that a runtime does before it executes the container's program is asked for the container.
        if bits & task_flags::RUNTIME != 0 {
            return None;
        }
        if container != 0 {
            let stale = bits & task_flags::STALE != 0;
            let subject = Subject { task, pid, tid, container, cgroup, runtime: false, compat: false, stale };
            return Some((subject, Owner::of(task)));
        }
    }
    nobody(is_v2, socket_cgroup)
}

/// A container of which the process is not known.
#[inline(always)]
fn nobody(is_v2: bool, cgroup: u64) -> Option<(Subject, Owner)> {
    if !is_v2 {
        return None;
    }
    let container = filter::container_of(cgroup)?;
    Some((absent(container, cgroup, 0, 0), Owner { started: 0, uid: 0, euid: 0 }))
}

/// A task that is not here to be asked.
#[inline(always)]
fn absent(container: u64, cgroup: u64, pid: u32, tid: u32) -> Subject {
    let task = Task(Ptr::NULL);
    Subject { task, pid, tid, container, cgroup, runtime: false, compat: false, stale: false }
}

#[inline(always)]
fn answered(ctx: &SkBuffContext) -> Option<()> {
    let packet = Packet::of(ctx, Way::In)?;
    // SAFETY: the helper has no preconditions.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.skb.skb.cast()) };
    // SAFETY: the entry is copied at once.
    let (subject, owner) = match unsafe { ASKERS.get(&cookie) }.copied().filter(is_alive) {
        Some(asker) => (
            absent(asker.container, asker.cgroup, asker.pid, asker.tid),
            Owner { started: asker.started, uid: asker.uid, euid: asker.euid },
        ),
        // SAFETY: the helper has no preconditions.
        None => nobody(config!(cgroup_v2) == 1, unsafe { bpf_skb_cgroup_id(ctx.skb.skb) })?,
    };
    report(ctx, &packet, Way::In, &subject, owner)
}

/// A socket may outlive the container whose process asked through it.
#[inline(always)]
fn is_alive(asker: &Asker) -> bool {
    asker.container == KEY_CANARY || CONTAINERS.get_ptr(&asker.container).is_some()
}

#[inline(always)]
fn report(ctx: &SkBuffContext, packet: &Packet, way: Way, subject: &Subject, owner: Owner) -> Option<()> {
    let (at, len) = packet.message(ctx)?;
    let mut out = reserve::<Dns, { DNS_MESSAGE_MAX + 16 }>(Ring::Bulk, EventKind::Dns, subject)?;
    out.body(Dns {
        addr: packet.peer(ctx, way),
        op: if way == Way::Out { Dns::QUERY } else { Dns::ANSWER },
        protocol: u32::from(packet.protocol),
        port: u32::from(packet.port),
        len,
    });
    out.packet_bytes::<DNS_MESSAGE_MAX>(ctx.skb.skb, at, len);
    out.submit_as(subject, owner, 0);
    Some(())
}
