//! Where a process is that an engine names, and whose: what the kernel says about an answer.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use crate::container::{ContainerKey, Resolver};

/// Where the process of an answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// The engine names none, or it is gone.
    #[default]
    Unknown,
    /// In the container.
    Inside,
    /// In this cgroup, which is not the container's.
    Outside(String),
}

/// What the kernel says about an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Where its process is.
    pub(super) place: Place,
    /// Uid that owns the user namespace of the container's process.
    pub(super) owner: Option<u32>,
}

/// Looks at process `pid` for the container `key`; `known` says which keys are containers.
pub(super) fn look(
    resolver: &Resolver,
    key: ContainerKey,
    pid: u32,
    known: impl Fn(ContainerKey) -> bool,
) -> Place {
    match find(resolver, pid, known) {
        _ if pid == 0 => Place::Unknown,
        None => Place::Unknown,
        Some((Some(found), _)) if found == key => Place::Inside,
        Some((_, path)) => Place::Outside(path),
    }
}

/// The innermost container that process `pid` is in, of those that are known, and the path of its cgroup.
pub(super) fn find(
    resolver: &Resolver,
    pid: u32,
    known: impl Fn(ContainerKey) -> bool,
) -> Option<(Option<ContainerKey>, String)> {
    let (keys, path) = resolver.keys_of(pid)?;
    Some((keys.into_iter().find(|key| known(*key)), path))
}

/// The uid that owns the user namespace of a process (ioctl_ns(2)).
#[expect(unsafe_code, reason = "a call that no safe wrapper offers")]
pub(super) fn owner(pid: u32) -> Option<u32> {
    /// `NS_GET_OWNER_UID`, kernel `include/uapi/linux/nsfs.h`.
    const GET_OWNER: libc::Ioctl = 0xb704;
    let namespace = File::open(format!("/proc/{pid}/ns/user")).ok()?;
    let mut uid: libc::uid_t = 0;
    // SAFETY: the call writes one uid, which outlives it.
    let got = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_OWNER, std::ptr::from_mut(&mut uid)) };
    (got == 0).then_some(uid)
}

#[test]
fn the_initial_user_namespace_is_roots() {
    // Not every machine that builds lets its tests look.
    assert!(
        owner(std::process::id()).is_none_or(|uid| uid == 0 || uid == rustix::process::getuid().as_raw())
    );
    assert_eq!(owner(u32::MAX), None);
}
