//! Masks over the kernel's files: G11, and masks that were declared and are not there.

use super::{Item, Source, in_users};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host, Object};
use crate::posture::check::Check;
use crate::posture::mountinfo::Mount;

/// What every engine hides (containerd's and Docker's default specification).
const MASKED: &[&str] = &[
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

/// What every engine makes read-only.
const READONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Paths whose objects a baseline must hold for these checks, beside those that the configuration names.
pub(in crate::posture) fn paths() -> impl Iterator<Item = &'static str> {
    MASKED.iter().chain(READONLY).copied().chain(["/proc", "/sys"])
}

/// True if the path shows the kernel's own file.
fn shows_kernel(mount: Option<&Mount>) -> bool {
    mount.is_some_and(|mount| ["proc", "sysfs"].contains(&mount.fstype.as_str()))
}

fn is_hidden(b: &Baseline, path: &str) -> bool {
    !b.objects.contains_key(path) || !shows_kernel(b.mount_over(path))
}

fn is_readonly(b: &Baseline, path: &str) -> bool {
    is_hidden(b, path) || b.mount_over(path).is_none_or(Mount::is_readonly)
}

/// The usual masks that are not there.
pub(super) fn unmasked(b: &Baseline) -> impl Iterator<Item = &'static str> {
    MASKED.iter().copied().filter(|path| !is_hidden(b, path))
}

pub(in crate::posture) const G11: Check = Check {
    id: "G11",
    title: "Files of the kernel not masked",
    severity: Severity::Warning,
    rows: &["G11"],
    cis: &[],
    pss: &["baseline: /proc Mount Type"],
    checklist: &[3],
    what: "Paths of /proc and /sys that engines hide or make read-only are open: the kernel's memory and keys can be \
           read, its settings changed. Masks that were declared and are missing are another check, X-masks.",
    change: "Leave systempaths=unconfined (procMount: Unmasked, --privileged) out.",
    judge: g11,
};

fn g11(b: &Baseline, host: &Host) -> Vec<Item> {
    let severity = in_users(b, host, Severity::Warning);
    let is_declared = |list: &str, path: &str| {
        b.config
            .as_ref()
            .is_some_and(|config| config.strings(list).iter().any(|(_, declared)| *declared == path))
    };
    let item = |path: &str, observed: &str, list: &'static str| {
        let found = Item::new(severity, path, observed, Source::Mount(path.to_owned()));
        match b.config {
            Some(_) => Item { source: Source::Config(list.to_owned()), ..found }.declared("not in the list"),
            None => found,
        }
    };
    let open = unmasked(b).filter(|path| !is_declared("/linux/maskedPaths", path));
    let mut items: Vec<Item> = open.map(|path| item(path, "visible", "/linux/maskedPaths")).collect();
    let writable = READONLY.iter().filter(|path| !is_readonly(b, path));
    let writable = writable.filter(|path| !is_declared("/linux/readonlyPaths", path));
    items.extend(writable.map(|path| item(path, "writable", "/linux/readonlyPaths")));
    if let Some(sys) = b.mount_at("/sys").filter(|m| m.fstype == "sysfs" && !m.is_readonly()) {
        let declared = b.config.as_ref().and_then(|config| config.mount("/sys"));
        let source = declared.map_or(Source::Mount(sys.point.clone()), |d| Source::Config(d.pointer));
        items.push(Item::new(severity, "/sys", "writable", source));
    }
    items
}

pub(in crate::posture) const DIFFERENCE: Check = Check {
    id: "X-masks",
    title: "Declared mask missing or something else",
    severity: Severity::Critical,
    rows: &["G11", "B26"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "The configuration hides a path or makes it read-only, but the kernel shows that it is open, or that something \
           else than the usual mask lies over it. A race while the runtime set the container up looks like this \
           (CVE-2025-31133, CVE-2025-52565, CVE-2023-27561).",
    change: "Update the runtime; do not trust the container, nor its image.",
    judge: difference,
};

fn difference(b: &Baseline, _: &Host) -> Vec<Item> {
    let Some(config) = &b.config else { return Vec::new() };
    let kernel = |path: &str| path.starts_with("/proc/") || path.starts_with("/sys/");
    let mut items = Vec::new();
    for (pointer, path) in config.strings("/linux/maskedPaths") {
        if let Some(observed) = broken_mask(b, path).filter(|_| kernel(path)) {
            let item = Item::new(Severity::Critical, path, observed, Source::Config(pointer));
            items.push(item.declared("masked"));
        }
    }
    for (pointer, path) in config.strings("/linux/readonlyPaths") {
        if !is_readonly(b, path) && kernel(path) {
            let item = Item::new(Severity::Critical, path, "writable", Source::Config(pointer));
            items.push(item.declared("read-only"));
        }
    }
    items
}

/// Runtimes put `/dev/null` over a file and an empty, read-only tmpfs over a directory.
fn broken_mask(b: &Baseline, path: &str) -> Option<&'static str> {
    let object = b.objects.get(path)?;
    if !is_hidden(b, path) {
        return Some("visible");
    }
    match object {
        Object::Char(1, 3) => None,
        Object::Directory if b.mount_over(path).is_some_and(|m| m.fstype == "tmpfs" && m.is_readonly()) => {
            None
        }
        Object::Directory => Some("another directory"),
        _ => Some("another file"),
    }
}
