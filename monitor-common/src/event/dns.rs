//! A DNS message left a container, or came in for it.

use super::record::record;

record! {
    /// A packet to or from port 53, and what Docker's own resolver sends and gets (kernel `net/ipv4/ip_output.c`,
    /// `net/core/filter.c`).
    pub struct Dns {
        /// Address of the server, IPv4 mapped into IPv6.
        addr: [u8; 16] as Address,
        /// Which way it went.
        op: u32 as Choice(&[(1, "query"), (2, "answer")]),
        /// Transport.
        protocol: u32 as Choice(&[(6, "tcp"), (17, "udp")]),
        /// Port of the server, host byte order: not 53 where Docker's resolver has moved it.
        port: u32 as Number,
        /// Bytes of the message, of which 512 are read.
        len: u32 as Number,
    }
    tail {
        /// The message.
        message: Dns,
    }
}

impl Dns {
    /// A packet to the server.
    pub const QUERY: u32 = 1;
    /// A packet from the server.
    pub const ANSWER: u32 = 2;
}
