//! What this machine is: its cgroup layout, its limits, its programs.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use serde::Deserialize;

use crate::record::Record;

/// How cgroups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Version 1 hierarchies only.
    V1,
    /// Version 2 only.
    V2,
    /// Version 1 with the controllers, and a version 2 beside it.
    Hybrid,
}

impl Layout {
    /// The name in options and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }

    /// By that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::Hybrid].into_iter().find(|layout| layout.name() == name)
    }
}

/// A mounted cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Mount point.
    pub at: PathBuf,
    /// True for version 2.
    pub v2: bool,
    /// Mount options: the controllers, for version 1.
    pub options: String,
}

/// Facts about this machine, read once.
#[derive(Debug)]
pub struct Host {
    /// Cgroup layout.
    pub layout: Layout,
    /// Every mounted hierarchy, version 2 first.
    pub hierarchies: Vec<Hierarchy>,
    /// False on machines whose root may not raise limits.
    pub may_raise_limits: bool,
}

/// The cgroup lines of `/proc/mounts`.
pub fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, at, kind, options, ..] = words[..] else { continue };
        let v2 = kind == "cgroup2";
        // The same hierarchy may be mounted twice.
        if (v2 || kind == "cgroup") && !found.iter().any(|h| h.v2 == v2 && h.options == options) {
            found.push(Hierarchy { at: at.into(), v2, options: options.to_owned() });
        }
    }
    found.sort_by_key(|hierarchy| !hierarchy.v2);
    found
}

impl Host {
    /// Reads the facts.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn read(layout: Option<Layout>) -> anyhow::Result<Self> {
        let hierarchies = hierarchies(&fs::read_to_string("/proc/mounts")?);
        let (v2, v1) = (hierarchies.iter().any(|h| h.v2), hierarchies.iter().any(|h| !h.v2));
        let found = match (v1, v2) {
            (true, true) => Layout::Hybrid,
            (true, false) => Layout::V1,
            _ => Layout::V2,
        };
        let may_raise_limits = rustix::thread::capabilities(None)
            .is_ok_and(|caps| caps.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE));
        Ok(Self { layout: layout.unwrap_or(found), hierarchies, may_raise_limits })
    }

    /// The hierarchy that identifies containers: version 2, or one of version 1 that every runtime uses.
    pub fn identity(&self) -> Option<&Hierarchy> {
        let with = |name: &str| self.hierarchies.iter().find(|h| h.options.split(',').any(|o| o == name));
        self.hierarchies.iter().find(|h| h.v2).or_else(|| with("pids")).or_else(|| with("memory"))
    }
}

/// True if this kernel can preempt programs of tracepoints, and then skips them for others on that CPU: since 7.0
/// (`docs/decisions/0011`).
pub fn preempts_programs() -> bool {
    let system = rustix::system::uname();
    let major =
        system.release().to_str().ok().and_then(|release| release.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 7)
}

/// True for a record of a loss, unless it is of runs that this kernel skips whatever the daemon does.
pub fn is_avoidable_loss(record: &Record) -> bool {
    record.class() == "loss" && !(preempts_programs() && record.is_skipped_run())
}

/// Full path of a program, as a shell would find it; `skip` leaves a folder out.
pub fn program(name: &str, skip: Option<&str>) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&paths)
        .filter(|dir| skip.is_none_or(|skip| dir != Path::new(skip)))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

/// The mount namespace that the runner was started in.
#[derive(Debug)]
pub struct HostMounts(fs::File);

impl HostMounts {
    /// Moves this thread, and all processes it starts, to a mount namespace of its own, where nothing that is
    /// mounted reaches the host, and everything goes with the last process. To be called before there are threads.
    ///
    /// # Errors
    /// The kernel refuses: this needs CAP_SYS_ADMIN.
    #[expect(unsafe_code, reason = "unshare(2)")]
    pub fn leave() -> anyhow::Result<Self> {
        let here = fs::File::open("/proc/self/ns/mnt")?;
        // SAFETY: this thread shares neither descriptors nor a stack by the call.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
            .context("cannot make a mount namespace")?;
        rustix::mount::mount_change(
            "/",
            rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
        )
        .context("cannot make mounts private")?;
        Ok(Self(here))
    }

    /// Back, for a process that is just being started; async-signal-safe.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn enter(&self) -> std::io::Result<()> {
        rustix::thread::move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Mount))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_mounts() {
        let text = "proc /proc proc rw 0 0\ncgroup /c/pids cgroup rw,pids 0 0\ncgroup2 /c/u cgroup2 rw 0 0\n\
                    cgroup2 /again cgroup2 rw 0 0\n";
        let found = hierarchies(text);
        assert_eq!(found.len(), 2);
        assert!(found[0].v2 && found[0].at == Path::new("/c/u") && !found[1].v2);
    }
}
