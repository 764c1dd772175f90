//! Compares what the kernel side read through offsets with what the helpers and `/proc` say.

use monitor_common::ABI_VERSION;
use monitor_common::policy::SelfTest;

/// The offsets are wrong, or the object is another one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestError {
    /// Object and daemon were built from different sources.
    #[error("the eBPF object speaks ABI {found}, this daemon {ABI_VERSION}")]
    Abi {
        /// What the object says.
        found: u32,
    },
    /// A value read through offsets is not the true one.
    #[error("{what}: read {read}, but it is {truth}")]
    Mismatch {
        /// Which fact.
        what: &'static str,
        /// What the offsets gave.
        read: u64,
        /// What helper or `/proc` say.
        truth: u64,
    },
}

/// What the daemon knows of itself from `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// Parent's process id.
    pub ppid: u32,
    /// Inodes of `/proc/self/ns/{mnt,pid_for_children,net,ipc,uts,cgroup,user}`.
    pub namespaces: [u32; 7],
    /// Inode of the root directory.
    pub root_ino: u64,
    /// Inode of the executable.
    pub exe_ino: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// True if identity is by cgroup v2, so that the helper's cgroup id must agree.
    pub cgroup_v2: bool,
}

/// Checks every fact. Unless the kernel has all fields (`whole`), one that was read as zero says nothing.
///
/// # Errors
/// The first that does not hold.
pub fn verify(found: &SelfTest, truth: &Truth, whole: bool) -> Result<(), SelfTestError> {
    if found.abi != ABI_VERSION {
        return Err(SelfTestError::Abi { found: found.abi });
    }
    let names = [
        found.mnt_ns,
        found.pid_ns,
        found.net_ns,
        found.ipc_ns,
        found.uts_ns,
        found.cgroup_ns,
        found.user_ns,
    ];
    let labels = [
        "mount namespace",
        "pid namespace",
        "net namespace",
        "ipc namespace",
        "uts namespace",
        "cgroup namespace",
        "user namespace",
    ];
    let mut facts = vec![
        ("process id", u64::from(found.pid_offsets), u64::from(found.pid_helper)),
        ("thread id", u64::from(found.tid_offsets), u64::from(found.tid_helper)),
        ("user id", u64::from(found.uid_offsets), u64::from(found.uid_helper)),
        ("parent", u64::from(found.ppid), u64::from(truth.ppid)),
        ("root directory", found.root_ino, truth.root_ino),
        ("executable", found.exe_ino, truth.exe_ino),
        ("effective capabilities", found.cap_effective, truth.cap_effective),
    ];
    for ((label, read), real) in labels.iter().zip(names).zip(truth.namespaces) {
        facts.push((label, u64::from(read), u64::from(real)));
    }
    if truth.cgroup_v2 {
        facts.push(("cgroup id", found.cgroup_offsets, found.cgroup_helper));
    }
    for (what, read, real) in facts {
        if read != real && (whole || read != 0) {
            return Err(SelfTestError::Mismatch { what, read, truth: real });
        }
    }
    Ok(())
}
