//! The registry of error codes: number, title and help of each. Numbers are never used again.

use super::Exit;

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $number:literal, $exit:ident, $title:literal, $help:literal; )+) => {
        /// What kind of thing is to be fixed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code { $( $(#[doc = $doc])+ $name = $number, )+ }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// One line that says what is wrong.
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )+ }
            }

            /// What to do.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$name => $help, )+ }
            }

            /// Why it happens, for the reference.
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),+), )+ }
            }

            /// The exit status of a program that ends with it.
            pub const fn exit(self) -> Exit {
                match self { $( Self::$name => Exit::$exit, )+ }
            }
        }
    };
}

codes! {
    /// Loading eBPF programs and reading every process needs root, or CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN,
    /// CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, in the initial user namespace.
    NotPrivileged = 1, CannotStart, "not root, or a capability is missing",
        "run it as root in the host's namespaces; in a container: privileged, with the host's pid namespace";
    /// Field offsets are read from `/sys/kernel/btf/vmlinux`, which is not there or cannot be read.
    NoBtf = 2, CannotStart, "this kernel shows no BTF",
        "use a kernel with CONFIG_DEBUG_INFO_BTF=y and mount /sys; the kernels of current distributions have it";
    /// A kernel structure does not have a field that no sensor works without.
    MissingField = 3, CannotStart, "the kernel's BTF lacks a required field",
        "report the kernel's version with this message: the field was moved or renamed";
    /// Something that every sensor needs (ring buffers, BTF) came only with a later kernel.
    KernelTooOld = 4, CannotStart, "this kernel is too old",
        "use Linux 5.10 or later";
    /// The kernel answers EPERM to bpf(2) although the privileges are there: lockdown in confidentiality mode,
    /// a seccomp profile, or a security module.
    BpfRefused = 5, CannotStart, "the kernel refuses bpf(2)",
        "look at /sys/kernel/security/lockdown (confidentiality forbids it) and, in a container, at the seccomp profile";
    /// Kernels before 5.11 count maps against RLIMIT_MEMLOCK, and the limit could not be raised. It is said
    /// only if a map could not be made.
    MemlockLimit = 6, CannotStart, "the locked-memory limit is too low and cannot be raised",
        "start it with `ulimit -l unlimited` (systemd: LimitMEMLOCK=infinity), or with CAP_SYS_RESOURCE";
    /// No cgroup file system is mounted, so containers cannot be told apart.
    NoCgroupMount = 7, CannotStart, "no cgroup file system is mounted",
        "mount cgroup2 at /sys/fs/cgroup; in a container, mount the host's /sys/fs/cgroup";
    /// None of a sensor's rungs could be attached, and Bulkhead is of no use without that sensor.
    NoRung = 8, CannotStart, "a required sensor could not be attached",
        "run `bulkhead doctor`: it shows what each rung needs and why it was refused";
    /// What a program reads through the kernel's structures differs from what a helper says: the offsets are
    /// wrong, and nothing it would report could be trusted.
    SelfTestFailed = 9, CannotStart, "the start-up self-test failed",
        "report the kernel's version with this message";
    /// A sensor is attached, but the event that Bulkhead made itself to prove it did not arrive.
    CanaryNotSeen = 10, CannotStart, "a sensor did not see its canary",
        "run `bulkhead doctor`, and with --rung tracepoint to see whether a lower rung works";
    /// This binary was built without the eBPF object.
    ObjectMissing = 11, CannotStart, "this binary holds no eBPF object",
        "build it with `cargo xtask build`";
    /// The eBPF object was built from another version of the record definitions.
    AbiMismatch = 12, CannotStart, "the eBPF object does not fit this binary",
        "build both together with `cargo xtask build`, and do not give --object";
    /// Another daemon answers at the socket for `tail`.
    SocketInUse = 13, CannotStart, "the control socket is in use",
        "stop the other daemon, or choose another socket with --socket, or --no-socket";
    /// The socket for `tail` could not be made.
    SocketBind = 14, CannotStart, "the control socket cannot be made",
        "choose a path whose directory can be written with --socket, or --no-socket";
    /// Nothing answers at the daemon's socket, or it may not be opened.
    NoDaemon = 15, CannotStart, "cannot connect to the daemon",
        "start `bulkhead run` as root, and use the same --socket for both";
    /// The connection ended, and the daemon had not said that it was stopping.
    DaemonLost = 16, CannotStart, "the daemon went away without a word",
        "look at the daemon's log: it crashed or was killed";
    /// A filter names something that does not exist.
    BadFilter = 17, Usage, "a filter cannot be understood",
        "see `bulkhead tail --help`";
    /// The command line does not make sense as a whole.
    Usage = 18, Usage, "wrong usage",
        "see `bulkhead --help`";
    /// No rule has this id.
    UnknownRule = 19, Usage, "there is no such rule",
        "see `bulkhead rules list`";
    /// Records cannot be written: a full disk, an I/O error. A closed pipe is no error.
    CannotWrite = 20, CannotStart, "cannot write the output",
        "look at where standard output goes";
    /// A thread, a descriptor or a timer could not be had.
    NoResources = 21, CannotStart, "the system refused a resource",
        "look at the limits on descriptors and processes (`ulimit -a`)";
    /// With `--pin`, programs and maps stay below a folder of a BPF file system. It is on another file system, another
    /// daemon uses it, or what is there cannot be read.
    CannotPin = 22, CannotStart, "cannot pin, or use what is pinned",
        "give --pin a folder on a BPF file system (`mount -t bpf bpf /sys/fs/bpf`) that no other daemon uses; `bulkhead unpin` empties it";
    /// No container that runs has a name, id, pod or service that fits the pattern.
    NoContainer = 23, Usage, "no running container fits",
        "`bulkhead posture` without a pattern lists those that run";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BH{:04}", *self as u16)
    }
}

impl Code {
    /// The reference page of all codes, in Markdown: what `docs/errors.md` holds.
    pub fn reference() -> String {
        let mut page = String::from(
            "# Error codes\n\nGenerated from `monitor/src/diag/code.rs`; \
             `BULKHEAD_BLESS=1 cargo test -p monitor diag` writes it.\n\n\
             Exit status 2: the command line is wrong. Exit status 3: it could not start, or not go on.\n",
        );
        for code in Self::ALL {
            let (title, doc, help, exit) = (code.title(), code.doc().trim(), code.help(), code.exit() as u8);
            page.push_str(&format!(
                "\n## {code}: {title}\n\n{doc}\n\nHelp: {help}.\n\nExit status: {exit}.\n"
            ));
        }
        page
    }
}
