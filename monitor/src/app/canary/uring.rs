//! The canary's io_uring: a ring, and one operation that fails on its folder.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// `struct io_uring_params` (kernel `include/uapi/linux/io_uring.h`) as 32-bit words, and where in it are the
/// offsets of the submission queue's tail and array.
const PARAMS_WORDS: usize = 30;
const TAIL: usize = 11;
const ARRAY: usize = 16;
/// Bytes of `struct io_uring_sqe`.
const SQE: usize = 64;
/// `IORING_OFF_SQES`.
const OFF_SQES: libc::off_t = 0x1000_0000;
/// `IORING_OP_OPENAT`.
const OPENAT: u8 = 18;

/// True if this process may make a ring: the kernel has io_uring, and neither `kernel.io_uring_disabled` nor a
/// seccomp filter forbids it.
#[expect(unsafe_code, reason = "no safe wrapper passes wrong arguments")]
pub(super) fn is_allowed() -> bool {
    // SAFETY: a ring without entries and without parameters is refused, whoever asks.
    unsafe { libc::syscall(libc::SYS_io_uring_setup, 0, std::ptr::null::<u8>()) };
    !matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
}

/// Makes a ring and submits an open below a descriptor that does not exist. The path is read as the operation is
/// taken in, and one that cannot be read would keep it from being submitted at all.
#[expect(unsafe_code, reason = "io_uring has no safe wrapper here")]
pub(super) fn act() {
    let mut params = [0_u32; PARAMS_WORDS];
    // SAFETY: the kernel writes within the structure, which is as long as it must be.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    let Ok(fd) = i32::try_from(fd) else { return };
    if fd < 0 {
        return;
    }
    // SAFETY: the kernel has just made it for us alone.
    let ring = unsafe { OwnedFd::from_raw_fd(fd) };
    let (tail, array) = (params[TAIL] as usize, params[ARRAY] as usize);
    let Some(queue) = map(&ring, array + size_of::<u32>(), 0) else { return };
    let Some(entries) = map(&ring, SQE, OFF_SQES) else { return };
    // SAFETY: the offsets that the kernel gave lie within the queue, which was mapped up to the end of the array;
    // the entry is 64 bytes of zeros. Both are ours alone until the tail is moved. The path is static.
    unsafe {
        entries.write(OPENAT);
        entries.add(4).cast::<i32>().write(-1);
        entries.add(16).cast::<u64>().write(c".".as_ptr() as u64);
        queue.add(array).cast::<u32>().write(0);
        (*queue.add(tail).cast::<AtomicU32>()).store(1, Ordering::Release);
        libc::syscall(libc::SYS_io_uring_enter, ring.as_raw_fd(), 1, 1, 1, std::ptr::null::<u8>(), 0);
    }
}

/// Maps a part of the ring; the process ends soon, and the mapping with it.
#[expect(unsafe_code, reason = "memory that the kernel shares")]
fn map(ring: &OwnedFd, len: usize, at: libc::off_t) -> Option<*mut u8> {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping, wherever the kernel likes.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, ring.as_raw_fd(), at) };
    (place != libc::MAP_FAILED).then_some(place.cast())
}
