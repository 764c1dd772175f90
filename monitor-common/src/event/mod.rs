//! The events: one file each, one line each in the list below.
//!
//! The list gives [`EventKind`], the decoder and the field tables. Numbers are never used again for
//! something else.

mod bpf;
mod cgroup;
mod change;
mod control;
mod cred;
mod dns;
mod exec;
pub mod exec_args;
mod exec_failed;
mod exit;
mod fanotify;
pub mod field;
mod file;
mod file_receive;
mod fork;
mod header;
mod host_exec;
mod io_uring;
mod ioctl;
mod kernel_fault;
pub mod layer;
mod memfd;
mod memory;
mod module;
mod mount;
mod namespace;
mod perf_event;
pub mod plain;
mod ptrace;
pub mod record;
mod root;
mod sensitive_call;
mod signal;
mod socket;
mod socket_create;
mod splice;
mod state;
mod stdio;
mod sysctl;
mod tail;

pub use bpf::{Bpf, object as bpf_object};
pub use cgroup::{Cgroup, op as cgroup_op};
pub use change::{FileChange, op as change_op};
pub use control::Control;
pub use cred::Cred;
pub use dns::Dns;
pub use exec::{Exec, transition};
pub use exec_args::ExecArgs;
pub use exec_failed::ExecFailed;
pub use exit::Exit;
pub use fanotify::{Fanotify, mark as fanotify_mark};
pub use file::{FileOpen, why};
pub use file_receive::FileReceive;
pub use fork::Fork;
pub use header::{HEADER_LEN, Header, flags};
pub use host_exec::HostExec;
pub use io_uring::{IoUring, IoUringOp};
pub use ioctl::{Ioctl, cmd as ioctl_cmd};
pub use kernel_fault::{KernelFault, report as fault_report};
pub use memfd::Memfd;
pub use memory::{Memory, kind as memory_kind};
pub use module::{Module, op as module_op};
pub use mount::{MOUNT_FLAGS, Mount};
pub use namespace::{NAMESPACE_FLAGS, Namespace};
pub use perf_event::PerfEvent;
pub use ptrace::Ptrace;
pub use record::Record;
pub use root::Root;
pub use sensitive_call::SensitiveCall;
pub use signal::{Signal, result as signal_result};
pub use socket::Socket;
pub use socket_create::SocketCreate;
pub use splice::{Splice, to as splice_to, why as splice_why};
pub use state::{State, reason as state_reason};
pub use stdio::Stdio;
pub use sysctl::Sysctl;
pub use tail::{RACED, STRING_PREFIX, TRUNCATED, Tail, TailString, UNREACHABLE};

use field::{Field, TailField};

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than a header.
    ShortHeader,
    /// The header's length is beyond the bytes, or shorter than header and payload.
    BadLength,
    /// No event has this number.
    UnknownKind(u16),
    /// The strings reach beyond the end of the record, or do not fill it.
    BadTail,
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::ShortHeader => f.write_str("shorter than a record header"),
            Self::BadLength => f.write_str("the length in the header does not fit"),
            Self::UnknownKind(kind) => write!(f, "unknown event kind {kind}"),
            Self::BadTail => f.write_str("the strings do not end where the record does"),
        }
    }
}

macro_rules! events {
    ($( $(#[doc = $doc:literal])+ $variant:ident($payload:ident) = $number:literal, $name:literal; )+) => {
        /// The kinds of records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum EventKind { $( $(#[doc = $doc])+ $variant = $number, )+ }

        /// The places of the kinds in [`EventKind::ALL`].
        #[derive(Clone, Copy)]
        enum Place { $( $variant, )+ }

        impl EventKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its place in [`Self::ALL`]: what tables by kind are indexed with. A match, not a table: on the kernel side the
            /// kind is a constant nearly everywhere.
            #[inline(always)]
            pub const fn index(self) -> usize {
                match self { $( Self::$variant => Place::$variant as usize, )+ }
            }

            /// The kind with this number.
            pub const fn from_raw(raw: u16) -> Option<Self> {
                match raw { $( $number => Some(Self::$variant), )+ _ => None }
            }

            /// The name in output, filters and rules.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One line for the reference.
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc),+), )+ }
            }

            /// The fixed fields of the payload.
            pub const fn fields(self) -> &'static [Field] {
                match self { $( Self::$variant => <$payload as Record>::FIELDS, )+ }
            }

            /// The strings of the tail.
            pub const fn tail_fields(self) -> &'static [TailField] {
                match self { $( Self::$variant => <$payload as Record>::TAIL, )+ }
            }

            /// Bytes of the payload.
            pub const fn payload_size(self) -> usize {
                match self { $( Self::$variant => <$payload as Record>::SIZE, )+ }
            }
        }

        /// A decoded payload.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Payload { $( $(#[doc = $doc])+ $variant($payload), )+ }

        impl EventRef<'_> {
            /// The payload as numbers.
            #[inline]
            pub fn payload(&self) -> Option<Payload> {
                match self.kind { $( EventKind::$variant => <$payload as Record>::read(self.payload).map(Payload::$variant), )+ }
            }
        }
    };
}

events! {
    /// A program was executed.
    Exec(Exec) = 1, "exec";
    /// A process was made.
    Fork(Fork) = 2, "fork";
    /// A process ended.
    Exit(Exit) = 3, "exit";
    /// What a task is confined by, at the start and at each change.
    State(State) = 4, "state";
    /// A mount was made, moved, changed or removed.
    Mount(Mount) = 10, "mount";
    /// A root directory was changed.
    Root(Root) = 11, "root";
    /// Credentials were changed.
    Cred(Cred) = 20, "cred";
    /// A socket was connected.
    Connect(Socket) = 30, "connect";
    /// A socket was bound.
    Bind(Socket) = 31, "bind";
    /// A socket was made to listen.
    Listen(Socket) = 32, "listen";
    /// A socket was made that is no ordinary TCP, UDP or unix one.
    Socket(SocketCreate) = 33, "socket";
    /// A datagram was sent to a watched address without a connect.
    Send(Socket) = 34, "send";
    /// A directory, a device or a foreign file was received as a descriptor.
    FileReceive(FileReceive) = 35, "file_receive";
    /// A program was executed whose standard input is a socket of IPv4 or IPv6.
    Stdio(Stdio) = 36, "stdio";
    /// Namespaces were joined or made.
    Namespace(Namespace) = 40, "namespace";
    /// A cgroup was made or removed, or a task moved.
    Cgroup(Cgroup) = 41, "cgroup";
    /// A file was opened that a container has no ordinary reason to open.
    FileOpen(FileOpen) = 50, "file_open";
    /// Access to another task was asked for.
    Ptrace(Ptrace) = 51, "ptrace";
    /// A piece of the arguments or the environment of an exec: joined into its record, and no event of the output.
    ExecArgs(ExecArgs) = 110, "exec_args";
    /// A process of the host executed a file of a container, or the kernel started a helper.
    HostExec(HostExec) = 111, "host_exec";
    /// The kernel did not execute a program that was asked for.
    ExecFailed(ExecFailed) = 116, "exec_failed";
    /// A signal left its container.
    Signal(Signal) = 112, "signal";
    /// Memory was made executable that no file of the image is behind.
    Memory(Memory) = 113, "memory";
    /// A file was made that lives in memory only.
    Memfd(Memfd) = 114, "memfd";
    /// Limits, scheduling or priority of a task outside the container were changed.
    Control(Control) = 115, "control";
    /// A rare call that reaches the kernel itself, or state that no namespace divides.
    SensitiveCall(SensitiveCall) = 120, "sensitive_call";
    /// A kernel module was loaded, removed, or asked for.
    Module(Module) = 121, "module";
    /// `bpf(2)` was called.
    Bpf(Bpf) = 122, "bpf";
    /// A performance or tracing event was opened.
    PerfEvent(PerfEvent) = 123, "perf_event";
    /// An io_uring was made.
    IoUring(IoUring) = 124, "io_uring";
    /// An operation was submitted to an io_uring.
    IoUringOp(IoUringOp) = 125, "io_uring_op";
    /// The kernel reported a fault of its own.
    KernelFault(KernelFault) = 126, "kernel_fault";
    /// A file was renamed, linked, removed, made special, or its attributes were changed.
    FileChange(FileChange) = 52, "file_change";
    /// A control call on a terminal or a block device.
    Ioctl(Ioctl) = 53, "ioctl";
    /// A file, mount or file system was marked for fanotify.
    Fanotify(Fanotify) = 54, "fanotify";
    /// Pages of a file went into a pipe or a socket without being copied.
    Splice(Splice) = 56, "splice";
    /// A kernel setting was written.
    Sysctl(Sysctl) = 55, "sysctl";
    /// A DNS message was sent to a server, or came from one.
    Dns(Dns) = 140, "dns";
}

impl EventKind {
    /// True for records that are joined into another one, and are no event of the output.
    pub const fn is_part(self) -> bool {
        matches!(self, Self::ExecArgs)
    }
}

/// A record, borrowed from the bytes it arrived in; every length has been checked.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// What happened.
    pub kind: EventKind,
    /// Who, when, where.
    pub header: Header,
    /// Bytes of the payload, exactly [`EventKind::payload_size`].
    pub payload: &'a [u8],
    /// Bytes of the tail.
    pub tail: &'a [u8],
}

impl<'a> EventRef<'a> {
    /// Reads a record from `bytes`. Takes any bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let header = Header::read(bytes).ok_or(DecodeError::ShortHeader)?;
        let kind = EventKind::from_raw(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
        let end = usize::from(header.len);
        let payload_end = HEADER_LEN + kind.payload_size();
        if end > bytes.len() || end < payload_end {
            return Err(DecodeError::BadLength);
        }
        let this =
            Self { kind, header, payload: &bytes[HEADER_LEN..payload_end], tail: &bytes[payload_end..end] };
        let wanted = kind.tail_fields().len();
        let mut tail = Tail::new(this.tail);
        if tail.by_ref().take(wanted).count() != wanted || !tail.is_at_end() {
            return Err(DecodeError::BadTail);
        }
        Ok(this)
    }

    /// The `n`th string of the tail.
    pub fn string(&self, n: usize) -> TailString<'a> {
        Tail::new(self.tail).nth_string(n)
    }
}
