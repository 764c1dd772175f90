//! Tools that cargo builds, each of the pinned version, in `target/tools` so that nothing else is touched.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::project::{Project, find_program};
use crate::say;

/// Where the tools are.
pub(crate) fn folder(project: &Project) -> PathBuf {
    project.target.join("tools")
}

/// The version a tool reports about itself.
pub(crate) fn version(project: &Project, tool: &Path) -> Option<String> {
    let text = project.cmd(tool).arg("--version").ignore_stderr().read().ok()?;
    // Some say only the number, some their name before it.
    text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
}

/// A tool of the pinned version: ours, the path's, or built now.
pub(crate) fn ready(project: &Project, name: &str, wanted: &str) -> anyhow::Result<PathBuf> {
    let ours = folder(project).join("bin").join(name);
    let right = |tool: &PathBuf| tool.is_file() && version(project, tool).as_deref() == Some(wanted);
    if let Some(tool) = [Some(ours.clone()), find_program(name)].into_iter().flatten().find(right) {
        return Ok(tool);
    }
    let _lock = project.lock("setup")?;
    say::step(format!("building {name} {wanted}, once, a minute or two"));
    // Unoptimised: it builds four times as fast, and has seconds of work to do. Nobody debugs it either.
    let env = [("CARGO_PROFILE_DEV_DEBUG", OsStr::new("0"))];
    cargo_install(project, name, wanted, &["--debug".to_owned()], &env)?;
    Ok(ours)
}

/// Runs `cargo install` for a pinned version.
pub(crate) fn cargo_install(
    project: &Project,
    name: &str,
    version: &str,
    args: &[String],
    env: &[(&str, &OsStr)],
) -> anyhow::Result<()> {
    let cmd = project
        .cmd("cargo")
        // A target folder of its own would be left behind; the workspace's flags are not this tool's.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["install", "--quiet", "--locked", "--force", name, "--version", version, "--root"])
        .arg(folder(project))
        .args(args);
    let cmd = env.iter().fold(cmd, |cmd, (key, value)| cmd.env(key, value));
    cmd.run().with_context(|| format!("cannot build {name} {version} with cargo install"))
}
