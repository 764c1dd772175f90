//! Acts on other tasks, and on memory.

use std::ffi::CString;

use crate::sys::{self, Ret, c_string, call, plain};
use crate::{Usage, Words};

const PAGE: usize = 4096;

/// A new anonymous page.
fn page(protection: i32) -> Ret {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    plain(libc::SYS_mmap, &[0, PAGE, protection as usize, flags as usize, usize::MAX, 0])
}

/// The page's address is no result that anybody compares.
fn told(ret: Ret) -> Ret {
    if ret.failed() { ret } else { Ret::OK }
}

/// A page that is written first and executable then.
fn write_then_execute() -> Ret {
    let page = page(libc::PROT_READ | libc::PROT_WRITE);
    if page.failed() { page } else { execute(page) }
}

/// Maps a page of a file.
fn map_file(path: &CString, protection: i32) -> Ret {
    let file = sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
    if file.failed() {
        return file;
    }
    let (flags, file) = (libc::MAP_PRIVATE as usize, file.value as usize);
    plain(libc::SYS_mmap, &[0, PAGE, protection as usize, flags, file, 0])
}

/// Maps a file to be read, and makes it executable then.
fn map_file_then_execute(path: &CString) -> Ret {
    let page = map_file(path, libc::PROT_READ);
    if page.failed() { page } else { execute(page) }
}

/// Makes a page executable.
fn execute(page: Ret) -> Ret {
    let protection = (libc::PROT_READ | libc::PROT_EXEC) as usize;
    plain(libc::SYS_mprotect, &[page.value as usize, PAGE, protection])
}

/// Reads a byte at address 0 of a process: nothing is there, but the access has been allowed before that is found.
fn read_memory(pid: u32) -> Ret {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 };
    let (local, remote) = ((&raw const local) as usize, (&raw const remote) as usize);
    // SAFETY: both vectors and the byte outlive the call.
    unsafe { call(libc::SYS_process_vm_readv, [pid as usize, local, 1, remote, 1, 0]) }
}

/// Takes a descriptor of a process.
fn take_descriptor(pid: u32, wanted: u32) -> Ret {
    let process = plain(libc::SYS_pidfd_open, &[pid as usize, 0]);
    if process.failed() {
        return process;
    }
    told(plain(libc::SYS_pidfd_getfd, &[process.value as usize, wanted as usize, 0]))
}

/// Traces a process without stopping it; the end of this one ends it.
fn seize(pid: u32) -> Ret {
    // `PTRACE_SEIZE`, kernel `include/uapi/linux/ptrace.h`.
    plain(libc::SYS_ptrace, &[0x4206, pid as usize, 0, 0])
}

/// Gives a process the priority that it has.
fn same_priority(pid: u32) -> Ret {
    let raw = plain(libc::SYS_getpriority, &[libc::PRIO_PROCESS as usize, pid as usize]);
    if raw.failed() {
        return raw;
    }
    // The call gives 20 minus the nice value (man 2 getpriority).
    let nice = 20 - raw.value;
    plain(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, pid as usize, nice as usize])
}

/// A child that sleeps, for acts on a process of one's own; it ends with this one.
fn child() -> u32 {
    // SAFETY: the child only makes calls that are safe after a fork.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::pause();
        }
        sys::end_child();
    }
    child.cast_unsigned()
}

/// Children, one after the other, that read from an address where nothing is; without a core.
fn fault_children(count: u32) -> Ret {
    for _ in 0..count {
        // SAFETY: the child only makes calls that are safe after a fork, and then ends by the fault that it is there for.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe {
                libc::prctl(libc::PR_SET_DUMPABLE, 0);
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                std::ptr::without_provenance::<u8>(PAGE / 2).read_volatile();
            }
            sys::end_child();
        }
        if child < 0 {
            return Ret::refused(libc::EAGAIN);
        }
        sys::wait_for(i64::from(child));
    }
    Ret::OK
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "kill" => {
            let pid = words.number("process")?;
            plain(libc::SYS_kill, &[pid as usize, words.number("signal")? as usize])
        }
        "fault-children" => fault_children(words.number("count")?),
        "kill-child" => plain(libc::SYS_kill, &[child() as usize, words.number("signal")? as usize]),
        "seize" => seize(words.number("process")?),
        "seize-child" => seize(child()),
        "read-memory" => read_memory(words.number("process")?),
        "take-descriptor" => {
            let pid = words.number("process")?;
            take_descriptor(pid, words.number("descriptor")?)
        }
        "take-own-descriptor" => take_descriptor(std::process::id(), 1),
        "same-priority" => same_priority(words.number("process")?),
        "same-priority-child" => same_priority(child()),
        "map-rwx" => told(page(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)),
        "map-rw" => told(page(libc::PROT_READ | libc::PROT_WRITE)),
        "write-then-execute" => write_then_execute(),
        "map-file" => told(map_file(&c_string(words.word("path")?), libc::PROT_READ | libc::PROT_EXEC)),
        "map-file-then-execute" => map_file_then_execute(&c_string(words.word("path")?)),
        _ => return Ok(None),
    }))
}
