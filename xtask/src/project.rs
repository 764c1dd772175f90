//! Where things are: the repository, the target folder, the pinned versions, and the shell every verb uses.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use xshell::{Cmd, Shell};

use crate::say;

/// Set by `cargo run` for the program it starts; a compiler or tool started by that program must not see them.
const LEAKED: [&str; 5] = ["LD_LIBRARY_PATH", "CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "RUSTC"];

/// What every verb needs to know about this checkout.
pub(crate) struct Project {
    /// The repository's root; the shell starts there.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, `CARGO_TARGET_DIR` respected.
    pub(crate) target: PathBuf,
    pub(crate) sh: Shell,
}

impl Project {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here.parent().context("the xtask package has no parent folder")?.to_owned();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let sh = Shell::new().context("no current folder")?;
        sh.change_dir(&root);
        Ok(Self { root, target, sh })
    }

    /// A process to be started at the root, without what `cargo run` set for xtask alone.
    pub(crate) fn cmd(&self, program: impl AsRef<Path>) -> Cmd<'_> {
        let cmd = self.sh.cmd(program).quiet();
        LEAKED.iter().fold(cmd, Cmd::env_remove)
    }

    /// cargo for the workspace's ordinary crates.
    ///
    /// The daemon's build script takes the eBPF object from `target/bpf`; it is told only of another target folder,
    /// because a variable that comes and goes would have it run again each time.
    pub(crate) fn cargo(&self) -> Cmd<'_> {
        let cargo = self.cmd("cargo");
        if self.target == self.root.join("target") {
            return cargo;
        }
        cargo.env("BULKHEAD_EBPF_OBJECT", self.object())
    }

    /// Where the built eBPF object lies for the daemon to embed.
    pub(crate) fn object(&self) -> PathBuf {
        self.target.join("bpf/bulkhead-ebpf.o")
    }

    /// Holds the returned file locked until it is dropped, so that two xtasks do not write the same cache.
    pub(crate) fn lock(&self, name: &str) -> anyhow::Result<File> {
        fs::create_dir_all(&self.target)
            .with_context(|| format!("cannot create {}", self.target.display()))?;
        let path = self.target.join(format!(".{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if file.try_lock().is_err() {
            say::step(format!("waiting: another xtask holds {}", path.display()));
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// Reads a TOML file of the repository.
    pub(crate) fn data<T: serde::de::DeserializeOwned>(&self, file: impl AsRef<Path>) -> anyhow::Result<T> {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
    }
}

/// The versions of `xtask/pins.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Pins {
    pub(crate) bpf_linker: LinkerPin,
    pub(crate) cargo_deny: Pin,
    pub(crate) cargo_machete: Pin,
    pub(crate) ebpf_rustc: Minimum,
    pub(crate) youki: Pin,
}

/// A tool of one version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    pub(crate) version: String,
}

/// bpf-linker's version, and the LLVM majors it has a feature for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkerPin {
    pub(crate) version: String,
    pub(crate) llvm: Vec<u32>,
}

/// The oldest version that does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Minimum {
    pub(crate) minimum: String,
}

impl Pins {
    pub(crate) fn load(project: &Project) -> anyhow::Result<Self> {
        project.data("xtask/pins.toml")
    }
}

/// A program on the path or in the system folders.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The text of a file, trimmed, or `None` when it cannot be read.
pub(crate) fn read_trimmed(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
