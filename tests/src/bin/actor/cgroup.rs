//! Cgroups: made, moved into, born into.

use crate::sys::{self, Ret, c_string, call, ret_of};
use crate::{Usage, Words};

/// `include/uapi/linux/sched.h`; 0x2_0000_0000.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// A child that starts its life in the cgroup, and ends it at once.
fn clone_into(dir: u32) -> Ret {
    // `struct clone_args`: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup.
    let mut args = [0_u64; 11];
    args[0] = CLONE_INTO_CGROUP;
    args[4] = libc::SIGCHLD as u64;
    args[10] = u64::from(dir);
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

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "cgroup-make" => ret_of(std::fs::create_dir(words.word("cgroup")?)),
        "cgroup-remove" => ret_of(std::fs::remove_dir(words.word("cgroup")?)),
        "cgroup-move" => {
            let dir = words.text("cgroup")?;
            ret_of(std::fs::write(format!("{dir}/cgroup.procs"), "0"))
        }
        "clone-into-cgroup" => {
            let dir = c_string(words.word("cgroup")?);
            let fd = sys::open(&dir, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
            if fd.failed() { fd } else { clone_into(fd.value as u32) }
        }
        _ => return Ok(None),
    }))
}
