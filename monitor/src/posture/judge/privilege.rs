//! Who the programs of a container are and what they may do: G01, G02, G03, G07, G08, G10.

use super::{Item, Source, devices, from_config, in_users, lower, masks};
use crate::container::capability_name;
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host};
use crate::posture::check::Check;

/// Capabilities that lead out of a container or far into the kernel, by bit (capabilities(7)): the list that Falco's
/// "excessively capable container" has, and those that came later or change what confines.
const DANGEROUS: &[(u32, Severity)] = &[
    (2, Severity::Critical), // DAC_READ_SEARCH: open_by_handle_at(2) reads any file of the host
    (12, Severity::Warning), // NET_ADMIN
    (16, Severity::Critical), // SYS_MODULE
    (17, Severity::Critical), // SYS_RAWIO
    (19, Severity::Critical), // SYS_PTRACE
    (21, Severity::Critical), // SYS_ADMIN
    (22, Severity::Warning), // SYS_BOOT
    (25, Severity::Warning), // SYS_TIME
    (30, Severity::Warning), // AUDIT_CONTROL
    (32, Severity::Critical), // MAC_OVERRIDE
    (33, Severity::Critical), // MAC_ADMIN
    (34, Severity::Warning), // SYSLOG
    (38, Severity::Warning), // PERFMON
    (39, Severity::Critical), // BPF
    (40, Severity::Warning), // CHECKPOINT_RESTORE
];

/// SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, NET_ADMIN: no engine grants all of them short of `--privileged`.
const PRIVILEGED: &[u32] = &[12, 16, 17, 19, 21];

pub(in crate::posture) const G01: Check = Check {
    id: "G01",
    title: "Privileged",
    severity: Severity::Critical,
    rows: &["G01"],
    cis: &["5.5"],
    pss: &["baseline: Privileged Containers"],
    checklist: &[3],
    what: "All of it together: the capabilities that only a privileged container has, no seccomp filter, no masks over \
           the kernel's files, every device. Nothing but the mount namespace stands between it and the host. Its parts \
           are reported as well.",
    change: "Start it without --privileged, and grant the one capability or device that it needs.",
    judge: g01,
};

/// True if it is privileged in every respect.
pub(super) fn is_privileged(b: &Baseline, host: &Host) -> bool {
    let missing = |bit: &&u32| host.bounding >> **bit & 1 == 1 && b.bounding >> **bit & 1 == 0;
    !PRIVILEGED.iter().any(|bit| missing(&bit))
        && b.bounding >> 21 & 1 == 1
        && b.seccomp == 0
        && masks::unmasked(b).next().is_some()
        && devices::grants_all(b).is_some()
}

fn g01(b: &Baseline, host: &Host) -> Vec<Item> {
    if !is_privileged(b, host) {
        return Vec::new();
    }
    let observed = "capabilities, seccomp off, no masks, all devices";
    let source = devices::grants_all(b).unwrap_or(Source::Kernel("/proc/<pid>/status"));
    vec![Item::new(in_users(b, host, Severity::Critical), "privileged", observed, source)]
}

pub(in crate::posture) const G02: Check = Check {
    id: "G02",
    title: "Dangerous capabilities",
    severity: Severity::Critical,
    rows: &["G02"],
    cis: &["5.4"],
    pss: &["baseline: Capabilities", "restricted: Capabilities"],
    checklist: &[3],
    what: "A capability that leads out of the container or far into the kernel. One that is only in the bounding set \
           is rated one lower: a set-uid program or file capabilities can still give it, unless no_new_privs is on. In a \
           user namespace of its own it is a notice, because it counts for what belongs to that namespace only.",
    change: "Drop all capabilities (--cap-drop ALL) and add those that the program needs.",
    judge: g02,
};

fn g02(b: &Baseline, host: &Host) -> Vec<Item> {
    let held = b.effective | b.permitted;
    let reachable = if b.no_new_privs { held } else { held | b.bounding };
    let dangerous = DANGEROUS.iter().filter(|(bit, _)| reachable >> bit & 1 == 1);
    dangerous
        .map(|(bit, severity)| {
            let has = held >> bit & 1 == 1;
            let severity = if has { *severity } else { lower(*severity) };
            let observed = if has { "held" } else { "bounding set only" };
            let pointer = b.config.as_ref().and_then(|config| config.capability(*bit));
            let source = from_config(
                pointer,
                if has { "/proc/<pid>/status CapPrm" } else { "/proc/<pid>/status CapBnd" },
            );
            Item::new(in_users(b, host, severity), capability_name(*bit), observed, source)
        })
        .collect()
}

pub(in crate::posture) const G03: Check = Check {
    id: "G03",
    title: "Runs as root of the host",
    severity: Severity::Notice,
    rows: &["G03"],
    cis: &["4.1"],
    pss: &["restricted: Running as Non-root"],
    checklist: &[1, 15],
    what: "Tasks run with user id 0, and no user namespace maps it to another: whatever lets them out makes them root. \
           Only tasks that run now count, so an entrypoint that gave root up is not reported.",
    change: "Set a user in the image or by --user, or map ids (userns-remap, --userns, hostUsers: false).",
    judge: g03,
};

fn g03(b: &Baseline, _: &Host) -> Vec<Item> {
    if b.root_tasks == 0 {
        return Vec::new();
    }
    let observed = format!("{} of {} tasks", b.root_tasks, b.tasks);
    let pointer = b.config.as_ref().filter(|c| c.at("/process/user/uid").as_u64().unwrap_or(0) == 0);
    let source = from_config(pointer.map(|_| "/process/user/uid".to_owned()), "/proc/<pid>/status Uid");
    vec![Item::new(Severity::Notice, "uid 0", observed, source)]
}

pub(in crate::posture) const G07: Check = Check {
    id: "G07",
    title: "No seccomp filter",
    severity: Severity::Warning,
    rows: &["G07"],
    cis: &["5.22"],
    pss: &["baseline: Seccomp", "restricted: Seccomp"],
    checklist: &[3],
    what: "Every system call of the kernel is in reach, those that nobody needs in a container included. Kubernetes \
           sets no filter unless it is asked for (seccompDefault, or RuntimeDefault in the pod).",
    change: "Use the engine's default profile: leave seccomp=unconfined out, or set seccompProfile: RuntimeDefault.",
    judge: g07,
};

fn g07(b: &Baseline, _: &Host) -> Vec<Item> {
    if b.seccomp != 0 {
        return Vec::new();
    }
    let item = Item::new(Severity::Warning, "seccomp", "off", Source::Kernel("/proc/<pid>/status Seccomp"));
    vec![match &b.config {
        Some(config) if config.at("/linux/seccomp").is_null() => {
            Item { source: Source::Config("/linux/seccomp".into()), ..item }.declared("none")
        }
        Some(_) => item.declared("a profile"),
        None => item,
    }]
}

pub(in crate::posture) const G08: Check = Check {
    id: "G08",
    title: "Not confined by AppArmor or SELinux",
    severity: Severity::Warning,
    rows: &["G08"],
    cis: &["5.2", "5.3"],
    pss: &["baseline: AppArmor", "baseline: SELinux"],
    checklist: &[3],
    what: "The host's security module is on, but the container's processes are unconfined: nothing stands behind the \
           other barriers. A profile that only complains is a notice. Nothing is said where the host has no such module.",
    change: "Leave apparmor=unconfined and label=disable out; with Kubernetes set appArmorProfile or seLinuxOptions.",
    judge: g08,
};

/// Domains of SELinux that confine nothing (container-selinux; `refpolicy`).
const UNCONFINED_TYPES: &[&str] = &[
    "unconfined_t",
    "spc_t",
    "initrc_t",
    "init_t",
    "kernel_t",
    "container_runtime_t",
    "unconfined_service_t",
];

/// True if a label means that nothing is confined.
pub(super) fn is_unconfined(label: Option<&str>, host: &Host) -> bool {
    let Some(label) = label.map(str::trim).filter(|label| !label.is_empty()) else { return true };
    if host.selinux {
        return label.split(':').nth(2).is_none_or(|kind| UNCONFINED_TYPES.contains(&kind));
    }
    label == "unconfined" || label.ends_with("//unconfined")
}

/// Where the configuration names a label, and which.
pub(super) fn declared_label<'a>(b: &'a Baseline, host: &Host) -> Option<(&'static str, &'a str)> {
    let pointer = if host.selinux { "/process/selinuxLabel" } else { "/process/apparmorProfile" };
    Some((pointer, b.config.as_ref()?.text(pointer))).filter(|(_, label)| !label.is_empty())
}

fn g08(b: &Baseline, host: &Host) -> Vec<Item> {
    if !host.apparmor && !host.selinux {
        return Vec::new();
    }
    let label = b.label.as_deref().map(str::trim);
    let severity = if is_unconfined(label, host) {
        Severity::Warning
    } else if label.is_some_and(|label| label.ends_with("(complain)")) {
        Severity::Notice
    } else {
        return Vec::new();
    };
    let source = Source::Kernel("/proc/<pid>/attr/current");
    let item = Item::new(
        severity,
        if host.selinux { "SELinux" } else { "AppArmor" },
        label.unwrap_or("no label"),
        source,
    );
    vec![match declared_label(b, host) {
        Some((pointer, declared)) => {
            Item { source: Source::Config(pointer.into()), ..item }.declared(declared)
        }
        None => item,
    }]
}

pub(in crate::posture) const G10: Check = Check {
    id: "G10",
    title: "Set-uid programs give privileges",
    severity: Severity::Info,
    rows: &["G10"],
    cis: &["5.26"],
    pss: &["restricted: Privilege Escalation"],
    checklist: &[],
    what: "no_new_privs is off: a set-uid program, or one with file capabilities, raises whoever runs it.",
    change: "Set --security-opt no-new-privileges, or allowPrivilegeEscalation: false.",
    judge: g10,
};

fn g10(b: &Baseline, _: &Host) -> Vec<Item> {
    if b.no_new_privs {
        return Vec::new();
    }
    let pointer = b.config.as_ref().map(|_| "/process/noNewPrivileges".to_owned());
    let source = from_config(pointer, "/proc/<pid>/status NoNewPrivs");
    vec![Item::new(Severity::Info, "no_new_privs", "off", source)]
}
