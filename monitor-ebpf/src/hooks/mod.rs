//! The hooks: one file a family. Each entry function names the kernel prototype it stands on.

mod call;
mod cgroup;
mod control;
mod file;
mod memory;
mod process;
mod ptrace;
mod security;
mod selftest;
mod signal;
mod syscall;
mod trampoline;
