//! Tools that cargo builds, each of the pinned version, in `target/tools` so that nothing else is touched.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::project::{Pins, Project, find_program};
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
    build(project, name, wanted, &[])?;
    Ok(ours)
}

/// Where the container runtime youki is, if it could be built.
pub(crate) fn youki(project: &Project) -> PathBuf {
    folder(project).join("bin/youki")
}

/// Builds youki, which no distribution has: one of the path may lack a feature that scenarios need.
pub(crate) fn ensure_youki(project: &Project) -> anyhow::Result<()> {
    let (ours, wanted) = (youki(project), Pins::load(project)?.youki.version);
    if ours.is_file() && version(project, &ours).as_deref() == Some(wanted.as_str()) {
        say::step(format!("youki: {wanted}"));
        return Ok(());
    }
    // Without systemd's bus and programs for devices, which need more libraries.
    build(project, "youki", &wanted, &["--no-default-features", "--features", "v1,v2,seccomp"])
}

fn build(project: &Project, name: &str, wanted: &str, args: &[&str]) -> anyhow::Result<()> {
    let _lock = project.lock("setup")?;
    say::step(format!("building {name} {wanted}, once, a minute or two"));
    // Unoptimised: it builds four times as fast, and has seconds of work to do. Nobody debugs it either.
    let env = ["DEBUG", "STRIP", "DEBUG_ASSERTIONS"].map(|key| format!("CARGO_PROFILE_DEV_{key}"));
    let values = ["0", "symbols", "false"].map(OsStr::new);
    let env: Vec<(&str, &OsStr)> = env.iter().map(String::as_str).zip(values).collect();
    let args: Vec<String> = ["--debug"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    cargo_install(project, name, wanted, &args, &env)
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
