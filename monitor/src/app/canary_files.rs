//! What the canary does to files: on a file system of its own, in a mount namespace of its own, which both end with
//! the process.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Does one harmless act for each sensor of files. `somewhere` is a directory to mount on.
pub(super) fn act(somewhere: &Path) {
    // A file of the host, and a setting, are read.
    let _ = fs::File::open("/dev/null");
    let _ = fs::read("/proc/sys/kernel/pid_max");
    calls();
    if private_tmpfs(somewhere) {
        tree(somewhere);
    }
}

#[expect(unsafe_code, reason = "calls with arguments that no safe wrapper lets through")]
fn calls() {
    // SAFETY: every call fails on its descriptor or on its pointer before it does anything.
    unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, -1, std::ptr::null::<u8>(), 0);
        libc::syscall(libc::SYS_fanotify_mark, -1, 0, 0, -1, std::ptr::null::<u8>());
    }
    if let Ok(null) = fs::File::open("/dev/null") {
        use std::os::fd::AsRawFd as _;
        // SAFETY: the null device knows no such control call.
        unsafe { libc::ioctl(null.as_raw_fd(), libc::TIOCSTI, std::ptr::null::<u8>()) };
    }
}

/// Mounts a tmpfs where only this process sees it.
#[expect(unsafe_code, reason = "no safe wrapper")]
fn private_tmpfs(at: &Path) -> bool {
    let Ok(at) = CString::new(at.as_os_str().as_bytes()) else { return false };
    let none = std::ptr::null();
    // SAFETY: every string is NUL-terminated and outlives the calls; no data is passed. Nothing is mounted unless
    // the mounts of this process have become its own.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
            && libc::mount(c"none".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, none.cast()) == 0
    }
}

/// Every change of a file tree that is watched.
fn tree(root: &Path) {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let (first, second) = (root.join("first"), root.join("second"));
    let _ = fs::write(&first, "canary");
    let _ = fs::set_permissions(&first, fs::Permissions::from_mode(0o600));
    let _ = chown(&first, None, None);
    truncate(&first);
    set_attribute(&first);
    let _ = fs::hard_link(&first, &second);
    let _ = fs::rename(&second, root.join("third"));
    let _ = symlink("first", &second);
    let _ = fs::remove_file(&first);
    make_node(&first);
}

#[expect(unsafe_code, reason = "no safe wrapper")]
fn truncate(path: &Path) {
    if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
        // SAFETY: the string is NUL-terminated and outlives the call.
        unsafe { libc::truncate(path.as_ptr(), 0) };
    }
}

#[expect(unsafe_code, reason = "no safe wrapper")]
fn set_attribute(path: &Path) {
    if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
        // SAFETY: strings are NUL-terminated and outlive the call; no bytes of the value are read.
        unsafe { libc::setxattr(path.as_ptr(), c"trusted.canary".as_ptr(), std::ptr::null(), 0, 0) };
    }
}

/// A node of device 0:0, which stands for no device.
#[expect(unsafe_code, reason = "no safe wrapper")]
fn make_node(path: &Path) {
    if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
        // SAFETY: the string is NUL-terminated and outlives the call.
        unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, 0) };
    }
}
