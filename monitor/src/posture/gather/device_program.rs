//! Whether a program decides which devices a cgroup of version 2 may use. What it allows is in its instructions, and stays
//! with the configuration.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// `BPF_PROG_QUERY`, `BPF_CGROUP_DEVICE` and `BPF_F_QUERY_EFFECTIVE` (kernel `include/uapi/linux/bpf.h`).
const PROG_QUERY: libc::c_long = 16;
const CGROUP_DEVICE: u32 = 6;
const QUERY_EFFECTIVE: u32 = 1;

/// The part of `union bpf_attr` for the query of every kernel that knows it (4.15); later ones take what is missing to be
/// zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    /// Where the ids are to go: nowhere, they are only counted.
    prog_ids: u64,
    prog_cnt: u32,
    reserved: u32,
}

/// True if a program is in force on the cgroup, its own or of one above it; `None` if the kernel does not say.
pub(super) fn is_in_force(directory: &Path) -> Option<bool> {
    let cgroup = File::open(directory).ok()?;
    let mut query = Query {
        target_fd: u32::try_from(cgroup.as_raw_fd()).ok()?,
        attach_type: CGROUP_DEVICE,
        query_flags: QUERY_EFFECTIVE,
        ..Query::default()
    };
    ask(&mut query).then_some(query.prog_cnt > 0)
}

#[expect(unsafe_code, reason = "a system call without wrapper")]
fn ask(query: &mut Query) -> bool {
    // SAFETY: the structure is as long as is said, outlives the call, and points nowhere.
    unsafe { libc::syscall(libc::SYS_bpf, PROG_QUERY, std::ptr::from_mut(query), size_of::<Query>()) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cgroup_has_no_answer() {
        assert_eq!(is_in_force(Path::new("/proc")), None);
        assert_eq!(is_in_force(Path::new("/nonexistent")), None);
    }
}
