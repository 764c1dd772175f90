//! A containerd of our own, through `ctr`.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;

use super::shims::end_shims;
use super::{Container, Engine, Env, Leftovers, Runtime, Spec, need};
use crate::bundle;
use crate::process::{self, Service};

const CONFIGURATION: &str = r#"
version = 2
root = "@FOLDER@/root"
state = "@FOLDER@/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "@FOLDER@/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "@FOLDER@/opt"
"#;

#[derive(Debug)]
pub(super) struct Containerd {
    env: Rc<Env>,
    folder: PathBuf,
    runc: PathBuf,
    execs: u32,
    live: Vec<String>,
    daemon: Option<Service>,
    _leftovers: Leftovers,
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

/// Starts the engine, and waits until it listens.
fn daemon(env: &Env, folder: &Path) -> anyhow::Result<Service> {
    let mut command = Command::new(need("containerd")?);
    command.arg("--config").arg(folder.join("config.toml"));
    let mut daemon = Service::start(&mut command, &folder.join("log"))?;
    let path = socket(folder);
    daemon.wait_until(env.limit, || UnixStream::connect(&path).is_ok())?;
    Ok(daemon)
}

impl Containerd {
    pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Self> {
        let folder = env.work.join("containerd");
        fs::create_dir_all(folder.join("fifo"))?;
        let configuration = CONFIGURATION.replace("@FOLDER@", &folder.display().to_string());
        fs::write(folder.join("config.toml"), configuration)?;
        let leftovers = Leftovers::note(&["/run/containerd", "/run/runc", "/run/netns"]);
        let daemon = Some(daemon(&env, &folder)?);
        let runc = env.runc_for_engines()?;
        Ok(Self { folder, runc, execs: 0, live: Vec::new(), daemon, _leftovers: leftovers, env })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(socket(&self.folder));
        command.args(["--namespace", "scenarios"]);
        command
    }

    fn prepare(&mut self, spec: &Spec<'_>, how: &[&str]) -> anyhow::Result<(Container, Command)> {
        let mut command = self.command();
        command
            .args(["run", "--allow-new-privs"])
            .args(how)
            .arg("--fifo-dir")
            .arg(self.folder.join("fifo"))
            .arg("--runc-binary")
            .arg(&self.runc);
        let cgroup = format!("/{}/{}", self.env.branch.name, spec.name);
        if spec.setup.user == 0 {
            self.describe(&mut command, spec, &cgroup);
        } else {
            // This `ctr` has no option for a user.
            let config = self.folder.join(format!("{}.json", spec.name));
            fs::write(&config, bundle::config(&self.env, spec, &cgroup).to_string())?;
            command.arg("--config").arg(config).arg(spec.name);
        }
        self.live.push(spec.name.to_owned());
        let name = spec.name.to_owned();
        Ok((
            Container {
                id: name.clone(),
                cgroup: name.clone(),
                name,
                user: spec.setup.user,
                rootless: false,
            },
            command,
        ))
    }

    fn run(&mut self, spec: &Spec<'_>, how: &[&str]) -> anyhow::Result<(Container, String)> {
        let (container, mut command) = self.prepare(spec, how)?;
        let said = process::run(&mut command, self.env.limit)?;
        Ok((container, said))
    }

    /// What is granted, in `ctr`'s own words.
    fn describe(&self, command: &mut Command, spec: &Spec<'_>, cgroup: &str) {
        command.args(["--cgroup", cgroup]);
        if spec.setup.seccomp {
            command.arg("--seccomp");
        }
        for cap in &spec.setup.caps {
            command.args(["--cap-add", cap]);
        }
        if spec.setup.privileged {
            command.arg("--privileged");
        }
        if spec.setup.host_pid {
            // Our own process namespace is the host's.
            command.arg("--with-ns").arg(format!("pid:/proc/{}/ns/pid", std::process::id()));
        }
        if spec.setup.host_net {
            command.arg("--net-host");
        }
        for (host, at) in spec.mounts {
            command.arg("--mount").arg(format!("type=bind,src={host},dst={at},options=rbind:rw"));
        }
        command.arg("--rootfs").arg(&self.env.rootfs).arg(spec.name).args(spec.argv);
    }

    fn remove(&self, name: &str) -> [Command; 2] {
        let (mut task, mut container) = (self.command(), self.command());
        task.args(["tasks", "delete", "--force", name]);
        container.args(["containers", "delete", name]);
        [task, container]
    }
}

impl Runtime for Containerd {
    fn engine(&self) -> Option<Engine> {
        let client = self.command();
        Some(Engine {
            kind: "containerd",
            socket: socket(&self.folder),
            image: "",
            client,
            parent: self.env.cgroup_parent(),
        })
    }

    fn crash(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("it does not run")?.kill();
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.daemon = None;
        self.daemon = Some(daemon(&self.env, &self.folder)?);
        Ok(())
    }

    fn launch(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, Command)> {
        self.prepare(spec, &["--detach", "--null-io"])
    }

    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.run(spec, &["--detach", "--null-io"])?.0)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let done = self.run(spec, &["--rm"])?;
        self.live.retain(|live| live != spec.name);
        Ok(done)
    }

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        self.execs += 1;
        let mut command = self.command();
        command.args(["tasks", "exec", "--fifo-dir"]).arg(self.folder.join("fifo"));
        command.args(["--exec-id", &format!("exec-{}", self.execs), &container.id]);
        command.args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        self.live.retain(|live| *live != container.name);
        for mut command in self.remove(&container.name) {
            process::run(&mut command, self.env.limit)?;
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.live) {
            for mut command in self.remove(&name) {
                let _ = command.output();
            }
        }
        self.daemon = None;
        end_shims(&socket(&self.folder));
    }
}
