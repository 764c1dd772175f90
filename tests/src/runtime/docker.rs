//! A Docker Engine of our own: own storage, own socket, own network namespace.

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rustix::thread::UnshareFlags;

use super::shims::end_shims;
use super::{Container, Engine, Env, Leftovers, Runtime, Spec, image, need};
use crate::host;
use crate::process::{self, Service};
use crate::stop;

const IMAGE: &str = "bulkhead-scenarios:latest";

/// The arguments that Docker's and Podman's `run` share.
pub(super) fn run_args(command: &mut Command, cgroup_parent: Option<&str>, spec: &Spec<'_>) {
    command.args(["--name", spec.name, "--network", "none"]);
    if let Some(parent) = cgroup_parent {
        command.args(["--cgroup-parent", parent]);
    }
    if !spec.setup.seccomp {
        command.args(["--security-opt", "seccomp=unconfined"]);
    }
    for cap in &spec.setup.caps {
        command.args(["--cap-add", cap]);
    }
    if spec.setup.privileged {
        command.arg("--privileged");
    }
    if spec.setup.host_pid {
        command.args(["--pid", "host"]);
    }
    if spec.setup.user != 0 {
        command.arg("--user").arg(format!("{0}:{0}", spec.setup.user));
    }
    for label in &spec.setup.labels {
        command.args(["--label", label]);
    }
    for (host, at) in spec.mounts {
        command.arg("--volume").arg(format!("{host}:{at}"));
    }
}

/// The engine, its containers, its daemon: dropped in this order.
#[derive(Debug)]
pub(super) struct Docker {
    env: Rc<Env>,
    client: PathBuf,
    folder: PathBuf,
    live: Vec<String>,
    /// Containers are to outlive it, as far as that is its to say.
    live_restore: bool,
    // The daemon ends before its leftovers are removed.
    daemon: Option<Service>,
    _leftovers: Leftovers,
}

/// A packaged client beside the packaged daemon, rather than what else may come first in the path.
fn client() -> anyhow::Result<PathBuf> {
    match host::program("docker", Some("/usr/local/bin")) {
        Some(client) => Ok(client),
        None => need("docker"),
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

/// dockerd changes settings of the network namespace that it runs in: that must not be the host's.
#[expect(unsafe_code, reason = "pre_exec")]
fn own_network(command: &mut Command) {
    // SAFETY: unshare(2) is async-signal-safe, and the new process has one thread.
    unsafe {
        command.pre_exec(|| {
            rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)?;
            Ok(())
        });
    }
}

/// Starts the engine's daemon, and waits until it listens.
fn daemon(env: &Env, folder: &Path, live_restore: bool) -> anyhow::Result<Service> {
    // A network namespace of its own, where even its own address for itself has to be switched on.
    let mut command = Command::new("sh");
    command.args(["-c", "ip link set lo up; exec \"$@\"", "sh"]).arg(need("dockerd")?);
    command.arg("--data-root").arg(folder.join("root"));
    command.arg("--exec-root").arg(folder.join("run"));
    command.arg("--pidfile").arg(folder.join("pid"));
    command.arg("--host").arg(format!("unix://{}", socket(folder).display()));
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
    command.arg("--add-runtime").arg(format!("ours={}", env.runc_for_engines()?.display()));
    command.args(["--default-runtime", "ours"]);
    if live_restore {
        command.arg("--live-restore");
    }
    own_network(&mut command);
    let mut daemon = Service::start(&mut command, &folder.join("log"))?;
    let path = socket(folder);
    daemon.wait_until(env.limit, || UnixStream::connect(&path).is_ok())?;
    Ok(daemon)
}

/// True if there is such a process, and it has not ended yet.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

impl Docker {
    pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Self> {
        let folder = env.work.join("docker");
        fs::create_dir_all(folder.join("config"))?;
        let leftovers = Leftovers::note(&[
            "/run/containerd",
            "/run/docker",
            "/var/lib/docker",
            "/etc/docker",
            "/run/runc",
            "/run/netns",
        ]);
        let docker = Self {
            client: client()?,
            daemon: Some(daemon(&env, &folder, false)?),
            folder,
            live: Vec::new(),
            live_restore: false,
            _leftovers: leftovers,
            env,
        };
        let mut import = docker.command();
        import.arg("import").arg(image(&docker.env)?).arg(IMAGE);
        process::run(&mut import, docker.env.limit)?;
        Ok(docker)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.client);
        command.env("DOCKER_CONFIG", self.folder.join("config"));
        command.arg("--host").arg(format!("unix://{}", socket(&self.folder).display()));
        command
    }

    fn make(&mut self, spec: &Spec<'_>, how: &[&str]) -> anyhow::Result<(Container, String)> {
        let mut command = self.command();
        let id = self.folder.join(format!("id-{}", spec.name));
        command.args(how).arg("--cidfile").arg(&id);
        run_args(&mut command, Some(&self.env.cgroup_parent()), spec);
        command.arg(IMAGE).args(spec.argv);
        self.live.push(spec.name.to_owned());
        let said = process::run(&mut command, self.env.limit)?;
        let id = fs::read_to_string(id)?.trim().to_owned();
        Ok((
            Container {
                name: spec.name.to_owned(),
                cgroup: id.clone(),
                id,
                user: spec.setup.user,
                rootless: false,
            },
            said,
        ))
    }
}

impl Runtime for Docker {
    fn engine(&self) -> Option<Engine> {
        let client = self.command();
        Some(Engine {
            kind: "docker",
            socket: socket(&self.folder),
            image: IMAGE,
            client,
            parent: self.env.cgroup_parent(),
        })
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.daemon = None;
        self.daemon = Some(daemon(&self.env, &self.folder, self.live_restore)?);
        Ok(())
    }

    fn crash(&mut self) -> anyhow::Result<()> {
        // The next one would end the containers otherwise.
        self.live_restore = true;
        self.daemon.take().context("it does not run")?.kill();
        // The containerd that it started goes with it, and the shims stay.
        let file = self.folder.join("run/containerd/containerd.pid");
        let pid = fs::read_to_string(&file).context("no containerd of its own")?;
        let deadline = Instant::now() + self.env.limit;
        while runs(pid.trim()) {
            ensure!(Instant::now() < deadline, "containerd outlives the engine");
            stop::check()?;
            std::thread::yield_now();
        }
        // Nobody may have waited for it, and then the next engine would take it to be running.
        fs::remove_file(file)?;
        Ok(())
    }

    fn launch(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, Command)> {
        let (container, _) = self.make(spec, &["create"])?;
        let mut command = self.command();
        command.args(["start", &container.id]);
        Ok((container, command))
    }

    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.make(spec, &["run", "--detach"])?.0)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let done = self.make(spec, &["run", "--rm"])?;
        self.live.retain(|live| live != spec.name);
        Ok(done)
    }

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        let mut command = self.command();
        command.args(["exec", "--interactive", &container.id]).args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        self.live.retain(|live| *live != container.name);
        process::run(self.command().args(["rm", "--force", &container.id]), self.env.limit)?;
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.live) {
            let _ = self.command().args(["rm", "--force", &name]).output();
        }
        self.daemon = None;
        if self.live_restore {
            end_shims(&self.folder.join("run/containerd/containerd.sock"));
        }
    }
}
