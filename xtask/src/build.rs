//! The verb `build`: the eBPF object, then the daemon that embeds it.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::flags::BuildFlags;
use crate::project::Project;
use crate::say;
use crate::setup::{self, Ebpf};
use crate::strip;

/// Set by a caller's environment for ordinary crates; none of it is for the BPF target.
const NOT_FOR_BPF: [&str; 6] = [
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "RUSTUP_TOOLCHAIN",
    "RUSTDOC",
];

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &BuildFlags) -> anyhow::Result<ExitCode> {
    let ebpf = setup::ebpf(project)?;
    object(project, &ebpf)?;
    let profile: &[&str] = if flags.release { &["--release"] } else { &[] };
    say::step("building the daemon");
    project
        .cargo()
        .args(["build", "--bin", "bulkhead"])
        .args(profile)
        .run()
        .context("the daemon does not build")?;
    let folder = if flags.release { "release" } else { "debug" };
    say::step(format!("built {}", project.target.join(folder).join("bulkhead").display()));
    Ok(ExitCode::SUCCESS)
}

/// Builds the eBPF object and puts it where the daemon's build script looks for it.
pub(crate) fn object(project: &Project, ebpf: &Ebpf) -> anyhow::Result<()> {
    say::step(format!("building the eBPF object with {ebpf}"));
    bpf_cargo(project, ebpf, "build").run().context("the eBPF object does not build")?;
    let built = project.target.join("ebpf").join(bpf_target()).join("release/bulkhead-ebpf");
    let built = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    write_if_changed(&strip::without_dwarf(&built)?, &project.object())
}

/// A cargo command, `build`, `check` or `clippy`, for the eBPF crate with its own toolchain, flags and folder.
pub(crate) fn bpf_cargo<'a>(project: &'a Project, ebpf: &Ebpf, verb: &str) -> xshell::Cmd<'a> {
    let flags = [&format!("-Clinker={}", ebpf.linker.display()), "-Clink-arg=--btf", "-Cdebuginfo=2"];
    let cmd = NOT_FOR_BPF.iter().fold(project.cmd(&ebpf.compiler.cargo), xshell::Cmd::env_remove);
    cmd.env("RUSTC", &ebpf.compiler.rustc)
        // `-Z build-std` is what makes any of this need more than a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args([verb, "--release", "-Zbuild-std=core", "--package", "monitor-ebpf", "--bin", "bulkhead-ebpf"])
        .args(["--target", bpf_target(), "--target-dir"])
        .arg(project.target.join("ebpf"))
}

/// The BPF target of this machine's byte order.
fn bpf_target() -> &'static str {
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" }
}

/// Writes, but leaves an equal file and its time alone: the daemon is rebuilt only for a new object.
fn write_if_changed(new: &[u8], to: &Path) -> anyhow::Result<()> {
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    say::note(format!("new object: {} ({} KiB)", to.display(), new.len() / 1024));
    fs::write(to, new).with_context(|| format!("cannot write {}", to.display()))
}
