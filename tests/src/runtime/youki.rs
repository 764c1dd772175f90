//! youki, called directly. It is in no distribution's packages: `cargo xtask setup` builds it.

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use super::oci::{Oci, View};
use super::{Env, Spec};
use crate::host::{self, Layout};

/// Where it is: beside this program's folder, or where a shell would find it.
pub(super) fn program() -> Option<PathBuf> {
    built().or_else(|| host::program("youki", None))
}

/// The one that `cargo xtask setup` built, which is where no daemon looks for runtimes by itself.
pub fn built() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.parent()?.join("tools/bin/youki");
    path.is_file().then_some(path)
}

pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Oci> {
    // Beside version 1 it makes no cgroup of version 2, unless it sees that alone.
    let view = if env.host.layout == Layout::Hybrid { View::Branch } else { View::Host };
    open_with(env, view)
}

/// As the host has its cgroups.
pub(super) fn open_on_host(env: Rc<Env>) -> anyhow::Result<Oci> {
    open_with(env, View::Host)
}

fn open_with(env: Rc<Env>, view: View) -> anyhow::Result<Oci> {
    let program = program().ok_or_else(|| anyhow::anyhow!("youki is not installed"))?;
    Ok(Oci::open(env, program, view)?.bare())
}

/// What runs a container in cgroups of version 1 alone, and removes it at its end.
///
/// # Errors
/// There is no youki, or its files cannot be written.
pub fn beside_version_1(env: &Rc<Env>, spec: &Spec<'_>) -> anyhow::Result<Command> {
    Ok(open_on_host(env.clone())?.prepare(spec, false)?.1)
}
