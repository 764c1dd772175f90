//! Raw system calls: results as the kernel gives them, for the calling thread only.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

/// What a system call answered.
#[derive(Clone, Copy)]
pub(crate) struct Ret {
    /// Its result, -1 for a refusal.
    pub(crate) value: i64,
    /// The reason of a refusal, else 0.
    pub(crate) errno: i32,
}

impl Ret {
    pub(crate) const OK: Self = Self { value: 0, errno: 0 };

    pub(crate) fn failed(self) -> bool {
        self.value < 0
    }

    pub(crate) fn refused(errno: i32) -> Self {
        Self { value: -1, errno }
    }
}

/// What a function of the standard library answered.
pub(crate) fn ret_of(result: std::io::Result<()>) -> Ret {
    result.map_or_else(|error| Ret::refused(error.raw_os_error().unwrap_or(libc::EIO)), |()| Ret::OK)
}

/// Performs a system call.
///
/// # Safety
/// Arguments that are pointers must be valid for what the call does with them.
pub(crate) unsafe fn call(number: libc::c_long, args: [usize; 6]) -> Ret {
    // SAFETY: as the caller promises.
    let value = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    let errno = if value < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
    Ret { value, errno }
}

/// A system call whose arguments are numbers.
pub(crate) fn plain(number: libc::c_long, args: &[usize]) -> Ret {
    let mut all = [0; 6];
    all.iter_mut().zip(args).for_each(|(slot, arg)| *slot = *arg);
    // SAFETY: only calls without pointers, or with null pointers, come here.
    unsafe { call(number, all) }
}

/// A path or name for the kernel.
pub(crate) fn c_string(word: OsString) -> CString {
    // A command line argument cannot hold a NUL.
    CString::new(word.into_vec()).unwrap_or_default()
}

/// Address of a string that outlives the call.
pub(crate) fn at(text: &CString) -> usize {
    text.as_ptr() as usize
}

/// Opens `path`; the descriptor stays open until the process ends.
pub(crate) fn open(path: &CString, flags: i32) -> Ret {
    openat(libc::AT_FDCWD, path, flags)
}

/// Opens `path` relative to a descriptor.
pub(crate) fn openat(dir: i32, path: &CString, flags: i32) -> Ret {
    // SAFETY: the string is NUL-terminated and outlives the call.
    unsafe { call(libc::SYS_openat, [dir as usize, at(path), flags as usize, 0o600, 0, 0]) }
}

/// The address of a unix socket with a path, and how many bytes of it count.
pub(crate) fn unix_address(path: &CString) -> (libc::sockaddr_un, usize) {
    // SAFETY: all zeros is an address without a path.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (slot, byte) in address.sun_path.iter_mut().zip(path.as_bytes_with_nul()) {
        *slot = *byte as libc::c_char;
    }
    (address, std::mem::offset_of!(libc::sockaddr_un, sun_path) + path.as_bytes_with_nul().len())
}

/// Waits for a child that was just made.
pub(crate) fn wait_for(child: i64) {
    // SAFETY: a null status pointer is allowed.
    unsafe { call(libc::SYS_wait4, [child as usize, 0, 0, 0, 0, 0]) };
}

/// Ends a child made by a bare clone, without the parent's exit handlers.
pub(crate) fn end_child() -> ! {
    // SAFETY: does not return and touches no memory of the parent.
    unsafe { libc::_exit(0) }
}

/// Sleeps until SIGTERM or SIGKILL. As the first process of a pid namespace, which has no default actions, it
/// needs a handler to end at SIGTERM; children that are handed to it are reaped.
pub(crate) fn wait_for_end() {
    extern "C" fn end(_: libc::c_int) {
        end_child();
    }
    let handler: extern "C" fn(libc::c_int) = end;
    // SAFETY: the handler only calls _exit, which is async-signal-safe; ignoring SIGCHLD reaps children.
    unsafe {
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    loop {
        // SAFETY: no preconditions.
        unsafe { libc::pause() };
    }
}
