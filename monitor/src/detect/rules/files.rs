//! The rules about files: opened, changed, made special.

use crate::detect::types::{RuleInfo, Severity};

pub(super) const I5: RuleInfo = RuleInfo {
    id: "I-5",
    title: "File reached without a path",
    severity: Severity::Critical,
    behaviours: &["B23"],
    attack: &["T1611"],
    invariant: Some("I-5"),
    what: "A process of the container opened a file by its handle (open_by_handle_at), or one that does not lie below \
           the mount it was opened through. Handles can be guessed, and lead to any file of the file system that a \
           mount shows only a part of: the host's, if it is the host's.",
    benign: "File servers (NFS-Ganesha), CRIU, systemd and some backup agents use handles. They need \
             CAP_DAC_READ_SEARCH, which no container has by default.",
};

pub(super) const I6: RuleInfo = RuleInfo {
    id: "I-6",
    title: "Device opened that was not granted",
    severity: Severity::Critical,
    behaviours: &["B12"],
    attack: &["T1006", "T1611"],
    invariant: Some("I-6"),
    what: "A process of the container opened a disk, or a character device that neither every container has nor this \
           one was granted, whatever its node is called. A disk holds the host's files; /dev/mem and /dev/kmsg show \
           the kernel.",
    benign: "Privileged containers are granted every device: their character devices are left out, their disks are \
             not. Storage drivers open disks; grant them by number.",
};

pub(super) const B10: RuleInfo = RuleInfo {
    id: "B10",
    title: "Mask of a kernel file removed or covered",
    severity: Severity::Critical,
    behaviours: &["B10"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the running container unmounted, moved away or mounted over what the runtime had laid over files of \
           the kernel (/proc/kcore, /proc/sys, /sys/firmware and the like) to hide them or keep them read-only. The paths \
           are those of the container's configuration; where that is not known, those that engines protect. To mount over \
           one is a warning, a refusal a notice.",
    benign: "Container engines and sandboxes inside a container do this in a mount namespace of their own. Except them by \
             image digest; nothing else needs it, nor CAP_SYS_ADMIN, which it takes.",
};

pub(super) const B11: RuleInfo = RuleInfo {
    id: "B11",
    title: "Device node made",
    severity: Severity::Warning,
    behaviours: &["B11"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the running container made the node of a disk, or of a character device that containers do not \
           have by default. Runtimes make nodes only before a container starts.",
    benign: "Overlays mark removed files by a node of device 0:0, which is left out. Build tools that unpack a root \
             file system make nodes.",
};

pub(super) const B15: RuleInfo = RuleInfo {
    id: "B15",
    title: "core_pattern written",
    severity: Severity::Critical,
    behaviours: &["B15"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container opened for writing, or wrote, what the kernel runs as root on the host when any \
           process crashes.",
    benign: "Node set-up tools in privileged containers set it to collect core dumps. Except them by image digest.",
};

pub(super) const B16: RuleInfo = RuleInfo {
    id: "B16",
    title: "Kernel helper or firmware setting written",
    severity: Severity::Critical,
    behaviours: &["B16"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container opened for writing a setting that names a program for the kernel to run on the \
           host (modprobe, hotplug, uevent_helper, poweroff_cmd, binfmt_misc), or one of firmware or security modules.",
    benign: "Images that register binary formats (qemu-user) write binfmt_misc, once and on purpose.",
};

pub(super) const B17: RuleInfo = RuleInfo {
    id: "B17",
    title: "sysrq written",
    severity: Severity::Critical,
    behaviours: &["B17"],
    attack: &["T1529", "T1611"],
    invariant: None,
    what: "A process of the container opened for writing /proc/sysrq-trigger or the setting that enables it: it can \
           reboot or stop the host, or kill its processes.",
    benign: "None is known but chaos testing.",
};

pub(super) const B18: RuleInfo = RuleInfo {
    id: "B18",
    title: "Kernel memory or information read",
    severity: Severity::Warning,
    behaviours: &["B18"],
    attack: &["T1082", "T1613"],
    invariant: None,
    what: "A process of the container opened a file that shows the kernel's memory, addresses, keys or log, and that \
           runtimes mask: the mask is missing, or another instance of the file system was found. kcore is critical; \
           what is not masked by default is a notice.",
    benign: "Profilers and tracers read kallsyms, debugfs and tracefs.",
};

pub(super) const B04: RuleInfo = RuleInfo {
    id: "B04",
    title: "cgroup release_agent written",
    severity: Severity::Critical,
    behaviours: &["B04"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container opened release_agent or notify_on_release of a cgroup v1 for writing: when the \
           cgroup empties, the kernel runs the program named there as root on the host.",
    benign: "None is known. systemd on a host with cgroup v1 does it, inside a container only if privileged.",
};

pub(super) const B05: RuleInfo = RuleInfo {
    id: "B05",
    title: "Control file of a foreign cgroup written",
    severity: Severity::Critical,
    behaviours: &["B05"],
    attack: &["T1611", "T1499"],
    invariant: None,
    what: "A process of the container opened for writing a control file of a cgroup that is not its own (version 2), \
           or the list of devices that a cgroup may use (version 1): limits, freezing and access to devices are what \
           the file decides.",
    benign: "Container engines and systemd write below their own cgroup, which is left out. Node agents write \
             elsewhere on purpose.",
};

pub(super) const B20: RuleInfo = RuleInfo {
    id: "B20",
    title: "State of the node reached",
    severity: Severity::Warning,
    behaviours: &["B20"],
    attack: &["T1552.007", "T1525", "T1543"],
    invariant: None,
    what: "A process of the container opened or changed a file below the host's directories of kubelet, runtimes, \
           network plug-ins, accounts or scheduled jobs, through a mount that shows them: keys, tokens, manifests that \
           kubelet starts, programs that runtimes start. Writing is critical.",
    benign: "Node agents, network and storage plug-ins are given these directories on purpose. Except them by image \
             digest.",
};

pub(super) const B21: RuleInfo = RuleInfo {
    id: "B21",
    title: "Symbolic link planted in the host's logs",
    severity: Severity::Critical,
    behaviours: &["B21"],
    attack: &["T1611"],
    invariant: None,
    what: "A process of the container made a symbolic link below the host's /var/log that leads out of it: kubelet \
           follows it as root when it is asked for logs.",
    benign: "Log shippers make none. kubelet's own links are made by a process of the host.",
};

pub(super) const B25: RuleInfo = RuleInfo {
    id: "B25",
    title: "Container runtime overwritten",
    severity: Severity::Critical,
    behaviours: &["B25"],
    attack: &["T1611", "T1554"],
    invariant: None,
    what: "A process of the container opened the executable of a container runtime or engine of the host for writing, \
           or renamed, removed or changed it (CVE-2019-5736): the host runs it as root at the next start.",
    benign: "Installers of runtimes that run as a privileged container (nvidia-container-toolkit, kata-deploy).",
};

pub(super) const H05: RuleInfo = RuleInfo {
    id: "H05",
    title: "Bulkhead's own files changed",
    severity: Severity::Critical,
    behaviours: &["H05"],
    attack: &["T1562.001", "T1554"],
    invariant: None,
    what: "A process of a container opened Bulkhead's executable or configuration for writing, or renamed, removed or \
           changed it.",
    benign: "An installer that runs as a privileged container.",
};

pub(super) const B30: RuleInfo = RuleInfo {
    id: "B30",
    title: "fanotify mark on a whole mount or file system",
    severity: Severity::Warning,
    behaviours: &["B30"],
    attack: &["T1083", "T1611"],
    invariant: None,
    what: "A process of the container asked to be told of everything on a mount or a file system: it is given open \
           descriptors of other processes' files, also of those that it could not open.",
    benign: "Malware scanners and backup agents that run as containers.",
};

pub(super) const B31: RuleInfo = RuleInfo {
    id: "B31",
    title: "Block device set up",
    severity: Severity::Warning,
    behaviours: &["B31"],
    attack: &["T1611", "T1006"],
    invariant: None,
    what: "A process of the container set up a loop device, a device of the device mapper or a network block device: \
           the kernel parses what it says as a disk, and it can stand for a part of another disk.",
    benign: "Image builders, storage drivers and virtual machine tools inside a container.",
};

pub(super) const C02: RuleInfo = RuleInfo {
    id: "C02",
    title: "Foreign namespace opened",
    severity: Severity::Warning,
    behaviours: &["C02"],
    attack: &["T1613", "T1611"],
    invariant: None,
    what: "A process of the container opened the file of a namespace (/proc/<pid>/ns) that the container was not given \
           and did not make: the step before it is joined.",
    benign: "Agents that share the host's process namespace and look at every process's namespaces.",
};

pub(super) const C14: RuleInfo = RuleInfo {
    id: "C14",
    title: "Input put into a terminal",
    severity: Severity::Critical,
    behaviours: &["C14"],
    attack: &["T1611", "T1059"],
    invariant: None,
    what: "A process of the container put characters into the input of a terminal (TIOCSTI), or used the console's \
           selection and paste buffer (TIOCLINUX) or output (TIOCCONS): whoever shares the terminal outside runs them.",
    benign: "None in containers. Kernels from 6.2 on refuse TIOCSTI by default.",
};

pub(super) const A12: RuleInfo = RuleInfo {
    id: "A12",
    title: "Security label changed",
    severity: Severity::Warning,
    behaviours: &["A12"],
    attack: &["T1562.001"],
    invariant: None,
    what: "A process of the running container opened a file of /proc/<pid>/attr for writing, by which AppArmor and \
           SELinux change a process's confinement. Runtimes do it before a container starts.",
    benign: "Container engines, systemd and snap inside a container.",
};

pub(super) const A14: RuleInfo = RuleInfo {
    id: "A14",
    title: "Accounts or sudo policy changed",
    severity: Severity::Warning,
    behaviours: &["A14"],
    attack: &["T1098", "T1548.003"],
    invariant: None,
    what: "A process of the running container opened for writing, renamed or removed a file of accounts, passwords, \
           sudo or PAM in /etc.",
    benign: "Entrypoints that add a user (a notice within 30 s of the start), package managers.",
};

pub(super) const A15: RuleInfo = RuleInfo {
    id: "A15",
    title: "Loader configuration changed",
    severity: Severity::Warning,
    behaviours: &["A15"],
    attack: &["T1574.006"],
    invariant: None,
    what: "A process of the running container opened for writing, renamed or removed what the dynamic loader reads for \
           every program: /etc/ld.so.preload, ld.so.conf, ld.so.cache.",
    benign: "ldconfig, run by package managers.",
};

pub(super) const F16: RuleInfo = RuleInfo {
    id: "F16",
    title: "Log or history cleared",
    severity: Severity::Notice,
    behaviours: &["F16"],
    attack: &["T1070.002", "T1070.003"],
    invariant: None,
    what: "A process of the running container removed, renamed or emptied a log of /var/log, a record of logins or a \
           shell's history.",
    benign: "Log rotation.",
};

pub(super) const F17: RuleInfo = RuleInfo {
    id: "F17",
    title: "Persistence file changed",
    severity: Severity::Warning,
    behaviours: &["F17"],
    attack: &["T1053.003", "T1098.004", "T1037.004"],
    invariant: None,
    what: "A process of the running container opened for writing, renamed or removed a file by which programs start by \
           themselves or people log in: cron, init scripts, shell profiles, authorized_keys.",
    benign: "Package managers and entrypoints that write configuration (a notice within 30 s of the start).",
};

pub(super) const D16: RuleInfo = RuleInfo {
    id: "D16",
    title: "Kernel tracing controlled",
    severity: Severity::Critical,
    behaviours: &["D16"],
    attack: &["T1014", "T1055"],
    invariant: None,
    what: "A process of the container opened a file of tracefs or debugfs for writing, by which functions of the kernel \
           are traced and some changed.",
    benign: "Tracers and profilers that run as privileged containers.",
};
