//! Sockets: the security hooks of the trampoline rung, and the same record made at the end of the call.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, RACED, Socket};
use monitor_common::network::{Address, address, is_control_port, mapped};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Out, Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::sock::{self, AF_ALG, AF_INET, AF_INET6, AF_UNIX, AF_VSOCK};
use crate::kernel::task::Task;
use crate::kernel::{Ptr, Zeroable, read_kernel, read_user};
use crate::maps::{ADDRESSES, TASKS, task_key};
use crate::preempt;

/// `sun_path` of `struct sockaddr_un` (man 7 unix).
const SUN_PATH: u64 = 108;
const TAIL: usize = SUN_PATH as usize + 16;

/// Where an address lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Kernel,
    User,
}

#[inline(always)]
fn read<T: Zeroable>(memory: Memory, at: u64) -> T {
    match memory {
        Memory::Kernel => read_kernel(at),
        Memory::User => read_user(at),
    }
}

/// What a `struct sockaddr` says. Little enough to keep on the stack, of which programs have 512 bytes in all with
/// those they call; the record itself is filled in its slot.
#[derive(Clone, Copy)]
struct Seen {
    addr: Address,
    /// Place and length of a name; 0 if there is none.
    name: u64,
    name_len: u64,
    family: u16,
    is_abstract: bool,
    port: u32,
    cid: u32,
}

impl Seen {
    const NOTHING: Self =
        Self { addr: [0; 16], name: 0, name_len: 0, family: 0, is_abstract: false, port: 0, cid: 0 };

    #[inline(always)]
    fn read(memory: Memory, at: u64, len: u64) -> Self {
        let mut seen = Self { family: read::<u16>(memory, at), ..Self::NOTHING };
        match seen.family {
            AF_INET => {
                seen.port = u32::from(u16::from_be_bytes(read(memory, at + 2)));
                seen.addr = mapped(read(memory, at + 4));
            }
            AF_INET6 => {
                seen.port = u32::from(u16::from_be_bytes(read(memory, at + 2)));
                seen.addr = read(memory, at + 8);
            }
            AF_UNIX if len > 2 => {
                seen.is_abstract = read::<u8>(memory, at + 2) == 0;
                let skip = if seen.is_abstract { 3 } else { 2 };
                (seen.name, seen.name_len) = (at + skip, len - skip);
            }
            // `struct sockaddr_vm` (kernel `include/uapi/linux/vm_sockets.h`).
            AF_VSOCK => {
                seen.port = read(memory, at + 4);
                seen.cid = read(memory, at + 8);
            }
            // `struct sockaddr_alg` (kernel `include/uapi/linux/if_alg.h`): 14 bytes of type.
            AF_ALG => (seen.name, seen.name_len) = (at + 2, 14),
            _ => {}
        }
        seen
    }

    /// What a unix socket is bound to; nothing if to nothing.
    #[inline(always)]
    fn bound_name(socket: Ptr) -> Self {
        let bound = socket.follow(F::UnixAddr);
        if !bound.is_valid() {
            return Self::NOTHING;
        }
        let len = u64::from(bound.read::<u32>(F::UnixAddrLen)) & 0xff;
        Self::read(Memory::Kernel, bound.inside(F::UnixAddrName).0, len)
    }

    /// The address that a socket of IPv4 or IPv6 has itself.
    #[inline(always)]
    fn local(socket: Ptr) -> Self {
        let mut seen = Self { family: sock::family(socket), ..Self::NOTHING };
        match seen.family {
            AF_INET => seen.addr = mapped(sock::local_v4(socket)),
            AF_INET6 => seen.addr = sock::local_v6(socket),
            _ => return seen,
        }
        seen.port = u32::from(sock::local_port(socket));
        seen
    }

    #[inline(always)]
    fn is_inet(&self) -> bool {
        self.family == AF_INET || self.family == AF_INET6
    }
}

/// What a unix socket was connected to: found by the kernel, whatever name was used.
#[inline(always)]
fn add_peer(out: &mut Out<Socket, TAIL>, socket: Ptr) {
    let file = sock::unix_file(sock::unix_peer(socket));
    let pid = sock::peer_pid(socket);
    let container = filter::entry(pid).map_or(0, |entry| entry.container);
    let body = out.body_ptr();
    // SAFETY: the slot's payload, writable and aligned.
    unsafe {
        (*body).peer_ino = file.ino;
        (*body).peer_dev = file.dev;
        (*body).peer_pid = pid;
        (*body).peer_container = container;
    }
}

/// Takes back what a program at the root of cgroup v2 has told of, and says whether it was this socket.
#[inline(always)]
fn was_told(subject: &Subject, socket: Ptr) -> bool {
    let Some(entry) = TASKS.get_ptr_mut(&task_key(subject.tid)) else { return false };
    // SAFETY: a live map value; this task is the only one to write its entry.
    let told = unsafe { core::mem::replace(&mut (*entry).told, 0) };
    told != 0 && told == socket.0
}

/// A socket call at its end, unless it has been told of already. A function in the kernel, too, like the others here:
/// its stack is free again when the caller compares the task's state.
#[inline(never)]
pub(crate) fn report_socket_call(subject: &Subject, call: Call, args: &[u64; 6], ret: i32) {
    let socket = sock::of_file(subject.task.file(args[0] as u32));
    if call == Call::Listen {
        let seen = Seen::local(socket);
        if let Some(out) = begin(subject, EventKind::Listen, &seen, ret, 1) {
            finish(out, subject, &seen, Memory::Kernel);
        }
        return;
    }
    let told = was_told(subject, socket);
    let mut seen = Seen::read(Memory::User, args[1], args[2] & 0xff);
    // The family is asked for as well: another thread may have put that socket in this one's place.
    if told && seen.is_inet() {
        return;
    }
    let kind = if call == Call::Connect { EventKind::Connect } else { EventKind::Bind };
    let connected = call == Call::Connect && ret >= 0 && sock::family(socket) == AF_UNIX;
    let mut memory = Memory::User;
    if connected {
        let bound = Seen::bound_name(sock::unix_peer(socket));
        if bound.is_abstract {
            (seen, memory) = (bound, Memory::Kernel);
        }
    }
    let Some(mut out) = begin(subject, kind, &seen, ret, 1) else { return };
    if connected {
        add_peer(&mut out, socket);
    }
    finish(out, subject, &seen, memory);
}

/// The ring for a record: what may be a control socket, a metadata service or a way to the hypervisor must not wait
/// behind bulk records, nor be lost with them.
#[inline(always)]
fn ring_of(family: u32, port: u32, addr: &Address) -> Ring {
    let watched = match family as u16 {
        AF_UNIX | AF_VSOCK | AF_ALG => true,
        AF_INET | AF_INET6 => is_control_port(port) || class_of(addr) != 0,
        _ => false,
    };
    if watched { Ring::Critical } else { Ring::Bulk }
}

/// Whose address it is, 0 for nobody's that is watched.
#[inline(always)]
pub(crate) fn class_of(address: &Address) -> u32 {
    // SAFETY: one aligned u32 is read.
    unsafe { ADDRESSES.get(address) }.copied().unwrap_or(0)
}

/// Reserves a record and fills in what was seen.
#[inline(always)]
fn begin(
    subject: &Subject,
    kind: EventKind,
    seen: &Seen,
    ret: i32,
    is_final: u32,
) -> Option<Out<Socket, TAIL>> {
    let ring = ring_of(u32::from(seen.family), seen.port, &seen.addr);
    let mut out = reserve::<Socket, TAIL>(ring, kind, subject)?;
    let body = out.body_ptr();
    // SAFETY: the slot's payload, writable and aligned; every field is written.
    unsafe {
        (*body).peer_ino = 0;
        (*body).peer_container = 0;
        (*body).addr = seen.addr;
        (*body).family = u32::from(seen.family);
        (*body).port = seen.port;
        (*body).cid = seen.cid;
        (*body).ret = ret;
        (*body).is_final = is_final;
        (*body).is_abstract = u32::from(seen.is_abstract);
        (*body).peer_dev = 0;
        (*body).peer_pid = 0;
        (*body).net_ns = subject.task.net_ns_inum();
        (*body).reserved = 0;
    }
    Some(out)
}

/// Adds the name and hands the record over.
#[inline(always)]
fn finish(mut out: Out<Socket, TAIL>, subject: &Subject, seen: &Seen, memory: Memory) {
    const MAX: usize = SUN_PATH as usize;
    let user = memory == Memory::User;
    let raced = if user { RACED } else { 0 };
    match seen.name {
        0 => out.empty(),
        at if !seen.is_abstract => out.address_path::<MAX>(at, seen.name_len, user, raced),
        at if user => out.user_bytes::<MAX>(at, seen.name_len, raced),
        at => out.kernel_bytes::<MAX>(at, seen.name_len),
    }
    out.submit_anywhere(subject, 0);
}

/// A connect or bind over TCP or UDP that begins, or a datagram: the address is not in a `struct sockaddr`.
#[inline(never)]
pub(crate) fn report_address(subject: &Subject, kind: EventKind, family: u16, addr: &Address, port: u32) {
    let seen = Seen { addr: *addr, family, port, ..Seen::NOTHING };
    if let Some(out) = begin(subject, kind, &seen, 0, 0) {
        finish(out, subject, &seen, Memory::Kernel);
    }
}

/// A datagram that was sent to the address at `at` in user memory, if that is watched.
#[inline(never)]
pub(crate) fn report_datagram(subject: &Subject, at: u64, ret: i32) {
    let seen = Seen::read(Memory::User, at, 0);
    if seen.is_inet()
        && class_of(&seen.addr) & address::DATAGRAMS != 0
        && let Some(out) = begin(subject, EventKind::Send, &seen, ret, 1)
    {
        finish(out, subject, &seen, Memory::Kernel);
    }
}

#[inline(always)]
fn at_address(ctx: &FExitContext, kind: EventKind) -> Option<()> {
    let subject = Subject::current()?;
    filter::compare_creds(&subject, Task::known());
    filter::compare(&subject, Task::known());
    let ret = ctx.arg::<i32>(3);
    // A connect that goes on is reported at its end, by `unix_stream_connect` or `unix_dgram_connect`.
    let socket = Ptr(ctx.arg::<u64>(0)).follow(F::SocketSk);
    if kind == EventKind::Connect && ret == 0 && sock::family(socket) == AF_UNIX {
        return None;
    }
    report_sockaddr(&subject, kind, ctx.arg(1), u64::from(ctx.arg::<u32>(2)) & 0xff, ret);
    Some(())
}

/// A `struct sockaddr` that has been copied into the kernel.
#[inline(never)]
fn report_sockaddr(subject: &Subject, kind: EventKind, at: u64, len: u64, ret: i32) {
    let seen = Seen::read(Memory::Kernel, at, len);
    if let Some(out) = begin(subject, kind, &seen, ret, 0) {
        finish(out, subject, &seen, Memory::Kernel);
    }
}

/// `int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`, kernel
/// `security/security.c`; the address has been copied into the kernel.
#[fexit(function = "security_socket_connect")]
fn security_socket_connect(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        at_address(&ctx, EventKind::Connect);
    });
    0
}

/// `int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`, kernel
/// `security/security.c`.
#[fexit(function = "security_socket_bind")]
fn security_socket_bind(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        at_address(&ctx, EventKind::Bind);
    });
    0
}

/// `int security_socket_listen(struct socket *sock, int backlog)`, kernel `security/security.c`.
#[fexit(function = "security_socket_listen")]
fn security_socket_listen(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_listen(&ctx);
    });
    0
}

#[inline(always)]
fn try_listen(ctx: &FExitContext) -> Option<()> {
    let subject = Subject::current()?;
    let socket = Ptr(ctx.arg::<u64>(0)).follow(F::SocketSk);
    let seen = Seen::local(socket);
    let out = begin(&subject, EventKind::Listen, &seen, ctx.arg::<i32>(2), 0)?;
    finish(out, &subject, &seen, Memory::Kernel);
    Some(())
}

/// `int unix_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int flags)`, kernel
/// `net/unix/af_unix.c`; called through a pointer, so never inlined. The address has been copied into the kernel.
#[fexit(function = "unix_stream_connect")]
fn unix_stream_connect(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        at_unix_connect(&ctx);
    });
    0
}

/// `int unix_dgram_connect(struct socket *sock, struct sockaddr *addr, int alen, int flags)`, kernel
/// `net/unix/af_unix.c`.
#[fexit(function = "unix_dgram_connect")]
fn unix_dgram_connect(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        at_unix_connect(&ctx);
    });
    0
}

#[inline(always)]
fn at_unix_connect(ctx: &FExitContext) -> Option<()> {
    let subject = Subject::current()?;
    let ret = ctx.arg::<i32>(4);
    let seen = Seen::read(Memory::Kernel, ctx.arg(1), u64::from(ctx.arg::<u32>(2)) & 0xff);
    let mut out = begin(&subject, EventKind::Connect, &seen, ret, 1)?;
    if ret >= 0 {
        add_peer(&mut out, Ptr(ctx.arg::<u64>(0)).follow(F::SocketSk));
    }
    finish(out, &subject, &seen, Memory::Kernel);
    Some(())
}
