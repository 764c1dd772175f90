//! The probe table: one row a sensor, its rungs in order of preference.
//!
//! A rung is used if all its probes load and attach on this kernel; that is tried, never concluded from a
//! version number. What a rung does not see is written beside it, for `bulkhead doctor` and the coverage
//! manifest.

use monitor_common::call::Call;

/// How good a rung is; the first that works is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `fexit` on security hooks and system call functions.
    Trampoline,
    /// Typed tracepoints that are not system calls, and programs at the root of cgroup v2.
    Event,
    /// One program at the end of every system call.
    Syscall,
    /// No program: the kernel's log.
    Log,
}

impl Level {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trampoline => "trampoline",
            Self::Event => "event",
            Self::Syscall => "syscall",
            Self::Log => "log",
        }
    }
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `fexit` on the first of these functions that the kernel has.
    Fexit(&'static [&'static str]),
    /// A typed tracepoint.
    TpBtf(&'static str),
    /// The same, where programs of tracepoints can be preempted, and nothing elsewhere (`monitor_common::twice`).
    Second(&'static str),
    /// The root of cgroup v2; what the program runs for, its section says.
    Cgroup,
    /// The end of these system calls: a tail call from the one program at the end of all calls.
    Calls(&'static [Call]),
}

/// One program at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Name of the program in the eBPF object.
    pub program: &'static str,
    /// Where it is attached.
    pub attach: Attach,
    /// True if the rung is still worth having without it.
    pub optional: bool,
}

/// One way to run a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Which.
    pub level: Level,
    /// All of these, or the rung is not used.
    pub probes: &'static [Probe],
    /// What this rung does not see.
    pub unseen: &'static str,
}

/// A sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Name in output.
    pub name: &'static str,
    /// What it reports, one line.
    pub about: &'static str,
    /// True if nothing works without it.
    pub required: bool,
    /// In order of preference.
    pub rungs: &'static [Rung],
    /// Canary: what must come back before the sensor counts as ready; see `canary.rs`.
    pub canaries: &'static [&'static str],
}

/// The sensor that writes events of this kind; `None` for those that any of them may write.
pub fn sensor_of(event: &str) -> Option<&'static str> {
    let of = |canary: &str| {
        canary.strip_prefix(event).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    SENSORS.iter().find(|sensor| sensor.canaries.iter().any(|canary| of(canary))).map(|sensor| sensor.name)
}

const fn tp(program: &'static str, tracepoint: &'static str) -> Probe {
    Probe { program, attach: Attach::TpBtf(tracepoint), optional: false }
}

/// The second program of a tracepoint, attached next after the first.
const fn second(program: &'static str, tracepoint: &'static str) -> Probe {
    Probe { program, attach: Attach::Second(tracepoint), optional: false }
}

const fn fexit(program: &'static str, functions: &'static [&'static str]) -> Probe {
    Probe { program, attach: Attach::Fexit(functions), optional: false }
}

const fn calls(program: &'static str, calls: &'static [Call]) -> Probe {
    Probe { program, attach: Attach::Calls(calls), optional: false }
}

const fn cgroup(program: &'static str) -> Probe {
    Probe { program, attach: Attach::Cgroup, optional: false }
}

/// The same probe, without which its rung still works.
const fn optional(probe: Probe) -> Probe {
    Probe { optional: true, ..probe }
}

/// Programs on functions of system calls, by architecture.
macro_rules! call {
    ($program:literal, $name:literal) => {
        fexit($program, &[concat!("__x64_sys_", $name), concat!("__arm64_sys_", $name)])
    };
}

mod network;

/// A program on the function of a 32-bit call: kernels without 32-bit programs have none.
macro_rules! call32 {
    ($program:literal, $name:literal) => {
        optional(fexit($program, &[concat!("__ia32_sys_", $name)]))
    };
}

mod files;

/// On the trampoline rung.
const REFUSED: &str = "calls that seccomp refuses";
mod kernel;
mod tasks;

pub use kernel::KERNEL_LOG;

const SECCOMP: &str =
    "calls that seccomp refuses; 32-bit calls as calls (their effect is seen as a change of state)";
const RACED: &str = "names are read from user memory at the end of the call and marked raced";

/// Every sensor.
pub static SENSORS: &[Sensor] = &[
    Sensor {
        name: "process",
        about: "exec, fork, exit",
        required: true,
        rungs: &[Rung {
            level: Level::Event,
            probes: &[
                // Programs of a tracepoint run in the order in which they were attached.
                tp("process_exec", "sched_process_exec"),
                second("process_exec_2", "sched_process_exec"),
                tp("process_exec_record", "sched_process_exec"),
                second("process_exec_record_2", "sched_process_exec"),
                tp("process_fork", "sched_process_fork"),
                second("process_fork_2", "sched_process_fork"),
                tp("process_exit", "sched_process_exit"),
                second("process_exit_2", "sched_process_exit"),
            ],
            unseen: "execs that fail, which are the sensor `exec_failed`'s",
        }],
        canaries: &["exec", "fork", "exit", "stdio"],
    },
    Sensor {
        name: "cgroup",
        about: "cgroups made and removed, tasks moved",
        required: true,
        rungs: &[Rung {
            level: Level::Event,
            probes: &[
                tp("cgroup_mkdir", "cgroup_mkdir"),
                tp("cgroup_rmdir", "cgroup_rmdir"),
                tp("cgroup_attach", "cgroup_attach_task"),
            ],
            unseen: "moves that the kernel refuses",
        }],
        canaries: &["cgroup.mkdir", "cgroup.rmdir"],
    },
    Sensor {
        name: "mount",
        about: "mount, umount, pivot_root, chroot, the new mount API",
        required: false,
        rungs: &[
            Rung {
                level: Level::Trampoline,
                probes: &[
                    call!("exit_mount", "mount"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_mount_32", "mount"),
                    call!("exit_umount", "umount"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_umount_32", "umount"),
                    call!("exit_pivot_root", "pivot_root"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_pivot_root_32", "pivot_root"),
                    call!("exit_chroot", "chroot"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_chroot_32", "chroot"),
                    call!("exit_fsopen", "fsopen"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_fsopen_32", "fsopen"),
                    call!("exit_fsmount", "fsmount"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_fsmount_32", "fsmount"),
                    call!("exit_open_tree", "open_tree"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_open_tree_32", "open_tree"),
                    call!("exit_move_mount", "move_mount"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_move_mount_32", "move_mount"),
                ],
                unseen: REFUSED,
            },
            Rung {
                level: Level::Syscall,
                probes: &[
                    calls(
                        "call_mount",
                        &[
                            Call::Mount,
                            Call::Umount,
                            Call::Fsopen,
                            Call::Fsmount,
                            Call::OpenTree,
                            Call::MoveMount,
                        ],
                    ),
                    calls("call_root", &[Call::PivotRoot, Call::Chroot]),
                ],
                unseen: RACED,
            },
        ],
        canaries: &["mount.mount", "mount.umount", "root.chroot", "mount.fsopen", "mount.move_mount"],
    },
    Sensor {
        name: "mount_setattr",
        about: "mount_setattr (kernel 5.12 and later)",
        required: false,
        rungs: &[
            Rung {
                level: Level::Trampoline,
                probes: &[
                    call!("exit_mount_setattr", "mount_setattr"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_mount_setattr_32", "mount_setattr"),
                ],
                unseen: REFUSED,
            },
            Rung {
                level: Level::Syscall,
                probes: &[calls("call_mount", &[Call::MountSetattr])],
                unseen: RACED,
            },
        ],
        canaries: &["mount.mount_setattr"],
    },
    Sensor {
        name: "credentials",
        about: "set*id family, capset",
        required: false,
        rungs: &[
            Rung {
                level: Level::Trampoline,
                probes: &[
                    call!("exit_setuid", "setuid"),
                    call!("exit_setgid", "setgid"),
                    call!("exit_setreuid", "setreuid"),
                    call!("exit_setregid", "setregid"),
                    call!("exit_setresuid", "setresuid"),
                    call!("exit_setresgid", "setresgid"),
                    call!("exit_setfsuid", "setfsuid"),
                    call!("exit_setfsgid", "setfsgid"),
                    call!("exit_setgroups", "setgroups"),
                    call!("exit_capset", "capset"),
                ],
                unseen: SECCOMP,
            },
            Rung {
                level: Level::Syscall,
                probes: &[calls(
                    "call_cred",
                    &[
                        Call::Setuid,
                        Call::Setgid,
                        Call::Setreuid,
                        Call::Setregid,
                        Call::Setresuid,
                        Call::Setresgid,
                        Call::Setfsuid,
                        Call::Setfsgid,
                        Call::Setgroups,
                        Call::Capset,
                    ],
                )],
                unseen: RACED,
            },
        ],
        canaries: &["cred.setuid", "cred.capset"],
    },
    Sensor {
        name: "namespace",
        about: "setns, unshare; clone flags are seen by `process`",
        required: false,
        rungs: &[
            Rung {
                level: Level::Trampoline,
                probes: &[
                    call!("exit_setns", "setns"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_setns_32", "setns"),
                    call!("exit_unshare", "unshare"),
                    #[cfg(target_arch = "x86_64")]
                    call32!("exit_unshare_32", "unshare"),
                ],
                unseen: REFUSED,
            },
            Rung {
                level: Level::Syscall,
                probes: &[calls("call_namespace", &[Call::Setns, Call::Unshare])],
                unseen: RACED,
            },
        ],
        canaries: &["namespace.setns", "namespace.unshare"],
    },
    network::SOCKET,
    network::SOCKET_CREATE,
    network::DATAGRAM,
    network::DNS,
    network::FILE_RECEIVE,
    files::FILE,
    files::FILE_HANDLE,
    files::FILE_CHANGE,
    files::FILE_ATTRIBUTE,
    files::IOCTL,
    files::FANOTIFY,
    files::SPLICE,
    files::SYSCTL,
    tasks::EXEC_FAILED,
    tasks::PTRACE,
    tasks::SIGNAL,
    tasks::CONTROL,
    tasks::MEMORY,
    kernel::MODULE,
    kernel::SENSITIVE_CALL,
    kernel::BPF,
    kernel::PERF_EVENT,
    kernel::IO_URING,
    kernel::KERNEL_LOG,
];
