//! The rules about the kernel's own attack surface.

use super::{RuleInfo, Severity};

pub(super) const D01: RuleInfo = RuleInfo {
    id: "D01",
    title: "Kernel module loaded or removed",
    severity: Severity::Critical,
    behaviours: &["D01"],
    attack: &["T1547.006", "T1014", "T1611"],
    invariant: None,
    what: "A process of the container put code into the kernel, took a module out of it, or tried to (a warning). \
           A module runs with all rights on the host: there is no container any more.",
    benign: "Driver installers and some network and storage plug-ins load modules on purpose. Except them by image \
             digest.",
};

pub(super) const D02: RuleInfo = RuleInfo {
    id: "D02",
    title: "Kernel module asked for by use",
    severity: Severity::Notice,
    behaviours: &["D02"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container used a protocol, file system, cipher or filter that the kernel does not have \
           loaded, and the kernel asked its helper for the module. Rarely used modules are where local exploits \
           live: those with a history of them are a warning. Whether the module was found is not told.",
    benign: "The first use of a feature on a host, such as a file system that a storage driver mounts. IPv6, netlink, \
             binary formats and congestion control are not reported.",
};

pub(super) const D03: RuleInfo = RuleInfo {
    id: "D03",
    title: "BPF program or foreign BPF object used",
    severity: Severity::Warning,
    behaviours: &["D03", "B06", "H02"],
    attack: &["T1014", "T1055"],
    invariant: None,
    what: "A process of the container loaded a BPF program, took hold of a BPF object by its id, or detached or \
           replaced one: that of the container's own devices, and Bulkhead's, among them. \
           Tracing programs see and change what the whole host does. Critical if the container was not granted \
           CAP_BPF, CAP_PERFMON or CAP_SYS_ADMIN; a refusal is a notice.",
    benign: "Network plug-ins and observability agents. Socket filters, which need no privileges, are not reported.",
};

pub(super) const D04: RuleInfo = RuleInfo {
    id: "D04",
    title: "Kernel or whole CPU profiled",
    severity: Severity::Warning,
    behaviours: &["D04"],
    attack: &["T1068", "T1082"],
    invariant: None,
    what: "A process of the container opened a performance event that counts in the kernel, for every process of a \
           CPU, or at a tracepoint: it tells of other containers and of kernel addresses. A notice if the container \
           was granted CAP_PERFMON or CAP_SYS_ADMIN, or if the kernel refused.",
    benign: "Profilers that watch their own process in user mode are not reported; system-wide ones are agents that \
             were given the capability.",
};

pub(super) const D05: RuleInfo = RuleInfo {
    id: "D05",
    title: "io_uring used",
    severity: Severity::Notice,
    behaviours: &["D05"],
    attack: &["T1562", "T1068"],
    invariant: None,
    what: "A process of the container made an io_uring, or opened, connected, sent or commanded through one. Such \
           acts make no system call that seccomp or a tracer of system calls sees, and io_uring itself has a \
           history of local exploits.",
    benign: "Node.js, databases and some proxies use it where the profile allows it.",
};

pub(super) const D06: RuleInfo = RuleInfo {
    id: "D06",
    title: "Kernel keys used",
    severity: Severity::Notice,
    behaviours: &["D06"],
    attack: &["T1003", "T1068"],
    invariant: None,
    what: "A process of the running container used the kernel's key store, which no namespace of its own divides: \
           keys of other processes may be found there, and it has a history of local exploits.",
    benign: "Kerberos and sssd keep credentials in keyrings. Runtimes do while they start a container, which is not \
             reported.",
};

pub(super) const D07: RuleInfo = RuleInfo {
    id: "D07",
    title: "userfaultfd used",
    severity: Severity::Warning,
    behaviours: &["D07"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container asked for a userfaultfd, by which kernel exploits stop the kernel in the \
           middle of an access and win a race. A notice for root, and where the kernel refused.",
    benign: "CRIU, QEMU and some garbage collectors use it.",
};

pub(super) const D08: RuleInfo = RuleInfo {
    id: "D08",
    title: "kexec or reboot",
    severity: Severity::Critical,
    behaviours: &["D08"],
    attack: &["T1529", "T1542"],
    invariant: None,
    what: "A process of the container loaded another kernel, or changed what a reboot does; a warning if the kernel \
           refused.",
    benign: "An init system ends its own pid namespace by reboot(2), which is a notice.",
};

pub(super) const D09: RuleInfo = RuleInfo {
    id: "D09",
    title: "Access to ports or descriptor tables",
    severity: Severity::Critical,
    behaviours: &["D09"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container asked for direct access to input and output ports, by which the hardware of \
           the host is programmed (a warning if the kernel refused), or wrote its local descriptor table, which \
           exploits use to shape kernel memory (a notice).",
    benign: "Wine, DOS emulators and old 16-bit programs write the descriptor table. X servers once used ports.",
};

pub(super) const D10: RuleInfo = RuleInfo {
    id: "D10",
    title: "Kernel log read or cleared",
    severity: Severity::Notice,
    behaviours: &["D10"],
    attack: &["T1082", "T1070"],
    invariant: None,
    what: "A process of the container read the kernel's log, which belongs to the host and tells kernel addresses. \
           That it cleared the log, or turned the console's messages off, is a warning: traces are being removed.",
    benign: "Log agents read it; dmesg does when a person looks.",
};

pub(super) const B29: RuleInfo = RuleInfo {
    id: "B29",
    title: "Pages of a file lent to code that writes into them",
    severity: Severity::Critical,
    behaviours: &["B29"],
    attack: &["T1068"],
    invariant: None,
    what: "A process of the container passed pages of a file, which it need only be able to read, into a pipe or a socket \
           without copying them, as exploits of the page cache do: Dirty Pipe, and those of the kernel's cryptography \
           (AF_ALG) and of IPsec. The bytes of the file then change in memory and nowhere else: for every container whose \
           image has that layer, and for the host. Critical if pages of an executable file go, or went just before, to such \
           a socket; a warning for a set-user-ID file in a pipe (a notice by sendfile(2)), and for other files in sockets of \
           AF_ALG and of IPsec.",
    benign: "Programs that copy by splice(2), as `cat` of uutils and pv do, put whatever they read into a pipe, set-user-ID \
             programs if they are asked to; `cat` and `tar` of busybox do so by sendfile(2), a backup of a container for one. Tools that hash by the kernel's cryptography (libkcapi, coreutils \
             built for it) send files to AF_ALG.",
};

pub(super) const D14: RuleInfo = RuleInfo {
    id: "D14",
    title: "Burst of processes killed by faults",
    severity: Severity::Notice,
    behaviours: &["D14"],
    attack: &["T1068", "T1203"],
    invariant: None,
    what: "Sixteen processes of the container were killed by SIGSEGV, SIGBUS or SIGILL within ten seconds: an exploit that \
           is tried until it succeeds, against a service that forks, or against random addresses, looks like this. The \
           count then begins anew.",
    benign: "A broken program that is restarted at once, fuzzers, test suites of compilers. Look at what crashes, and at \
             what else the container did at that time.",
};

pub(super) const D14_OOPS: RuleInfo = RuleInfo {
    id: "D14-oops",
    title: "Kernel fault in a task of the container",
    severity: Severity::Critical,
    behaviours: &["D14"],
    attack: &["T1068", "T1611"],
    invariant: None,
    what: "The kernel reported a fault of its own while a process of the container ran in it: an oops, a failed assertion, or \
           what KASAN, KFENCE or KMSAN found. An exploit of the kernel that misses, or that has done its work and cannot clean \
           up, looks like this, and whatever it has written to the kernel's memory may still be there. A warning if it was in \
           an interrupt, which may only have come while that process ran; what the kernel itself calls a warning, or UBSAN \
           found, is a notice.",
    benign: "A bug of the kernel or of a driver that an ordinary program runs into, and broken hardware: the same fault then \
             comes in other programs, and on other hosts with that kernel. Look up the function, and bring the kernel up to \
             date. A kernel that has oopsed is to be booted anew whatever the reason.",
};

pub(super) const D15: RuleInfo = RuleInfo {
    id: "D15",
    title: "State of the whole host changed",
    severity: Severity::Warning,
    behaviours: &["D15"],
    attack: &["T1499", "T1070.006"],
    invariant: None,
    what: "A process of the container set the clock, quotas, swap, process accounting, or the host's name: state \
           that no namespace of the container divides. Critical if the container was not granted the capability \
           for it; a refusal is a notice.",
    benign: "Time daemons are given CAP_SYS_TIME on purpose, storage agents set quotas.",
};

pub(super) const A06: RuleInfo = RuleInfo {
    id: "A06",
    title: "New user namespace put to use",
    severity: Severity::Warning,
    behaviours: &["A06"],
    attack: &["T1611", "T1068"],
    invariant: None,
    what: "A process of a container without CAP_SYS_ADMIN made a user namespace and, within ten seconds, mounted in \
           it: kernel code that is meant for administrators is open to it, which is how most local exploits begin.",
    benign: "Browsers make user namespaces and mount nothing; bubblewrap, rootless engines and build tools do mount. \
             Except them by image digest.",
};
