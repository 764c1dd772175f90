//! Namespaces: joined, made, born into; new roots.

use std::ffi::CString;

use crate::sys::{self, Ret, at, c_string, call, plain};
use crate::{Usage, Words};

const KINDS: [(&str, u64); 8] = [
    ("mnt", 0x0002_0000),
    ("cgroup", 0x0200_0000),
    ("uts", 0x0400_0000),
    ("ipc", 0x0800_0000),
    ("user", 0x1000_0000),
    ("pid", 0x2000_0000),
    ("net", 0x4000_0000),
    ("files", 0x0000_0400),
];

/// `uts,ipc` as `CLONE_*` flags; `any` is 0.
pub(crate) fn flags(text: &str) -> Result<usize, Usage> {
    let mut flags = 0;
    for name in text.split(',').filter(|name| *name != "any") {
        let known = KINDS.iter().find(|(kind, _)| *kind == name);
        flags |= known.ok_or_else(|| Usage(format!("unknown namespace {name}")))?.1;
    }
    Ok(flags as usize)
}

fn setns(path: &CString, flags: usize) -> Ret {
    let fd = sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
    if fd.failed() { fd } else { plain(libc::SYS_setns, &[fd.value as usize, flags]) }
}

fn setns_pidfd(pid: u32, flags: usize) -> Ret {
    let fd = plain(libc::SYS_pidfd_open, &[pid as usize, 0]);
    if fd.failed() { fd } else { plain(libc::SYS_setns, &[fd.value as usize, flags]) }
}

/// Child and parent part as after fork(2).
fn clone(flags: usize) -> Ret {
    let ret = plain(libc::SYS_clone, &[flags | libc::SIGCHLD as usize]);
    match ret.value {
        0 => sys::end_child(),
        child if child > 0 => sys::wait_for(child),
        _ => {}
    }
    ret
}

/// The same by clone3(2), whose arguments lie in memory, where no seccomp filter looks.
fn clone3(flags: usize) -> Ret {
    // `struct clone_args` of the first version: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size,
    // tls.
    let mut args = [0_u64; 8];
    args[0] = flags as u64;
    args[4] = libc::SIGCHLD as u64;
    // SAFETY: the struct outlives the call and the size is its own. Without a stack of its own, the child goes on
    // with a copy of this one.
    let ret = unsafe { call(libc::SYS_clone3, [args.as_ptr() as usize, size_of_val(&args), 0, 0, 0, 0]) };
    match ret.value {
        0 => sys::end_child(),
        child if child > 0 => sys::wait_for(child),
        _ => {}
    }
    ret
}

/// pivot_root(2) to a new tmpfs at `dir`. Without the tmpfs the call is still made, for the kernel to refuse.
fn pivot_root(dir: &CString) -> Ret {
    // SAFETY: all strings outlive the calls.
    unsafe {
        call(libc::SYS_mount, [at(&c"none".to_owned()), at(dir), at(&c"tmpfs".to_owned()), 0, 0, 0]);
        let old = CString::new([dir.as_bytes(), b"/old"].concat()).unwrap_or_default();
        call(libc::SYS_mkdirat, [libc::AT_FDCWD as usize, at(&old), 0o755, 0, 0, 0]);
        call(libc::SYS_pivot_root, [at(dir), at(&old), 0, 0, 0, 0])
    }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "setns-path" => {
            let path = c_string(words.word("path")?);
            setns(&path, flags(&words.text("type")?)?)
        }
        "setns-self" => {
            let kind = words.text("type")?;
            let path = c_string(format!("/proc/self/ns/{kind}").into());
            setns(&path, flags(&kind)?)
        }
        // Its own new one, and back: both are the container's.
        "setns-there-and-back" => {
            let kind = words.text("type")?;
            let path = c_string(format!("/proc/self/ns/{kind}").into());
            let fd = sys::open(&path, libc::O_RDONLY | libc::O_CLOEXEC);
            let made = plain(libc::SYS_unshare, &[flags(&kind)?]);
            if made.failed() { made } else { plain(libc::SYS_setns, &[fd.value as usize, flags(&kind)?]) }
        }
        "setns-pidfd" => {
            let pid = words.number("pid")?;
            setns_pidfd(pid, flags(&words.text("types")?)?)
        }
        "unshare" => plain(libc::SYS_unshare, &[flags(&words.text("types")?)?]),
        "clone-ns" => clone(flags(&words.text("types")?)?),
        "clone3-ns" => clone3(flags(&words.text("types")?)?),
        "fork" => clone(0),
        "pivot-root-tmpfs" => pivot_root(&c_string(words.word("directory")?)),
        "chroot" => {
            let path = c_string(words.word("directory")?);
            // SAFETY: the string outlives the call.
            unsafe { call(libc::SYS_chroot, [at(&path), 0, 0, 0, 0, 0]) }
        }
        _ => return Ok(None),
    }))
}
