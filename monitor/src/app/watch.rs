//! Which files are watched: objects of this host, known by device and inode from now on, and names that matter in
//! every container.

use std::collections::BTreeMap;
use std::path::Path;

use monitor_common::policy::{FileId, FileName, name_use, watch};

use super::start::file_id;
use crate::bpf::Control;

/// Files and directories of the host, and what they are. Those that do not exist are left out.
const OBJECTS: &[(&str, u32)] = &[
    ("/etc/kubernetes", watch::NODE),
    ("/var/lib/kubelet", watch::NODE),
    ("/var/lib/etcd", watch::NODE),
    ("/etc/cni/net.d", watch::NODE),
    ("/opt/cni/bin", watch::NODE),
    ("/etc/cdi", watch::NODE),
    ("/var/run/cdi", watch::NODE),
    ("/opt/nri/plugins", watch::NODE),
    ("/etc/nri/conf.d", watch::NODE),
    ("/var/lib/containerd", watch::NODE),
    ("/etc/containerd", watch::NODE),
    ("/var/lib/docker", watch::NODE),
    ("/etc/docker", watch::NODE),
    ("/var/lib/containers", watch::NODE),
    ("/etc/containers", watch::NODE),
    ("/var/lib/rancher", watch::NODE),
    ("/etc/rancher", watch::NODE),
    ("/var/log", watch::LOG),
    ("/etc/passwd", watch::ACCOUNTS),
    ("/etc/shadow", watch::ACCOUNTS),
    ("/etc/group", watch::ACCOUNTS),
    ("/etc/gshadow", watch::ACCOUNTS),
    ("/etc/sudoers", watch::ACCOUNTS),
    ("/etc/sudoers.d", watch::ACCOUNTS),
    ("/etc/pam.d", watch::ACCOUNTS),
    ("/etc/ssh", watch::ACCOUNTS),
    (concat!("/root", "/.ssh"), watch::ACCOUNTS),
    ("/etc/crontab", watch::ACCOUNTS),
    ("/etc/cron.d", watch::ACCOUNTS),
    ("/var/spool/cron", watch::ACCOUNTS),
    ("/etc/systemd/system", watch::ACCOUNTS),
    ("/etc/ld.so.preload", watch::ACCOUNTS),
    ("/etc/bulkhead", watch::OWN),
];

/// Magic of proc (kernel `include/uapi/linux/magic.h`).
const PROC: u32 = 0x9fa0;
/// Magic of sysfs.
const SYSFS: u32 = 0x6265_6572;

/// Names of files, on which file system (0: any ordinary one), and when they are reported.
const NAMES: &[(u32, u32, &[&str])] = &[
    (
        PROC,
        name_use::READ,
        &[
            "kcore",
            "kallsyms",
            "kmsg",
            "keys",
            "key-users",
            "sched_debug",
            "timer_list",
            "timer_stats",
            "latency_stats",
            "vmallocinfo",
            "slabinfo",
            "iomem",
            "ioports",
            "kpagecount",
            "kpageflags",
            "kpagecgroup",
            "sysrq-trigger",
            "vmcore",
        ],
    ),
    (SYSFS, name_use::READ, &["vmcoreinfo", "DMI", "smbios_entry_point", "iomem_reg"]),
    (
        0,
        name_use::WRITE,
        &[
            "passwd",
            "shadow",
            "group",
            "gshadow",
            "sudoers",
            "ld.so.preload",
            "ld.so.cache",
            "ld.so.conf",
            "crontab",
            "authorized_keys",
            "rc.local",
            "profile",
            "bash.bashrc",
            "bashrc",
            ".bashrc",
            ".bash_profile",
            ".profile",
            ".bash_history",
            ".zsh_history",
            "nsswitch.conf",
            "wtmp",
            "btmp",
            "lastlog",
        ],
    ),
    (
        0,
        name_use::INSIDE,
        &[
            "sudoers.d",
            "pam.d",
            "ld.so.conf.d",
            "cron.d",
            "cron.hourly",
            "cron.daily",
            "cron.weekly",
            "cron.monthly",
            "crontabs",
            "cron",
            "init.d",
            "profile.d",
            ".ssh",
            "log",
        ],
    ),
];

/// Tells the kernel side what is watched. `runtimes` are the executables that are trusted.
///
/// # Errors
/// A map is full, or the kernel refused.
pub(super) fn fill(control: &mut Control, runtimes: impl Iterator<Item = FileId>) -> Result<(), String> {
    let mut found: BTreeMap<(u32, u64), u32> = BTreeMap::new();
    let mut add = |file: FileId, class: u32| *found.entry((file.dev, file.ino)).or_default() |= class;
    for file in runtimes {
        add(file, watch::RUNTIME);
    }
    if let Ok(own) = file_id(Path::new("/proc/self/exe")) {
        add(own, watch::OWN);
    }
    for (path, class) in OBJECTS {
        let Ok(real) = std::fs::canonicalize(path) else { continue };
        let Ok(file) = file_id(&real) else { continue };
        add(file, *class);
        for directory in real.ancestors().skip(1) {
            if let Ok(file) = file_id(directory) {
                add(file, watch::ABOVE);
            }
        }
    }
    for ((dev, ino), class) in found {
        control.watch(FileId { ino, dev, reserved: 0 }, class)?;
    }
    let mut uses: BTreeMap<(u32, &str), u32> = BTreeMap::new();
    for (magic, when, names) in NAMES {
        for name in *names {
            *uses.entry((*magic, name)).or_default() |= when;
        }
    }
    for ((magic, name), when) in uses {
        if let Some(key) = FileName::new(name, magic) {
            control.watch_name(key, when)?;
        }
    }
    Ok(())
}
