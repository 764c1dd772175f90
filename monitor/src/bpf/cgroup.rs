//! Programs at the root of cgroup v2: the kernel runs them in the task that makes the call, on every kernel and
//! where trampolines are refused.
//!
//! They only look: each returns "go on". A link of a cgroup always allows others beside it
//! (`cgroup_bpf_link_attach()`, kernel `kernel/bpf/cgroup.c`), so programs of other tools run as before.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSkb, Program, ProgramError};

use super::attach::unless_loaded;
use super::link::Link;
use super::loader::explain;

/// Loads a program and attaches it to `root`, the mount point of cgroup v2. Type and place of the program are those of
/// its section in the object.
///
/// # Errors
/// There is no cgroup v2, or the kernel refused: the reason in words.
pub(super) fn attach(program: &mut Program, root: Option<&Path>) -> Result<Link, String> {
    let root = root.ok_or("no cgroup v2 hierarchy is mounted")?;
    let cgroup = File::open(root).map_err(|e| format!("{}: {e}", root.display()))?;
    attach_to(program, &cgroup)
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

fn attach_to(program: &mut Program, cgroup: &File) -> Result<Link, String> {
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
            Link::sysctl(&program.fd().map_err(explain)?.as_fd(), cgroup).map_err(|e| e.to_string())
        }
        Program::CgroupSkb(program) => {
            let place = direction(program).map_err(explain)?;
            let id = program.attach(cgroup, place, mode).map_err(explain)?;
            link(program.take_link(id).map_err(explain)?)
        }
        _ => Err(explain(ProgramError::UnexpectedProgramType)),
    }
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
