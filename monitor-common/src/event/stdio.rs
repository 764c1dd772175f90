//! A program was executed that reads its input from the network.

use super::record::record;
use crate::network::FAMILIES;

record! {
    /// The standard input of a program that was just executed is a socket of IPv4 or IPv6: follows the `exec` of that
    /// program. `dup2(2)` of the socket happened before, in whatever way.
    pub struct Stdio {
        /// Address of the peer, IPv4 mapped into IPv6; zeros if there is none.
        addr: [u8; 16] as Address,
        /// Address family.
        family: u32 as Choice(FAMILIES),
        /// Port of the peer, host byte order; 0 if there is none.
        port: u32 as Number,
        /// Port of this end, host byte order.
        local_port: u32 as Number,
        /// 1 if standard output is the same socket, or another one of IPv4 or IPv6.
        output: u32 as Number,
        /// 1 if standard error is.
        error: u32 as Number,
        /// Network namespace of the task.
        net_ns: u32 as Namespace,
    }
    tail {}
}
