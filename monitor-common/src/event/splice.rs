//! Pages of a file went into a pipe or a socket without being copied.

use super::layer;
use super::record::record;

/// Where the pages went; the numbers are part of the wire format.
pub mod to {
    /// Into a pipe.
    pub const PIPE: u32 = 1;
    /// To a socket of the kernel's cryptography, `AF_ALG`.
    pub const ALG: u32 = 2;
    /// To a UDP socket.
    pub const UDP: u32 = 3;
    /// To a TCP socket that carries IPsec (RFC 8229).
    pub const ESPINTCP: u32 = 4;
}

/// What is known of the file; the bits are part of the wire format.
pub mod why {
    /// It is set-user-ID or set-group-ID.
    pub const SETID: u32 = 1 << 0;
    /// Somebody may execute it.
    pub const EXECUTABLE: u32 = 1 << 1;
}

record! {
    /// `splice(2)` and `sendfile(2)` (kernel `fs/splice.c`, `fs/read_write.c`): from an executable file, which is open
    /// for reading only, into a pipe, which is reported once for each program unless the file is set-user-ID; and from
    /// a pipe or such a file into sockets that encrypt in place; by splice(2), to those of the kernel's cryptography from
    /// any file.
    pub struct Splice {
        /// Inode of the file, 0 if the pages came out of a pipe.
        ino: u64 as Number,
        /// Superblock magic of its file system.
        magic: u64 as Hex,
        /// Which call; the numbers are [`crate::call::Call`]'s.
        op: u32 as Choice(&[(230, "splice"), (231, "sendfile")]),
        /// Where the pages went.
        to: u32 as Choice(&[(1, "pipe"), (2, "alg"), (3, "udp"), (4, "espintcp")]),
        /// What is known of the file.
        why: u32 as Flags(&[(1, "setid"), (2, "executable")]),
        /// How many bytes, or the error.
        ret: i32 as Return,
        /// Device of the file system.
        dev: u32 as Device,
        /// Mode of the file.
        mode: u32 as Hex,
        /// Owner of the file.
        file_uid: u32 as Number,
        /// Layer of an overlay that the file comes from.
        layer: u32 as Choice(layer::NAMES),
    }
    tail {
        /// Path of the file, as the kernel resolved it.
        path: Path,
    }
}
