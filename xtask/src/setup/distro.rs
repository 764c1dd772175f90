//! Which distribution this is, and how packages are installed on it.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::project::{Project, find_program};
use crate::say;

/// Families of distributions that name their packages alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distro {
    Debian,
    Fedora,
    Arch,
    Other,
}

impl Distro {
    /// From `/etc/os-release`.
    pub(crate) fn detect() -> Self {
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::from_os_release(&text)
    }

    fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let names = format!("{} {}", value("ID"), value("ID_LIKE"));
        for name in names.split_whitespace() {
            match name {
                "debian" | "ubuntu" => return Self::Debian,
                "fedora" | "rhel" => return Self::Fedora,
                "arch" => return Self::Arch,
                _ => {}
            }
        }
        Self::Other
    }

    /// The command a person would type to install packages.
    pub(crate) fn install_command(self, packages: &[&str]) -> String {
        let list = packages.join(" ");
        match self {
            Self::Debian => format!("apt-get install --no-install-recommends {list}"),
            Self::Fedora => format!("dnf install {list}"),
            Self::Arch => format!("pacman -S {list}"),
            Self::Other => format!("install {list}"),
        }
    }
}

/// True when this process may install packages.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Installs packages with apt. `why` is told to the person who waits.
///
/// The lists are brought up to date first: this is reached only when something is missing, and an index that is
/// older than the archive names packages that are gone.
pub(crate) fn apt_install(project: &Project, packages: &[&str], why: &str) -> anyhow::Result<()> {
    let command = Distro::Debian.install_command(packages);
    if !is_root() {
        bail!("{why}, and installing needs root; type: sudo {command}");
    }
    say::step(format!("{why}: {command}"));
    apt_update(project);
    let install = || {
        apt(project)
            .args(["install", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"])
            .args(packages)
            .ignore_stdout()
            .run()
    };
    if install().is_err() {
        say::note("apt-get failed; another one may be running, trying once more in 10 s");
        thread::sleep(Duration::from_secs(10));
        apt_update(project);
        install().with_context(|| format!("cannot install: {command}"))?;
    }
    Ok(())
}

/// Installs what `install` does without these services being started, now or at the next boot.
pub(crate) fn without_services(
    project: &Project,
    services: &[&str],
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Without systemctl there is nobody who would start them.
    if services.is_empty() || !is_root() || find_program("systemctl").is_none() {
        return install();
    }
    let systemctl =
        |verb: &str| project.cmd("systemctl").arg(verb).args(services).ignore_stdout().ignore_stderr().run();
    systemctl("mask").with_context(|| format!("cannot keep {} from starting", services.join(", ")))?;
    let installed = install();
    // What stays masked could not be used by whoever wants it.
    systemctl("unmask").with_context(|| format!("cannot unmask {}", services.join(", ")))?;
    if installed.is_ok() {
        systemctl("disable").with_context(|| format!("cannot disable {}", services.join(", ")))?;
    }
    installed
}

/// Brings apt's lists up to date; without them what is on the machine must do.
pub(crate) fn apt_update(project: &Project) {
    if apt(project).arg("update").ignore_stdout().run().is_err() {
        say::note("apt-get update failed; going on with the lists there are");
    }
}

fn apt(project: &Project) -> xshell::Cmd<'_> {
    project.cmd("apt-get").env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").args([
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Acquire::Retries=2",
    ])
}

/// The version apt would install, `None` when it knows no such package.
pub(crate) fn candidate(project: &Project, package: &str) -> Option<String> {
    let policy =
        project.cmd("apt-cache").env("LC_ALL", "C").args(["policy", package]).ignore_stderr().read().ok()?;
    candidate_of(&policy)
}

fn candidate_of(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        assert_eq!(Distro::from_os_release("ID=debian\n"), Distro::Debian);
        assert_eq!(Distro::from_os_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Distro::Debian);
        assert_eq!(Distro::from_os_release("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Distro::Fedora);
        assert_eq!(Distro::from_os_release("ID=manjaro\nID_LIKE=arch\n"), Distro::Arch);
        assert_eq!(Distro::from_os_release("ID=nixos\n"), Distro::Other);
    }

    #[test]
    fn candidates() {
        assert_eq!(
            candidate_of("a:\n  Installed: (none)\n  Candidate: 1:22.1-1\n"),
            Some("1:22.1-1".to_owned())
        );
        assert_eq!(candidate_of("a:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_of(""), None);
    }
}
