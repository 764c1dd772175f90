//! Pods, made as a kubelet makes them: over CRI, by a containerd of our own.

mod config;
mod image;
mod proto;
mod qos;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use monitor::engine::grpc::{Connection, Limits, Method};
use rustix::process::Pid;

pub use image::NAME as IMAGE;
pub use qos::{Driver, Qos};

use super::{Container, Env, Leftovers, Runtime, Spec, need};
use crate::process::{self, Service};
use crate::stop;
use crate::systemd::{self, Frozen, Systemd};

const CONFIGURATION: &str = r#"
version = 2
root = "@FOLDER@/root"
state = "@FOLDER@/state"
[grpc]
address = "@FOLDER@/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "@FOLDER@/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "@IMAGE@"
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "@FOLDER@/cni-bin"
conf_dir = "@FOLDER@/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "@RUNC@"
SystemdCgroup = @SYSTEMD@
"#;

/// A network plugin (containernetworking/cni, `SPEC.md`) that gives a pod's network namespace nothing but its `lo`: no
/// packet leaves it.
const PLUGIN: &str = r#"#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0"]}' ;;
ADD) nsenter --net="$CNI_NETNS" ip link set lo up
echo '{"cniVersion":"0.3.1","interfaces":[{"name":"'"$CNI_IFNAME"'","sandbox":"'"$CNI_NETNS"'"}],
"ips":[{"version":"4","interface":0,"address":"192.0.2.2/32"}]}' ;;
esac
"#;
const NETWORK: &str = r#"{"cniVersion":"0.3.1","name":"none","plugins":[{"type":"none"}]}"#;

/// A pod with one container.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Name of the pod.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its class.
    pub qos: Qos,
    /// Id of its sandbox.
    pub sandbox: String,
    /// Its container.
    pub container: Container,
}

/// containerd's namespace for what CRI makes.
const NAMESPACE: &str = "k8s.io";
/// The namespace of every pod.
pub const PODS: &str = "scenarios";
/// The name of every pod's container.
pub const CONTAINER_NAME: &str = "main";

/// The engine, its pods, its daemon: dropped in this order.
#[derive(Debug)]
pub struct Cri {
    env: Rc<Env>,
    folder: PathBuf,
    connection: Connection,
    tokio: tokio::runtime::Runtime,
    execs: u32,
    /// Ids of sandboxes, by names of pods.
    live: BTreeMap<String, String>,
    /// Ids of everything that it made.
    made: BTreeSet<String>,
    driver: Driver,
    daemon: Option<Service>,
    /// Which has the daemon as its service, instead.
    systemd: Option<Systemd>,
    _leftovers: Leftovers,
}

impl Cri {
    /// Starts containerd, and gives it the image.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn open(env: Rc<Env>, driver: Driver) -> anyhow::Result<Self> {
        let folder = env.work.join("cri");
        for part in ["fifo", "cni", "cni-bin", "log"] {
            fs::create_dir_all(folder.join(part))?;
        }
        for plugin in ["none", "loopback"] {
            let plugin = folder.join("cni-bin").join(plugin);
            fs::write(&plugin, PLUGIN)?;
            fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
        }
        fs::write(folder.join("cni/none.conflist"), NETWORK)?;
        let configuration = CONFIGURATION
            .replace("@FOLDER@", &folder.display().to_string())
            .replace("@IMAGE@", IMAGE)
            .replace("@RUNC@", &env.runc_for_engines()?.display().to_string())
            .replace("@SYSTEMD@", if driver == Driver::Systemd { "true" } else { "false" });
        fs::write(folder.join("config.toml"), configuration)?;
        let leftovers = Leftovers::note(&["/run/containerd", "/run/runc", "/run/netns", "/var/lib/cni"]);
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (daemon, systemd) = match driver {
            Driver::Cgroupfs => (Some(start(&env, &folder)?), None),
            Driver::Systemd => (None, Some(start_in_systemd(&env, &folder)?)),
        };
        let connection = connect(&env, &folder, &tokio)?;
        let (live, made) = (BTreeMap::new(), BTreeSet::new());
        let cri = Self {
            folder,
            connection,
            tokio,
            execs: 0,
            live,
            made,
            driver,
            daemon,
            systemd,
            _leftovers: leftovers,
            env,
        };
        let archive = image::archive(&cri.env, &cri.folder)?;
        process::run(cri.ctr(NAMESPACE).args(["images", "import"]).arg(archive), cri.env.limit)?;
        Ok(cri)
    }

    /// Ends the engine's daemon; its containers go on.
    ///
    /// # Errors
    /// systemd says so.
    pub fn end_daemon(&mut self) -> anyhow::Result<()> {
        self.daemon = None;
        self.systemd.as_ref().map_or(Ok(()), Systemd::stop_service)
    }

    /// Stops it where it is, until what this gives is dropped.
    ///
    /// # Errors
    /// It has ended.
    pub fn freeze(&self) -> anyhow::Result<Frozen> {
        let pid = match &self.systemd {
            Some(systemd) => systemd.main()?,
            None => {
                let pid = self.daemon.as_ref().context("it has ended")?.pid();
                Pid::from_raw(i32::try_from(pid)?).context("no process id")?
            }
        };
        systemd::freeze(pid)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_daemon(&mut self) -> anyhow::Result<()> {
        match &mut self.systemd {
            Some(systemd) => {
                systemd.start_service()?;
                systemd.wait_until(|| UnixStream::connect(self.folder.join("containerd.sock")).is_ok())?;
            }
            None => self.daemon = Some(start(&self.env, &self.folder)?),
        }
        self.connection = connect(&self.env, &self.folder, &self.tokio)?;
        Ok(())
    }

    /// True for the id of a container or sandbox that was made here.
    pub fn is_ours(&self, id: &str) -> bool {
        self.made.contains(id)
    }

    /// Digest of the image.
    ///
    /// # Errors
    /// The engine does not have it.
    pub fn image_digest(&self) -> anyhow::Result<String> {
        let list = process::run(self.ctr(NAMESPACE).args(["images", "list"]), self.env.limit)?;
        let words = list.lines().find(|line| line.starts_with(IMAGE)).map(str::split_whitespace);
        let digest = words.and_then(|mut words| words.find(|word| word.starts_with("sha256:")));
        Ok(digest.context("no such image")?.to_owned())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    /// containerd's own client, in one of its namespaces.
    pub fn ctr(&self, namespace: &str) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.socket()).args(["--namespace", namespace]);
        command
    }

    fn call<R: prost::Message + Default>(
        &self,
        path: &'static str,
        request: &impl prost::Message,
    ) -> anyhow::Result<R> {
        let method = Method { path, largest: 16 << 20 };
        self.tokio.block_on(self.connection.call(method, None, request)).context(path)
    }

    /// Makes a pod, with its container started.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn pod(&mut self, spec: &Spec<'_>, qos: Qos) -> anyhow::Result<Pod> {
        let uid = config::uid(spec.name);
        let parent = self.driver.parent(qos, &uid, &self.env.branch.name);
        let config = config::sandbox(&self.folder.join("log"), spec, &uid, &parent);
        let request = proto::RunSandbox { config: Some(config.clone()) };
        let proto::Id { id: sandbox } = self.call("/runtime.v1.RuntimeService/RunPodSandbox", &request)?;
        self.live.insert(spec.name.to_owned(), sandbox.clone());
        self.made.insert(sandbox.clone());
        let request = proto::CreateContainer {
            sandbox: sandbox.clone(),
            config: Some(config::container(spec, &config.labels)),
            sandbox_config: Some(config),
        };
        let made: proto::Id = self.call("/runtime.v1.RuntimeService/CreateContainer", &request)?;
        self.made.insert(made.id.clone());
        let proto::Empty {} = self.call("/runtime.v1.RuntimeService/StartContainer", &made)?;
        let container = Container {
            name: spec.name.to_owned(),
            cgroup: self.driver.cgroup(qos, &uid, &made.id),
            id: made.id,
            user: spec.setup.user,
            rootless: false,
        };
        Ok(Pod { name: spec.name.to_owned(), uid, qos, sandbox, container })
    }

    fn remove(&self, sandbox: &str) -> anyhow::Result<()> {
        let id = proto::Id { id: sandbox.to_owned() };
        // Ends its containers, too.
        let proto::Empty {} = self.call("/runtime.v1.RuntimeService/StopPodSandbox", &id)?;
        let proto::Empty {} = self.call("/runtime.v1.RuntimeService/RemovePodSandbox", &id)?;
        Ok(())
    }

    fn wait_for_end(&self, container: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.env.limit;
        let id = proto::Id { id: container.to_owned() };
        loop {
            let reply: proto::StatusResponse =
                self.call("/runtime.v1.RuntimeService/ContainerStatus", &id)?;
            if reply.status.is_some_and(|status| status.state == proto::EXITED) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("the container does not end");
            }
            stop::check()?;
            // Servers before containerd 1.7 tell nobody of an end; it must be asked for.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One that was killed leaves its socket.
fn remove_socket(folder: &Path) {
    let _ = fs::remove_file(folder.join("containerd.sock"));
}

fn start(env: &Env, folder: &Path) -> anyhow::Result<Service> {
    remove_socket(folder);
    let mut command = Command::new(need("containerd")?);
    command.arg("--config").arg(folder.join("config.toml"));
    let mut daemon = Service::start(&mut command, &folder.join("containerd.log"))?;
    let socket = folder.join("containerd.sock");
    daemon.wait_until(env.limit, || UnixStream::connect(&socket).is_ok())?;
    Ok(daemon)
}

fn start_in_systemd(env: &Env, folder: &Path) -> anyhow::Result<Systemd> {
    remove_socket(folder);
    let (program, config) = (need("containerd")?, folder.join("config.toml"));
    let line = format!("{} --config {}", program.display(), config.display());
    let mut systemd = Systemd::start(&env.branch, &folder.join("systemd"), &line, env.limit)?;
    systemd.wait_until(|| UnixStream::connect(folder.join("containerd.sock")).is_ok())?;
    Ok(systemd)
}

fn connect(env: &Env, folder: &Path, tokio: &tokio::runtime::Runtime) -> anyhow::Result<Connection> {
    let limits = Limits { connect: env.limit, call: env.limit };
    Ok(tokio.block_on(Connection::open(&folder.join("containerd.sock"), limits))?)
}

/// What a container wrote, out of a log as CRI servers write it: time, stream, and a tag before each line.
fn written(log: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(log)?;
    let lines = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

impl Runtime for Cri {
    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.pod(spec, Qos::BestEffort)?.container)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let container = self.start(spec)?;
        self.wait_for_end(&container.id)?;
        let said = written(&self.folder.join("log").join(format!("{}.log", spec.name)))?;
        self.stop(&container)?;
        Ok((container, said))
    }

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        self.execs += 1;
        let mut command = self.ctr(NAMESPACE);
        command.args(["tasks", "exec", "--fifo-dir"]).arg(self.folder.join("fifo"));
        command.args(["--exec-id", &format!("exec-{}", self.execs), &container.id]);
        command.args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        let sandbox = self.live.remove(&container.name).context("no such pod")?;
        self.remove(&sandbox)
    }
}

impl Drop for Cri {
    fn drop(&mut self) {
        for sandbox in std::mem::take(&mut self.live).into_values() {
            let _ = self.remove(&sandbox);
        }
    }
}
