//! Differences between what was declared and what is, where no row of their own compares them already.

use super::{Item, Source, lower, privilege};
use crate::container::capability_name;
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host, NAMESPACES};
use crate::posture::check::Check;

/// Capabilities that the kernel knows today.
const LAST_CAPABILITY: u32 = 63;

pub(in crate::posture) const CAPABILITIES: Check = Check {
    id: "X-capabilities",
    title: "Capability that nobody declared",
    severity: Severity::Critical,
    rows: &["A04", "G02"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "The first process holds a capability that none of the configuration's sets has: impossible without a hole in \
           the kernel, or another process in the place of the first. One that is only in the bounding set is rated one \
           lower.",
    change: "Take the container for broken out: look at what it did, and what started it.",
    judge: capabilities,
};

fn capabilities(b: &Baseline, host: &Host) -> Vec<Item> {
    // In a user namespace of its own the first process has every capability there when it makes it.
    let Some(config) = b.config.as_ref().filter(|_| b.has_host_users(host)) else { return Vec::new() };
    let held = b.effective | b.permitted;
    let undeclared = (0..=LAST_CAPABILITY).filter(|bit| (held | b.bounding) >> bit & 1 == 1);
    let undeclared = undeclared.filter(|bit| config.capability(*bit).is_none());
    undeclared
        .map(|bit| {
            let (severity, observed, source) = if held >> bit & 1 == 1 {
                (Severity::Critical, "held", "/proc/<pid>/status CapPrm")
            } else {
                (lower(Severity::Critical), "bounding set only", "/proc/<pid>/status CapBnd")
            };
            Item::new(severity, capability_name(bit), observed, Source::Kernel(source)).declared("no")
        })
        .collect()
}

pub(in crate::posture) const NAMESPACE: Check = Check {
    id: "X-namespace",
    title: "Namespace declared as new is the host's",
    severity: Severity::Critical,
    rows: &["C06", "G04"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "The configuration asks for a new namespace, but the first process is in the host's.",
    change: "Take the container for broken out, or its runtime for broken.",
    judge: namespace,
};

fn namespace(b: &Baseline, host: &Host) -> Vec<Item> {
    let Some(config) = &b.config else { return Vec::new() };
    let shared = NAMESPACES.iter().filter(|(name, _)| b.shares(host, name));
    shared
        .filter_map(|(_, kind)| {
            let (pointer, _) = config.namespace(kind).filter(|(_, path)| path.is_empty())?;
            let what = format!("{kind} namespace");
            let item = Item::new(Severity::Critical, what, "the host's", Source::Config(pointer));
            Some(item.declared("a new one"))
        })
        .collect()
}

pub(in crate::posture) const SECCOMP: Check = Check {
    id: "X-seccomp",
    title: "Declared seccomp profile not in force",
    severity: Severity::Critical,
    rows: &["A09", "G07"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "The configuration has a seccomp profile, but the first process runs without a filter.",
    change: "Look for a runtime that ignores profiles (built without libseccomp); else take the container for broken out.",
    judge: seccomp,
};

fn seccomp(b: &Baseline, _: &Host) -> Vec<Item> {
    let declared = b.config.as_ref().is_some_and(|config| !config.at("/linux/seccomp").is_null());
    if !declared || b.seccomp != 0 {
        return Vec::new();
    }
    let source = Source::Config("/linux/seccomp".to_owned());
    vec![Item::new(Severity::Critical, "seccomp", "off", source).declared("a profile")]
}

pub(in crate::posture) const LABEL: Check = Check {
    id: "X-label",
    title: "Declared security label not in force",
    severity: Severity::Critical,
    rows: &["A12", "G08"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "The configuration names an AppArmor profile or SELinux label, and the first process has another one or none. A \
           runtime whose write to /proc/self/attr was led elsewhere looks like this (CVE-2025-52881).",
    change: "Update the runtime; do not trust the container, nor its image.",
    judge: label,
};

fn label(b: &Baseline, host: &Host) -> Vec<Item> {
    if !host.apparmor && !host.selinux {
        return Vec::new();
    }
    let Some((pointer, declared)) = privilege::declared_label(b, host) else { return Vec::new() };
    let observed = b.label.as_deref().map(str::trim).unwrap_or_default();
    // AppArmor puts the mode behind the name; a profile may change into a child of its own.
    let bare = observed.split(" (").next().unwrap_or_default();
    let same = bare == declared || bare.strip_prefix(declared).is_some_and(|rest| rest.starts_with("//"));
    // A program may change its SELinux domain; that it is confined still holds.
    let fine = same || (host.selinux && !privilege::is_unconfined(Some(observed), host));
    if fine || declared == "unconfined" {
        return Vec::new();
    }
    let shown = if observed.is_empty() { "no label" } else { observed };
    let source = Source::Config(pointer.to_owned());
    vec![Item::new(Severity::Critical, "label", shown, source).declared(declared)]
}

pub(in crate::posture) const MOUNT: Check = Check {
    id: "X-mount",
    title: "Mount shows something else than declared",
    severity: Severity::Warning,
    rows: &["B26"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "A bind mount shows another directory of the host than its configuration names, or a mount that was declared \
           read-only can be written. A link that was exchanged while the runtime mounted looks like this \
           (CVE-2021-30465, CVE-2026-42306); so does a directory that was moved on the host since.",
    change: "Compare the two directories; if nobody moved them, update the runtime and do not trust the container.",
    judge: mount,
};

fn mount(b: &Baseline, _: &Host) -> Vec<Item> {
    let Some(config) = &b.config else { return Vec::new() };
    let mut items = Vec::new();
    for declared in config.mounts().into_iter().filter(super::super::config::DeclaredMount::is_bind) {
        let Some(mount) = b.mount_at(declared.destination.trim_end_matches('/')) else { continue };
        let item = |observed: String, wanted: String| {
            let source = Source::Config(declared.pointer.clone());
            Item::new(Severity::Warning, declared.destination, observed, source).declared(wanted)
        };
        if declared.options.contains(&"ro") && !mount.is_readonly() {
            items.push(item("writable".to_owned(), "read-only".to_owned()));
        }
        // A file that was replaced by another name, as editors do, is not the container's doing.
        let gone = mount.root.ends_with("//deleted");
        let (there, here) = (b.source_ids.get(declared.source), b.point_ids.get(declared.destination));
        if there.zip(here).is_some_and(|(there, here)| there != here) && !gone {
            let shown = mount.host_path.clone().unwrap_or_else(|| format!("{} of {}", mount.root, mount.dev));
            items.push(item(shown, declared.source.to_owned()));
        }
    }
    items
}
