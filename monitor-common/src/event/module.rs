//! A kernel module was loaded, removed, or asked for.

use super::record::record;

/// Values of [`Module::op`].
pub mod op {
    /// A module's code is in the kernel and about to run.
    pub const LOAD: u32 = 1;
    /// A module was removed.
    pub const FREE: u32 = 2;
    /// The kernel asks for a module because a task used what it would bring.
    pub const REQUEST: u32 = 3;
}

/// `TAINT_*`, from `include/linux/panic.h`: those that a module brings.
const TAINTS: &[(u64, &str)] = &[
    (1, "proprietary"),
    (1 << 1, "forced"),
    (1 << 10, "staging"),
    (1 << 12, "out_of_tree"),
    (1 << 13, "unsigned"),
    (1 << 15, "livepatch"),
    (1 << 18, "test"),
];

record! {
    /// The kernel's own view of modules: tracepoints `module_load`, `module_free`, `module_request` (kernel
    /// `kernel/module/main.c`, `kernel/module/kmod.c`).
    pub struct Module {
        /// What the module taints the kernel with; 0 for a request.
        taints: u64 as Flags(TAINTS),
        /// What happened.
        op: u32 as Choice(&[(1, "load"), (2, "free"), (3, "request")]),
        /// For a request, 1 if the task waits for it.
        waits: u32 as Number,
    }
    tail {
        /// The module's name, or for a request the alias that is asked for.
        name: Bytes,
    }
}
