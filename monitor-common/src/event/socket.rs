//! A socket was connected, bound, or made to listen; or tried to be. Or a datagram was sent.

use super::record::record;
use crate::network::FAMILIES;

record! {
    /// `connect(2)`, `bind(2)`, `listen(2)`, and datagrams sent without a connect (kernel `net/socket.c`).
    pub struct Socket {
        /// Inode of the listening socket's file, for a unix socket with a path.
        peer_ino: u64 as Number,
        /// Container key of the process that listens at a unix socket; 0 if it is none of a container.
        peer_container: u64 as Hex,
        /// Address, IPv4 mapped into IPv6.
        addr: [u8; 16] as Address,
        /// Address family.
        family: u32 as Choice(FAMILIES),
        /// Port, host byte order.
        port: u32 as Number,
        /// Context id of a vsock address.
        cid: u32 as Number,
        /// Result of the call; where `final` is 0, 0 or the verdict of a security module.
        ret: i32 as Return,
        /// 1 if `ret` is the call's own result.
        is_final: u32 as Number,
        /// 1 if the unix name is abstract.
        is_abstract: u32 as Number,
        /// Device of the listening socket's file.
        peer_dev: u32 as Device,
        /// Process that listens at a unix socket; 0 if that is not known.
        peer_pid: u32 as Number,
        /// Network namespace of the task.
        net_ns: u32 as Namespace,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// Unix path or abstract name, as the program or the listener named it; the algorithm's type, for `alg`.
        path: Bytes,
    }
}
