//! The header that opens every record.

use super::plain::Plain;

/// Byte length of [`Header`] on the wire.
pub const HEADER_LEN: usize = 64;

/// The fixed part of every record.
///
/// Written by `monitor-ebpf/src/emit.rs` only. `len` covers header, payload and tail; the ring slot may be
/// longer, because the kernel reserves fixed size classes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Number of an [`super::EventKind`].
    pub kind: u16,
    /// Bytes of the record, header included.
    pub len: u16,
    /// CPU that wrote the record.
    pub cpu: u16,
    /// [`flags`] of the record.
    pub flags: u16,
    /// Number of the attempt on this CPU, counted before anything is decided: a gap is a record that was lost,
    /// over budget or filtered. Two programs that interleave on one CPU may have the same number, and the one
    /// before it is then nobody's.
    pub seq: u64,
    /// Nanoseconds since boot (`CLOCK_BOOTTIME`).
    pub time: u64,
    /// Container key (see [`crate::policy`]), 0 for the host.
    pub container: u64,
    /// Id of the task's cgroup in the identity hierarchy.
    pub cgroup: u64,
    /// Process id (`tgid`) in the initial pid namespace.
    pub pid: u32,
    /// Thread id (`pid` in the kernel's words) in the initial pid namespace.
    pub tid: u32,
    /// Start of the process (its group leader), nanoseconds since boot.
    pub started: u64,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Effective user id in the initial user namespace.
    pub euid: u32,
}

const _: () = assert!(core::mem::size_of::<Header>() == HEADER_LEN);

/// Bits of [`Header::flags`].
pub mod flags {
    /// The task is a trusted runtime task: the container is being set up, or joined.
    pub const RUNTIME: u16 = 1 << 0;
    /// The record went through the `CRITICAL` ring.
    pub const CRITICAL: u16 = 1 << 1;
    /// Written for the start-up self-test: never part of the output.
    pub const CANARY: u16 = 1 << 2;
    /// The system call came through the 32-bit entry.
    pub const COMPAT: u16 = 1 << 3;
    /// Read from the kernel's state by the user side at start, not seen as it happened.
    pub const SCANNED: u16 = 1 << 4;
    /// The record of the process's last exec was lost, or that of a process it was forked from: what is known of
    /// its program is out of date.
    pub const STALE: u16 = 1 << 5;
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` if there are fewer than [`HEADER_LEN`].
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_LEN {
            return None;
        }
        Some(Self {
            kind: u16::read(bytes, 0)?,
            len: u16::read(bytes, 2)?,
            cpu: u16::read(bytes, 4)?,
            flags: u16::read(bytes, 6)?,
            seq: u64::read(bytes, 8)?,
            time: u64::read(bytes, 16)?,
            container: u64::read(bytes, 24)?,
            cgroup: u64::read(bytes, 32)?,
            pid: u32::read(bytes, 40)?,
            tid: u32::read(bytes, 44)?,
            started: u64::read(bytes, 48)?,
            uid: u32::read(bytes, 56)?,
            euid: u32::read(bytes, 60)?,
        })
    }

    /// Writes the header to the first [`HEADER_LEN`] bytes of `out`: for replay, scans and tests.
    pub fn write(&self, out: &mut [u8; HEADER_LEN]) {
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.kind.to_ne_bytes());
        put(&self.len.to_ne_bytes());
        put(&self.cpu.to_ne_bytes());
        put(&self.flags.to_ne_bytes());
        put(&self.seq.to_ne_bytes());
        put(&self.time.to_ne_bytes());
        put(&self.container.to_ne_bytes());
        put(&self.cgroup.to_ne_bytes());
        put(&self.pid.to_ne_bytes());
        put(&self.tid.to_ne_bytes());
        put(&self.started.to_ne_bytes());
        put(&self.uid.to_ne_bytes());
        put(&self.euid.to_ne_bytes());
    }

    /// True if `bit` (one of [`flags`]) is set.
    pub fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }
}
