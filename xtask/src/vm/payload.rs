//! What the matrix runs in a guest: the daemon, the scenario runner and its actor, linked statically, because the
//! guest has no libraries of its own; no more has the demo's container.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::build;
use crate::flags::GuestFile;
use crate::project::Project;
use crate::say;
use crate::setup;

/// The triple must be named for `crt-static` not to reach build scripts and procedural macros.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Of the workspace's `Cargo.toml`.
const PROFILE: &str = "guest";

/// The programs and where the guest finds them.
const PROGRAMS: [&str; 3] = ["bulkhead", "scenarios", "actor"];

/// Builds the eBPF object and the static programs.
pub(crate) fn build(project: &Project) -> anyhow::Result<Vec<GuestFile>> {
    build::object(project, &setup::ebpf(project)?)?;
    say::step("building the daemon and the scenarios, static, for the guests");
    let built = linked_statically(project, &PROGRAMS)?;
    let guest = |(host, program): (PathBuf, &str)| GuestFile { host, guest: format!("/bin/{program}") };
    Ok(built.into_iter().zip(PROGRAMS).map(guest).collect())
}

/// Builds programs of the workspace that run where there are no libraries; gives their paths in the same order.
pub(crate) fn linked_statically(project: &Project, programs: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = project.target.join("vm/build");
    let cmd = project
        .cargo()
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .args(["build", "--profile", PROFILE, "--target", TRIPLE, "--target-dir"])
        .arg(&folder);
    let cmd = programs.iter().fold(cmd, |cmd, program| cmd.args(["--bin", *program]));
    cmd.run().with_context(|| format!("{} cannot be built, linked statically", programs.join(", ")))?;
    let built = folder.join(TRIPLE).join(PROFILE);
    let stripped = folder.join("stripped");
    std::fs::create_dir_all(&stripped).with_context(|| format!("cannot create {}", stripped.display()))?;
    let mut paths = Vec::new();
    for program in programs {
        let slim = stripped.join(program);
        // Debug sections, which the standard library brings, would make every boot seconds longer.
        project.cmd("objcopy").arg("--strip-debug").arg(built.join(program)).arg(&slim).run()?;
        paths.push(slim);
    }
    Ok(paths)
}

/// The guest's command.
pub(crate) fn command(scenarios: &[String]) -> String {
    let mut command = "/bin/scenarios --bulkhead /bin/bulkhead --work /run/scn --in-vm --proofs".to_owned();
    for word in scenarios {
        command.push_str(" '");
        command.push_str(&word.replace('\'', "'\\''"));
        command.push('\'');
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_reach_the_runner_unchanged() {
        let command = command(&["c01".to_owned(), "it's $x".to_owned()]);
        assert!(command.ends_with(r"--proofs 'c01' 'it'\''s $x'"));
    }
}
