//! Which executables on this host are OCI runtimes and engines: found by name in the usual places once, known
//! by device and inode from then on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use monitor_common::policy::{FileId, trust};

use super::start::file_id;

/// Where distributions and installers put executables.
const DIRECTORIES: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/libexec/podman",
    "/usr/lib/podman",
    "/usr/lib/cri-o-runc/sbin",
    "/usr/lib/systemd",
    "/lib/systemd",
    "/opt/containerd/bin",
    "/opt/bin",
    "/var/lib/rancher/k3s/data/current/bin",
    "/sbin",
    "/bin",
];
/// Programs that set containers up and join them.
const RUNTIMES: &[&str] = &["runc", "crun", "youki", "docker-runc", "runc.amd64", "crun-vm"];
/// Runtimes that stay beside their containers, what they put into them as the first process, and what joins them.
const RESIDENT: &[&str] = &[
    "lxc-start",
    "lxc-execute",
    "lxc-autostart",
    "lxc-copy",
    "lxc-attach",
    "init.lxc",
    "init.lxc.static",
    "systemd-nspawn",
];
/// Programs that may move tasks between cgroups.
const ENGINES: &[&str] = &[
    "dockerd",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v1",
    "containerd-shim-runc-v2",
    "conmon",
    "conmonrs",
    "crio",
    "podman",
    "kubelet",
    "k3s",
    "buildkitd",
    "systemd",
];

/// The executables to trust, and for what. `more` are runtimes named on the command line.
pub(super) fn find(more: &[PathBuf]) -> BTreeMap<(u32, u64), (FileId, u32)> {
    let mut found = BTreeMap::new();
    let mut add = |path: &Path, what: u32| {
        if fs::metadata(path).is_ok_and(|m| m.is_file())
            && let Ok(id) = file_id(path)
        {
            // A runtime that is also listed as an engine is a runtime.
            let slot = found.entry((id.dev, id.ino)).or_insert((id, what));
            slot.1 = slot.1.min(what);
        }
    };
    for directory in DIRECTORIES {
        for name in RUNTIMES {
            add(&Path::new(directory).join(name), trust::RUNTIME);
        }
        for name in RESIDENT {
            add(&Path::new(directory).join(name), trust::RESIDENT);
        }
        for name in ENGINES {
            add(&Path::new(directory).join(name), trust::ENGINE);
        }
    }
    for path in more {
        add(path, trust::RUNTIME);
    }
    // Whatever runs as the first process moves everybody.
    if let Ok(init) = file_id(Path::new("/proc/1/exe")) {
        found.entry((init.dev, init.ino)).or_insert((init, trust::ENGINE));
    }
    found
}
