//! `config.json` for runtimes that are called directly: what engines grant an ordinary container.

use serde_json::{Value, json};

use crate::host::Layout;
use crate::runtime::{Env, Spec};

/// The capabilities that Docker and containerd grant.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What engines' profiles refuse without CAP_SYS_ADMIN, as far as scenarios try it.
const REFUSED: [&str; 10] = [
    "mount",
    "umount2",
    "pivot_root",
    "fsopen",
    "fsmount",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "setns",
    "unshare",
];

/// Paths that engines and kubelets mask.
pub const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
/// Paths that they make read-only.
pub const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn mounts(spec: &Spec<'_>) -> Value {
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"] }),
    ];
    mounts.extend(spec.mounts.iter().map(
        |(host, at)| json!({ "destination": at, "type": "bind", "source": host, "options": ["rbind", "rw"] }),
    ));
    mounts.into()
}

/// A change to a configuration; the words are the run's folder.
pub type Change = fn(&mut Value, &str);

/// The whole configuration.
pub fn config(env: &Env, spec: &Spec<'_>, cgroup: &str) -> Value {
    let setup = spec.setup;
    let caps: Vec<&str> = CAPABILITIES.into_iter().chain(setup.caps.iter().map(String::as_str)).collect();
    // As engines do it: a user other than root gets none, but could by a set-uid program.
    let granted = if setup.user == 0 { caps.clone() } else { Vec::new() };
    let mut namespaces = vec!["mount", "ipc", "uts"];
    if !setup.host_net {
        namespaces.push("network");
    }
    if !setup.host_pid {
        namespaces.push("pid");
    }
    if env.host.layout == Layout::V2 {
        namespaces.push("cgroup");
    }
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": setup.user, "gid": setup.user },
            "args": spec.argv,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": granted, "permitted": granted },
            "noNewPrivileges": false,
        },
        "root": { "path": env.rootfs, "readonly": false },
        "hostname": spec.name,
        "mounts": mounts(spec),
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": namespaces,
            "maskedPaths": MASKED,
            "readonlyPaths": READONLY,
        },
    });
    // As engines do it: all are refused, and the runtime lets the usual ones through.
    config["linux"]["resources"] = json!({ "devices": [{ "allow": setup.devices, "access": "rwm" }] });
    if setup.unmasked {
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
    }
    if setup.seccomp {
        // What is false by itself, said, makes youki load the filter when it may not do so any more.
        if let Some(process) = config["process"].as_object_mut() {
            process.remove("noNewPrivileges");
        }
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": REFUSED, "action": "SCMP_ACT_ERRNO" }],
        });
    }
    if let Some(change) = setup.config {
        change(&mut config, &env.work.display().to_string());
    }
    config
}
