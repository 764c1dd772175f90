//! Ways to an object that hide which one it is: links, descriptors of others, strings that change.

use std::ffi::CString;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::sys::{self, Ret, at, c_string, call, plain, ret_of};
use crate::{Usage, Words};

/// A descriptor that a process outside passes on.
fn receive(socket: &CString) -> io::Result<OwnedFd> {
    let stream = UnixStream::connect(socket.to_string_lossy().as_ref())?;
    let mut byte = [0_u8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    received.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Opens what `slot` says, which blocks as it is a FIFO; when it does, `slot` says `after`, and the FIFO is opened at
/// its other end by a path of the container's own.
fn open_raced(slot: &CString, after: &CString, other_end: &CString) -> Ret {
    let room = slot.as_bytes_with_nul().len().max(after.as_bytes_with_nul().len());
    let page: Vec<AtomicU32> = (0..room.div_ceil(4)).map(|_| AtomicU32::new(0)).collect();
    write(&page, slot.as_bytes_with_nul());
    let thread_id = AtomicU32::new(0);
    thread::scope(|scope| {
        let opener = scope.spawn(|| {
            thread_id.store(plain(libc::SYS_gettid, &[]).value as u32, Ordering::Release);
            let path = page.as_ptr() as usize;
            // SAFETY: the string ends with a NUL whatever it says, and outlives the call.
            unsafe {
                call(libc::SYS_openat, [libc::AT_FDCWD as usize, path, libc::O_RDONLY as usize, 0, 0, 0])
            }
        });
        while !is_asleep(thread_id.load(Ordering::Acquire)) {
            thread::yield_now();
        }
        write(&page, after.as_bytes_with_nul());
        let end = sys::open(other_end, libc::O_WRONLY | libc::O_NONBLOCK);
        if end.failed() {
            // Nobody would ever open the other end.
            sys::end_child();
        }
        opener.join().unwrap_or_else(|_| Ret::refused(libc::EIO))
    })
}

/// Bytes into words that the kernel reads while they change; whatever is beyond becomes NUL.
fn write(page: &[AtomicU32], text: &[u8]) {
    for (slot, bytes) in page.iter().zip(text.chunks(4).map(Some).chain(std::iter::repeat(None))) {
        let mut word = [0; 4];
        if let Some(bytes) = bytes {
            word[..bytes.len()].copy_from_slice(bytes);
        }
        slot.store(u32::from_ne_bytes(word), Ordering::Release);
    }
}

/// True if this thread of the process waits in the kernel.
fn is_asleep(thread: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// Mounts proc `times` times on `target`, while another thread has the name of its kind say `ramfs` half of the time;
/// what became a ramfs does not count.
fn mount_raced(target: &CString, times: u32) -> Ret {
    const MAGIC: libc::c_long = 0x9fa0;
    let (yes, no) = (u64::from_ne_bytes(*b"proc\0\0\0\0"), u64::from_ne_bytes(*b"ramfs\0\0\0"));
    let (name, stop) = (AtomicU64::new(yes), AtomicBool::new(false));
    // SAFETY: the string outlives the call. A folder that is there already is as good.
    unsafe { call(libc::SYS_mkdirat, [libc::AT_FDCWD as usize, at(target), 0o755, 0, 0, 0]) };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                name.store(no, Ordering::Relaxed);
                name.store(yes, Ordering::Relaxed);
            }
        });
        let mut done = 0;
        let ret = loop {
            let kind = std::ptr::from_ref(&name) as usize;
            // SAFETY: the name ends with a NUL whatever it says, and all strings outlive the call.
            let ret =
                unsafe { call(libc::SYS_mount, [c"none".as_ptr() as usize, at(target), kind, 0, 0, 0]) };
            // The kernel measures the name before it copies it, so that it may get the beginning of the other one.
            if ret.errno == libc::ENODEV {
                continue;
            }
            if ret.failed() {
                break ret;
            }
            // SAFETY: all zeros are a valid value of this struct of numbers.
            let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
            // SAFETY: the struct is the C library's own, and string and struct outlive the call.
            unsafe { libc::statfs(target.as_ptr(), &raw mut facts) };
            done += u32::from(facts.f_type == MAGIC);
            if done == times {
                break ret;
            }
        };
        stop.store(true, Ordering::Relaxed);
        ret
    })
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "symlink" => {
            let (target, link) = (words.word("target")?, words.word("link")?);
            ret_of(std::os::unix::fs::symlink(target, link))
        }
        "hard-link" => {
            let (target, link) = (words.word("target")?, words.word("link")?);
            ret_of(std::fs::hard_link(target, link))
        }
        "remove" => ret_of(std::fs::remove_file(words.word("path")?)),
        "receive-then-open" => {
            let (socket, path) = (c_string(words.word("socket")?), c_string(words.word("path")?));
            match receive(&socket) {
                Ok(dir) => sys::openat(dir.as_raw_fd(), &path, libc::O_RDONLY | libc::O_CLOEXEC),
                Err(error) => ret_of(Err(error)),
            }
        }
        "fchdir-then-open" => {
            let (dir, path) = (c_string(words.word("directory")?), c_string(words.word("path")?));
            let fd = sys::open(&dir, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC);
            let moved = if fd.failed() { fd } else { plain(libc::SYS_fchdir, &[fd.value as usize]) };
            if moved.failed() { moved } else { sys::open(&path, libc::O_RDONLY | libc::O_CLOEXEC) }
        }
        "reopen" => {
            let path = c_string(words.word("path")?);
            let fd = sys::open(&path, libc::O_PATH | libc::O_CLOEXEC);
            let again = c_string(format!("/proc/self/fd/{}", fd.value).into());
            if fd.failed() { fd } else { sys::open(&again, libc::O_RDONLY | libc::O_CLOEXEC) }
        }
        "open-to-write" => sys::open(&c_string(words.word("path")?), libc::O_WRONLY | libc::O_CLOEXEC),
        "open-raced" => {
            let (path, after) = (c_string(words.word("path")?), c_string(words.word("later path")?));
            open_raced(&path, &after, &c_string(words.word("other end")?))
        }
        "mount-proc-raced" => {
            let target = c_string(words.word("directory")?);
            mount_raced(&target, words.number("times")?)
        }
        _ => return Ok(None),
    }))
}
