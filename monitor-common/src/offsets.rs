//! The kernel fields that Bulkhead reads, by name: resolved from BTF at start, read through one module.
//!
//! The loader looks each one up in `/sys/kernel/btf/vmlinux` and patches the offsets into the object's
//! `.rodata`, which the kernel freezes before it verifies the programs, so that they count as constants.

/// Offset of a field that this kernel does not have.
pub const MISSING: u16 = u16::MAX;

/// How to find one field.
#[derive(Clone, Copy, Debug)]
pub struct KernelField {
    /// Places to look, in order of preference: `struct`, then the member path from it; `a..b` for the distance
    /// from one member to another, `@size` for the size of the struct; `member@bit` for a bit field, counted in bits.
    pub places: &'static [(&'static str, &'static str)],
    /// True if a program that reads it is of no use without it: the loader does not attach it then.
    pub required: bool,
}

macro_rules! kernel_fields {
    ($( $name:ident: $need:ident $( $ty:literal . $path:literal )|+; )+) => {
        /// Index of a kernel field in the offset table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        #[expect(missing_docs, reason = "each name is the C struct and its member")]
        pub enum FieldId { $( $name, )+ }

        /// How to find each field, in the order of [`FieldId`].
        pub const KERNEL_FIELDS: &[KernelField] = &[ $( KernelField {
            places: &[ $( ($ty, $path) ),+ ],
            required: kernel_fields!(@ $need),
        }, )+ ];

        /// The names, in the order of [`FieldId`].
        pub const FIELD_IDS: &[FieldId] = &[ $( FieldId::$name, )+ ];
    };
    (@ required) => { true };
    (@ optional) => { false };
}

kernel_fields! {
    TaskPid: required "task_struct"."pid";
    TaskTgid: required "task_struct"."tgid";
    TaskRealParent: required "task_struct"."real_parent";
    TaskGroupLeader: required "task_struct"."group_leader";
    TaskStartBoottime: required "task_struct"."start_boottime";
    TaskCred: required "task_struct"."real_cred";
    TaskMm: required "task_struct"."mm";
    TaskFs: required "task_struct"."fs";
    TaskFiles: required "task_struct"."files";
    TaskNsproxy: required "task_struct"."nsproxy";
    TaskCgroups: required "task_struct"."cgroups";
    TaskSignal: required "task_struct"."signal";
    TaskFlags: required "task_struct"."flags";
    TaskExecId: optional "task_struct"."self_exec_id";
    TaskExitCode: required "task_struct"."exit_code";
    TaskAtomicFlags: optional "task_struct"."atomic_flags";
    TaskSeccompMode: optional "task_struct"."seccomp.mode";
    TaskSeccompFilters: optional "task_struct"."seccomp.filter_count.counter";
    TaskThreadPid: optional "task_struct"."thread_pid";
    TaskPidLinks: optional "task_struct"."pid_links";
    TaskPtraced: optional "task_struct"."ptraced";
    TaskPtraceEntry: optional "task_struct"."ptrace_entry";
    PidLevel: optional "pid"."level";
    PidTasks: optional "pid"."tasks";
    SiginfoCode: optional "kernel_siginfo"."si_code";
    VmaFile: optional "vm_area_struct"."vm_file";
    VmaFlags: optional "vm_area_struct"."vm_flags" | "vm_area_struct"."__vm_flags";
    SignalLive: required "signal_struct"."live.counter";
    CredUid: required "cred"."uid";
    CredGid: required "cred"."gid";
    CredSuid: required "cred"."suid";
    CredEuid: required "cred"."euid";
    CredEgid: required "cred"."egid";
    CredFsuid: required "cred"."fsuid";
    CredCapPermitted: required "cred"."cap_permitted";
    CredCapEffective: required "cred"."cap_effective";
    CredCapInheritable: required "cred"."cap_inheritable";
    CredCapAmbient: required "cred"."cap_ambient";
    CredCapBset: required "cred"."cap_bset";
    CredUserNs: required "cred"."user_ns";
    NsproxyUts: required "nsproxy"."uts_ns";
    NsproxyIpc: required "nsproxy"."ipc_ns";
    NsproxyMnt: required "nsproxy"."mnt_ns";
    NsproxyPid: required "nsproxy"."pid_ns_for_children";
    NsproxyNet: required "nsproxy"."net_ns";
    NsproxyTime: optional "nsproxy"."time_ns";
    NsproxyCgroup: required "nsproxy"."cgroup_ns";
    UtsInum: required "uts_namespace"."ns.inum";
    IpcInum: required "ipc_namespace"."ns.inum";
    MntInum: required "mnt_namespace"."ns.inum";
    PidInum: required "pid_namespace"."ns.inum";
    NetInum: required "net"."ns.inum";
    TimeInum: optional "time_namespace"."ns.inum";
    CgroupInum: required "cgroup_namespace"."ns.inum";
    UserInum: required "user_namespace"."ns.inum";
    UserUidMapExtent: optional "user_namespace"."uid_map.extent";
    MmArgStart: required "mm_struct"."arg_start";
    MmArgEnd: required "mm_struct"."arg_end";
    MmEnvStart: required "mm_struct"."env_start";
    MmEnvEnd: required "mm_struct"."env_end";
    MmExeFile: required "mm_struct"."exe_file";
    FileMnt: required "file"."f_path.mnt" | "file"."__f_path.mnt";
    FileDentry: required "file"."f_path.dentry" | "file"."__f_path.dentry";
    FileInode: required "file"."f_inode";
    FileFlags: required "file"."f_flags";
    FilePrivate: required "file"."private_data";
    DentryName: required "dentry"."d_name.name" | "dentry"."__d_name.name";
    DentryParent: required "dentry"."d_parent";
    DentryInode: required "dentry"."d_inode";
    InodeIno: required "inode"."i_ino";
    InodeMode: required "inode"."i_mode";
    InodeRdev: required "inode"."i_rdev";
    InodeUid: required "inode"."i_uid";
    InodeSb: required "inode"."i_sb";
    InodePrivate: required "inode"."i_private";
    InodeNlink: required "inode"."i_nlink";
    InodeCtime: optional "inode"."i_ctime_sec" | "inode"."__i_ctime.tv_sec" | "inode"."i_ctime.tv_sec";
    // Where overlayfs is a module, its types are not in the kernel's: but the member follows the inode directly,
    // in every version.
    OvlUpper: optional "ovl_inode"."vfs_inode..__upperdentry" | "inode"."@size";
    PathMnt: required "path"."mnt";
    PathDentry: required "path"."dentry";
    SbRoot: required "super_block"."s_root";
    SbDev: required "super_block"."s_dev";
    SbMagic: required "super_block"."s_magic";
    SbBdev: required "super_block"."s_bdev";
    SbType: required "super_block"."s_type";
    FsTypeName: required "file_system_type"."name";
    VfsmountRoot: required "vfsmount"."mnt_root";
    VfsmountSb: required "vfsmount"."mnt_sb";
    MountMnt: required "mount"."mnt";
    MountParent: required "mount"."mnt_parent";
    MountMountpoint: required "mount"."mnt_mountpoint";
    MountNs: required "mount"."mnt_ns";
    MountList: optional "mount"."mnt_list";
    MountNode: optional "mount"."mnt_node";
    // Never used again, unlike the inode number. Its own field until 6.17.
    MntId: optional "mnt_namespace"."ns.ns_id" | "mnt_namespace"."seq";
    MntNsList: optional "mnt_namespace"."list";
    MntNsLast: optional "mnt_namespace"."mnt_last_node";
    MntNsTree: optional "mnt_namespace"."mounts";
    RbRight: required "rb_node"."rb_right";
    ListNext: required "list_head"."next";
    ListPrev: required "list_head"."prev";
    FsRootMnt: required "fs_struct"."root.mnt";
    FsRootDentry: required "fs_struct"."root.dentry";
    FsPwdMnt: required "fs_struct"."pwd.mnt";
    FsPwdDentry: required "fs_struct"."pwd.dentry";
    FilesFdt: required "files_struct"."fdt";
    FdtFd: required "fdtable"."fd";
    FdtMax: required "fdtable"."max_fds";
    CssSetDfl: required "css_set"."dfl_cgrp";
    CssSetSubsys: required "css_set"."subsys";
    CssCgroup: required "cgroup_subsys_state"."cgroup";
    CgroupKn: required "cgroup"."kn";
    CgroupRoot: required "cgroup"."root";
    CgroupRootHierarchy: required "cgroup_root"."hierarchy_id";
    KnId: required "kernfs_node"."id";
    KnParent: required "kernfs_node"."parent" | "kernfs_node"."__parent";
    SocketSk: required "socket"."sk";
    SkPeerPid: optional "sock"."sk_peer_pid";
    PidNumbers: optional "pid"."numbers";
    SkFamily: required "sock"."__sk_common.skc_family";
    SkNum: required "sock"."__sk_common.skc_num";
    SkDport: required "sock"."__sk_common.skc_dport";
    SkDaddr: required "sock"."__sk_common.skc_daddr";
    SkV6Daddr: optional "sock"."__sk_common.skc_v6_daddr";
    // Without these nothing but sockets of AF_ALG is known to write into pages that are spliced to them.
    SkProtocol: optional "sock"."sk_protocol";
    IcskUlpOps: optional "inet_connection_sock"."icsk_ulp_ops";
    UlpName: optional "tcp_ulp_ops"."name";
    SkRcvSaddr: required "sock"."__sk_common.skc_rcv_saddr";
    SkV6RcvSaddr: optional "sock"."__sk_common.skc_v6_rcv_saddr";
    UnixPeer: optional "unix_sock"."peer";
    UnixAddr: optional "unix_sock"."addr";
    UnixDentry: optional "unix_sock"."path.dentry";
    UnixAddrLen: optional "unix_address"."len";
    UnixAddrName: optional "unix_address"."name";
    BinprmFile: required "linux_binprm"."file";
    // Without it no exec is known to raise privileges.
    BinprmSecure: optional "linux_binprm"."secureexec@bit";
    ModuleName: optional "module"."name";
    ModuleTaints: optional "module"."taints";
    BpfProgType: optional "bpf_prog"."type";
    BpfProgAttach: optional "bpf_prog"."expected_attach_type";
    BpfProgLen: optional "bpf_prog"."len";
    BpfProgAux: optional "bpf_prog"."aux";
    BpfProgId: optional "bpf_prog_aux"."id";
    BpfProgName: optional "bpf_prog_aux"."name";
    BpfMapType: optional "bpf_map"."map_type";
    BpfMapId: optional "bpf_map"."id";
    BpfMapName: optional "bpf_map"."name";
    BpfLinkId: optional "bpf_link"."id";
    BpfLinkProg: optional "bpf_link"."prog";
    PerfAttr: optional "perf_event"."attr";
    PerfPmu: optional "perf_event"."pmu";
    PmuName: optional "pmu"."name";
    KiocbOpcode: optional "io_kiocb"."opcode";
    KiocbFd: optional "io_kiocb"."cqe.fd";
    RegsDi: optional "pt_regs"."di" | "pt_regs"."regs";
    RegsSi: optional "pt_regs"."si" | "pt_regs"."regs";
    RegsDx: optional "pt_regs"."dx" | "pt_regs"."regs";
    RegsR10: optional "pt_regs"."r10" | "pt_regs"."regs";
    RegsR8: optional "pt_regs"."r8" | "pt_regs"."regs";
    RegsR9: optional "pt_regs"."r9" | "pt_regs"."regs";
    RegsBx: optional "pt_regs"."bx";
    RegsCx: optional "pt_regs"."cx";
    RegsBp: optional "pt_regs"."bp";
    RegsOrigX0: optional "pt_regs"."orig_x0";
    RegsNr: optional "pt_regs"."orig_ax" | "pt_regs"."syscallno";
    ThreadStatus: optional "task_struct"."thread_info.status";
    ThreadFlags: required "task_struct"."thread_info.flags";
}

/// What an exec's standard input is looked at with, and nothing else of it.
pub const STDIO: [FieldId; 6] = [
    FieldId::FilePrivate,
    FieldId::SocketSk,
    FieldId::SkFamily,
    FieldId::SkNum,
    FieldId::SkDport,
    FieldId::SkDaddr,
];

/// Number of fields in the offset table.
pub const FIELD_COUNT: usize = KERNEL_FIELDS.len();
