//! Podman as root, with storage, state and configuration of our own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use super::docker::run_args;
use super::{Container, Engine, Env, Leftovers, Runtime, Spec, image, need};
use crate::process::{self, Service};

pub(super) const IMAGE: &str = "localhost/bulkhead-scenarios:latest";

/// Limits that a machine without CAP_SYS_RESOURCE can grant, locks in files instead of shared memory of the whole
/// machine, no files in the journal.
const CONFIGURATION: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
pids_limit = 0
log_driver = "k8s-file"
[network]
network_backend = "netavark"
[engine]
runtime = "ours"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[engine.runtimes]
ours = ["@RUNTIME@"]
"#;

#[derive(Debug)]
pub(super) struct Podman {
    env: Rc<Env>,
    program: PathBuf,
    folder: PathBuf,
    live: Vec<String>,
    service: Option<Service>,
    _leftovers: Leftovers,
}

impl Podman {
    pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Self> {
        let folder = env.work.join("podman");
        fs::create_dir_all(folder.join("tmp"))?;
        let runtime = env.runc_for_engines()?;
        let configuration = CONFIGURATION.replace("@RUNTIME@", &runtime.display().to_string());
        fs::write(folder.join("containers.conf"), configuration)?;
        let leftovers = Leftovers::note(&[
            "/run/runc",
            "/run/crun",
            "/run/libpod",
            "/run/containers",
            "/var/lib/containers",
            "/run/netns",
            "/var/lib/cni",
        ]);
        let mut podman = Self {
            program: need("podman")?,
            folder,
            live: Vec::new(),
            service: None,
            _leftovers: leftovers,
            env,
        };
        let mut import = podman.command();
        import.arg("import").arg("--quiet").arg(image(&podman.env)?).arg(IMAGE);
        process::run(&mut import, podman.env.limit)?;
        podman.service = Some(podman.serve()?);
        Ok(podman)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("podman.sock")
    }

    /// Podman needs no daemon: this is the API for whoever wants it.
    fn serve(&self) -> anyhow::Result<Service> {
        let socket = self.socket();
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let mut command = self.command();
        command.args(["system", "service", "--time", "0"]).arg(format!("unix://{}", socket.display()));
        let mut service = Service::start(&mut command, &self.folder.join("log"))?;
        service.wait_until(self.env.limit, || UnixStream::connect(&socket).is_ok())?;
        Ok(service)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.env("TMPDIR", self.folder.join("tmp"));
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "libpod")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command.arg("--cgroup-manager=cgroupfs");
        command
    }

    fn run(&mut self, spec: &Spec<'_>, how: &str) -> anyhow::Result<(Container, String)> {
        let mut command = self.command();
        let id = self.folder.join(format!("id-{}", spec.name));
        command.args(["run", how]).arg("--cidfile").arg(&id);
        run_args(&mut command, Some(&self.env.cgroup_parent()), spec);
        command.arg(IMAGE).args(spec.argv);
        self.live.push(spec.name.to_owned());
        let said = process::run(&mut command, self.env.limit)?;
        let id = fs::read_to_string(id)?.trim().to_owned();
        let cgroup = format!("libpod-{id}");
        Ok((
            Container { name: spec.name.to_owned(), id, cgroup, user: spec.setup.user, rootless: false },
            said,
        ))
    }
}

impl Runtime for Podman {
    fn engine(&self) -> Option<Engine> {
        let parent = self.env.cgroup_parent();
        Some(Engine { kind: "podman", socket: self.socket(), image: IMAGE, client: self.command(), parent })
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.service = None;
        self.service = Some(self.serve()?);
        Ok(())
    }

    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.run(spec, "--detach")?.0)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let done = self.run(spec, "--rm")?;
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
        let mut command = self.command();
        process::run(command.args(["rm", "--force", "--time", "0", &container.id]), self.env.limit)?;
        Ok(())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.live) {
            let _ = self.command().args(["rm", "--force", "--time", "0", &name]).output();
        }
    }
}
