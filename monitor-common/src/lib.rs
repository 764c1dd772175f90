//! What crosses the boundary between the kernel side (`monitor-ebpf`) and the user side (`monitor`).
//!
//! Nothing else lives here: no I/O, no `String`, no serde, no allocation. Every type that the kernel side
//! writes is `repr(C)`, has no padding, and has no invalid bit pattern; the user side reads bytes through
//! [`event::EventRef`], which checks every length and every discriminant.

#![no_std]
#![forbid(unsafe_code)]

pub mod account;
pub mod call;
pub mod counters;
pub mod event;
pub mod kfunc;
pub mod network;
pub mod offsets;
pub mod policy;
pub mod twice;

/// Version of everything in this crate. The loader refuses an eBPF object that was built from another one.
pub const ABI_VERSION: u32 = 4;
