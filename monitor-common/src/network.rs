//! Addresses and ports that are worth a record: both sides know them, so that the kernel side can leave out the rest.

/// Values of the `ADDRESSES` map: whose address it is. Bits; one address may be several things.
pub mod address {
    /// A cloud's metadata or credentials service.
    pub const METADATA: u32 = 1 << 0;
    /// The Kubernetes API server.
    pub const API_SERVER: u32 = 1 << 1;
    /// This node's own.
    pub const NODE: u32 = 1 << 2;
    /// [`super::CANARY`].
    pub const CANARY: u32 = 1 << 3;
    /// Datagrams to these are reported.
    pub const DATAGRAMS: u32 = METADATA | API_SERVER | CANARY;
}

/// An address as records have it: 16 bytes in network order, IPv4 mapped into IPv6.
pub type Address = [u8; 16];

/// `::ffff:a.b.c.d`.
#[inline(always)]
pub const fn mapped(v4: [u8; 4]) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4[0], v4[1], v4[2], v4[3]]
}

/// Metadata services: Amazon, Azure, Google and others; Amazon over IPv6; credentials of ECS tasks and of EKS pods;
/// Alibaba.
pub const METADATA: &[Address] = &[
    mapped([169, 254, 169, 254]),
    [0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54],
    mapped([169, 254, 170, 2]),
    mapped([169, 254, 170, 23]),
    mapped([100, 100, 100, 200]),
];

/// An address of the loopback that only the daemon's canary sends to.
pub const CANARY: Address = mapped([127, 98, 104, 1]);

/// Names that lead to metadata services: Google's, Amazon's, Tencent's.
pub const METADATA_NAMES: &[&str] =
    &["metadata.google.internal", "metadata.goog", "instance-data.ec2.internal", "metadata.tencentyun.com"];

/// Where DNS servers listen (RFC 1035, 4.2).
pub const DNS_PORT: u16 = 53;

/// Docker's resolver in every container of a network with names. The packet filter moves what is sent to its port 53 to
/// a port that differs from container to container, before any program at a cgroup sees the packet.
pub const DOCKER_RESOLVER: [u8; 4] = [127, 0, 0, 11];

/// Most bytes of a DNS message that are kept: what a datagram holds without extensions (RFC 1035, 4.2.1).
pub const DNS_MESSAGE_MAX: usize = 512;

/// What controls a node or a cluster listens here.
pub const CONTROL_PORTS: &[(u16, &str)] = &[
    (2375, "docker"),
    (2376, "docker"),
    (2379, "etcd"),
    (2380, "etcd"),
    (6443, "kube-apiserver"),
    (10249, "kube-proxy"),
    (10250, "kubelet"),
    (10255, "kubelet"),
    (10256, "kube-proxy"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
];

/// The service behind a port of [`CONTROL_PORTS`].
pub fn control_service(port: u32) -> Option<&'static str> {
    CONTROL_PORTS.iter().find(|(known, _)| u32::from(*known) == port).map(|(_, name)| *name)
}

/// True for a port of [`CONTROL_PORTS`]. Written as one `match`, which the kernel side can have in line.
#[inline(always)]
pub const fn is_control_port(port: u32) -> bool {
    matches!(port, 2375 | 2376 | 2379 | 2380 | 6443 | 10249 | 10250 | 10255 | 10256 | 10257 | 10259)
}

/// Names of address families (`AF_*`, kernel `include/linux/socket.h`).
pub const FAMILIES: &[(u64, &str)] = &[
    (1, "unix"),
    (2, "inet"),
    (3, "ax25"),
    (4, "ipx"),
    (5, "appletalk"),
    (9, "x25"),
    (10, "inet6"),
    (15, "key"),
    (16, "netlink"),
    (17, "packet"),
    (21, "rds"),
    (24, "pppox"),
    (26, "llc"),
    (27, "infiniband"),
    (28, "mpls"),
    (29, "can"),
    (30, "tipc"),
    (31, "bluetooth"),
    (33, "rxrpc"),
    (35, "phonet"),
    (36, "ieee802154"),
    (38, "alg"),
    (39, "nfc"),
    (40, "vsock"),
    (41, "kcm"),
    (42, "qipcrtr"),
    (43, "smc"),
    (44, "xdp"),
    (45, "mctp"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_match_knows_the_ports_of_the_list() {
        for port in 0..=u32::from(u16::MAX) {
            assert_eq!(is_control_port(port), control_service(port).is_some(), "{port}");
        }
    }
}
