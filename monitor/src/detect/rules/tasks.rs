//! The rules about tasks: what confines them, what they do to each other, where their code comes from.

use super::{RuleInfo, Severity};

pub(super) const I8: RuleInfo = RuleInfo {
    id: "I-8",
    title: "Capabilities beyond the container's bounding set",
    severity: Severity::Critical,
    behaviours: &["A04"],
    attack: &["T1068", "T1611"],
    invariant: Some("I-8"),
    what: "A process of the container holds a capability that neither the container nor a trusted runtime that \
           joined it was given, in the container's own user namespace. No call can do that: credentials were \
           changed by a bug of the kernel.",
    benign: "None is known.",
};

pub(super) const A07: RuleInfo = RuleInfo {
    id: "A07",
    title: "Credentials changed by no call",
    severity: Severity::Critical,
    behaviours: &["A07"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container has ids or permitted capabilities that it did not have when it was last looked at, \
           and no call and no program that raises privileges explains them: that is what an exploit leaves that \
           overwrites credentials in the kernel's memory. Root by an exec of an ordinary program, and capabilities that \
           rose, are critical; other ids are a warning. A rise to root that is found otherwise is A01.",
    benign: "Where trampolines are used, calls of 32-bit programs are not seen (docs/evasions.tsv, T1): a set-uid program \
             of 32 bits looks the same. Records of the call may have been lost: look for a `loss` record just before. \
             Otherwise treat the node as compromised: drain it, keep its memory, update its kernel.",
};

pub(super) const A13: RuleInfo = RuleInfo {
    id: "A13",
    title: "Privileged program started in the way of an exploit",
    severity: Severity::Critical,
    behaviours: &["A13"],
    attack: &["T1548.003", "T1068"],
    invariant: None,
    what: "A process of the container executed a program that raises privileges (set-uid, set-gid, file capabilities) as \
           known exploits do: without any argument (pkexec, CVE-2021-4034), as sudoedit -s with an argument that ends in \
           a backslash (CVE-2021-3156), with GLIBC_TUNABLES, GCONV_PATH or LD_* in its environment (CVE-2023-4911), or as \
           sudo with --chroot (CVE-2025-32463). The kernel started the program; whether that has the error is not known. \
           One tunable inside another is critical, any other a warning, LD_* a notice.",
    benign: "Images that set LD_PRELOAD or LD_LIBRARY_PATH for all programs give it to sudo as well: the loader ignores it \
             there. Tunables for a set-uid program, and sudo --chroot (which newer versions refuse), are rare. Update \
             sudo, polkit and glibc in the image, or do without set-uid programs: set `no_new_privs`.",
};

pub(super) const I10: RuleInfo = RuleInfo {
    id: "I-10",
    title: "Seccomp or no_new_privs lost",
    severity: Severity::Critical,
    behaviours: &["A08", "A09"],
    attack: &["T1562.001", "T1068", "T1548"],
    invariant: Some("I-10"),
    what: "A process of the container is confined by fewer seccomp filters than before, or its no_new_privs flag \
           is gone. The kernel takes neither back: its memory was written to.",
    benign: "None is known.",
};

pub(super) const A16: RuleInfo = RuleInfo {
    id: "A16",
    title: "Capabilities that programs inherit",
    severity: Severity::Info,
    behaviours: &["A16"],
    attack: &["T1548"],
    invariant: None,
    what: "The container's first program, or one that joined, started with inheritable capabilities: programs \
           with file capabilities get them even when their user is not root (CVE-2022-24769, CVE-2022-29162).",
    benign: "Old engines do this by default, and systemd-nspawn does. Update the engine.",
};

pub(super) const A10: RuleInfo = RuleInfo {
    id: "A10",
    title: "Injection into a process outside the container",
    severity: Severity::Critical,
    behaviours: &["A10"],
    attack: &["T1055.008", "T1055.009", "T1611"],
    invariant: Some("I-11"),
    what: "A process of the container began to trace, or read or wrote the memory of, a process outside it. It can \
           make that process do anything.",
    benign: "Debuggers and profilers that share a process namespace with what they look at. Except them by image \
             digest.",
};

pub(super) const A11: RuleInfo = RuleInfo {
    id: "A11",
    title: "Process traced inside the container",
    severity: Severity::Notice,
    behaviours: &["A11"],
    attack: &["T1622", "T1055.008"],
    invariant: None,
    what: "A process of the container traces another one of the same container, or lets its parent trace it, \
           which also keeps others from doing so.",
    benign: "Debuggers, strace, sandboxes, crash handlers.",
};

pub(super) const C12: RuleInfo = RuleInfo {
    id: "C12",
    title: "Descriptor taken from a process outside the container",
    severity: Severity::Critical,
    behaviours: &["C12"],
    attack: &["T1611"],
    invariant: Some("I-11"),
    what: "A process of the container took a copy of an open descriptor of a process outside it by \
           pidfd_getfd(2): a file, a folder or a socket of the host.",
    benign: "Hardly any program uses this call across containers.",
};

pub(super) const C13: RuleInfo = RuleInfo {
    id: "C13",
    title: "Process outside the container signalled or changed",
    severity: Severity::Warning,
    behaviours: &["C13"],
    attack: &["T1489", "T1499"],
    invariant: Some("I-11"),
    what: "A process of the container sent a signal to a process outside it, or changed its limits, scheduling or \
           priority. Signal 0, which only asks whether a process is there, and signals to another container are \
           notices.",
    benign: "Node agents with the host's process namespace; the containers of a pod with a shared one reload each \
             other by signals.",
};

pub(super) const H01: RuleInfo = RuleInfo {
    id: "H01",
    title: "Attack on the monitor",
    severity: Severity::Critical,
    behaviours: &["H01"],
    attack: &["T1562.001"],
    invariant: Some("I-11"),
    what: "A process of a container signalled or traced the process of Bulkhead itself, or changed its limits, \
           scheduling or priority.",
    benign: "None: what manages Bulkhead is the host's init or the kubelet, and they are not in a container.",
};

pub(super) const F01: RuleInfo = RuleInfo {
    id: "F01",
    title: "Code that the image did not bring",
    severity: Severity::Warning,
    behaviours: &["F01"],
    attack: &["T1059", "T1105"],
    invariant: Some("I-15"),
    what: "A program was executed, or a library mapped (a notice), from a file that was made or changed after the \
           container's start: it is in the upper layer of the overlay, or younger than the start. A file of the \
           upper layer that is older than the start is a notice.",
    benign: "Package managers and build tools; programs whose owner or mode an entry point changed, which copies \
             them to the upper layer.",
};

pub(super) const F02: RuleInfo = RuleInfo {
    id: "F02",
    title: "Program without a file",
    severity: Severity::Critical,
    behaviours: &["F02"],
    attack: &["T1620"],
    invariant: Some("I-15"),
    what: "A program was executed that no directory holds: a memfd, a file made with O_TMPFILE, or one that was \
           deleted before.",
    benign: "Container runtimes run copies of themselves this way, which is known as theirs. A program that was \
             upgraded may execute its own deleted file again.",
};

pub(super) const F03: RuleInfo = RuleInfo {
    id: "F03",
    title: "Code from another file system than the image's",
    severity: Severity::Notice,
    behaviours: &["F03"],
    attack: &["T1059"],
    invariant: Some("I-15"),
    what: "A program was executed, or a library mapped, from a file system that is not the container's root: a \
           tmpfs such as /dev/shm, a volume, a folder of the host.",
    benign: "Images that keep programs in volumes; engines and build tools inside a container.",
};

pub(super) const F18: RuleInfo = RuleInfo {
    id: "F18",
    title: "Program that calls itself a thread of the kernel",
    severity: Severity::Warning,
    behaviours: &["F18"],
    attack: &["T1036.005", "T1564"],
    invariant: None,
    what: "The first argument of a program is in square brackets, as tools show threads of the kernel: it is to be \
           overlooked in a list of processes.",
    benign: "None is known.",
};

pub(super) const D17: RuleInfo = RuleInfo {
    id: "D17",
    title: "Memory that is written and executed",
    severity: Severity::Notice,
    behaviours: &["D17"],
    attack: &["T1620", "T1055"],
    invariant: None,
    what: "A program made memory executable that it can or could write: anonymous memory, or a file without a \
           name. Loaders of code that never touches a disk need it. Said once for each program.",
    benign: "Everything that compiles as it runs: Java, Node.js, .NET, LuaJIT, PCRE, QEMU.",
};

pub(super) const I12: RuleInfo = RuleInfo {
    id: "I-12",
    title: "Host process runs a container's file",
    severity: Severity::Critical,
    behaviours: &["B27"],
    attack: &["T1611", "T1574.006"],
    invariant: Some("I-12"),
    what: "A process of the host, which is no container runtime, executed a file on a container's storage: the container \
           decides what runs on the host, with the rights of whoever ran it (CVE-2019-14271, CVE-2025-23266).",
    benign: "Somebody who enters a container's mount namespace by hand (`nsenter`), or runs its files through \
             /proc/<pid>/root. Use the engine's `exec` instead.",
};

pub(super) const I13: RuleInfo = RuleInfo {
    id: "I-13",
    title: "Kernel helper runs a container's file",
    severity: Severity::Critical,
    behaviours: &["B19"],
    attack: &["T1611"],
    invariant: Some("I-13"),
    what: "The kernel itself started a program from a container's storage, as root on the host: core_pattern, \
           modprobe, release_agent or another helper was set to a path that the container controls.",
    benign: "None is known.",
};

pub(super) const C10: RuleInfo = RuleInfo {
    id: "C10",
    title: "Process of the host put into a container",
    severity: Severity::Warning,
    behaviours: &["C10"],
    attack: &["T1611"],
    invariant: Some("I-14"),
    what: "A task that was born outside arrived in the container's cgroup, and no runtime or engine brought it: it may \
           have the host's namespaces and rights while tools take it for one of the container.",
    benign: "An administrator's shell that moves a process to limit it.",
};
