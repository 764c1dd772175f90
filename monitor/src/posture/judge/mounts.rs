//! What is mounted: G05, G06, G09, G13, G14, G16.

use super::{Item, Source, from_config, in_users, paths};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host};
use crate::posture::check::Check;
use crate::posture::config::ROOT;
use crate::posture::mountinfo::Mount;

const SYS_ADMIN: u32 = 21;

/// Where a mount was granted: in the configuration if it is there, else the mount itself.
fn source(b: &Baseline, mount: &Mount) -> (Source, Option<String>) {
    let declared = b.config.as_ref().and_then(|config| config.mount(&mount.point));
    match declared {
        Some(declared) => {
            let text = format!("{} {}", declared.source, declared.options.join(","));
            (Source::Config(declared.pointer), Some(text.trim().to_owned()))
        }
        None => (Source::Mount(mount.point.clone()), None),
    }
}

fn item(b: &Baseline, mount: &Mount, severity: Severity, observed: String) -> Item {
    let (source, declared) = source(b, mount);
    Item { declared, ..Item::new(severity, mount.point.clone(), observed, source) }
}

fn mode(mount: &Mount) -> &'static str {
    if mount.is_readonly() { "read-only" } else { "writable" }
}

pub(in crate::posture) const G05: Check = Check {
    id: "G05",
    title: "Sensitive directory of the host mounted",
    severity: Severity::Critical,
    rows: &["G05"],
    cis: &["5.6"],
    pss: &["baseline: HostPath Volumes", "restricted: Volume Types"],
    checklist: &[4],
    what: "A directory of the host that holds its programs, configuration, secrets or the kernel's files is mounted, \
           judged by its source and not by where it appears. Read-only is rated lower, and still shows secrets; a part \
           of such a directory is rated one lower. What engines mount themselves (volumes, hosts, resolv.conf) is not \
           meant.",
    change: "Mount a directory of data, or a named volume; copy the one file that is needed into the image or a secret.",
    judge: g05,
};

/// The path of the host that a mount shows, if it is a bind mount of something of the host's own.
fn host_source<'a>(b: &Baseline, host: &Host, mount: &'a Mount) -> Option<&'a str> {
    let path = mount.host_path.as_deref()?;
    match mount.fstype.as_str() {
        // Every container has these; what is the host's of them is judged by namespace (G04) and cgroup (G13).
        "cgroup" | "cgroup2" | "mqueue" => None,
        // One instance for each network namespace.
        "sysfs" if b.shares(host, "net") || mount.is_readonly() => None,
        "proc" if b.shares(host, "pid") => None,
        "devpts" => None,
        _ if mount.point == "/" && path != "/" => None,
        _ => Some(path),
    }
}

fn g05(b: &Baseline, host: &Host) -> Vec<Item> {
    let mounts = b.mounts.iter().filter_map(|mount| Some((mount, host_source(b, host, mount)?)));
    mounts
        .filter(|(mount, _)| b.mount_at(&mount.point) == Some(*mount))
        .filter_map(|(mount, path)| {
            // Sockets are G06, single device files G12.
            let is_special = b.sockets.iter().any(|socket| socket.path == mount.point)
                || b.nodes.iter().any(|node| node.path == mount.point);
            if is_special || is_mask(mount) {
                return None;
            }
            let severity = paths::rate(path, mount.is_readonly())?;
            Some(item(b, mount, severity, format!("{path} of the host, {}", mode(mount))))
        })
        .collect()
}

/// True for the bind mount of `/dev/null` that a mask is.
pub(super) fn is_mask(mount: &Mount) -> bool {
    mount.root == "/null" && ["tmpfs", "devtmpfs"].contains(&mount.fstype.as_str())
}

pub(in crate::posture) const G06: Check = Check {
    id: "G06",
    title: "Control socket of an engine in reach",
    severity: Severity::Critical,
    rows: &["G06"],
    cis: &["5.32"],
    pss: &["baseline: HostPath Volumes"],
    checklist: &[5],
    what: "A mount shows the socket of Docker, containerd, CRI-O, Podman, BuildKit or a kubelet, by itself or in a \
           directory: who talks to it can start a privileged container and own the host. Read-only does not help: \
           connecting is no writing.",
    change: "Do not mount it. A build agent can use rootless BuildKit or Kaniko; a dashboard a proxy that filters.",
    judge: g06,
};

fn g06(b: &Baseline, _: &Host) -> Vec<Item> {
    b.sockets
        .iter()
        .map(|socket| {
            let mount = b.mount_at(&socket.mount);
            let path = mount.and_then(|mount| mount.host_path.as_deref()).unwrap_or("unknown source");
            let found = Item::new(
                Severity::Critical,
                socket.path.clone(),
                format!("by the mount of {path}"),
                Source::Mount(socket.mount.clone()),
            );
            let Some(mount) = mount else { return found };
            let (source, declared) = source(b, mount);
            Item { source, declared, ..found }
        })
        .collect()
}

pub(in crate::posture) const G09: Check = Check {
    id: "G09",
    title: "Root file system can be written",
    severity: Severity::Info,
    rows: &["G09"],
    cis: &["5.13"],
    pss: &[],
    checklist: &[2],
    what: "Programs can be added and changed at run time. Most images are run so.",
    change: "Set --read-only (readOnlyRootFilesystem), with a tmpfs or volume for what must be written.",
    judge: g09,
};

fn g09(b: &Baseline, _: &Host) -> Vec<Item> {
    let Some(root) = b.root().filter(|root| !root.is_readonly()) else { return Vec::new() };
    let pointer = b.config.as_ref().map(|_| format!("{ROOT}/readonly"));
    let source = pointer.map_or(Source::Mount(root.point.clone()), Source::Config);
    vec![Item::new(Severity::Info, "/", "writable", source)]
}

pub(in crate::posture) const G13: Check = Check {
    id: "G13",
    title: "Cgroups can be written",
    severity: Severity::Critical,
    rows: &["G13"],
    cis: &["5.25"],
    pss: &[],
    checklist: &[],
    what: "A cgroup hierarchy is mounted writable: limits and device rules can be lifted. Version 1 together with \
           CAP_SYS_ADMIN is critical, because release_agent runs a program on the host (CVE-2022-0492). Version 2 is \
           reported unless a cgroup namespace keeps the rest of the tree out of sight.",
    change: "Leave cgroup mounts read-only, and set --cgroupns=private.",
    judge: g13,
};

fn g13(b: &Baseline, host: &Host) -> Vec<Item> {
    let admin = (b.effective | b.permitted | b.bounding) >> SYS_ADMIN & 1 == 1;
    let mounts = b.mounts.iter().filter(|mount| !mount.options.iter().any(|option| option == "ro"));
    mounts
        .filter_map(|mount| {
            let severity = match mount.fstype.as_str() {
                "cgroup" if admin => Severity::Critical,
                "cgroup" => Severity::Warning,
                "cgroup2" if b.shares(host, "cgroup") => Severity::Warning,
                _ => return None,
            };
            Some(item(b, mount, in_users(b, host, severity), format!("{}, writable", mount.fstype)))
        })
        .collect()
}

pub(in crate::posture) const G14: Check = Check {
    id: "G14",
    title: "Mounts propagate to or from the host",
    severity: Severity::Warning,
    rows: &["G14"],
    cis: &["5.20"],
    pss: &[],
    checklist: &[4],
    what: "A mount is in a peer group of the host's: what the container mounts below it appears on the host. One that \
           only receives the host's mounts (rslave), and is declared so, is worth knowing. Storage drivers need this.",
    change: "Leave :shared and :rshared (mountPropagation: Bidirectional) out.",
    judge: g14,
};

fn g14(b: &Baseline, host: &Host) -> Vec<Item> {
    let declares_slave = |mount: &Mount| {
        let declared = b.config.as_ref().and_then(|config| config.mount(&mount.point));
        declared.is_some_and(|d| d.options.iter().any(|option| ["slave", "rslave"].contains(option)))
    };
    let root = b.config.as_ref().map(|config| config.text("/linux/rootfsPropagation")).unwrap_or_default();
    b.mounts
        .iter()
        .filter_map(|mount| {
            let (severity, observed) = match (mount.shared, mount.master) {
                (Some(group), _) if host.peer_groups.contains(&group) => {
                    (Severity::Warning, "shared with the host")
                }
                (_, Some(_)) if declares_slave(mount) => (Severity::Info, "receives mounts of the host"),
                _ => return None,
            };
            let mut item = item(b, mount, severity, observed.to_owned());
            if mount.point == "/" && root.contains("shared") {
                item.source = from_config(Some("/linux/rootfsPropagation".to_owned()), "mountinfo");
            }
            Some(item)
        })
        .collect()
}

pub(in crate::posture) const G16: Check = Check {
    id: "G16",
    title: "Token of a service account mounted",
    severity: Severity::Notice,
    rows: &["G16"],
    cis: &[],
    pss: &[],
    checklist: &[16],
    what: "Whoever runs code in the container can act in the cluster with the pod's service account. Whether the program \
           uses the token is not known from outside.",
    change: "Set automountServiceAccountToken: false where the program does not talk to the API server.",
    judge: g16,
};

fn g16(b: &Baseline, _: &Host) -> Vec<Item> {
    let is_token = |mount: &&Mount| mount.point.ends_with("/secrets/kubernetes.io/serviceaccount");
    let tokens = b.mounts.iter().filter(is_token);
    tokens.map(|mount| item(b, mount, Severity::Notice, "mounted".to_owned())).collect()
}
