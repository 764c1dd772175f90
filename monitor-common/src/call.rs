//! The system calls that sensors watch: one list gives the numbers on the wire and in each architecture's
//! table.

macro_rules! calls {
    ($( $variant:ident = $id:literal, $name:literal, x86_64: $x86:expr, aarch64: $arm:expr; )+) => {
        /// A watched system call. The numbers are part of the wire format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Call {
            $( #[doc = concat!("`", $name, "(2)`.")] $variant = $id, )+
        }

        impl Call {
            /// Every watched call.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The kernel's name, as in `sys_enter_<name>` and `__x64_sys_<name>`.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// The call with this number in the x86-64 table.
            pub const fn from_x86_64(nr: u32) -> Option<Self> {
                $( if let Some(x) = $x86 && x == nr { return Some(Self::$variant); } )+
                None
            }

            /// The call with this number in the arm64 table.
            pub const fn from_aarch64(nr: u32) -> Option<Self> {
                $( if let Some(x) = $arm && x == nr { return Some(Self::$variant); } )+
                None
            }
        }
    };
}

const fn none() -> Option<u32> {
    None
}

const fn some(nr: u32) -> Option<u32> {
    Some(nr)
}

calls! {
    Mount = 1, "mount", x86_64: some(165), aarch64: some(40);
    Umount = 2, "umount", x86_64: some(166), aarch64: some(39);
    PivotRoot = 3, "pivot_root", x86_64: some(155), aarch64: some(41);
    Chroot = 4, "chroot", x86_64: some(161), aarch64: some(51);
    Fsopen = 5, "fsopen", x86_64: some(430), aarch64: some(430);
    Fsmount = 6, "fsmount", x86_64: some(432), aarch64: some(432);
    OpenTree = 7, "open_tree", x86_64: some(428), aarch64: some(428);
    MoveMount = 8, "move_mount", x86_64: some(429), aarch64: some(429);
    MountSetattr = 9, "mount_setattr", x86_64: some(442), aarch64: some(442);
    Setns = 10, "setns", x86_64: some(308), aarch64: some(268);
    Unshare = 11, "unshare", x86_64: some(272), aarch64: some(97);
    Setuid = 20, "setuid", x86_64: some(105), aarch64: some(146);
    Setgid = 21, "setgid", x86_64: some(106), aarch64: some(144);
    Setreuid = 22, "setreuid", x86_64: some(113), aarch64: some(145);
    Setregid = 23, "setregid", x86_64: some(114), aarch64: some(143);
    Setresuid = 24, "setresuid", x86_64: some(117), aarch64: some(147);
    Setresgid = 25, "setresgid", x86_64: some(119), aarch64: some(149);
    Setfsuid = 26, "setfsuid", x86_64: some(122), aarch64: some(151);
    Setfsgid = 27, "setfsgid", x86_64: some(123), aarch64: some(152);
    Setgroups = 28, "setgroups", x86_64: some(116), aarch64: some(159);
    Capset = 29, "capset", x86_64: some(126), aarch64: some(91);
    Connect = 30, "connect", x86_64: some(42), aarch64: some(203);
    Bind = 31, "bind", x86_64: some(49), aarch64: some(200);
    Listen = 32, "listen", x86_64: some(50), aarch64: some(201);
    Open = 50, "open", x86_64: some(2), aarch64: none();
    Openat = 51, "openat", x86_64: some(257), aarch64: some(56);
    Openat2 = 52, "openat2", x86_64: some(437), aarch64: some(437);
    OpenByHandleAt = 53, "open_by_handle_at", x86_64: some(304), aarch64: some(265);
    Creat = 54, "creat", x86_64: some(85), aarch64: none();
}
