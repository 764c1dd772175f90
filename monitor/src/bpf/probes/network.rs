//! The sensors of sockets and of what goes through them.

use monitor_common::call::Call;

use super::{Attach, Level, Probe, REFUSED, Rung, Sensor, calls, fexit};

const fn cgroup(program: &'static str) -> Probe {
    Probe { program, attach: Attach::Cgroup, optional: false }
}

pub(super) const SOCKET: Sensor = Sensor {
    name: "socket",
    about: "connect, bind, listen",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("security_socket_connect", &["security_socket_connect"]),
                fexit("security_socket_bind", &["security_socket_bind"]),
                fexit("security_socket_listen", &["security_socket_listen"]),
                fexit("unix_stream_connect", &["unix_stream_connect"]),
                fexit("unix_dgram_connect", &["unix_dgram_connect"]),
            ],
            unseen: "the result of the call after the security modules, but for connects to unix sockets",
        },
        Rung {
            level: Level::Event,
            probes: &[
                cgroup("cgroup_connect4"),
                cgroup("cgroup_connect6"),
                cgroup("cgroup_bind4"),
                cgroup("cgroup_bind6"),
                calls("call_socket", &[Call::Connect, Call::Bind, Call::Listen]),
            ],
            unseen: "the result of connect and bind over TCP and UDP; connects to unix sockets by io_uring; names of \
                     unix sockets are read from user memory at the end of the call and marked raced",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_socket", &[Call::Connect, Call::Bind, Call::Listen])],
            unseen: "connects by io_uring; addresses are read from user memory at the end of the call, and a connect \
                     that nobody answers is seen when it ends",
        },
    ],
    canaries: &["connect", "bind", "listen"],
};

pub(super) const SOCKET_CREATE: Sensor = Sensor {
    name: "socket_create",
    about: "sockets made, but for the ordinary ones",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("sock_create", &["__sock_create"])],
            unseen: REFUSED,
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_socket_create", &[Call::Socket])],
            unseen: "sockets made by io_uring",
        },
    ],
    canaries: &["socket"],
};

pub(super) const DATAGRAM: Sensor = Sensor {
    name: "datagram",
    about: "datagrams to metadata services and the API server without a connect",
    required: false,
    rungs: &[
        Rung {
            level: Level::Event,
            probes: &[cgroup("cgroup_sendmsg4"), cgroup("cgroup_sendmsg6")],
            unseen: "the result of the call; packets made by hand, whose socket is reported",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_send", &[Call::Sendto, Call::Sendmsg, Call::Sendmmsg])],
            unseen: "datagrams by io_uring, and all but the first of one call; addresses are read from user memory at \
                     the end of the call",
        },
    ],
    canaries: &["send"],
};

pub(super) const DNS: Sensor = Sensor {
    name: "dns",
    about: "DNS queries of containers and the answers to them, over UDP and TCP",
    required: false,
    rungs: &[Rung {
        level: Level::Event,
        probes: &[cgroup("dns_egress"), cgroup("dns_ingress")],
        unseen: "DNS over TLS, HTTPS or QUIC, and over other ports than 53 (but that of Docker's resolver); over TCP, \
                 messages that are not alone and whole in a segment, and all where containers are told apart by cgroup \
                 v1; of a batch (UDP_SEGMENT) all but the first; packets made by hand, whose socket is reported",
    }],
    canaries: &["dns.query", "dns.answer"],
};

pub(super) const FILE_RECEIVE: Sensor = Sensor {
    name: "file_receive",
    about: "directories, devices and files of other mounts received as descriptors",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("security_file_receive", &["security_file_receive"])],
            unseen: "nothing known",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_receive", &[Call::Recvmsg, Call::Recvmmsg])],
            unseen: "descriptors received by io_uring and pidfd_getfd, but one of those of one call, and all after the eighth of a message; their numbers \
                     are read from user memory at the end of the call",
        },
    ],
    canaries: &["file_receive"],
};
