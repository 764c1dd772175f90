//! The facts about one container and about its host that are judged: plain data.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use super::mountinfo::Mount;
use crate::container::Mismatch;

/// Types of namespaces: the name in `/proc/<pid>/ns`, and the one in an OCI configuration.
pub const NAMESPACES: [(&str, &str); 8] = [
    ("mnt", "mount"),
    ("pid", "pid"),
    ("net", "network"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("user", "user"),
    ("time", "time"),
];

/// What a path of the container leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A socket.
    Socket,
    /// A symbolic link, not followed.
    Link,
    /// Anything else.
    Other,
}

/// A device file in the container's `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Path in the container.
    pub path: String,
    /// True for a block device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A control socket of an engine that a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSeen {
    /// Path in the container.
    pub path: String,
    /// Mount point that shows it.
    pub mount: String,
}

/// A line of `/proc/<pid>/uid_map` (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Limits of the container's cgroup or of one above it; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Tasks.
    pub pids: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// What confines a container, as the kernel shows it, and what its configuration declares.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// Its first process, of those that run.
    pub pid: u32,
    /// Inodes of its namespaces, in the order of [`NAMESPACES`]; 0 if not known.
    pub namespaces: [u32; 8],
    /// How many tasks run.
    pub tasks: usize,
    /// How many of them have effective uid 0 on the host.
    pub root_tasks: usize,
    /// Effective uid of the first process, as the host counts.
    pub uid: u32,
    /// Effective capabilities, bit n is capability n.
    pub effective: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Bounding set: what programs with file capabilities and set-uid programs can get.
    pub bounding: u64,
    /// Mode of seccomp: 0 off, 1 strict, 2 filter (seccomp(2)).
    pub seccomp: u32,
    /// `no_new_privs` (prctl(2)).
    pub no_new_privs: bool,
    /// How user ids are mapped.
    pub uid_map: Vec<IdRange>,
    /// `/proc/<pid>/attr/current`; `None` if no security module gives one.
    pub label: Option<String>,
    /// Its mounts, in the order of mountinfo: later ones hide earlier ones.
    pub mounts: Vec<Mount>,
    /// What there is at paths that matter: masks, standard devices. Absent paths are not in it.
    pub objects: BTreeMap<String, Object>,
    /// Device files in `/dev`.
    pub nodes: Vec<Node>,
    /// Control sockets of engines.
    pub sockets: Vec<SocketSeen>,
    /// Limits.
    pub limits: Limits,
    /// Lines of `devices.list` of cgroup v1; `None` where version 2 keeps the rules in a program.
    pub device_rules: Option<Vec<String>>,
    /// True if a program decides on devices, where version 2 has the rules; `None` if the kernel does not say.
    pub device_program: Option<bool>,
    /// Environment that the first process was started with.
    pub environment: Vec<String>,
    /// Name of its OCI runtime.
    pub runtime: Option<String>,
    /// Its OCI configuration, if it was found.
    pub config: Option<Config>,
    /// Device and inode of the sources of declared bind mounts, as the host reaches them now.
    pub source_ids: BTreeMap<String, (u64, u64)>,
    /// The same of what the container sees at their destinations.
    pub point_ids: BTreeMap<String, (u64, u64)>,
    /// What engines say of it that is not so.
    pub mismatches: Vec<Mismatch>,
    /// Other containers that use layers of the same image while one of the two is privileged.
    pub shares_layers_with: Vec<String>,
}

impl Baseline {
    /// Inode of a namespace by its name in `/proc/<pid>/ns`; 0 if not known.
    pub fn namespace(&self, name: &str) -> u32 {
        of(&self.namespaces, name)
    }

    /// True if its users are those of the host: capabilities count for the whole machine.
    pub fn has_host_users(&self, host: &Host) -> bool {
        let user = self.namespace("user");
        user == 0 || user == host.namespace("user")
    }

    /// True if a namespace is the host's.
    pub fn shares(&self, host: &Host, name: &str) -> bool {
        let own = self.namespace(name);
        own != 0 && own == host.namespace(name)
    }

    /// The mount that is visible exactly at `path`.
    pub fn mount_at(&self, path: &str) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == path)
    }

    /// The mount that shows `path`.
    pub fn mount_over(&self, path: &str) -> Option<&Mount> {
        // The last of those that are equally long hides the others.
        self.mounts.iter().filter(|mount| within(path, &mount.point)).max_by_key(|mount| mount.point.len())
    }

    /// The root mount.
    pub fn root(&self) -> Option<&Mount> {
        self.mount_at("/")
    }
}

/// What is known of the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Inodes of the namespaces of process 1.
    pub namespaces: [u32; 8],
    /// Every capability that process 1 may have.
    pub bounding: u64,
    /// True if AppArmor confines programs here.
    pub apparmor: bool,
    /// True if SELinux confines programs here.
    pub selinux: bool,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Peer groups of its mounts (mount_namespaces(7)).
    pub peer_groups: BTreeSet<u32>,
    /// Versions of runtimes by name, as they say themselves.
    pub versions: BTreeMap<String, String>,
}

impl Host {
    /// Inode of a namespace by its name in `/proc/<pid>/ns`.
    pub fn namespace(&self, name: &str) -> u32 {
        of(&self.namespaces, name)
    }
}

fn of(namespaces: &[u32; 8], name: &str) -> u32 {
    NAMESPACES.iter().position(|(known, _)| *known == name).map_or(0, |at| namespaces[at])
}

/// True if `path` is `top` or below it.
pub(super) fn within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top.ends_with('/'))
}
