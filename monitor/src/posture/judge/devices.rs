//! Devices: G12, and standard devices that are something else.

use super::{Item, Source, in_users};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host, Node, Object};
use crate::posture::check::Check;
use crate::posture::config::{Config, DeclaredDevice};

/// The devices that every container has (the OCI runtime specification's default devices).
const STANDARD: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Devices beside those that give nothing away: console, ptmx, pseudo terminals, and the tunnel that runtimes let
/// be used without making it.
const ORDINARY: &[(u32, Option<u32>)] = &[(5, Some(1)), (5, Some(2)), (136, None), (10, Some(200))];

/// Paths whose objects a baseline must hold for these checks.
pub(in crate::posture) fn paths() -> impl Iterator<Item = &'static str> {
    STANDARD.iter().map(|(path, ..)| *path)
}

fn is_standard(block: bool, major: u32, minor: Option<u32>) -> bool {
    let standard = STANDARD.iter().any(|(_, m, n)| (*m, Some(*n)) == (major, minor));
    let ordinary = ORDINARY.iter().any(|(m, n)| *m == major && n.is_none_or(|n| Some(n) == minor));
    !block && (standard || ordinary)
}

/// How far a device leads (the kernel's `Documentation/admin-guide/devices.txt`).
fn rate(block: bool, major: u32, minor: Option<u32>) -> Severity {
    match (block, major, minor) {
        // Disks, and memory and ports of the machine.
        (true, ..) | (false, 1, Some(1 | 2 | 4 | 11) | None) => Severity::Critical,
        // fuse, tun, kvm: made for use from outside.
        (false, 10, Some(229 | 200 | 232)) => Severity::Notice,
        _ => Severity::Warning,
    }
}

/// What the rules of a container's cgroup are called.
pub(in crate::posture) const RULES: &str = "rules for devices";
/// What shows that nobody decides which devices may be used.
const NO_PROGRAM: &str = "bpf(2) BPF_PROG_QUERY BPF_CGROUP_DEVICE";

/// Where every device is granted, if that is so: by the rules that the kernel shows (cgroup v1), else by the
/// configuration, or because no program keeps any away (cgroup v2).
pub(super) fn grants_all(b: &Baseline) -> Option<Source> {
    let declared =
        b.config.as_ref().and_then(|config| config.devices().into_iter().find(DeclaredDevice::is_all));
    match &b.device_rules {
        Some(rules) if !rules.iter().any(|rule| is_all_rule(rule)) => None,
        Some(_) => Some(declared.map_or(Source::Kernel("devices.list"), |d| Source::Config(d.pointer))),
        None => match declared {
            Some(declared) => Some(Source::Config(declared.pointer)),
            None => (b.device_program == Some(false)).then_some(Source::Kernel(NO_PROGRAM)),
        },
    }
}

/// `a *:* rwm`, or all devices of one kind to be read or written.
fn is_all_rule(rule: &str) -> bool {
    let mut words = rule.split(' ').skip(1);
    words.next() == Some("*:*") && words.next().is_some_and(|access| access.contains(['r', 'w']))
}

pub(in crate::posture) const G12: Check = Check {
    id: "G12",
    title: "Devices granted",
    severity: Severity::Critical,
    rows: &["G12"],
    cis: &["5.18"],
    pss: &[],
    checklist: &[3],
    what: "Devices beyond the ten that every container has. Disks, the machine's memory and a rule that allows every \
           device, or no rule at all, are critical; fuse, tun and kvm are notices, other devices warnings. A device file that was not \
           declared is a notice, because the rules of the cgroup may still refuse it.",
    change: "Pass the one device that is needed (--device /dev/x:/dev/x:r), or use a device plug-in.",
    judge: g12,
};

fn name(node: &Node) -> String {
    format!("{} {} {}:{}", node.path, if node.block { "block" } else { "char" }, node.major, node.minor)
}

fn g12(b: &Baseline, host: &Host) -> Vec<Item> {
    let rated = |severity| in_users(b, host, severity);
    let mut items = Vec::new();
    if let Some(source) = grants_all(b) {
        items.push(Item::new(rated(Severity::Critical), "every device", "allowed", source));
    }
    let declared = b.config.as_ref().map(Config::devices).unwrap_or_default();
    for device in declared.iter().filter(|device| !device.is_all()) {
        let (block, major) = (device.block.unwrap_or(false), device.major.unwrap_or(0));
        if is_standard(block, major, device.minor) {
            continue;
        }
        let minor = device.minor.map_or("*".to_owned(), |minor| minor.to_string());
        let what = format!("{} {major}:{minor} {}", if block { "block" } else { "char" }, device.path);
        let node = b.nodes.iter().find(|node| device.grants(node.block, node.major, node.minor));
        let observed = node.map_or("no file in /dev".to_owned(), |node| node.path.clone());
        let source = Source::Config(device.pointer.clone());
        items.push(Item::new(rated(rate(block, major, device.minor)), what.trim_end(), observed, source));
    }
    for node in b.nodes.iter().filter(|node| !is_standard(node.block, node.major, Some(node.minor))) {
        if declared.iter().any(|device| device.grants(node.block, node.major, node.minor)) {
            continue;
        }
        let all = grants_all(b).is_some();
        let severity = if all { rate(node.block, node.major, Some(node.minor)) } else { Severity::Notice };
        let source = Source::Kernel("/proc/<pid>/root/dev");
        items.push(Item::new(rated(severity), name(node), "device file", source));
    }
    items
}

pub(in crate::posture) const DIFFERENCE: Check = Check {
    id: "X-devices",
    title: "Standard device is something else",
    severity: Severity::Critical,
    rows: &["B26"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "/dev/null or another standard device is not the device that it should be. A runtime that takes /dev/null for \
           its masks then puts something else over the kernel's files (CVE-2025-31133). Or the configuration has rules \
           for devices, and on cgroup v2 no program holds them.",
    change: "Update the runtime; do not trust the container, nor its image.",
    judge: difference,
};

fn difference(b: &Baseline, host: &Host) -> Vec<Item> {
    let found = STANDARD.iter().filter_map(|(path, major, minor)| {
        let object = b.objects.get(*path)?;
        (*object != Object::Char(*major, *minor)).then(|| {
            let observed = match object {
                Object::Char(major, minor) => format!("char {major}:{minor}"),
                Object::Block(major, minor) => format!("block {major}:{minor}"),
                Object::Link => "a link".to_owned(),
                Object::Directory => "a directory".to_owned(),
                _ => "no device".to_owned(),
            };
            let item = Item::new(Severity::Critical, *path, observed, Source::Kernel("/proc/<pid>/root/dev"));
            item.declared(format!("char {major}:{minor}"))
        })
    });
    let mut items: Vec<Item> = found.collect();
    // A runtime without privileges cannot attach one, and its container cannot open the host's devices.
    let declared = b.config.as_ref().is_some_and(Config::has_device_rules) && b.has_host_users(host);
    if declared && b.device_program == Some(false) {
        let item = Item::new(Severity::Critical, RULES, "no program", Source::Kernel(NO_PROGRAM));
        items.push(item.declared("some devices only"));
    }
    items
}
