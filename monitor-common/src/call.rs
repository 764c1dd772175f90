//! The system calls that sensors watch: one list gives the numbers on the wire and in each table of the kernel.
//!
//! Numbers: `arch/x86/entry/syscalls/syscall_{64,32}.tbl`, `include/uapi/asm-generic/unistd.h`.

macro_rules! calls {
    ($( $variant:ident = $id:literal, $name:literal, x86_64: $x86:expr, aarch64: $arm:expr, i386: $i386:expr; )+) => {
        /// A watched system call. The numbers are part of the wire format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Call {
            $( #[doc = concat!("`", $name, "(2)`.")] $variant = $id, )+
        }

        impl Call {
            /// Every watched call.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The call with this number on the wire.
            #[inline]
            pub const fn from_raw(raw: u32) -> Option<Self> {
                match raw { $( $id => Some(Self::$variant), )+ _ => None }
            }

            /// The kernel's name, as in `sys_enter_<name>` and `__x64_sys_<name>`.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// Its numbers in the x86-64 table; none if it is not there.
            pub const fn x86_64(self) -> &'static [u32] {
                match self { $( Self::$variant => &$x86, )+ }
            }

            /// Its numbers in the arm64 table.
            pub const fn aarch64(self) -> &'static [u32] {
                match self { $( Self::$variant => &$arm, )+ }
            }

            /// Its numbers in the 32-bit table of x86: old calls with 16-bit ids are the same call.
            pub const fn i386(self) -> &'static [u32] {
                match self { $( Self::$variant => &$i386, )+ }
            }
        }

        // A program is found by the number of its call.
        const _: () = assert!($( $id < Call::LIMIT && $id > 0 )&&+);
    };
}

impl Call {
    /// Every number on the wire is below this.
    pub const LIMIT: u32 = 256;
}

/// Calls that 32-bit programs may make through `socketcall(2)`: the first argument, and the call it means
/// (`include/uapi/linux/net.h`).
pub const SOCKETCALLS: &[(u32, Call)] = &[
    (1, Call::Socket),
    (2, Call::Bind),
    (3, Call::Connect),
    (4, Call::Listen),
    (11, Call::Sendto),
    (16, Call::Sendmsg),
    (17, Call::Recvmsg),
    (19, Call::Recvmmsg),
    (20, Call::Sendmmsg),
];

/// `socketcall(2)` in the 32-bit table of x86.
pub const I386_SOCKETCALL: u32 = 102;

/// Bit of a system call number of the x32 table (`__X32_SYSCALL_BIT`, `arch/x86/include/uapi/asm/unistd.h`).
pub const X32_BIT: u32 = 1 << 30;

/// The table that tells the kernel side which system call is which watched one: a place for each number, then one
/// for each operation of `socketcall`. A place holds the number of the native [`Call`] in its lower half, and that
/// of the 32-bit call with the same number in its upper half; 0 for one that is not watched.
pub mod table {
    /// Numbers of one table of the kernel; no architecture has as many calls.
    pub const NUMBERS: u32 = 512;
    /// Operations of `socketcall`, and some room.
    pub const OPERATIONS: u32 = 32;
    /// How long the table is.
    pub const LEN: u32 = NUMBERS + OPERATIONS;
    /// In place of the number of a [`super::Call`]: `socketcall` itself, whose first argument says which call it is.
    pub const MULTIPLEXED: u32 = 0xffff;
    /// Place of the program that compares tasks, among those of calls: no call has number 0.
    pub const COMPARE: u32 = 0;

    /// The native call of a place.
    pub const fn native(place: u32) -> u32 {
        place & 0xffff
    }

    /// The 32-bit call of a place.
    pub const fn compat(place: u32) -> u32 {
        place >> 16
    }

    /// A place with these two.
    pub const fn place(native: u32, compat: u32) -> u32 {
        native | compat << 16
    }
}

calls! {
    Mount = 1, "mount", x86_64: [165], aarch64: [40], i386: [21];
    Umount = 2, "umount", x86_64: [166], aarch64: [39], i386: [52];
    PivotRoot = 3, "pivot_root", x86_64: [155], aarch64: [41], i386: [217];
    Chroot = 4, "chroot", x86_64: [161], aarch64: [51], i386: [61];
    Fsopen = 5, "fsopen", x86_64: [430], aarch64: [430], i386: [430];
    Fsmount = 6, "fsmount", x86_64: [432], aarch64: [432], i386: [432];
    OpenTree = 7, "open_tree", x86_64: [428], aarch64: [428], i386: [428];
    MoveMount = 8, "move_mount", x86_64: [429], aarch64: [429], i386: [429];
    MountSetattr = 9, "mount_setattr", x86_64: [442], aarch64: [442], i386: [442];
    Setns = 10, "setns", x86_64: [308], aarch64: [268], i386: [346];
    Unshare = 11, "unshare", x86_64: [272], aarch64: [97], i386: [310];
    Setuid = 20, "setuid", x86_64: [105], aarch64: [146], i386: [213, 23];
    Setgid = 21, "setgid", x86_64: [106], aarch64: [144], i386: [214, 46];
    Setreuid = 22, "setreuid", x86_64: [113], aarch64: [145], i386: [203, 70];
    Setregid = 23, "setregid", x86_64: [114], aarch64: [143], i386: [204, 71];
    Setresuid = 24, "setresuid", x86_64: [117], aarch64: [147], i386: [208, 164];
    Setresgid = 25, "setresgid", x86_64: [119], aarch64: [149], i386: [210, 170];
    Setfsuid = 26, "setfsuid", x86_64: [122], aarch64: [151], i386: [215, 138];
    Setfsgid = 27, "setfsgid", x86_64: [123], aarch64: [152], i386: [216, 139];
    Setgroups = 28, "setgroups", x86_64: [116], aarch64: [159], i386: [206, 81];
    Capset = 29, "capset", x86_64: [126], aarch64: [91], i386: [185];
    Connect = 30, "connect", x86_64: [42], aarch64: [203], i386: [362];
    Bind = 31, "bind", x86_64: [49], aarch64: [200], i386: [361];
    Listen = 32, "listen", x86_64: [50], aarch64: [201], i386: [363];
    Open = 50, "open", x86_64: [2], aarch64: [], i386: [5];
    Openat = 51, "openat", x86_64: [257], aarch64: [56], i386: [295];
    Openat2 = 52, "openat2", x86_64: [437], aarch64: [437], i386: [437];
    OpenByHandleAt = 53, "open_by_handle_at", x86_64: [304], aarch64: [265], i386: [342];
    Creat = 54, "creat", x86_64: [85], aarch64: [], i386: [8];
    Mmap = 140, "mmap", x86_64: [9], aarch64: [222], i386: [192];
    Mprotect = 141, "mprotect", x86_64: [10], aarch64: [226], i386: [125];
    MemfdCreate = 142, "memfd_create", x86_64: [319], aarch64: [279], i386: [356];
    Prlimit64 = 143, "prlimit64", x86_64: [302], aarch64: [261], i386: [340];
    Setpriority = 144, "setpriority", x86_64: [141], aarch64: [140], i386: [97];
    SchedSetscheduler = 145, "sched_setscheduler", x86_64: [144], aarch64: [119], i386: [156];
    SchedSetparam = 146, "sched_setparam", x86_64: [142], aarch64: [118], i386: [154];
    SchedSetattr = 147, "sched_setattr", x86_64: [314], aarch64: [274], i386: [351];
    SchedSetaffinity = 148, "sched_setaffinity", x86_64: [203], aarch64: [122], i386: [241];
    IoprioSet = 149, "ioprio_set", x86_64: [251], aarch64: [30], i386: [289];
    Ptrace = 150, "ptrace", x86_64: [101], aarch64: [117], i386: [26];
    ProcessVmReadv = 151, "process_vm_readv", x86_64: [310], aarch64: [270], i386: [347];
    ProcessVmWritev = 152, "process_vm_writev", x86_64: [311], aarch64: [271], i386: [348];
    PidfdGetfd = 153, "pidfd_getfd", x86_64: [438], aarch64: [438], i386: [438];
    PidfdOpen = 154, "pidfd_open", x86_64: [434], aarch64: [434], i386: [434];
    Kcmp = 155, "kcmp", x86_64: [312], aarch64: [272], i386: [349];
    ProcessMadvise = 156, "process_madvise", x86_64: [440], aarch64: [440], i386: [440];
    InitModule = 160, "init_module", x86_64: [175], aarch64: [105], i386: [128];
    FinitModule = 161, "finit_module", x86_64: [313], aarch64: [273], i386: [350];
    DeleteModule = 162, "delete_module", x86_64: [176], aarch64: [106], i386: [129];
    KexecLoad = 163, "kexec_load", x86_64: [246], aarch64: [104], i386: [283];
    KexecFileLoad = 164, "kexec_file_load", x86_64: [320], aarch64: [294], i386: [];
    Reboot = 165, "reboot", x86_64: [169], aarch64: [142], i386: [88];
    Iopl = 166, "iopl", x86_64: [172], aarch64: [], i386: [110];
    Ioperm = 167, "ioperm", x86_64: [173], aarch64: [], i386: [101];
    ModifyLdt = 168, "modify_ldt", x86_64: [154], aarch64: [], i386: [123];
    Vm86 = 169, "vm86", x86_64: [], aarch64: [], i386: [166, 113];
    Syslog = 170, "syslog", x86_64: [103], aarch64: [116], i386: [103];
    Settimeofday = 171, "settimeofday", x86_64: [164], aarch64: [170], i386: [79];
    ClockSettime = 172, "clock_settime", x86_64: [227], aarch64: [112], i386: [264, 404];
    ClockAdjtime = 173, "clock_adjtime", x86_64: [305], aarch64: [266], i386: [343, 405];
    Adjtimex = 174, "adjtimex", x86_64: [159], aarch64: [171], i386: [124];
    Stime = 175, "stime", x86_64: [], aarch64: [], i386: [25];
    Quotactl = 176, "quotactl", x86_64: [179], aarch64: [60], i386: [131];
    QuotactlFd = 177, "quotactl_fd", x86_64: [443], aarch64: [443], i386: [443];
    Swapon = 178, "swapon", x86_64: [167], aarch64: [224], i386: [87];
    Swapoff = 179, "swapoff", x86_64: [168], aarch64: [225], i386: [115];
    Acct = 180, "acct", x86_64: [163], aarch64: [89], i386: [51];
    Sethostname = 181, "sethostname", x86_64: [170], aarch64: [161], i386: [74];
    Setdomainname = 182, "setdomainname", x86_64: [171], aarch64: [162], i386: [121];
    FanotifyInit = 183, "fanotify_init", x86_64: [300], aarch64: [262], i386: [338];
    Keyctl = 185, "keyctl", x86_64: [250], aarch64: [219], i386: [288];
    AddKey = 186, "add_key", x86_64: [248], aarch64: [217], i386: [286];
    RequestKey = 187, "request_key", x86_64: [249], aarch64: [218], i386: [287];
    Userfaultfd = 188, "userfaultfd", x86_64: [323], aarch64: [282], i386: [374];
    IoUringSetup = 189, "io_uring_setup", x86_64: [425], aarch64: [425], i386: [425];
    Bpf = 190, "bpf", x86_64: [321], aarch64: [280], i386: [357];
    PerfEventOpen = 191, "perf_event_open", x86_64: [298], aarch64: [241], i386: [336];
    FanotifyMark = 100, "fanotify_mark", x86_64: [301], aarch64: [263], i386: [339];
    Rename = 101, "rename", x86_64: [82], aarch64: [], i386: [38];
    Renameat = 102, "renameat", x86_64: [264], aarch64: [38], i386: [302];
    Renameat2 = 103, "renameat2", x86_64: [316], aarch64: [276], i386: [353];
    Link = 104, "link", x86_64: [86], aarch64: [], i386: [9];
    Linkat = 105, "linkat", x86_64: [265], aarch64: [37], i386: [303];
    Unlink = 106, "unlink", x86_64: [87], aarch64: [], i386: [10];
    Unlinkat = 107, "unlinkat", x86_64: [263], aarch64: [35], i386: [301];
    Symlink = 108, "symlink", x86_64: [88], aarch64: [], i386: [83];
    Symlinkat = 109, "symlinkat", x86_64: [266], aarch64: [36], i386: [304];
    Mknod = 110, "mknod", x86_64: [133], aarch64: [], i386: [14];
    Mknodat = 111, "mknodat", x86_64: [259], aarch64: [33], i386: [297];
    Chmod = 112, "chmod", x86_64: [90], aarch64: [], i386: [15];
    Fchmod = 113, "fchmod", x86_64: [91], aarch64: [52], i386: [94];
    Fchmodat = 114, "fchmodat", x86_64: [268], aarch64: [53], i386: [306];
    Fchmodat2 = 115, "fchmodat2", x86_64: [452], aarch64: [452], i386: [452];
    Chown = 116, "chown", x86_64: [92], aarch64: [], i386: [182, 212];
    Fchown = 117, "fchown", x86_64: [93], aarch64: [55], i386: [95, 207];
    Lchown = 118, "lchown", x86_64: [94], aarch64: [], i386: [16, 198];
    Fchownat = 119, "fchownat", x86_64: [260], aarch64: [54], i386: [298];
    Truncate = 120, "truncate", x86_64: [76], aarch64: [45], i386: [92, 193];
    Ftruncate = 121, "ftruncate", x86_64: [77], aarch64: [46], i386: [93, 194];
    Setxattr = 122, "setxattr", x86_64: [188], aarch64: [5], i386: [226];
    Lsetxattr = 123, "lsetxattr", x86_64: [189], aarch64: [6], i386: [227];
    Fsetxattr = 124, "fsetxattr", x86_64: [190], aarch64: [7], i386: [228];
    Setxattrat = 125, "setxattrat", x86_64: [463], aarch64: [463], i386: [463];
    Ioctl = 126, "ioctl", x86_64: [16], aarch64: [29], i386: [54];
    Socket = 220, "socket", x86_64: [41], aarch64: [198], i386: [359];
    Sendto = 221, "sendto", x86_64: [44], aarch64: [206], i386: [369];
    Sendmsg = 222, "sendmsg", x86_64: [46], aarch64: [211], i386: [370];
    Sendmmsg = 223, "sendmmsg", x86_64: [307], aarch64: [269], i386: [345];
    Recvmsg = 224, "recvmsg", x86_64: [47], aarch64: [212], i386: [372];
    Recvmmsg = 225, "recvmmsg", x86_64: [299], aarch64: [243], i386: [337, 417];
    Execve = 226, "execve", x86_64: [59], aarch64: [221], i386: [11];
    Execveat = 227, "execveat", x86_64: [322], aarch64: [281], i386: [358];
    Splice = 230, "splice", x86_64: [275], aarch64: [76], i386: [313];
    Sendfile = 231, "sendfile64", x86_64: [40], aarch64: [71], i386: [187, 239];
}
