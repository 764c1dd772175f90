//! The types that say what a container is.

use std::collections::BTreeMap;

use monitor_common::event::State;

use super::Qos;

/// Key of a container in the kernel's maps (see `monitor_common::policy`); 0 is the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey(pub u64);

impl ContainerKey {
    /// The host: no container.
    pub const HOST: Self = Self(0);

    /// True if this is no container.
    pub fn is_host(self) -> bool {
        self == Self::HOST
    }
}

/// How far the identity of a container is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being looked up: an update record follows.
    Pending,
    /// Id and declared configuration are known; of an engine without bundles the id, which is all there is.
    Resolved,
    /// It could not be found out; says why.
    Unknown(String),
}

/// Who manages the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Docker Engine.
    Docker,
    /// Podman.
    Podman,
    /// containerd without CRI (`ctr`, nerdctl).
    Containerd,
    /// A kubelet through containerd's CRI.
    Kubernetes,
    /// CRI-O.
    CriO,
    /// LXC. No OCI runtime is in it.
    Lxc,
    /// systemd-nspawn, called directly or by machinectl. No OCI runtime is in it.
    SystemdNspawn,
    /// Nobody: an OCI runtime called directly.
    None,
}

impl Engine {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Kubernetes => "kubernetes",
            Self::CriO => "cri-o",
            Self::Lxc => "lxc",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::None => "none",
        }
    }

    /// True if its containers have no bundle: a name is all that is known of them.
    pub const fn has_no_bundle(self) -> bool {
        matches!(self, Self::Lxc | Self::SystemdNspawn)
    }
}

/// The workload that a pod belongs to: what a person wrote, and not what Kubernetes made out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// `Deployment`, `CronJob`, `DaemonSet` …
    pub kind: String,
    /// Its name, in the pod's namespace.
    pub name: String,
}

/// This machine, as Kubernetes knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The pod that a container belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Pod name.
    pub name: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod uid.
    pub uid: String,
    /// Class of service.
    pub qos: Option<Qos>,
    /// Id of the sandbox: of the container that holds the pod's namespaces.
    pub sandbox: Option<String>,
    /// How often the container was started again in its pod.
    pub attempt: Option<u32>,
    /// Who owns it, as the API server says.
    pub owner: Option<Owner>,
    /// Where it runs, as the API server says.
    pub node: Option<Node>,
    /// Labels of the pod, as whoever wrote it chose them.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
}

/// The Swarm task that a container belongs to. What nobody says is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swarm {
    /// Service name.
    pub service: String,
    /// Service id.
    pub service_id: String,
    /// Task name.
    pub task: String,
    /// Task id.
    pub task_id: String,
    /// Name of the node.
    pub node: String,
    /// Id of the node.
    pub node_id: String,
    /// Stack that the service was deployed with.
    pub stack: String,
}

/// The service of Docker Compose that a container belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compose {
    /// Project.
    pub project: String,
    /// Service.
    pub service: String,
}

/// What an engine says of a container that the kernel or the files contradict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which engine, with its socket.
    pub engine: String,
    /// What it is about: `id`, `pid` …
    pub what: &'static str,
    /// What the engine says.
    pub said: String,
    /// What kernel and files say.
    pub observed: String,
}

/// Who a container is, as its runtime and engine name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Full id, never cut.
    pub id: Option<String>,
    /// Name, if the engine gives one.
    pub name: Option<String>,
    /// Image reference.
    pub image: Option<String>,
    /// Id of the image: the digest of its configuration.
    pub image_id: Option<String>,
    /// Digest of the image's manifest, as a registry knows it.
    pub image_digest: Option<String>,
    /// OCI runtime (`runc`, `crun` …).
    pub runtime: Option<String>,
    /// Engine.
    pub engine: Option<Engine>,
    /// Labels and OCI annotations.
    pub labels: BTreeMap<String, String>,
    /// Pod.
    pub pod: Option<Pod>,
    /// Swarm service and task.
    pub swarm: Option<Swarm>,
    /// Compose project and service.
    pub compose: Option<Compose>,
}

/// One mount that the OCI configuration grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredMount {
    /// Path in the container.
    pub destination: String,
    /// Path on the host, or device.
    pub source: String,
    /// File system type, empty or `bind` for a bind mount.
    pub fstype: String,
    /// Mount options.
    pub options: Vec<String>,
}

/// Devices that the OCI configuration grants: made in the container, or allowed to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredDevice {
    /// `Some(true)` for block devices, `Some(false)` for character devices, `None` for both.
    pub block: Option<bool>,
    /// Major number, `None` for all.
    pub major: Option<u32>,
    /// Minor number, `None` for all.
    pub minor: Option<u32>,
}

impl DeclaredDevice {
    /// True if it grants this device, and not just all of them.
    pub fn grants(&self, block: bool, major: u32, minor: u32) -> bool {
        self.block.is_none_or(|b| b == block)
            && self.major == Some(major)
            && self.minor.is_none_or(|m| m == minor)
    }

    /// True if it grants every device of this kind.
    pub fn grants_all(&self, block: bool) -> bool {
        self.block.is_none_or(|b| b == block) && self.major.is_none() && self.minor.is_none()
    }
}

/// What the OCI configuration (`config.json`) grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Where `config.json` was read.
    pub bundle: String,
    /// Root file system.
    pub rootfs: String,
    /// Uid of the first process.
    pub uid: u32,
    /// Bounding set, bit n is capability n.
    pub cap_bounding: u64,
    /// Namespaces that are made new for the container (`mount`, `pid` …).
    pub new_namespaces: Vec<String>,
    /// Namespaces joined by path: type and path.
    pub joined_namespaces: Vec<(String, String)>,
    /// Mounts.
    pub mounts: Vec<DeclaredMount>,
    /// Devices.
    pub devices: Vec<DeclaredDevice>,
    /// Masked paths.
    pub masked_paths: Vec<String>,
    /// Read-only paths.
    pub readonly_paths: Vec<String>,
    /// True if a seccomp profile is set.
    pub seccomp: bool,
    /// True if `noNewPrivileges` is set.
    pub no_new_privileges: bool,
    /// Cgroup path as configured.
    pub cgroups_path: Option<String>,
}

/// What the kernel showed when the container's first program started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Namespaces, root, credentials, seccomp of that program.
    pub state: State,
    /// Its real uid.
    pub uid: u32,
    /// Its effective uid.
    pub euid: u32,
    /// When, nanoseconds since boot.
    pub entered: u64,
    /// The same moment in seconds since the epoch, for comparison with file times.
    pub entered_epoch: i64,
}

/// A container as the hot thread knows it.
#[derive(Clone, Debug)]
pub struct Container {
    /// Key in the kernel's maps.
    pub key: ContainerKey,
    /// Changes whenever status or identity do, and is never given twice by one registry: whoever keeps something
    /// about a container may keep it by this. 0 outside a registry.
    pub revision: u64,
    /// How far it is known.
    pub status: Status,
    /// Who it is.
    pub identity: Identity,
    /// Path of its top cgroup, as the kernel gave it.
    pub cgroup_path: String,
    /// What it was granted, if the OCI configuration was found.
    pub declared: Option<Declared>,
    /// What the kernel showed at ENTRY; `None` while it is set up.
    pub baseline: Option<Baseline>,
    /// What engines say of it that is not so.
    pub mismatches: Vec<Mismatch>,
}

/// What the edge found out about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which container.
    pub key: ContainerKey,
    /// How far it is known now.
    pub status: Status,
    /// Who it is.
    pub identity: Identity,
    /// What it was granted.
    pub declared: Option<Declared>,
    /// What engines say of it that is not so.
    pub mismatches: Vec<Mismatch>,
}
