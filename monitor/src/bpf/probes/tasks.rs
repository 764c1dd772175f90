//! The sensors of what tasks do to each other, and of executable memory.

use monitor_common::call::Call;

use super::{Level, Rung, Sensor, calls, fexit, optional, tp};

pub(super) const EXEC_FAILED: Sensor = Sensor {
    name: "exec_failed",
    about: "execs that the kernel refuses, but for those of files that are not there",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[call!("exit_execve", "execve"), call!("exit_execveat", "execveat")],
            unseen: "execs that seccomp refuses, and those of 32-bit programs; names are read from user memory at the end of \
                     the call and marked raced",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_exec", &[Call::Execve, Call::Execveat])],
            unseen: "names are read from user memory at the end of the call and marked raced",
        },
    ],
    canaries: &["exec_failed"],
};

pub(super) const PTRACE: Sensor = Sensor {
    name: "ptrace",
    about: "access to other tasks: every use across a container's border, attaching inside it",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("security_ptrace_access_check", &["security_ptrace_access_check"]),
                fexit("security_ptrace_traceme", &["security_ptrace_traceme"]),
                // From 5.6 on, but not in every kernel's table of calls.
                optional(call!("exit_pidfd_getfd", "pidfd_getfd")),
            ],
            unseen: "which call led to the kernel's check, but for pidfd_getfd",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls(
                "call_ptrace",
                &[
                    Call::Ptrace,
                    Call::ProcessVmReadv,
                    Call::ProcessVmWritev,
                    Call::PidfdGetfd,
                    Call::PidfdOpen,
                    Call::Kcmp,
                    Call::ProcessMadvise,
                ],
            )],
            unseen: "links and files of /proc/<pid>, unless `file` sees them opened; process numbers of another pid \
                     namespace than the host's, unless the call gives the process as an object",
        },
    ],
    canaries: &["ptrace"],
};

pub(super) const SIGNAL: Sensor = Sensor {
    name: "signal",
    about: "signals from a container to tasks outside it",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("security_task_kill", &["security_task_kill"])],
            unseen: "signals that the user ids forbid",
        },
        Rung {
            level: Level::Event,
            probes: &[tp("signal_generate", "signal_generate")],
            unseen: "signal 0; signals that were refused; those sent by rt_sigqueueinfo with the code of a timer",
        },
    ],
    canaries: &["signal"],
};

pub(super) const CONTROL: Sensor = Sensor {
    name: "control",
    about: "limits, scheduling and priority of tasks outside the container",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("security_task_setrlimit", &["security_task_setrlimit"]),
                fexit("security_task_setscheduler", &["security_task_setscheduler"]),
                fexit("security_task_setnice", &["security_task_setnice"]),
                fexit("security_task_setioprio", &["security_task_setioprio"]),
            ],
            unseen: "what the user ids forbid; which of the scheduling calls it was",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls(
                "call_control",
                &[
                    Call::Prlimit64,
                    Call::Setpriority,
                    Call::SchedSetscheduler,
                    Call::SchedSetparam,
                    Call::SchedSetattr,
                    Call::SchedSetaffinity,
                    Call::IoprioSet,
                ],
            )],
            unseen: "process numbers of another pid namespace than the host's; whole groups and users",
        },
    ],
    canaries: &["control"],
};

pub(super) const MEMORY: Sensor = Sensor {
    name: "memory",
    about: "memory made executable that no file of the image is behind; memfds",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[
                fexit("security_mmap_file", &["security_mmap_file"]),
                fexit("security_file_mprotect", &["security_file_mprotect"]),
                call!("exit_memfd_create", "memfd_create"),
            ],
            unseen: "anonymous memory after the first time in a program; mprotect of files of an overlay (6.6 and later)",
        },
        Rung {
            level: Level::Syscall,
            probes: &[
                calls("call_memory", &[Call::Mmap, Call::Mprotect]),
                calls("call_memfd", &[Call::MemfdCreate]),
            ],
            unseen: "what is behind memory that mprotect makes executable; anonymous memory after the first time in a \
                     program; mmap of 32-bit programs by the old call",
        },
    ],
    canaries: &["memory", "memfd"],
};
