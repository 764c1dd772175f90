//! Programs at the root of cgroup v2: the kernel runs them in the task that makes the call, on every kernel and
//! where trampolines are refused.
//!
//! They only look: each returns "go on". A link of a cgroup always allows others beside it
//! (`cgroup_bpf_link_attach()`, kernel `kernel/bpf/cgroup.c`), so programs of other tools run as before.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSkb, Program, ProgramError};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::attach::unless_loaded;
use super::link::Link;
use super::loader::explain;

/// Opens the root of cgroup v2, below which every process is, wherever it is in hierarchies of version 1. Where
/// `mount` does not say that it is mounted, it is opened by a mount that is in no namespace and ends with the
/// descriptor: fsmount(2).
///
/// # Errors
/// The kernel has no cgroup v2, or refuses to open it: the reason in words.
pub(super) fn root(mount: Option<&Path>) -> Result<OwnedFd, String> {
    let what = || mount.map_or_else(|| "cgroup v2".into(), Path::to_string_lossy);
    open_root(mount).map_err(|e| format!("{}: {e}", what()))
}

fn open_root(mount: Option<&Path>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Some(mount) = mount {
        return open(mount, flags, Mode::empty());
    }
    let fs = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&fs)?;
    let mount = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    openat(&mount, ".", flags, Mode::empty())
}

/// Loads a program and attaches it to a cgroup. Type and place of the program are those of its section in the object.
///
/// # Errors
/// The kernel refused: the reason in words.
pub(super) fn attach(program: &mut Program, cgroup: BorrowedFd<'_>) -> Result<Link, String> {
    // The mode is for `BPF_PROG_ATTACH`: links have none.
    let mode = CgroupAttachMode::Single;
    load(program)?;
    match program {
        Program::CgroupSockAddr(program) => {
            let id = program.attach(cgroup, mode).map_err(explain)?;
            link(program.take_link(id).map_err(explain)?)
        }
        Program::CgroupSock(program) => {
            let id = program.attach(cgroup, mode).map_err(explain)?;
            link(program.take_link(id).map_err(explain)?)
        }
        Program::CgroupSysctl(program) => {
            Link::sysctl(&program.fd().map_err(explain)?.as_fd(), &cgroup).map_err(|e| e.to_string())
        }
        Program::CgroupSkb(program) => {
            let place = direction(program).map_err(explain)?;
            let id = program.attach(cgroup, place, mode).map_err(explain)?;
            link(program.take_link(id).map_err(explain)?)
        }
        _ => Err(explain(ProgramError::UnexpectedProgramType)),
    }
}

/// Has the kernel verify a program.
///
/// # Errors
/// The kernel refused, or it is no program of a cgroup: the reason in words.
pub(super) fn load(program: &mut Program) -> Result<(), String> {
    let loaded = match program {
        Program::CgroupSockAddr(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupSysctl(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    unless_loaded(loaded).map_err(explain)
}

/// A link by descriptor: only before 5.7 is there another kind.
fn link<T>(made: T) -> Result<Link, String>
where
    FdLink: TryFrom<T>,
{
    FdLink::try_from(made).map(Link::from).map_err(|_| "the kernel makes no links of cgroups".to_owned())
}

fn direction(program: &CgroupSkb) -> Result<aya::programs::CgroupSkbAttachType, ProgramError> {
    (*program.expected_attach_type()).ok_or(ProgramError::UnexpectedProgramType)
}

/// Detaches a program and takes it out of the kernel again, if it is one of a cgroup.
pub(super) fn unload(program: &mut Program) {
    // A program that is not loaded needs no unloading.
    let _ = match program {
        Program::CgroupSockAddr(program) => program.unload(),
        Program::CgroupSock(program) => program.unload(),
        Program::CgroupSysctl(program) => program.unload(),
        Program::CgroupSkb(program) => program.unload(),
        _ => Ok(()),
    };
}
