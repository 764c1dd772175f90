//! The start-up canary: a process of the daemon's own that does one harmless act for each sensor. What it does
//! must come back through the rings before the daemon says that it is ready.

mod network;
mod uring;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use monitor_common::policy::{KEY_CANARY, TaskEntry, task_flags};
use rustix::net::{AddressFamily, SocketType, socket};

use super::canary_files;
use crate::bpf::Control;
use crate::diag::{Code, Diagnostic, Exit};

/// The hidden verb that makes this program the canary.
pub const VERB: &str = "canary";

/// True if this host lets the canary of this name do its act: what is switched off cannot come back.
pub(super) fn is_possible(name: &str) -> bool {
    match name.split('.').next() {
        Some("io_uring" | "io_uring_op") => uring::is_allowed(),
        // Without a helper the kernel asks nobody.
        Some("module") => fs::read("/proc/sys/kernel/modprobe").is_ok_and(|path| path.trim_ascii() != b""),
        Some("dns") => network::has_resolver(),
        _ => true,
    }
}

/// Starts the canary and lets it act once the kernel side knows it.
///
/// # Errors
/// [`Code::NoResources`] if it cannot be started.
pub(super) fn start(control: &mut Control, cgroups: &Path) -> Result<Child, Diagnostic> {
    let failed = |e: &dyn std::fmt::Display| Diagnostic::new(Code::NoResources).note(format!("canary: {e}"));
    let mut child = Command::new("/proc/self/exe")
        .arg(VERB)
        .arg(cgroups)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(&e))?;
    let entry = TaskEntry { container: KEY_CANARY, flags: task_flags::CREDS, ..TaskEntry::default() };
    control.add_task(child.id(), entry).map_err(|e| failed(&e))?;
    if let Some(mut go) = child.stdin.take() {
        go.write_all(b"go").map_err(|e| failed(&e))?;
    }
    Ok(child)
}

/// What the canary process does: every act fails harmlessly, or changes nothing.
pub fn act(cgroups: &Path) -> Exit {
    // The daemon closes the pipe when the kernel side knows this process.
    let mut go = Vec::new();
    if std::io::stdin().read_to_end(&mut go).is_err() || go != b"go" {
        return Exit::CannotStart;
    }
    process();
    failed_exec();
    cgroup(cgroups);
    calls();
    others();
    memory();
    splice();
    kernel_calls();
    modules();
    uring::act();
    network::act();
    // Another process of the host.
    let _ = fs::read_link(format!(
        "/proc/{}/exe",
        rustix::process::getppid().map_or(1, |p| p.as_raw_nonzero().get())
    ));
    canary_files::act(cgroups);
    Exit::Ok
}

/// fork, exec of a program that would read from a socket, exit.
fn process() {
    let input =
        socket(AddressFamily::INET, SocketType::DGRAM, None).map_or_else(|_| Stdio::null(), Stdio::from);
    let _ = Command::new("/proc/self/exe").arg("--version").stdin(input).stdout(Stdio::null()).status();
}

/// An exec of what is no program.
#[expect(unsafe_code, reason = "the library's function never comes back")]
fn failed_exec() {
    let none = std::ptr::null::<*const libc::c_char>();
    // SAFETY: the name outlives the call, which fails; no arguments are given.
    unsafe { libc::execve(c"/dev/null".as_ptr(), none, none) };
}

/// mkdir and rmdir of a cgroup.
fn cgroup(cgroups: &Path) {
    let path = cgroups.join(format!("bulkhead-canary-{}", std::process::id()));
    let _ = fs::create_dir(&path);
    let _ = fs::remove_dir(&path);
}

#[expect(unsafe_code, reason = "calls with arguments that no safe wrapper lets through")]
fn calls() {
    // SAFETY: every call either fails on its arguments before it does anything, or changes nothing: the uid is
    // set to what it is, `unshare` is asked for nothing.
    unsafe {
        libc::mount(std::ptr::null(), std::ptr::null(), std::ptr::null(), 0, std::ptr::null());
        libc::umount2(c"".as_ptr(), 0);
        libc::chroot(c"".as_ptr());
        libc::syscall(libc::SYS_fsopen, std::ptr::null::<u8>(), 0);
        libc::syscall(libc::SYS_move_mount, -1, c"".as_ptr(), -1, c"".as_ptr(), 0);
        libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, std::ptr::null::<u8>(), 0);
        libc::syscall(libc::SYS_setuid, libc::getuid());
        libc::syscall(libc::SYS_capset, std::ptr::null::<u8>(), std::ptr::null::<u8>());
        libc::setns(-1, 0);
        libc::unshare(0);
    }
}

/// Acts on the daemon, which is outside: a pidfd of it, a signal that it ignores, the priority that it has.
#[expect(unsafe_code, reason = "calls that no safe wrapper offers")]
fn others() {
    let daemon = rustix::process::getppid().map_or(1, |p| p.as_raw_nonzero().get());
    // SAFETY: no call takes a pointer; the priority is set to what it is.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, daemon, 0);
        libc::kill(daemon, libc::SIGURG);
        let priority = libc::getpriority(libc::PRIO_PROCESS, daemon.cast_unsigned());
        libc::setpriority(libc::PRIO_PROCESS, daemon.cast_unsigned(), priority);
        libc::close(libc::c_int::try_from(fd).unwrap_or(-1));
    }
}

/// A page that is writable and executable, for a moment; a memfd.
#[expect(unsafe_code, reason = "calls that no safe wrapper offers")]
fn memory() {
    const PAGE: usize = 4096;
    // SAFETY: the page is new and nobody's; the name is a string that outlives the call.
    unsafe {
        let page = libc::mmap(
            std::ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page != libc::MAP_FAILED {
            libc::munmap(page, PAGE);
        }
        let fd = libc::memfd_create(c"bulkhead-canary".as_ptr(), libc::MFD_CLOEXEC);
        libc::close(fd);
    }
}

/// Pages of this program into a pipe, by either call.
#[expect(unsafe_code, reason = "no safe wrapper")]
fn splice() {
    let (Ok(own), Ok((_read, write))) = (fs::File::open("/proc/self/exe"), std::io::pipe()) else { return };
    let (own, write) = (own.as_raw_fd(), write.as_raw_fd());
    let none = std::ptr::null_mut();
    // SAFETY: descriptors and numbers only; a pipe holds more than two bytes.
    unsafe {
        libc::splice(own, none, write, none, 1, 0);
        libc::sendfile(write, own, none, 1);
    }
}

#[expect(unsafe_code, reason = "calls with arguments that no safe wrapper lets through")]
fn kernel_calls() {
    // `struct perf_event_attr` of `PERF_ATTR_SIZE_VER0` bytes (kernel `include/uapi/linux/perf_event.h`), whose second
    // word is that size: kernels that cannot copy it do not come as far as the security hook.
    const SIZE: u32 = 64;
    let attributes: [u32; SIZE as usize / 4] = std::array::from_fn(|word| if word == 1 { SIZE } else { 0 });
    let nothing = std::ptr::null::<u8>();
    // SAFETY: every call fails on its arguments: an unknown action, a length below zero, an address that is not
    // mapped, a command that does not exist, an event of no process on no CPU.
    unsafe {
        libc::syscall(libc::SYS_syslog, -1, nothing, 0);
        libc::syscall(libc::SYS_sethostname, nothing, -1);
        libc::syscall(libc::SYS_settimeofday, 1, nothing);
        libc::syscall(libc::SYS_bpf, -1, nothing, 0);
        libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), -1, -1, -1, 0);
    }
}

/// Asks for a protocol family that no kernel has had for long: the kernel looks for a module that brings it, and
/// there is none.
#[expect(unsafe_code, reason = "no safe wrapper knows the family")]
fn modules() {
    const AF_NETBEUI: libc::c_int = 13;
    // SAFETY: numbers only; the call fails.
    unsafe { libc::socket(AF_NETBEUI, libc::SOCK_DGRAM, 0) };
}
