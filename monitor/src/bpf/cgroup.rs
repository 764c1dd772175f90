//! Programs at the root of cgroup v2: the kernel runs them in the task that makes the call, on every kernel and
//! where trampolines are refused.
//!
//! They only look: each returns "go on". A link of a cgroup always allows others beside it
//! (`cgroup_bpf_link_attach()`, kernel `kernel/bpf/cgroup.c`), so programs of other tools run as before.

use std::fs::File;
use std::path::Path;

use aya::programs::{CgroupAttachMode, CgroupSkb, Program, ProgramError};

use super::loader::explain;

/// Loads a program and attaches it to `root`, the mount point of cgroup v2. Type and place of the program are those of
/// its section in the object.
///
/// # Errors
/// There is no cgroup v2, or the kernel refused: the reason in words.
pub(super) fn attach(program: &mut Program, root: Option<&Path>) -> Result<(), String> {
    let root = root.ok_or("no cgroup v2 hierarchy is mounted")?;
    let cgroup = File::open(root).map_err(|e| format!("{}: {e}", root.display()))?;
    attach_to(program, &cgroup).map_err(explain)
}

fn attach_to(program: &mut Program, cgroup: &File) -> Result<(), ProgramError> {
    // The mode is for `BPF_PROG_ATTACH`: links have none.
    let mode = CgroupAttachMode::Single;
    match program {
        Program::CgroupSockAddr(program) => {
            program.load()?;
            program.attach(cgroup, mode)?;
        }
        Program::CgroupSock(program) => {
            program.load()?;
            program.attach(cgroup, mode)?;
        }
        Program::CgroupSysctl(program) => {
            program.load()?;
            program.attach(cgroup, mode)?;
        }
        Program::CgroupSkb(program) => {
            program.load()?;
            let place = direction(program)?;
            program.attach(cgroup, place, mode)?;
        }
        _ => return Err(ProgramError::UnexpectedProgramType),
    }
    Ok(())
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
