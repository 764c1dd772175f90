//! The rules about sockets and the network.

use super::{RuleInfo, Severity};

pub(super) const E02: RuleInfo = RuleInfo {
    id: "E02",
    title: "Connection to an abstract unix socket of the host",
    severity: Severity::Warning,
    behaviours: &["E02"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of a container that shares the host's network namespace connected to an abstract unix socket, \
           at which a process of the host listens. Such sockets have no file, so no mount keeps the container from \
           them: old containerd shims (CVE-2020-15257), D-Bus and X11 listen there. A shim is critical.",
    benign: "Desktop programs and node agents that are run with the host's network on purpose talk to D-Bus or X11.",
};

pub(super) const E04: RuleInfo = RuleInfo {
    id: "E04",
    title: "Cloud metadata service contacted",
    severity: Severity::Warning,
    behaviours: &["E04"],
    attack: &["T1552.005"],
    invariant: None,
    what: "A process of the container connected, or sent a datagram, to the address of a cloud's metadata or \
           credentials service, which hands out the node's or the pod's credentials. \
           A notice: it looked up the name of such a service, or a name that led to such an address.",
    benign: "Programs that use a cloud's library ask for the credentials that they were given. Except them by image \
             digest; keep the others from the address by a network policy.",
};

pub(super) const E05: RuleInfo = RuleInfo {
    id: "E05",
    title: "Kubernetes API server contacted",
    severity: Severity::Notice,
    behaviours: &["E05"],
    attack: &["T1613", "T1552.007"],
    invariant: None,
    what: "A process of the container connected to the Kubernetes API server, at the address in the daemon's \
           KUBERNETES_SERVICE_HOST.",
    benign: "Operators and controllers do nothing else. It is worth a look where an interactive program does it, or \
             a workload that has no business there.",
};

pub(super) const E06: RuleInfo = RuleInfo {
    id: "E06",
    title: "Control port of the node contacted",
    severity: Severity::Warning,
    behaviours: &["E06"],
    attack: &["T1613", "T1609"],
    invariant: None,
    what: "A process of the container connected to a port of this node on which a kubelet, etcd, Docker or a part of \
           the control plane usually listens. Unprotected, each of them is a way to run code on the node.",
    benign: "Prometheus and the metrics server read kubelets; control plane parts that run as containers talk to \
             each other.",
};

pub(super) const E07: RuleInfo = RuleInfo {
    id: "E07",
    title: "Raw or packet socket made",
    severity: Severity::Warning,
    behaviours: &["E07"],
    attack: &["T1557.002", "T1040"],
    invariant: None,
    what: "A process of the container made a socket that sees, or sends, packets as they are on the wire: for \
           sniffing, for ARP spoofing, or to go round address checks. A raw socket for ICMP is a notice only.",
    benign: "ping, DHCP clients, keepalived, load balancers and network plug-ins need one.",
};

pub(super) const E09: RuleInfo = RuleInfo {
    id: "E09",
    title: "Program with its input and output on the network",
    severity: Severity::Warning,
    behaviours: &["E09"],
    attack: &["T1059.004"],
    invariant: None,
    what: "A program was executed whose standard input is a socket of IPv4 or IPv6, and so is its output or its error: \
           what a reverse or a bind shell is, whichever program it is and however the socket came there. Within the \
           container's own loopback it is a notice. A shell that talks through pipes, a terminal or an encrypting \
           program in between is not seen by this.",
    benign: "inetd, socat and systemd's sockets with Accept= hand connections to programs in this way.",
};

pub(super) const E11: RuleInfo = RuleInfo {
    id: "E11",
    title: "Loopback service of the host reached",
    severity: Severity::Notice,
    behaviours: &["E11"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of a container that shares the host's network namespace connected to an address of the \
           loopback: services of the host that trust it can be reached.",
    benign: "Node agents do this on purpose, and programs of one such container talk to each other this way.",
};

pub(super) const E14: RuleInfo = RuleInfo {
    id: "E14",
    title: "Firewall or IPsec socket in the host's network namespace",
    severity: Severity::Warning,
    behaviours: &["E14"],
    attack: &["T1562.004", "T1557"],
    invariant: None,
    what: "A process of a container that shares the host's network namespace made the netlink socket by which the \
           host's packet filter or IPsec is configured.",
    benign: "kube-proxy, network plug-ins and firewalls that run as containers.",
};

pub(super) const E15: RuleInfo = RuleInfo {
    id: "E15",
    title: "Socket to the hypervisor",
    severity: Severity::Warning,
    behaviours: &["E15"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container made or connected a vsock socket: a way to the hypervisor, to other virtual \
           machines, or to the agent of a sandbox, past every network policy.",
    benign: "Agents of Kata Containers, Firecracker and virtual machine managers that run as containers.",
};

pub(super) const D11: RuleInfo = RuleInfo {
    id: "D11",
    title: "Socket of a rare family",
    severity: Severity::Warning,
    behaviours: &["D11"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container made a socket of a family that ordinary programs never use: the kernel's \
           cryptography (AF_ALG), RxRPC, IPsec keys, TIPC, CAN and others. Their code is little tested, often \
           loaded on demand, and has been the way into the kernel many times.",
    benign: "cryptsetup, strongSwan, BlueZ, iwd, vehicle and industrial software. Except them by image digest.",
};

pub(super) const D12: RuleInfo = RuleInfo {
    id: "D12",
    title: "Netfilter or IPsec from a user namespace of its own",
    severity: Severity::Warning,
    behaviours: &["D12"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container made a user namespace, in which it has every capability, and there the netlink \
           socket by which packet filters or IPsec are configured. Exploits of nf_tables begin like this \
           (CVE-2022-34918, CVE-2023-32233, CVE-2024-1086).",
    benign: "Container engines and builders without root that run inside a container.",
};

pub(super) const D13: RuleInfo = RuleInfo {
    id: "D13",
    title: "Packet socket from a user namespace of its own",
    severity: Severity::Warning,
    behaviours: &["D13", "E07"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container made a user namespace, in which it has every capability, and there a packet \
           socket, whose ring buffers have been the way into the kernel (CVE-2017-7308, CVE-2020-14386).",
    benign: "Network helpers of container engines without root that run inside a container.",
};

pub(super) const B32: RuleInfo = RuleInfo {
    id: "B32",
    title: "Foreign directory, file or disk received as a descriptor",
    severity: Severity::Critical,
    behaviours: &["B32"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container received a descriptor of a block device, or of a file whose mount belongs to \
           another container or to the host. A directory is a way into everything below it.",
    benign: "Engines, display servers and service managers hand out descriptors of ordinary files: a file that is no \
             directory is a warning.",
};
