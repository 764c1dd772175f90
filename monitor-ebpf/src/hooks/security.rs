//! Sockets: the security hooks of the trampoline rung, and the same record made at the end of the call.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, RACED, Socket};

use super::file::check_foreign;
use crate::emit::{Ring, reserve};
use crate::filter::{self, Subject};
use crate::kernel::sock::{self, AF_INET, AF_INET6, AF_UNIX};
use crate::kernel::{Ptr, Zeroable, read_kernel, read_user};

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

/// Fills family, address and port from a `struct sockaddr`; gives place and length of a unix name.
#[inline(always)]
fn read_address(memory: Memory, at: u64, len: u64, record: &mut Socket) -> (u64, u64) {
    let family = read::<u16>(memory, at);
    record.family = u32::from(family);
    match family {
        AF_INET => {
            record.port = u32::from(u16::from_be_bytes(read(memory, at + 2)));
            record.addr = mapped(read(memory, at + 4));
        }
        AF_INET6 => {
            record.port = u32::from(u16::from_be_bytes(read(memory, at + 2)));
            record.addr = read(memory, at + 8);
        }
        AF_UNIX if len > 2 => {
            let abstract_name = read::<u8>(memory, at + 2) == 0;
            if abstract_name {
                record.is_abstract = 1;
                return (at + 3, len - 3);
            }
            return (at + 2, len - 2);
        }
        _ => {}
    }
    (0, 0)
}

/// `::ffff:a.b.c.d`.
#[inline(always)]
fn mapped(v4: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]]
}

#[inline(always)]
fn local_address(socket: Ptr, record: &mut Socket) {
    let family = sock::family(socket);
    record.family = u32::from(family);
    match family {
        AF_INET => record.addr = mapped(sock::local_v4(socket)),
        AF_INET6 => record.addr = sock::local_v6(socket),
        _ => return,
    }
    record.port = u32::from(sock::local_port(socket));
}

#[inline(always)]
fn peer_file(peer: Ptr, record: &mut Socket) {
    let file = sock::unix_file(peer);
    record.peer_ino = file.ino;
    record.peer_dev = file.dev;
}

/// A socket call at its end.
#[inline(always)]
pub(crate) fn report_socket_call(subject: &Subject, call: Call, args: &[u64; 6], ret: i32) {
    let socket = if ret >= 0 { sock::of_file(subject.task.file(args[0] as u32)) } else { Ptr::NULL };
    let (kind, family) = match call {
        Call::Listen => (EventKind::Listen, sock::family(socket)),
        Call::Connect => (EventKind::Connect, read_user(args[1])),
        _ => (EventKind::Bind, read_user(args[1])),
    };
    report(subject, kind, family, Memory::User, |record| {
        record.ret = ret;
        record.is_final = 1;
        if call == Call::Listen {
            local_address(socket, record);
            return (0, 0);
        }
        let name = read_address(Memory::User, args[1], args[2] & 0xff, record);
        if call == Call::Connect && record.family == u32::from(AF_UNIX) {
            peer_file(sock::unix_peer(socket), record);
        }
        name
    });
}

/// Writes a record that `fill` fills in its slot; it gives place and length of a unix name.
#[inline(always)]
fn report(
    subject: &Subject,
    kind: EventKind,
    family: u16,
    memory: Memory,
    fill: impl FnOnce(&mut Socket) -> (u64, u64),
) {
    // A connect to a unix socket may be one to a control socket: it must not wait behind bulk records.
    let ring = if family == AF_UNIX { Ring::Critical } else { Ring::Bulk };
    let Some(mut out) = reserve::<Socket, TAIL>(ring, kind, subject) else { return };
    let body = out.body_ptr();
    // SAFETY: the slot's payload, writable and aligned, and nobody else's until it is submitted.
    let record = unsafe {
        body.write(Socket::default());
        &mut *body
    };
    let (at, len) = fill(record);
    let is_abstract = record.is_abstract != 0;
    const MAX: usize = SUN_PATH as usize;
    let user = memory == Memory::User;
    let raced = if user { RACED } else { 0 };
    match at {
        0 => out.empty(),
        at if !is_abstract => out.address_path::<MAX>(at, len, user, raced),
        at if user => out.user_bytes::<MAX>(at, len, raced),
        at => out.kernel_bytes::<MAX>(at, len),
    }
    out.submit(subject, 0);
}

#[inline(always)]
fn at_address(ctx: &FExitContext, kind: EventKind) -> Option<()> {
    let subject = Subject::current()?;
    filter::compare_creds(&subject);
    filter::compare(&subject);
    let (address, len) = (ctx.arg::<u64>(1), u64::from(ctx.arg::<u32>(2)) & 0xff);
    report(&subject, kind, read_kernel(address), Memory::Kernel, |record| {
        record.ret = ctx.arg::<i32>(3);
        read_address(Memory::Kernel, address, len, record)
    });
    Some(())
}

/// `int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`, kernel
/// `security/security.c`; the address has been copied into the kernel.
#[fexit(function = "security_socket_connect")]
fn security_socket_connect(ctx: FExitContext) -> i32 {
    at_address(&ctx, EventKind::Connect);
    0
}

/// `int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`, kernel
/// `security/security.c`.
#[fexit(function = "security_socket_bind")]
fn security_socket_bind(ctx: FExitContext) -> i32 {
    at_address(&ctx, EventKind::Bind);
    0
}

/// `int security_socket_listen(struct socket *sock, int backlog)`, kernel `security/security.c`.
#[fexit(function = "security_socket_listen")]
fn security_socket_listen(ctx: FExitContext) -> i32 {
    try_listen(&ctx);
    0
}

#[inline(always)]
fn try_listen(ctx: &FExitContext) -> Option<()> {
    use monitor_common::offsets::FieldId as F;
    let subject = Subject::current()?;
    let socket = Ptr(ctx.arg::<u64>(0)).follow(F::SocketSk);
    report(&subject, EventKind::Listen, sock::family(socket), Memory::Kernel, |record| {
        record.ret = ctx.arg::<i32>(2);
        local_address(socket, record);
        (0, 0)
    });
    Some(())
}

/// `int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`, kernel
/// `security/security.c`; `other` is the listener, found by the kernel whatever name was used.
#[fexit(function = "security_unix_stream_connect")]
fn security_unix_stream_connect(ctx: FExitContext) -> i32 {
    try_unix_connect(Ptr(ctx.arg::<u64>(1)), ctx.arg::<i32>(3));
    0
}

#[inline(always)]
fn try_unix_connect(listener: Ptr, ret: i32) -> Option<()> {
    use monitor_common::offsets::FieldId as F;
    let subject = Subject::current()?;
    report(&subject, EventKind::Connect, AF_UNIX, Memory::Kernel, |record| {
        record.ret = ret;
        record.is_final = 1;
        let mut name = (0, 0);
        let bound = listener.follow(F::UnixAddr);
        if bound.is_valid() {
            let len = u64::from(bound.read::<u32>(F::UnixAddrLen)) & 0xff;
            name = read_address(Memory::Kernel, bound.inside(F::UnixAddrName).0, len, record);
        }
        record.family = u32::from(AF_UNIX);
        peer_file(listener, record);
        name
    });
    Some(())
}

/// `int security_file_open(struct file *file)`, kernel `security/security.c`; also reached by io_uring and by
/// 32-bit calls.
#[fexit(function = "security_file_open")]
fn security_file_open(ctx: FExitContext) -> i32 {
    try_file_open(Ptr(ctx.arg::<u64>(0)), ctx.arg::<i32>(1));
    0
}

#[inline(always)]
fn try_file_open(opened: Ptr, ret: i32) -> Option<()> {
    let subject = Subject::current()?;
    if subject.runtime {
        return None;
    }
    filter::compare_creds(&subject);
    filter::compare(&subject);
    check_foreign(&subject, opened, ret)
}
