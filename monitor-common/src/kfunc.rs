//! Calls that the loader puts into the eBPF object: the object names no kernel function, because older kernels,
//! which have none of them, must load it too. Each stands for one by the number of a helper that no kernel has.

/// Stands for `bpf_preempt_disable()` (kernel `kernel/bpf/helpers.c`).
pub const DISABLE: u32 = 0x6b1c_0d01;
/// Stands for `bpf_preempt_enable()`.
pub const ENABLE: u32 = 0x6b1c_0d02;
/// Stands for `bpf_preempt_disable()` in a program of a tracepoint, which few kernels let be preempted.
pub const DISABLE_AT_TRACEPOINT: u32 = 0x6b1c_0d04;
/// Stands for `bpf_preempt_enable()` there.
pub const ENABLE_AT_TRACEPOINT: u32 = 0x6b1c_0d05;
/// Stands for `bpf_rdonly_cast()` (the same file): takes an address and a type, and gives the address.
pub const CAST: u32 = 0x6b1c_0d03;
