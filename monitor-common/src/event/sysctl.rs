//! A kernel setting was written.

use super::record::record;

record! {
    /// A write to `/proc/sys`, by whatever path, before the kernel takes it (kernel `fs/proc/proc_sysctl.c`,
    /// `kernel/bpf/cgroup.c`).
    pub struct Sysctl {
        /// 1 for a write.
        write: u32 as Number,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// Name of the setting with slashes, such as `kernel/core_pattern`.
        name: Bytes,
        /// What is to be written.
        value: Bytes,
    }
}
