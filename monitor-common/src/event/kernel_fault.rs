//! The kernel reported a fault of its own.

use super::record::record;

/// Values of [`KernelFault::report`].
pub mod report {
    /// The kernel followed a null pointer.
    pub const NULL_POINTER: u32 = 1;
    /// The kernel used an address where it has no page, or not for that.
    pub const PAGE_FAULT: u32 = 2;
    /// A general protection fault in kernel mode.
    pub const GENERAL_PROTECTION: u32 = 3;
    /// An invalid instruction in kernel mode.
    pub const INVALID_OPCODE: u32 = 4;
    /// `BUG()`, and the like.
    pub const BUG: u32 = 5;
    /// Any other exception in kernel mode.
    pub const OOPS: u32 = 6;
    /// A bad access that KASAN found.
    pub const KASAN: u32 = 7;
    /// A bad access that KFENCE found.
    pub const KFENCE: u32 = 8;
    /// A use of uninitialised memory that KMSAN found.
    pub const KMSAN: u32 = 9;
    /// Undefined behaviour that UBSAN found.
    pub const UBSAN: u32 = 10;
    /// `WARN()`, and the like.
    pub const WARNING: u32 = 11;

    /// Their names.
    pub const NAMES: &[(u64, &str)] = &[
        (1, "null_pointer"),
        (2, "page_fault"),
        (3, "general_protection"),
        (4, "invalid_opcode"),
        (5, "bug"),
        (6, "oops"),
        (7, "kasan"),
        (8, "kfence"),
        (9, "kmsan"),
        (10, "ubsan"),
        (11, "warning"),
    ];
}

/// `TAINT_*`, from `include/linux/panic.h`.
const TAINTS: &[(u64, &str)] = &[
    (1, "proprietary"),
    (1 << 1, "forced_module"),
    (1 << 2, "cpu_out_of_spec"),
    (1 << 3, "forced_unload"),
    (1 << 4, "machine_check"),
    (1 << 5, "bad_page"),
    (1 << 6, "user"),
    (1 << 7, "die"),
    (1 << 8, "acpi_table"),
    (1 << 9, "warn"),
    (1 << 10, "staging"),
    (1 << 11, "firmware"),
    (1 << 12, "out_of_tree"),
    (1 << 13, "unsigned"),
    (1 << 14, "soft_lockup"),
    (1 << 15, "livepatch"),
    (1 << 16, "auxiliary"),
    (1 << 17, "struct_layout"),
    (1 << 18, "test"),
];

record! {
    /// An oops, a failed assertion, a report of a sanitizer or a warning of the kernel, with the task that it was in, as the
    /// kernel's log has it: no program reports it.
    pub struct KernelFault {
        /// What was wrong with the kernel before, or is since.
        taints: u64 as Flags(TAINTS),
        /// What the kernel reported.
        report: u32 as Choice(report::NAMES),
        /// 1 if it was in an interrupt: the task was only the one that ran at that moment, or had caused it.
        interrupt: u32 as Number,
    }
    tail {
        /// The first line of the report.
        title: Bytes,
        /// The function, with offset, length and module.
        function: Bytes,
        /// Source file and line, where the kernel says so.
        place: Bytes,
        /// The name of the task, which it may have chosen.
        comm: Bytes,
    }
}
