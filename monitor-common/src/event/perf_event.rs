//! A performance counter, sampling or tracing event was opened.

use super::record::record;

/// `enum perf_type_id`, from `include/uapi/linux/perf_event.h`; larger numbers are those of dynamic units, such as
/// kprobe and uprobe.
const TYPES: &[(u64, &str)] =
    &[(0, "hardware"), (1, "software"), (2, "tracepoint"), (3, "hw_cache"), (4, "raw"), (5, "breakpoint")];

/// Bits of the 64-bit word after `read_format` of `struct perf_event_attr`.
const ATTRIBUTES: &[(u64, &str)] = &[
    (1, "disabled"),
    (1 << 1, "inherit"),
    (1 << 2, "pinned"),
    (1 << 3, "exclusive"),
    (1 << 4, "exclude_user"),
    (1 << 5, "exclude_kernel"),
    (1 << 6, "exclude_hv"),
    (1 << 7, "exclude_idle"),
    (1 << 8, "mmap"),
    (1 << 9, "comm"),
    (1 << 10, "freq"),
    (1 << 11, "inherit_stat"),
    (1 << 12, "enable_on_exec"),
    (1 << 13, "task"),
    (1 << 14, "watermark"),
    (1 << 18, "sample_id_all"),
    (1 << 19, "exclude_host"),
    (1 << 20, "exclude_guest"),
    (1 << 21, "exclude_callchain_kernel"),
    (1 << 22, "exclude_callchain_user"),
    (1 << 25, "use_clockid"),
    (1 << 29, "ksymbol"),
    (1 << 30, "bpf_event"),
    (1 << 32, "cgroup"),
    (1 << 33, "text_poke"),
];

record! {
    /// `perf_event_open(2)` (kernel `kernel/events/core.c`).
    pub struct PerfEvent {
        /// Which event of its type.
        config: u64 as Hex,
        /// Bits of the attributes.
        attributes: u64 as Flags(ATTRIBUTES),
        /// Type of event.
        event_type: u32 as Choice(TYPES),
        /// Process asked for, in the caller's pid namespace: 0 is the caller, -1 every process.
        pid: i32 as Number,
        /// CPU asked for, -1 for any.
        cpu: i32 as Number,
        /// Result of the call.
        ret: i32 as Return,
        /// Flags of the call (`PERF_FLAG_*`).
        flags: u32 as Hex,
        /// 1 if type, config and attributes were read from the kernel's event, 0 if from user memory after a refusal.
        object: u32 as Number,
        /// 1 if `ret` is the result of the call, 0 if it is only the verdict of the security modules.
        is_final: u32 as Number,
        /// Unused, 0.
        reserved: u32 as Number,
    }
    tail {
        /// Name of the kernel's unit that counts: `cpu`, `software`, `tracepoint`, `kprobe` and others.
        unit: Bytes,
    }
}
