//! The verb `run`: the real daemon on the real host, built first.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::build;
use crate::flags::{BuildFlags, RunFlags};
use crate::project::Project;
use crate::say;

/// Runs the verb; when all is well it does not return, the daemon takes this process's place.
pub(crate) fn run(project: &Project, flags: &RunFlags) -> anyhow::Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        say::step("watching containers needs root: type `sudo -E env PATH=\"$PATH\" cargo xtask run`");
        return Ok(ExitCode::from(3));
    }
    build::run(project, &BuildFlags { release: true })?;
    let bulkhead = project.target.join("release/bulkhead");
    let error = Command::new(&bulkhead).arg("run").args(&flags.args).env_remove("LD_LIBRARY_PATH").exec();
    Err(error).with_context(|| format!("cannot start {}", bulkhead.display()))
}
