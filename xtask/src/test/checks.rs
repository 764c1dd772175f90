//! The checks, one function each, in the order in which `mod.rs` runs them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::build;
use crate::coverage;
use crate::project::{Pins, Project};
use crate::say;
use crate::setup::{self, Ebpf};
use crate::test::tally::{Counts, ScenarioLines, Verdict};

pub(crate) fn format(project: &Project) -> anyhow::Result<Verdict> {
    project.cargo().args(["fmt", "--all", "--check"]).run().context("type `cargo fmt --all`")?;
    Ok(Verdict::Passed)
}

pub(crate) fn clippy(project: &Project) -> anyhow::Result<Verdict> {
    project
        .cargo()
        .args([
            "clippy",
            "--quiet",
            "--workspace",
            "--exclude",
            "monitor-ebpf",
            "--all-targets",
            "--",
            "-Dwarnings",
        ])
        .run()
        .context("clippy has something to say")?;
    Ok(Verdict::Passed)
}

/// clippy for the BPF target where the eBPF compiler has one of its own, the compiler's own warnings otherwise.
pub(crate) fn ebpf_lints(project: &Project, ebpf: &Ebpf) -> anyhow::Result<Verdict> {
    let driver = ebpf.compiler.rustc.with_file_name("clippy-driver");
    let cmd = build::bpf_cargo(project, ebpf, "check").args([
        "--quiet",
        "-Zwarnings",
        "--config",
        "build.warnings='deny'",
    ]);
    let cmd = if driver.is_file() {
        say::note(format!("with {}", driver.display()));
        cmd.env("RUSTC_WORKSPACE_WRAPPER", driver)
    } else {
        say::note(format!(
            "{} {} brings no clippy: its own warnings only",
            ebpf.compiler.name, ebpf.compiler.version
        ));
        cmd
    };
    cmd.run().context("the eBPF crate has warnings")?;
    Ok(Verdict::Passed)
}

/// Licences, doubled and banned crates, foreign sources.
pub(crate) fn deny(project: &Project) -> anyhow::Result<Verdict> {
    cargo_deny(project)?.args(["licenses", "bans", "sources"]).run().context("see deny.toml")?;
    Ok(Verdict::Passed)
}

/// Known vulnerabilities; the database is fetched, which not every machine can.
pub(crate) fn advisories(project: &Project) -> anyhow::Result<Verdict> {
    let output = cargo_deny(project)?.arg("advisories").ignore_status().output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Verdict::Passed);
    }
    if text.contains("failed to fetch advisory database") {
        return Ok(Verdict::Skipped("the advisory database cannot be fetched from this machine".to_owned()));
    }
    bail!("{}", text.trim());
}

fn cargo_deny(project: &Project) -> anyhow::Result<xshell::Cmd<'_>> {
    let tool = setup::cargo_tool(project, "cargo-deny", &Pins::load(project)?.cargo_deny.version)?;
    Ok(project.cmd(tool).args(["--log-level", "error", "--all-features", "check", "--hide-inclusion-graph"]))
}

/// Dependencies that nothing uses.
pub(crate) fn machete(project: &Project) -> anyhow::Result<Verdict> {
    let tool = setup::cargo_tool(project, "cargo-machete", &Pins::load(project)?.cargo_machete.version)?;
    let mut folders = vec![];
    for member in ["monitor-common", "monitor-ebpf", "monitor", "xtask", "tests"] {
        folders.push(project.root.join(member));
    }
    let output = project.cmd(tool).args(folders).ignore_status().output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(Verdict::Passed)
}

/// Unit tests, counted from libtest's own lines.
pub(crate) fn units(project: &Project, filter: Option<&str>) -> anyhow::Result<Verdict> {
    let cmd = project
        .cargo()
        .args(["test", "--quiet", "--workspace", "--exclude", "monitor-ebpf", "--no-fail-fast"])
        // One line a test, so that one that is left out can be named.
        .args(filter)
        .args(["--", "--format", "pretty"]);
    let mut counts = Counts::default();
    let mut notable = Vec::new();
    let failure = stream(cmd, |line| {
        if let Some(more) = Counts::from_libtest(line) {
            counts.add(more);
            return more.passed + more.failed + more.skipped > 0;
        }
        let Some(test) = line.strip_prefix("test ") else {
            return !(line.is_empty() || line.starts_with("running "));
        };
        if test.ends_with("FAILED") {
            notable.push(format!("FAIL {test}"));
        } else if test.contains("... ignored") {
            notable.push(format!("SKIP {test}"));
        }
        !test.ends_with("... ok")
    })?;
    if let Some(failure) = failure.filter(|_| counts.failed == 0) {
        counts.failed += 1;
        notable.push(format!("FAIL cargo test: {failure}"));
    }
    Ok(Verdict::Counted { counts, notable })
}

/// Instructions a record on the user side, stage by stage, against `monitor/benches/hot/limits.tsv`.
pub(crate) fn gates(project: &Project) -> anyhow::Result<Verdict> {
    project
        .cargo()
        .args(["bench", "--quiet", "-p", "monitor", "--bench", "hot", "--", "--gates"])
        .run()
        .context("see monitor/benches/hot/gate.rs")?;
    Ok(Verdict::Passed)
}

/// The fuzz targets for a few seconds each: a smoke test, the corpus grows elsewhere.
pub(crate) fn fuzz(project: &Project) -> anyhow::Result<Verdict> {
    if !project.root.join("fuzz/Cargo.toml").is_file() {
        return Ok(Verdict::Skipped("there is no fuzz/ folder yet".to_owned()));
    }
    project
        .cargo()
        .args(["run", "--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml", "--", "--seconds", "10"])
        .run()
        .context("a fuzz target failed")?;
    Ok(Verdict::Passed)
}

/// The scenarios against real containers on this kernel; `words` go to the runner. It works in a temporary
/// folder, because Podman refuses paths of more than 50 characters, and a clone may lie deep.
pub(crate) fn scenarios(project: &Project, words: &[&str]) -> anyhow::Result<Verdict> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Verdict::Skipped("containers and eBPF need root".to_owned()));
    }
    let programs = ["bulkhead", "scenarios", "actor"];
    let cmd = project.cargo().args(["build", "--quiet", "--release"]);
    let cmd = programs.iter().fold(cmd, |cmd, program| cmd.args(["--bin", *program]));
    cmd.run().context("the daemon or the scenarios do not build")?;
    let release = project.target.join("release");
    let cmd = project.cmd(release.join("scenarios")).arg("--bulkhead").arg(release.join("bulkhead"));
    let mut lines = ScenarioLines::default();
    let mut proofs = Vec::new();
    let failure = stream(cmd.arg("--proofs").args(words), |line| {
        if let Some(proof) = line.strip_prefix(coverage::WORD) {
            proofs.push(proof.to_owned());
            return false;
        }
        lines.take(line);
        // The only line of that form is the run's own last one.
        Counts::from_summary(line).is_none()
    })?;
    coverage::keep(project, &proofs)?;
    Ok(lines.verdict(failure))
}

/// One verdict from what a guest printed.
pub(crate) fn guest(lines: &[String], failure: Option<String>) -> Verdict {
    let mut taken = ScenarioLines::default();
    lines.iter().for_each(|line| taken.take(line));
    taken.verdict(failure)
}

/// Runs a process, hands each line of its output over as it comes, prints those for which `show` is true, and says
/// how it ended when not well.
fn stream(cmd: xshell::Cmd<'_>, mut show: impl FnMut(&str) -> bool) -> anyhow::Result<Option<String>> {
    let mut command = Command::from(cmd);
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    if let Some(output) = child.stdout.take() {
        let mut reader = BufReader::new(output);
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw).with_context(|| format!("cannot read from {name}"))? > 0 {
            let line = String::from_utf8_lossy(&raw);
            let line = line.trim_end_matches(['\r', '\n']);
            if show(line) {
                say::result(line);
            }
            raw.clear();
        }
    }
    let status = child.wait().with_context(|| format!("cannot wait for {name}"))?;
    Ok((!status.success()).then(|| format!("{name}: {status}")))
}
