//! The ladder to an eBPF toolchain: a compiler with its own `core` sources, and the linker that understands its
//! bitcode.
//!
//! 1. a rustup toolchain with `rust-src`, nightly ones first;
//! 2. the distribution's compiler and source packages;
//! 3. the same, installed now;
//! 4. a clear error that names the packages.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::project::{Pins, Project};
use crate::say;
use crate::setup::distro::{self, Distro};
use crate::setup::linker;

/// A compiler that can build `core` for the BPF target.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    /// How a person knows it.
    pub(crate) name: String,
    pub(crate) rustc: PathBuf,
    /// The cargo of the same toolchain, or the one on the path.
    pub(crate) cargo: PathBuf,
    pub(crate) version: String,
    /// The LLVM major that writes its bitcode.
    pub(crate) llvm: u32,
}

/// A compiler and the linker that fits it.
#[derive(Debug, Clone)]
pub(crate) struct Ebpf {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

impl fmt::Display for Ebpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compiler { name, version, llvm, .. } = &self.compiler;
        write!(f, "{name} {version} (LLVM {llvm}) and {}", self.linker.display())
    }
}

/// Climbs the ladder.
pub(crate) fn ensure(project: &Project) -> anyhow::Result<Ebpf> {
    let pins = Pins::load(project)?;
    let compilers = installed(project, &pins);
    for compiler in &compilers {
        if let Some(linker) = linker::find(project, &pins, compiler.llvm) {
            return Ok(Ebpf { compiler: compiler.clone(), linker });
        }
    }
    let _lock = project.lock("setup")?;
    let mut reasons = Vec::new();
    for compiler in compilers {
        match linker::install(project, &pins, compiler.llvm) {
            Ok(linker) => return Ok(Ebpf { compiler, linker }),
            Err(error) => {
                say::note(format!("{} {} is there, but: {error:#}", compiler.name, compiler.version));
                reasons.push(format!("{}: {error:#}", compiler.name));
            }
        }
    }
    if Distro::detect() == Distro::Debian {
        match install(project, &pins) {
            Ok(compiler) => {
                let linker = linker::install(project, &pins, compiler.llvm)?;
                return Ok(Ebpf { compiler, linker });
            }
            Err(error) => reasons.push(format!("distribution packages: {error:#}")),
        }
    }
    bail!("{}", advice(&pins, &reasons));
}

/// Every compiler on this machine that has its sources, best first.
fn installed(project: &Project, pins: &Pins) -> Vec<Compiler> {
    rustup_compilers(project)
        .into_iter()
        .chain(system_compilers())
        .filter_map(|(name, rustc)| probe(project, pins, name, &rustc))
        .collect()
}

fn rustup_compilers(project: &Project) -> Vec<(String, PathBuf)> {
    let rustup = |args: &[&str]| {
        let cmd = project.cmd("rustup").env("RUSTUP_AUTO_INSTALL", "0").env_remove("RUSTUP_TOOLCHAIN");
        cmd.args(args).ignore_stderr().read().unwrap_or_default()
    };
    let list = rustup(&["toolchain", "list", "--verbose"]);
    let mut found: Vec<(String, PathBuf)> = list.lines().filter_map(toolchain_of).collect();
    // A nightly is what eBPF crates are written against; a stable one does as well when told to bootstrap.
    found.sort_by_key(|(name, _)| !name.starts_with("nightly"));
    found.into_iter().map(|(name, folder)| (format!("rustup's {name}"), folder.join("bin/rustc"))).collect()
}

/// Name and folder from a line such as `nightly-x86_64-unknown-linux-gnu (active) /…/toolchains/nightly`.
fn toolchain_of(line: &str) -> Option<(String, PathBuf)> {
    let name = line.split_whitespace().next()?;
    let folder = line.split_once(" /").map(|(_, rest)| format!("/{rest}"))?;
    Some((name.to_owned(), PathBuf::from(folder)))
}

fn system_compilers() -> Vec<(String, PathBuf)> {
    let mut found = vec![PathBuf::from("/usr/bin/rustc")];
    // Ubuntu keeps several, as rustc-1.89.
    let mut versioned: Vec<PathBuf> = std::fs::read_dir("/usr/bin")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rustc-1.")))
        .collect();
    versioned.sort_by_key(|path| std::cmp::Reverse(version_key(&path.to_string_lossy())));
    found.append(&mut versioned);
    found.into_iter().map(|rustc| ("the distribution's rustc".to_owned(), rustc)).collect()
}

/// Asks a compiler who it is; `None` when it is too old or lacks its sources.
fn probe(project: &Project, pins: &Pins, name: String, rustc: &Path) -> Option<Compiler> {
    if !rustc.is_file() {
        return None;
    }
    let about = project.cmd(rustc).arg("-vV").ignore_stderr().read().ok()?;
    let field = |key: &str| about.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let version = field("release:")?.to_owned();
    let llvm = field("LLVM version:")?.split('.').next()?.parse().ok()?;
    let sysroot = project.cmd(rustc).args(["--print", "sysroot"]).ignore_stderr().read().ok()?;
    let sysroot = Path::new(sysroot.trim());
    let sources = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs");
    if version_key(&version) < version_key(&pins.ebpf_rustc.minimum) || !sources.is_file() {
        return None;
    }
    let own_cargo = rustc.with_file_name("cargo");
    let cargo = if own_cargo.is_file() { own_cargo } else { PathBuf::from("cargo") };
    Some(Compiler { name, rustc: rustc.to_owned(), cargo, version, llvm })
}

/// Installs the distribution's newest compiler that is new enough and has a source package of its own version.
fn install(project: &Project, pins: &Pins) -> anyhow::Result<Compiler> {
    if distro::is_root() {
        say::step("no compiler here can build for BPF: asking apt for one");
        distro::apt_update(project);
    }
    let Some((compiler, sources)) = pair(project, pins) else {
        bail!("apt offers no rustc of at least {} together with its sources", pins.ebpf_rustc.minimum);
    };
    distro::apt_install(project, &[&compiler, &sources], "no compiler here has the sources of its `core`")?;
    system_compilers()
        .into_iter()
        .find_map(|(name, rustc)| probe(project, pins, name, &rustc))
        .with_context(|| format!("{compiler} and {sources} are installed, but rustc still finds no sources"))
}

fn pair(project: &Project, pins: &Pins) -> Option<(String, String)> {
    let mut pairs = vec![
        ("rustc-web".to_owned(), "rust-web-src".to_owned()),
        ("rustc".to_owned(), "rust-src".to_owned()),
    ];
    let names =
        project.cmd("apt-cache").args(["pkgnames", "rustc-1."]).ignore_stderr().read().unwrap_or_default();
    let mut versions: Vec<&str> = names.lines().filter_map(|name| name.strip_prefix("rustc-")).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version_key(version)));
    pairs.extend(versions.iter().map(|version| (format!("rustc-{version}"), format!("rust-{version}-src"))));
    pairs.into_iter().find(|(compiler, sources)| {
        let version = distro::candidate(project, compiler);
        version
            .as_deref()
            .is_some_and(|version| version_key(version) >= version_key(&pins.ebpf_rustc.minimum))
            && version == distro::candidate(project, sources)
    })
}

/// The leading numbers of a version, an epoch skipped, so that 1.100 comes after 1.89.
fn version_key(version: &str) -> Vec<u32> {
    let version = version.rsplit_once(':').map_or(version, |(_, rest)| rest);
    let start = version.find(|c: char| c.is_ascii_digit()).unwrap_or(version.len());
    version[start..]
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse().ok())
        .take(2)
        .collect()
}

fn advice(pins: &Pins, reasons: &[String]) -> String {
    let minimum = &pins.ebpf_rustc.minimum;
    let linker = &pins.bpf_linker.version;
    let mut text = format!(
        "no toolchain for eBPF: it takes rustc {minimum} or newer with its library sources, and bpf-linker {linker}. \
         One of these brings them:\n\
         - rustup, anywhere: rustup toolchain install nightly --component rust-src\n\
         - Debian, Ubuntu: apt-get install rustc-web rust-web-src llvm-22-dev \
         (or rustc and rust-src where they are new enough; the LLVM major is the one `rustc -vV` shows)\n\
         - Fedora: dnf install rust rust-src cargo llvm-devel\n\
         - Arch: pacman -S rust rust-src llvm\n\
         bpf-linker is then built by `cargo xtask setup` where LLVM's development files are installed; \
         `cargo binstall bpf-linker@{linker}` brings one with LLVM inside"
    );
    for reason in reasons {
        text.push_str("\ntried: ");
        text.push_str(reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version_key("1.100.0") > version_key("1.89"));
        assert!(version_key("1.96.0+dfsg1-1~deb12u2") >= version_key("1.89"));
        assert!(version_key("1.63.0+dfsg1-2") < version_key("1.89"));
        assert_eq!(version_key("1:1.98.0-nightly"), [1, 98]);
        assert_eq!(version_key("/usr/bin/rustc-1.89"), [1, 89]);
    }

    #[test]
    fn rustup_lines() {
        let (name, folder) =
            toolchain_of("nightly-x86_64 (active, default) /home/a b/.rustup/toolchains/nightly-x86_64")
                .expect("well-formed");
        assert_eq!(name, "nightly-x86_64");
        assert_eq!(folder, PathBuf::from("/home/a b/.rustup/toolchains/nightly-x86_64"));
        assert!(toolchain_of("no installed toolchains").is_none());
    }
}
