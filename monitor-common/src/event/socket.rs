//! A socket was connected, bound, or made to listen; or tried to be.

use super::record::record;

record! {
    /// `connect(2)`, `bind(2)`, `listen(2)` (kernel `net/socket.c`).
    pub struct Socket {
        /// Inode of the listening socket's file, for a unix socket with a path.
        peer_ino: u64 as Number,
        /// Address, IPv4 mapped into IPv6.
        addr: [u8; 16] as Address,
        /// Address family.
        family: u32 as Choice(&[(1, "unix"), (2, "inet"), (10, "inet6"), (16, "netlink"), (17, "packet"), (38, "alg"), (40, "vsock")]),
        /// Port, host byte order.
        port: u32 as Number,
        /// Result of the call; the security hook's verdict where `final` is 0.
        ret: i32 as Return,
        /// 1 if `ret` is the call's own result.
        is_final: u32 as Number,
        /// 1 if the unix name is abstract.
        is_abstract: u32 as Number,
        /// Device of the listening socket's file.
        peer_dev: u32 as Device,
    }
    tail {
        /// Unix path or abstract name, as the program or the listener named it.
        path: Bytes,
    }
}
