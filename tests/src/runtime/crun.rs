//! crun, called directly.

use std::fs;
use std::process::Command;
use std::rc::Rc;

use super::oci::{Oci, View};
use super::{Env, Spec, need};
use crate::host::Layout;

pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Oci> {
    // crun refuses a hybrid layout whose version 2 hierarchy has controllers, unless it does not see that.
    let v2 = env.host.hierarchies.iter().find(|hierarchy| hierarchy.v2);
    let controllers = v2.and_then(|v2| fs::read_to_string(v2.at.join("cgroup.controllers")).ok());
    let refuses = env.host.layout == Layout::Hybrid && controllers.is_some_and(|c| !c.trim().is_empty());
    let view = if refuses { View::Branch } else { View::Host };
    Oci::open(env, need("crun")?, view)
}

/// What runs a container in the caller's cgroup, and removes it at its end.
///
/// # Errors
/// There is no crun, or its files cannot be written.
pub fn without_cgroup(env: &Rc<Env>, spec: &Spec<'_>) -> anyhow::Result<Command> {
    let oci = open(env.clone())?;
    let bundle = oci.bundle(spec)?;
    let mut command = oci.command()?;
    command.arg("--cgroup-manager=disabled").arg("run").arg("--bundle").arg(bundle).arg(spec.name);
    Ok(command)
}
