//! The programs that make containers: each is started, told what to run, and leaves nothing behind.

mod containerd;
pub mod cri;
mod crun;
mod docker;
mod oci;
mod podman;
mod resident;
mod rootless;
mod runc;
mod shims;
mod youki;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

pub use crun::without_cgroup;
pub use resident::{Maker, Resident, Residents};
use rootless::Cgroups;
pub use rootless::{USER, on_host};
use serde::Deserialize;
pub use youki::{beside_version_1, built as built_youki};

use crate::cgroups::Branch;
use crate::host::{self, Host};
use crate::scenario::Setup;
use crate::shim;

/// A runtime or engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// runc, called directly.
    Runc,
    /// crun, called directly.
    Crun,
    /// youki, called directly; it is in no distribution's packages.
    Youki,
    /// A Docker Engine of our own.
    Docker,
    /// Podman as root, with storage of our own.
    Podman,
    /// Podman as a user without root.
    #[serde(rename = "podman-rootless")]
    PodmanRootless,
    /// A containerd of our own, through `ctr`.
    Containerd,
    /// The CRI service of a containerd of our own, as a kubelet uses it.
    Cri,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Runc,
        Self::Crun,
        Self::Youki,
        Self::Docker,
        Self::Podman,
        Self::PodmanRootless,
        Self::Containerd,
        Self::Cri,
    ];

    /// The name in options and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Youki => "youki",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::PodmanRootless => "podman-rootless",
            Self::Containerd => "containerd",
            Self::Cri => "cri",
        }
    }

    /// True for a runtime without an engine.
    pub fn is_direct(self) -> bool {
        matches!(self, Self::Runc | Self::Crun | Self::Youki)
    }

    /// By that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What the daemon must say about the container: runtime and engine.
    pub fn identity(self) -> (&'static str, &'static str) {
        match self {
            Self::Runc => ("runc", "none"),
            Self::Crun => ("crun", "none"),
            Self::Youki => ("youki", "none"),
            Self::Docker => ("runc", "docker"),
            Self::Podman => ("runc", "podman"),
            Self::PodmanRootless => ("crun", "podman"),
            Self::Containerd => ("runc", "containerd"),
            Self::Cri => ("runc", "kubernetes"),
        }
    }
}

/// What every runtime is given.
#[derive(Debug)]
pub struct Env {
    /// Folder for everything.
    pub work: PathBuf,
    /// Root file system of all containers.
    pub rootfs: PathBuf,
    /// Our branch of the cgroup trees.
    pub branch: Branch,
    /// This machine.
    pub host: Host,
    /// How long one command may take.
    pub limit: Duration,
}

impl Env {
    /// Our branch, as engines of the machine's own are told of it.
    fn cgroup_parent(&self) -> String {
        format!("/{}", self.branch.name)
    }

    /// The OCI runtime for engines: on a machine that may not raise limits, a script that asks for less.
    pub(crate) fn runc_for_engines(&self) -> anyhow::Result<PathBuf> {
        let runc = need("runc")?;
        if self.host.may_raise_limits { Ok(runc) } else { shim::write(&self.work, &runc) }
    }
}

fn need(name: &str) -> anyhow::Result<PathBuf> {
    host::program(name, None).ok_or_else(|| anyhow::anyhow!("{name} is not installed"))
}

/// A container that is to be started.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Its name, unique in the run.
    pub name: &'a str,
    /// What it is granted.
    pub setup: &'a Setup,
    /// Its bind mounts: path on the host, path in the container.
    pub mounts: &'a [(String, String)],
    /// Its program.
    pub argv: &'a [String],
}

/// A container that runs.
#[derive(Clone, Debug)]
pub struct Container {
    /// The name it was given.
    pub name: String,
    /// Its full id.
    pub id: String,
    /// Name of its cgroup in our branch.
    pub cgroup: String,
    /// User of its programs.
    pub user: u32,
    /// Its users have other numbers on the machine: [`on_host`].
    pub rootless: bool,
}

/// An engine, for whoever wants to speak with it.
#[derive(Debug)]
pub struct Engine {
    /// What it is called in `--engine`.
    pub kind: &'static str,
    /// Its socket.
    pub socket: PathBuf,
    /// An image that it has.
    pub image: &'static str,
    /// Its client, without a verb.
    pub client: Command,
    /// The cgroup that it is to put containers into.
    pub parent: String,
}

/// What a runtime can do. When it goes, its containers go, then its daemons.
pub trait Runtime {
    /// Starts a container and returns when its first program runs.
    ///
    /// # Errors
    /// The runtime refuses.
    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container>;

    /// Runs a container to its end; gives what its program wrote.
    ///
    /// # Errors
    /// The runtime refuses.
    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)>;

    /// The command that runs a container, to its end where the runtime is called directly: several may run at once.
    ///
    /// # Errors
    /// There is no such command, or what the command needs cannot be made.
    fn launch(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, Command)> {
        anyhow::bail!("{} cannot be launched through an engine", spec.name)
    }

    /// The command that runs a program in a container, with standard input and output passed on.
    ///
    /// # Errors
    /// What the command needs cannot be made.
    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command>;

    /// The engine, if there is one behind a socket.
    fn engine(&self) -> Option<Engine> {
        None
    }

    /// Kills the engine without a warning; [`Runtime::restart`] starts it again.
    ///
    /// # Errors
    /// There is none.
    fn crash(&mut self) -> anyhow::Result<()> {
        anyhow::bail!("no engine to kill")
    }

    /// Ends the engine and starts it again.
    ///
    /// # Errors
    /// There is none, or it does not start.
    fn restart(&mut self) -> anyhow::Result<()> {
        anyhow::bail!("no engine to start again")
    }

    /// Kills and removes a container.
    ///
    /// # Errors
    /// The runtime refuses.
    fn stop(&mut self, container: &Container) -> anyhow::Result<()>;
}

/// Makes a runtime ready. `Err` within `Ok` says why this machine cannot have it.
///
/// # Errors
/// It should work here, but does not.
pub fn open(kind: Kind, env: &Rc<Env>) -> anyhow::Result<Result<Box<dyn Runtime>, String>> {
    if let Some(why) = missing(kind, &env.host) {
        return Ok(Err(why));
    }
    let env = Rc::clone(env);
    Ok(Ok(match kind {
        Kind::Runc => Box::new(runc::open(env)?),
        Kind::Crun => Box::new(crun::open(env)?),
        Kind::Youki => Box::new(youki::open(env)?),
        Kind::Docker => Box::new(docker::Docker::open(env)?),
        Kind::Podman => Box::new(podman::Podman::open(env)?),
        Kind::PodmanRootless => Box::new(rootless::Rootless::open(env, Cgroups::Delegated)?),
        Kind::Containerd => Box::new(containerd::Containerd::open(env)?),
        Kind::Cri => Box::new(cri::Cri::open(env, cri::Driver::Cgroupfs)?),
    }))
}

/// The same where containers are to have what the host has for rules on devices.
///
/// # Errors
/// It should work here, but does not.
pub fn open_with_devices(kind: Kind, env: &Rc<Env>) -> anyhow::Result<Result<Box<dyn Runtime>, String>> {
    match (kind, missing(kind, &env.host)) {
        (Kind::Youki, None) => Ok(Ok(Box::new(youki::open_on_host(Rc::clone(env))?))),
        _ => open(kind, env),
    }
}

/// Podman as a user without root whose containers have no cgroup of their own.
///
/// # Errors
/// It should work here, but does not.
pub fn open_without_cgroups(env: &Rc<Env>) -> anyhow::Result<Result<Box<dyn Runtime>, String>> {
    if let Some(why) = missing(Kind::PodmanRootless, &env.host) {
        return Ok(Err(why));
    }
    Ok(Ok(Box::new(rootless::Rootless::open(Rc::clone(env), Cgroups::Callers)?)))
}

/// Why this machine cannot have that runtime.
pub(crate) fn missing(kind: Kind, host: &Host) -> Option<String> {
    let programs: &[&str] = match kind {
        Kind::Runc => &["runc"],
        Kind::Crun => &["crun"],
        Kind::Youki => &[],
        Kind::Docker => &["dockerd", "docker", "runc", "tar"],
        Kind::Podman => &["podman", "conmon", "runc", "tar"],
        Kind::PodmanRootless => &["podman", "conmon", "crun", "runc", "newuidmap", "newgidmap", "tar"],
        Kind::Containerd => &["containerd", "ctr", "runc"],
        Kind::Cri => &["containerd", "ctr", "runc", "tar", "sha256sum", "nsenter", "ip"],
    };
    if let Some(program) = programs.iter().find(|program| host::program(program, None).is_none()) {
        return Some(format!("{program} is not installed"));
    }
    if kind == Kind::Youki && youki::program().is_none() {
        return Some("youki is not installed".to_owned());
    }
    if kind == Kind::PodmanRootless && !host.hierarchies.iter().any(|hierarchy| hierarchy.v2) {
        return Some("no version 2 of cgroups, of which a user could be given a branch".to_owned());
    }
    if kind == Kind::PodmanRootless
        && let Some(why) = rootless::refused()
    {
        return Some(why);
    }
    // Podman would move every process of the root cgroup, those of others included.
    let is_pure = host.hierarchies.iter().all(|hierarchy| hierarchy.v2);
    (kind == Kind::Podman && is_pure && !in_own_cgroup())
        .then(|| "podman in the root cgroup of a version 2 layout moves other people's processes".to_owned())
}

/// True if this process is not in the root cgroup.
fn in_own_cgroup() -> bool {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines().any(|line| line.strip_prefix("0::/").is_some_and(|rest| !rest.is_empty()))
}

/// An image for engines: the root file system in one file.
fn image(env: &Env) -> anyhow::Result<PathBuf> {
    let tar = env.work.join("rootfs.tar");
    if !tar.exists() {
        let mut command = Command::new("tar");
        command.arg("-C").arg(&env.rootfs).arg("-cf").arg(&tar).arg(".");
        crate::process::run(&mut command, env.limit)?;
    }
    Ok(tar)
}

/// Removes folders that an engine made in places of the whole machine, unless they were there before.
#[derive(Debug)]
struct Leftovers(Vec<PathBuf>);

impl Leftovers {
    fn note(paths: &[&str]) -> Self {
        Self(paths.iter().map(PathBuf::from).filter(|path| !path.exists()).collect())
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for path in &self.0 {
            remove_empty(path);
        }
    }
}

/// Removes a tree of folders as far as they hold nothing.
fn remove_empty(path: &Path) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_empty(&entry.path());
        }
    }
    // Not empty, or not there: both are well.
    let _ = fs::remove_dir(path);
}
