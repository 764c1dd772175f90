//! The hooks: one file a family. Each entry function names the kernel prototype it stands on.

mod arguments;
mod call;
mod cgroup;
mod change;
mod change_call;
mod control;
mod datagram;
mod dns;
mod file;
mod flood;
mod io_uring;
mod ioctl;
mod memory;
mod module;
mod process;
mod ptrace;
mod receive;
mod security;
mod selftest;
mod sensitive;
mod signal;
mod sock_addr;
mod socket_create;
mod syscall;
mod sysctl;
mod trampoline;
