//! `bpf-linker`, of the pinned version and with an LLVM that reads the compiler's bitcode.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::project::{Pins, Project, find_program};
use crate::say;
use crate::setup::distro::{self, Distro};
use crate::setup::tools;

const NAME: &str = "bpf-linker";

/// A usable linker that is already here.
pub(crate) fn find(project: &Project, pins: &Pins, compiler_llvm: u32) -> Option<PathBuf> {
    let ours = tools::folder(project).join("bin").join(NAME);
    [Some(ours), find_program(NAME)]
        .into_iter()
        .flatten()
        .find(|linker| fits(project, pins, linker, compiler_llvm))
}

fn fits(project: &Project, pins: &Pins, linker: &Path, compiler_llvm: u32) -> bool {
    if !linker.is_file() || tools::version(project, linker).as_deref() != Some(&pins.bpf_linker.version) {
        return false;
    }
    // Older LLVMs cannot read newer bitcode. One that is linked statically does not tell: the build will.
    let libraries = project.cmd("ldd").arg(linker).ignore_stderr().ignore_status().read().unwrap_or_default();
    llvm_of(&libraries).is_none_or(|llvm| llvm >= compiler_llvm)
}

/// The LLVM major in ldd's answer: `libLLVM.so.22.1`, `libLLVM-17.so.1`.
fn llvm_of(ldd: &str) -> Option<u32> {
    let at = ldd.find("libLLVM")? + "libLLVM".len();
    let number = ldd[at..].trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

/// Builds the linker against the oldest LLVM that still reads the compiler's bitcode.
pub(crate) fn install(project: &Project, pins: &Pins, compiler_llvm: u32) -> anyhow::Result<PathBuf> {
    if let Some(linker) = find(project, pins, compiler_llvm) {
        return Ok(linker);
    }
    let version = &pins.bpf_linker.version;
    let usable: Vec<u32> =
        pins.bpf_linker.llvm.iter().copied().filter(|llvm| *llvm >= compiler_llvm).collect();
    if usable.is_empty() {
        bail!(
            "bpf-linker {version} has no feature for LLVM {compiler_llvm}: pin a newer one in xtask/pins.toml"
        );
    }
    let (llvm, prefix) = llvm(project, &usable)?;
    say::step(format!("building bpf-linker {version} against LLVM {llvm}, once, about a minute"));
    let args = ["--no-default-features".to_owned(), "--features".to_owned(), format!("llvm-{llvm}")];
    tools::cargo_install(project, NAME, version, &args, &[("LLVM_PREFIX", prefix.as_os_str())])?;
    find(project, pins, compiler_llvm)
        .context("bpf-linker was built, but does not run or reports another version")
}

/// An LLVM with development files, installed if apt has one.
fn llvm(project: &Project, usable: &[u32]) -> anyhow::Result<(u32, PathBuf)> {
    if let Some(found) = usable.iter().find_map(|llvm| Some((*llvm, prefix(project, *llvm)?))) {
        return Ok(found);
    }
    let majors = usable.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
    match Distro::detect() {
        Distro::Debian => {}
        Distro::Fedora => bail!("LLVM {majors} has no development files here; type: dnf install llvm-devel"),
        Distro::Arch => bail!("LLVM {majors} has no development files here; type: pacman -S llvm"),
        Distro::Other => bail!("LLVM {majors} has no development files here"),
    }
    let offered = |llvm: &&u32| distro::candidate(project, &format!("llvm-{llvm}-dev")).is_some();
    let Some(llvm) = usable.iter().find(offered) else {
        bail!("apt offers no development files of LLVM {majors}");
    };
    let development = format!("llvm-{llvm}-dev");
    // LLVM is C++: its library is linked together with g++'s.
    let packages: &[&str] =
        if find_program("g++").is_some() { &[&development] } else { &[&development, "g++"] };
    distro::apt_install(project, packages, "bpf-linker is built against LLVM")?;
    let prefix =
        prefix(project, *llvm).with_context(|| format!("llvm-{llvm}-dev is installed, but not found"))?;
    Ok((*llvm, prefix))
}

/// Where LLVM of this major lives, if its library can be linked against.
fn prefix(project: &Project, llvm: u32) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    if debian.join("lib/libLLVM.so").exists() {
        return Some(debian);
    }
    [format!("llvm-config-{llvm}"), "llvm-config".to_owned()].iter().find_map(|config| {
        let config = find_program(config)?;
        let answer = |what: &str| project.cmd(&config).arg(what).ignore_stderr().read().ok();
        let right = answer("--version")?.split('.').next() == Some(&llvm.to_string());
        let prefix = PathBuf::from(answer("--prefix")?.trim());
        let library = ["lib64", "lib"].iter().any(|folder| prefix.join(folder).join("libLLVM.so").exists());
        (right && library).then_some(prefix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_major_from_ldd() {
        assert_eq!(llvm_of("\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x7f)\n"), Some(22));
        assert_eq!(llvm_of("\tlibLLVM-17.so.1 => /usr/lib/libLLVM-17.so.1 (0x7f)\n"), Some(17));
        assert_eq!(llvm_of("\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n"), None);
    }
}
