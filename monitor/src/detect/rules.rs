//! The rules that are code: the invariants, and the checks of the catalogue that need a container's baseline.
//!
//! One entry each gives the id, what a person reads about it, and the place in [`RULES`].

mod kernel;
mod network;
mod tasks;

use super::types::{RuleInfo, Severity};

mod files;

macro_rules! rules {
    ($( $variant:ident = $info:expr; )+) => {
        /// A rule, as the checks name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Rule { $( $variant, )+ }

        impl Rule {
            /// Every rule, in the order of [`RULES`].
            pub(super) const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// What a person reads about it.
            pub(super) fn info(self) -> &'static RuleInfo {
                &RULES[self as usize]
            }
        }

        /// Every built-in rule.
        pub static RULES: &[RuleInfo] = &[ $( $info, )+ ];
    };
}

rules! {
    C01 = RuleInfo {
        id: "C01",
        title: "Foreign namespace joined",
        severity: Severity::Critical,
        behaviours: &["C01"],
        attack: &["T1611"],
        invariant: Some("I-1"),
        what: "A process of the container called setns(2) on a namespace that the container was not given and \
               did not make: it now sees the host's, or another container's, mounts, processes, network or users.",
        benign: "Network plug-ins, debuggers and node agents that run as containers do this on purpose. Except \
                 them by image digest; no ordinary workload needs it.",
    };
    C06 = RuleInfo {
        id: "C06",
        title: "Process found in a foreign namespace",
        severity: Severity::Critical,
        behaviours: &["C06", "C15"],
        attack: &["T1611", "T1068"],
        invariant: Some("I-1"),
        what: "A process of the container is in a namespace that is neither the container's own nor made by it, \
               and no setns(2) explains how it came there. Kernel exploits that switch a task to the initial \
               namespaces look like this.",
        benign: "Records of the call may have been lost: look for a `loss` record of the same container just \
                 before. A foreign mount namespace at a join is reported as a notice only, because a trusted \
                 runtime did it.",
    };
    C07 = RuleInfo {
        id: "C07",
        title: "Process moved out of its container's cgroup",
        severity: Severity::Critical,
        behaviours: &["C07"],
        attack: &["T1611", "T1562"],
        invariant: Some("I-2"),
        what: "A process of the container was moved to a cgroup outside the container's, where its limits, its \
               device rules and tools that tell containers by cgroup no longer apply.",
        benign: "An administrator's shell or a node agent may move processes: that is a warning. A move by the \
                 container itself is never part of ordinary work; moves below its own cgroup are not reported.",
    };
    C08 = RuleInfo {
        id: "C08",
        title: "Process born outside its container's cgroup",
        severity: Severity::Critical,
        behaviours: &["C08"],
        attack: &["T1611", "T1562"],
        invariant: Some("I-2"),
        what: "A process of the container made a child directly in a foreign cgroup (clone3 with \
               CLONE_INTO_CGROUP), which leaves no trace of a move.",
        benign: "systemd inside a container does this below its own cgroup, which is not reported. Outside it \
                 there is no ordinary reason.",
    };
    I3 = RuleInfo {
        id: "I-3",
        title: "Root or working directory in a foreign mount namespace",
        severity: Severity::Critical,
        behaviours: &["B24"],
        attack: &["T1611"],
        invariant: Some("I-3"),
        what: "The root or the working directory of a process of the container lies on a mount of a namespace \
               that the container was not given: relative paths lead to the host. A leaked directory descriptor \
               (CVE-2024-21626) and a chroot to a foreign directory look like this.",
        benign: "None is known. Update the container runtime if it happens as a container starts.",
    };
    I4 = RuleInfo {
        id: "I-4",
        title: "File opened through a foreign mount namespace",
        severity: Severity::Critical,
        behaviours: &["B14", "B24", "B32"],
        attack: &["T1611", "T1005"],
        invariant: Some("I-4"),
        what: "A process of the container opened a file through a mount that belongs to the host or to another \
               container, not to itself: by /proc/<pid>/root, by a directory descriptor that was leaked or \
               passed over a socket, or by a kernel bug.",
        benign: "Node agents that share the host's process namespace read other processes' files this way. A \
                 container whose standard streams are files of the host may open them again through /dev/stdout.",
    };
    I7 = RuleInfo {
        id: "I-7",
        title: "Disk or kernel file system mounted after start",
        severity: Severity::Critical,
        behaviours: &["B01", "B03", "B05"],
        attack: &["T1611", "T1006"],
        invariant: Some("I-7"),
        what: "A process of the container mounted a block device, or a fresh instance of a file system that \
               reaches into the kernel (proc, sysfs, cgroup, devtmpfs, debugfs, tracefs, securityfs, bpf, \
               binfmt_misc, efivarfs, configfs): host disks and files that the runtime had masked are in reach.",
        benign: "Storage drivers mount disks; container engines, systemd and build tools inside a container \
                 mount proc, sysfs and cgroup. Except them by image digest.",
    };
    B02 = RuleInfo {
        id: "B02",
        title: "Mount after start",
        severity: Severity::Warning,
        behaviours: &["B02"],
        attack: &["T1611"],
        invariant: None,
        what: "A process of the running container called mount(2): a bind mount, a remount, a change of \
               propagation, a move or a new file system. A read-only path made writable and a mount made shared \
               (new mounts may appear on the host) are critical; a tmpfs alone is a notice.",
        benign: "Container engines, systemd, sandboxes (bubblewrap) and build tools inside a container mount. \
                 Ordinary workloads do not: their mounts are made before they start.",
    };
    B09 = RuleInfo {
        id: "B09",
        title: "New mount API used after start",
        severity: Severity::Warning,
        behaviours: &["B09"],
        attack: &["T1611"],
        invariant: None,
        what: "A process of the running container used fsopen, fsmount, open_tree (as a clone), move_mount or \
               mount_setattr, which mount without a call of mount(2) and escape tools that watch only that.",
        benign: "The mount program of newer distributions uses these calls, and so do container engines and \
                 systemd inside a container.",
    };
    A01 = RuleInfo {
        id: "A01",
        title: "Rise to uid 0",
        severity: Severity::Critical,
        behaviours: &["A01"],
        attack: &["T1548.001"],
        invariant: None,
        what: "A process without any root id (real, effective, saved) became root by a call of the set*id \
               family. It needs CAP_SETUID for that, which a process that gave up root should not have kept.",
        benign: "Programs that drop to another uid but keep CAP_SETUID to come back. Rootless engines map ids \
                 in a user namespace of their own: becoming root there is a notice.",
    };
    A02 = RuleInfo {
        id: "A02",
        title: "Privileges gained from a program that the image did not bring",
        severity: Severity::Critical,
        behaviours: &["A02"],
        attack: &["T1548.001", "T1068"],
        invariant: None,
        what: "An exec gave root or new capabilities, and the program was made or changed after the container \
               started, is deleted, or lies on a foreign mount: a set-uid file or file capabilities were planted.",
        benign: "Package managers install set-uid programs in running containers (sudo, ping). Bring them with \
                 the image instead.",
    };
    B14 = RuleInfo {
        id: "B14",
        title: "Access to a process of another container or the host",
        severity: Severity::Warning,
        behaviours: &["B14", "F12"],
        attack: &["T1611", "T1003.007", "T1552"],
        invariant: Some("I-11"),
        what: "A process of the container asked the kernel to read of a process outside it: its root, working \
               directory, descriptors, memory or environment through /proc, or by kcmp(2). A pidfd of it is a \
               notice.",
        benign: "Monitoring agents and debuggers that share a process namespace do this; the other containers \
                 of a pod with a shared process namespace are outside in this sense, too.",
    };
    A07 = tasks::A07;
    A13 = tasks::A13;
    I8 = tasks::I8;
    I10 = tasks::I10;
    A16 = tasks::A16;
    A10 = tasks::A10;
    A11 = tasks::A11;
    C12 = tasks::C12;
    C13 = tasks::C13;
    H01 = tasks::H01;
    F01 = tasks::F01;
    F02 = tasks::F02;
    F03 = tasks::F03;
    F18 = tasks::F18;
    D17 = tasks::D17;
    I12 = tasks::I12;
    I13 = tasks::I13;
    C10 = tasks::C10;
    C03 = RuleInfo {
        id: "C03",
        title: "New namespaces made after start",
        severity: Severity::Notice,
        behaviours: &["C03"],
        attack: &["T1611"],
        invariant: None,
        what: "A process of the running container made namespaces by unshare(2) or clone(2). A new user \
               namespace gives all capabilities inside it and opens much kernel code to unprivileged users; a \
               new cgroup namespace hides where the process is: these are warnings.",
        benign: "Browsers, bubblewrap, flatpak, systemd, build tools and nested container engines.",
    };
    C04 = RuleInfo {
        id: "C04",
        title: "pivot_root after start",
        severity: Severity::Critical,
        behaviours: &["C04"],
        attack: &["T1611"],
        invariant: None,
        what: "A process of the running container exchanged the root mount of its mount namespace, which a \
               runtime does only while it sets a container up.",
        benign: "Nested container engines, bubblewrap and systemd's switch-root do the same.",
    };
    E01 = RuleInfo {
        id: "E01",
        title: "Connection to a container engine's control socket",
        severity: Severity::Critical,
        behaviours: &["E01"],
        attack: &["T1611", "T1610"],
        invariant: None,
        what: "A process of the container connected to the control socket of a container engine or kubelet: \
               whoever talks to it can start a privileged container and own the host.",
        benign: "Dashboards, build agents, log and metrics collectors are given the socket on purpose, device \
                 plug-ins that of the kubelet, and an engine inside a container has a socket of its own. Except \
                 them by image digest.",
    };
    D01 = kernel::D01;
    D02 = kernel::D02;
    D03 = kernel::D03;
    D04 = kernel::D04;
    D05 = kernel::D05;
    D06 = kernel::D06;
    D07 = kernel::D07;
    D08 = kernel::D08;
    D09 = kernel::D09;
    D10 = kernel::D10;
    D14 = kernel::D14;
    D14Oops = kernel::D14_OOPS;
    B29 = kernel::B29;
    D15 = kernel::D15;
    A06 = kernel::A06;
    I5 = files::I5;
    I6 = files::I6;
    B10 = files::B10;
    B11 = files::B11;
    B15 = files::B15;
    B16 = files::B16;
    B17 = files::B17;
    B18 = files::B18;
    B04 = files::B04;
    B05 = files::B05;
    B20 = files::B20;
    B21 = files::B21;
    B25 = files::B25;
    H05 = files::H05;
    B30 = files::B30;
    B31 = files::B31;
    C02 = files::C02;
    C14 = files::C14;
    A12 = files::A12;
    A14 = files::A14;
    A15 = files::A15;
    F16 = files::F16;
    F17 = files::F17;
    D16 = files::D16;
    E02 = network::E02;
    E04 = network::E04;
    E05 = network::E05;
    E06 = network::E06;
    E07 = network::E07;
    E09 = network::E09;
    E11 = network::E11;
    E14 = network::E14;
    E15 = network::E15;
    D11 = network::D11;
    D12 = network::D12;
    D13 = network::D13;
    B32 = network::B32;
}

/// The rule with this id.
pub fn find(id: &str) -> Option<&'static RuleInfo> {
    RULES.iter().find(|rule| rule.id == id)
}
