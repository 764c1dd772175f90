//! A socket was made that is no ordinary one.

use super::record::record;
use crate::network::FAMILIES;

/// `SOCK_*`, kernel `include/linux/net.h`.
const TYPES: &[(u64, &str)] =
    &[(1, "stream"), (2, "dgram"), (3, "raw"), (4, "rdm"), (5, "seqpacket"), (6, "dccp"), (10, "packet")];

record! {
    /// `socket(2)` (kernel `net/socket.c`). Left out: stream and datagram sockets of unix, IPv4 and IPv6 with the
    /// usual protocol, and sequential packets of unix.
    pub struct SocketCreate {
        /// Address family.
        family: u32 as Choice(FAMILIES),
        /// Type, without the flags that may be added to it.
        sock_type: u32 as Choice(TYPES),
        /// Protocol; its meaning depends on the family.
        protocol: u32 as Number,
        /// Result: the descriptor, or 0 where only success is known.
        ret: i32 as Return,
        /// Network namespace of the task.
        net_ns: u32 as Namespace,
        /// User namespace of the task.
        user_ns: u32 as Namespace,
    }
    tail {}
}
