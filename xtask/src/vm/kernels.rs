//! The kernel matrix as data, and the cache of kernel images.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::project::{Project, read_trimmed};
use crate::say;
use crate::vm::archive::Suite;

/// A row of `xtask/kernels.toml`, which documents the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernel {
    pub(crate) id: String,
    suite: String,
    meta: String,
    pub(crate) append: String,
    pub(crate) cgroups: Vec<Layout>,
    #[serde(default)]
    pub(crate) engines: BTreeMap<Layout, Vec<String>>,
    pub(crate) rungs: Vec<String>,
    pub(crate) runtimes: Vec<String>,
    pub(crate) cpus: u8,
    pub(crate) why: String,
}

/// How the guest mounts its cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    V1,
    V2,
    Hybrid,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        })
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            "hybrid" => Ok(Self::Hybrid),
            _ => Err("v1, v2 or hybrid".to_owned()),
        }
    }
}

/// A kernel image on disk.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) vmlinuz: PathBuf,
    /// What `uname -r` will say, from the package's name.
    pub(crate) release: String,
    /// Its modules that guests load, unpacked; built into the kernel or not to be had if it is not there.
    pub(crate) modules: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Matrix {
    kernel: Vec<Kernel>,
}

/// All kernels of the matrix, oldest first.
pub(crate) fn matrix(project: &Project) -> anyhow::Result<Vec<Kernel>> {
    Ok(project.data::<Matrix>("xtask/kernels.toml")?.kernel)
}

impl Kernel {
    /// The cached image, if there is one.
    pub(crate) fn cached(&self, project: &Project) -> Option<Image> {
        let folder = self.folder(project);
        let (vmlinuz, release) = (folder.join("vmlinuz"), read_trimmed(&folder.join("release"))?);
        // What was kept for an earlier list may lack a module of this one.
        let listed = fs::read_to_string(folder.join(LIST)).ok()?;
        let kept = fs::read_dir(folder.join("modules")).ok().filter(|_| listed == list())?;
        let modules = kept.filter_map(Result::ok).map(|entry| entry.path()).collect();
        vmlinuz.is_file().then_some(Image { vmlinuz, release, modules })
    }

    /// The image, downloaded when it is not cached, or when `refresh` asks for the newest.
    pub(crate) fn fetch(&self, project: &Project, refresh: bool) -> anyhow::Result<Image> {
        let _lock = project.lock("kernels")?;
        if let Some(image) = self.cached(project).filter(|_| !refresh) {
            return Ok(image);
        }
        say::step(format!("kernel {}: looking for its newest image in {}", self.id, self.suite));
        let arch = project.cmd("dpkg").arg("--print-architecture").read().context(
            "the kernels come as Debian packages, and this machine has no dpkg: run the matrix on Debian",
        )?;
        let folder = self.folder(project);
        let suite = Suite::open(project, &folder.join("apt"), &self.suite)?;
        let (package, modules) = resolve(&suite, &self.meta.replace("{arch}", &arch))?;
        let unpacked = folder.join("unpacked");
        fs::remove_dir_all(&unpacked).ok();
        for package in [Some(&package), modules.as_ref()].into_iter().flatten() {
            say::note(format!("downloading {package}"));
            let deb = suite.download(package)?;
            project.cmd("dpkg-deb").arg("-x").arg(&deb).arg(&unpacked).run()?;
        }
        let release = package.splitn(3, '-').nth(2).unwrap_or(&package).to_owned();
        let candidates = [format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz")]
            .map(|path| unpacked.join(path));
        let Some(found) = candidates.iter().find(|path| path.is_file()) else {
            bail!(
                "{package} holds no vmlinuz in boot/ or usr/lib/modules/{release}/: its layout has changed"
            );
        };
        let vmlinuz = folder.join("vmlinuz");
        fs::copy(found, &vmlinuz).with_context(|| format!("cannot write {}", vmlinuz.display()))?;
        keep_modules(project, &unpacked, &release, &folder.join("modules"))?;
        fs::write(folder.join(LIST), list()).context("cannot note the kernel's modules")?;
        fs::write(folder.join("release"), format!("{release}\n"))
            .context("cannot note the kernel's release")?;
        // The other modules and the package lists are large.
        for scrap in ["unpacked", "apt"] {
            fs::remove_dir_all(folder.join(scrap)).ok();
        }
        say::note(format!("cached as {}", vmlinuz.display()));
        self.cached(project).context("the kernel was written, and cannot be read")
    }

    fn folder(&self, project: &Project) -> PathBuf {
        project.target.join("vm/kernels").join(&self.id)
    }
}

/// The module that scenarios break: a small one that nothing needs.
pub(crate) const BREAKABLE: &str = "dummy.ko";

/// Modules by their paths below those of the kernel. Engines want the first: each layer of an image is a folder of an
/// overlay.
const MODULES: [&str; 2] = ["kernel/fs/overlayfs/overlay.ko", "kernel/drivers/net/dummy.ko"];
/// Where it is noted which of them were looked for.
const LIST: &str = "modules.list";

fn list() -> String {
    MODULES.join("\n")
}

/// Keeps the few modules that guests load, as the kernel loads them: not compressed.
fn keep_modules(project: &Project, unpacked: &Path, release: &str, into: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(into).ok();
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    for module in MODULES {
        let name = module.rsplit('/').next().unwrap_or(module);
        for (folder, (ending, unpack)) in ["lib/modules", "usr/lib/modules"]
            .into_iter()
            .flat_map(|folder| [("", "cat"), (".xz", "xzcat"), (".zst", "zstdcat")].map(|how| (folder, how)))
        {
            let packed = unpacked.join(folder).join(release).join(format!("{module}{ending}"));
            if packed.is_file() {
                let plain =
                    project.cmd(unpack).arg(&packed).output().context("cannot unpack a module")?.stdout;
                fs::write(into.join(name), plain).with_context(|| format!("cannot keep {name}"))?;
            }
        }
    }
    Ok(())
}

/// Follows a meta package to the package that holds the image, and to the one that holds its modules if that is another.
///
/// Up to 6.x both are `linux-image-<release>`; from 7.x on this depends on `linux-binary-<release>` and
/// `linux-modules-<release>`.
fn resolve(suite: &Suite<'_>, meta: &str) -> anyhow::Result<(String, Option<String>)> {
    let image = suite.depends(meta)?.into_iter().find(|name| is_image(name));
    let Some(image) = image else {
        bail!("{meta} depends on no kernel image");
    };
    let parts = suite.depends(&image)?;
    let part = |start: &str| parts.iter().find(|name| name.starts_with(start)).cloned();
    Ok((part("linux-binary-").unwrap_or(image), part("linux-modules-")))
}

fn is_image(package: &str) -> bool {
    ["linux-image-", "linux-binary-"].iter().any(|prefix| {
        package.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_meta_packages() {
        assert!(is_image("linux-image-6.1.0-56-cloud-amd64"));
        assert!(is_image("linux-binary-7.3.4+deb13-cloud-amd64"));
        assert!(!is_image("linux-image-cloud-amd64"));
    }

    #[test]
    fn the_matrix_parses_and_ids_are_unique() {
        let project = Project::open().expect("inside the repository");
        let kernels = matrix(&project).expect("kernels.toml");
        assert!(kernels.len() >= 4);
        let checks = fs::read_to_string(project.root.join("docs/checks.tsv")).expect("checks.tsv");
        let is_check = |name: &String| checks.lines().any(|line| line.starts_with(&format!("{name}\t")));
        let of_engines = kernels.iter().flat_map(|kernel| kernel.engines.values()).flatten();
        assert!(of_engines.clone().count() > 0 && of_engines.clone().all(is_check), "a check is not known");
        for (at, kernel) in kernels.iter().enumerate() {
            assert!(!kernel.cgroups.is_empty(), "{} boots in no layout", kernel.id);
            assert!(kernels[..at].iter().all(|other| other.id != kernel.id), "{} is there twice", kernel.id);
        }
    }
}
