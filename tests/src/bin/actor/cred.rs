//! Credentials: the set*id family, with and without a way back.

use crate::sys::{Ret, call, plain};
use crate::{Usage, Words};

const KEEP: usize = u32::MAX as usize;
const CAP_SETUID: u32 = 7;
/// `_LINUX_CAPABILITY_VERSION_3`, `include/uapi/linux/capability.h`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn setresuid(real: usize, effective: usize, saved: usize) -> Ret {
    plain(libc::SYS_setresuid, &[real, effective, saved])
}

/// Root gives itself up for good, as su-exec and gosu do.
fn drop_to(uid: u32) -> Ret {
    for (number, args) in [(libc::SYS_setgroups, [0, 0]), (libc::SYS_setgid, [uid as usize, 0])] {
        let ret = plain(number, &args);
        if ret.failed() {
            return ret;
        }
    }
    plain(libc::SYS_setuid, &[uid as usize])
}

/// Makes CAP_SETUID effective, and permitted if it was.
fn raise_setuid_capability() -> Ret {
    let header: [u32; 2] = [CAPABILITY_VERSION, 0];
    let bit = 1 << CAP_SETUID;
    // Two `struct __user_cap_data_struct`: effective, permitted, inheritable.
    let data: [u32; 6] = [bit, bit, 0, 0, 0, 0];
    // SAFETY: both structs have the layout of version 3 and outlive the call.
    unsafe { call(libc::SYS_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }
}

/// All three uids leave 0, CAP_SETUID stays.
fn drop_but_keep_capability(uid: usize) -> Ret {
    let kept = plain(libc::SYS_prctl, &[libc::PR_SET_KEEPCAPS as usize, 1]);
    if kept.failed() {
        return kept;
    }
    let dropped = setresuid(uid, uid, uid);
    if dropped.failed() { dropped } else { raise_setuid_capability() }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "setuid" => plain(libc::SYS_setuid, &[words.number("uid")? as usize]),
        "setfsuid" => plain(libc::SYS_setfsuid, &[words.number("uid")? as usize]),
        "setreuid" => {
            let (real, effective) = (words.number("real uid")?, words.number("effective uid")?);
            plain(libc::SYS_setreuid, &[real as usize, effective as usize])
        }
        "setresuid" => {
            let real = words.number("real uid")? as usize;
            let effective = words.number("effective uid")? as usize;
            setresuid(real, effective, words.number("saved uid")? as usize)
        }
        // What an ordinary program may always do.
        "setuid-to-self" => {
            let own = plain(libc::SYS_getuid, &[]).value as usize;
            plain(libc::SYS_setuid, &[own])
        }
        "drop-to" => drop_to(words.number("uid")?),
        // A set-uid program that works as its user for a while.
        "drop-then-root" => {
            let dropped = setresuid(KEEP, words.number("uid")? as usize, KEEP);
            if dropped.failed() { dropped } else { setresuid(KEEP, 0, KEEP) }
        }
        "drop-but-keep-capability" => drop_but_keep_capability(words.number("uid")? as usize),
        _ => return Ok(None),
    }))
}
