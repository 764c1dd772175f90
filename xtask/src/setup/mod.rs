//! The verb `setup`: everything a fresh machine lacks, found or installed. Says what it does and asks nothing;
//! a second run finds all in place and returns at once.

mod distro;
mod linker;
mod packages;
mod toolchain;
mod tools;

use std::process::ExitCode;

use crate::flags::SetupFlags;
use crate::project::Project;
use crate::say;
pub(crate) use packages::Need;
pub(crate) use toolchain::Ebpf;
pub(crate) use tools::{ready as cargo_tool, youki};

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &SetupFlags) -> anyhow::Result<ExitCode> {
    let ebpf = ebpf(project)?;
    say::step(format!("eBPF toolchain: {ebpf}"));
    if flags.no_engines {
        say::step("container tools: left out, as asked");
    } else {
        packages::ensure(project, Need::Containers)?;
        if let Err(error) = tools::ensure_youki(project) {
            say::note(format!("youki is left out, and so are its scenarios: {error:#}"));
        }
    }
    if flags.no_vm {
        say::step("virtual machines: left out, as asked");
    } else {
        packages::ensure(project, Need::VirtualMachines)?;
    }
    packages::ensure(project, Need::Measuring)?;
    say::step("setup is complete");
    Ok(ExitCode::SUCCESS)
}

/// The toolchain that builds the eBPF object, installed if need be.
pub(crate) fn ebpf(project: &Project) -> anyhow::Result<Ebpf> {
    toolchain::ensure(project)
}

/// Installs the packages of one group if any is missing.
pub(crate) fn packages(project: &Project, need: Need) -> anyhow::Result<()> {
    packages::ensure(project, need)
}
