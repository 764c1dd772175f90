//! The hooks: one file a family. Each entry function names the kernel prototype it stands on.

mod call;
mod cgroup;
mod file;
mod process;
mod ptrace;
mod security;
mod selftest;
mod syscall;
mod trampoline;
