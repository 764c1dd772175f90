//! The same acts by io_uring: no system call of the act's own is made, and a worker may do it.
//!
//! Numbers and layouts of `include/uapi/linux/io_uring.h`; man io_uring_setup(2), io_uring_enter(2).

use std::ffi::CString;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sys::{self, Ret, at, c_string, call, plain};
use crate::{Usage, Words};

// The numbers are the same on every architecture.
const SYS_IO_URING_SETUP: libc::c_long = 425;
const SYS_IO_URING_ENTER: libc::c_long = 426;
const ENTRIES: usize = 4;
const OFF_CQ_RING: libc::off_t = 0x0800_0000;
const OFF_SQES: libc::off_t = 0x1000_0000;
const ENTER_GETEVENTS: usize = 1;
const OP_CONNECT: u8 = 16;
const OP_OPENAT: u8 = 18;
/// Hands the entry to a worker thread at once.
const SQE_ASYNC: u8 = 1 << 4;

/// `struct io_sqring_offsets` and `struct io_cqring_offsets`, as far as they are alike.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    /// Of the submission ring: flags. Of the completion ring: overflow.
    fourth: u32,
    /// Of the submission ring: dropped. Of the completion ring: the entries.
    fifth: u32,
    /// Of the submission ring: the array. Of the completion ring: flags.
    sixth: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq_off: Offsets,
    cq_off: Offsets,
}

/// `struct io_uring_sqe`, as far as these operations use it.
#[repr(C)]
#[derive(Default)]
struct Entry {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    /// A second address, or the length of the first.
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

/// `struct io_uring_cqe`.
#[repr(C)]
struct Done {
    user_data: u64,
    res: i32,
    flags: u32,
}

/// A mapped part of a ring; unmapped when the process ends.
fn map(ring: i64, length: usize, offset: libc::off_t) -> *mut u8 {
    // SAFETY: a new mapping at no address in particular takes no memory away.
    unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            ring as i32,
            offset,
        )
        .cast()
    }
}

/// Has the kernel do one entry, and waits for its end.
fn submit(entry: Entry) -> Ret {
    let mut params = Params::default();
    let params_at = std::ptr::from_mut(&mut params) as usize;
    // SAFETY: the struct is as large as the kernel's and outlives the call.
    let ring = unsafe { call(SYS_IO_URING_SETUP, [ENTRIES, params_at, 0, 0, 0, 0]) };
    if ring.failed() {
        return ring;
    }
    let entries = params.sq_entries as usize;
    let sq_len = params.sq_off.sixth as usize + entries * size_of::<u32>();
    let cq_len = params.cq_off.fifth as usize + params.cq_entries as usize * size_of::<Done>();
    let sq = map(ring.value, sq_len, 0);
    let cq = map(ring.value, cq_len, OFF_CQ_RING);
    let sqes = map(ring.value, entries * size_of::<Entry>(), OFF_SQES);
    if [sq, cq, sqes].iter().any(|place| place.cast() == libc::MAP_FAILED) {
        return Ret::refused(libc::ENOMEM);
    }
    // SAFETY: the ring is new, so its first place is free; offsets and lengths are the kernel's own, and nobody
    // else in this process knows the ring.
    unsafe {
        sqes.cast::<Entry>().write(entry);
        sq.add(params.sq_off.sixth as usize).cast::<u32>().write(0);
        (*sq.add(params.sq_off.tail as usize).cast::<AtomicU32>()).store(1, Ordering::Release);
    }
    let entered = plain(SYS_IO_URING_ENTER, &[ring.value as usize, 1, 1, ENTER_GETEVENTS]);
    if entered.failed() {
        return entered;
    }
    // SAFETY: as above; the kernel has moved the tail past the one entry that it completed.
    let res = unsafe {
        let done = cq.add(params.cq_off.fifth as usize + offset_of!(Done, res));
        (*done.cast::<AtomicU32>()).load(Ordering::Acquire) as i32
    };
    if res < 0 { Ret::refused(-res) } else { Ret { value: i64::from(res), errno: 0 } }
}

fn open(path: &CString, flags: u8) -> Ret {
    submit(Entry {
        opcode: OP_OPENAT,
        flags,
        fd: libc::AT_FDCWD,
        addr: at(path) as u64,
        op_flags: (libc::O_RDONLY | libc::O_CLOEXEC) as u32,
        ..Entry::default()
    })
}

fn connect_unix(path: &CString) -> Ret {
    let socket = plain(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0]);
    if socket.failed() {
        return socket;
    }
    let (address, length) = sys::unix_address(path);
    let addr = std::ptr::from_ref(&address) as u64;
    submit(Entry {
        opcode: OP_CONNECT,
        fd: socket.value as i32,
        off: length as u64,
        addr,
        ..Entry::default()
    })
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "uring-open" => open(&c_string(words.word("path")?), 0),
        "uring-open-by-worker" => open(&c_string(words.word("path")?), SQE_ASYNC),
        "uring-connect-unix" => connect_unix(&c_string(words.word("path")?)),
        _ => return Ok(None),
    }))
}
