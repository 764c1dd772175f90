//! The sensors of the kernel's own attack surface.

use monitor_common::call::Call;

use super::{Level, RACED, Rung, SECCOMP, Sensor, calls, fexit, optional, tp};

pub(super) const MODULE: Sensor = Sensor {
    name: "module",
    about: "kernel modules loaded, removed, asked for",
    required: false,
    rungs: &[Rung {
        level: Level::Event,
        probes: &[
            tp("module_request", "module_request"),
            tp("module_load", "module_load"),
            tp("module_free", "module_free"),
        ],
        unseen: "what the kernel's helper does with a request",
    }],
    canaries: &["module.request"],
};

pub(super) const SENSITIVE_CALL: Sensor = Sensor {
    name: "sensitive_call",
    about: "calls about modules, kexec, reboot, ports, clocks, the log, keys, quotas, swap, accounting, host names, \
            fanotify, userfaultfd, io_uring set-up",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            // Each may be left out of a kernel's configuration.
            probes: &[
                optional(call!("exit_init_module", "init_module")),
                optional(call!("exit_finit_module", "finit_module")),
                optional(call!("exit_delete_module", "delete_module")),
                optional(call!("exit_kexec_load", "kexec_load")),
                optional(call!("exit_kexec_file_load", "kexec_file_load")),
                optional(call!("exit_reboot", "reboot")),
                optional(call!("exit_iopl", "iopl")),
                optional(call!("exit_ioperm", "ioperm")),
                optional(call!("exit_modify_ldt", "modify_ldt")),
                optional(call!("exit_syslog", "syslog")),
                optional(call!("exit_settimeofday", "settimeofday")),
                optional(call!("exit_clock_settime", "clock_settime")),
                optional(call!("exit_clock_adjtime", "clock_adjtime")),
                optional(call!("exit_adjtimex", "adjtimex")),
                optional(call!("exit_quotactl", "quotactl")),
                optional(call!("exit_quotactl_fd", "quotactl_fd")),
                optional(call!("exit_swapon", "swapon")),
                optional(call!("exit_swapoff", "swapoff")),
                optional(call!("exit_acct", "acct")),
                optional(call!("exit_sethostname", "sethostname")),
                optional(call!("exit_setdomainname", "setdomainname")),
                optional(call!("exit_fanotify_init", "fanotify_init")),
                optional(call!("exit_keyctl", "keyctl")),
                optional(call!("exit_add_key", "add_key")),
                optional(call!("exit_request_key", "request_key")),
                optional(call!("exit_userfaultfd", "userfaultfd")),
                optional(call!("exit_io_uring_setup", "io_uring_setup")),
            ],
            unseen: SECCOMP,
        },
        Rung { level: Level::Syscall, probes: &[calls("call_sensitive", RARE)], unseen: RACED },
    ],
    canaries: &["sensitive_call.syslog", "sensitive_call.sethostname", "sensitive_call.settimeofday"],
};

/// The calls of [`SENSITIVE_CALL`].
const RARE: &[Call] = &[
    Call::InitModule,
    Call::FinitModule,
    Call::DeleteModule,
    Call::KexecLoad,
    Call::KexecFileLoad,
    Call::Reboot,
    Call::Iopl,
    Call::Ioperm,
    Call::ModifyLdt,
    Call::Vm86,
    Call::Syslog,
    Call::Settimeofday,
    Call::ClockSettime,
    Call::ClockAdjtime,
    Call::Adjtimex,
    Call::Stime,
    Call::Quotactl,
    Call::QuotactlFd,
    Call::Swapon,
    Call::Swapoff,
    Call::Acct,
    Call::Sethostname,
    Call::Setdomainname,
    Call::FanotifyInit,
    Call::Keyctl,
    Call::AddKey,
    Call::RequestKey,
    Call::Userfaultfd,
    Call::IoUringSetup,
];

pub(super) const BPF: Sensor = Sensor {
    name: "bpf",
    about: "bpf(2): programs, maps and links made, attached, and got by their ids",
    required: false,
    rungs: &[
        Rung { level: Level::Trampoline, probes: &[call!("exit_bpf", "bpf")], unseen: SECCOMP },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_bpf", &[Call::Bpf])],
            unseen: "reads and writes of map elements",
        },
    ],
    canaries: &["bpf"],
};

pub(super) const PERF_EVENT: Sensor = Sensor {
    name: "perf_event",
    about: "perf_event_open(2)",
    required: false,
    rungs: &[
        Rung {
            level: Level::Trampoline,
            probes: &[call!("exit_perf_event_open", "perf_event_open")],
            unseen: SECCOMP,
        },
        // Kernels whose events/core.c is built without function tracing.
        Rung {
            level: Level::Trampoline,
            probes: &[fexit("security_perf_event_open", &["security_perf_event_open"])],
            unseen: "process and CPU that were asked for, and the result of the call; calls that seccomp refuses",
        },
        Rung {
            level: Level::Syscall,
            probes: &[calls("call_perf", &[Call::PerfEventOpen])],
            unseen: "nothing known",
        },
    ],
    canaries: &["perf_event"],
};

/// One of the prototypes that the tracepoint of submissions had. The program that may be refused is the first, so
/// that nothing is attached when it is.
macro_rules! submissions {
    ($program:literal, $tracepoint:literal) => {
        Rung {
            level: Level::Event,
            probes: &[tp($program, $tracepoint), tp("uring_create", "io_uring_create")],
            unseen: "what becomes of an operation; before 6.0, the descriptor that it works on",
        }
    };
}

pub(super) const IO_URING: Sensor = Sensor {
    name: "io_uring",
    about: "io_uring: rings made, operations that open, connect, send or command",
    required: false,
    rungs: &[
        submissions!("uring_submit_req", "io_uring_submit_req"),
        submissions!("uring_submit_sqe7", "io_uring_submit_sqe"),
        submissions!("uring_submit_sqe5", "io_uring_submit_sqe"),
        submissions!("uring_submit_sqe2", "io_uring_submit_sqe"),
    ],
    canaries: &["io_uring", "io_uring_op.openat"],
};

/// The one sensor that is no program; `app/kmsg.rs` reads the log.
pub const KERNEL_LOG: Sensor = Sensor {
    name: "kernel_log",
    about: "oopses and warnings of the kernel, with the task that they were in",
    required: false,
    rungs: &[Rung {
        level: Level::Log,
        probes: &[],
        unseen: "faults of which the kernel does not live to tell, what it tells while nobody reads its log, and what it tells \
                 in other words",
    }],
    canaries: &[],
};
