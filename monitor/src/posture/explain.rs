//! Everything that a container was granted, one line each: declared, observed, verdict.

use super::baseline::{Baseline, Host, NAMESPACES, Object};
use super::config::ROOT;
use super::judge::devices::RULES as RULES_FOR_DEVICES;
use super::judge::{Finding, Source};
use crate::container::capability_name;
use crate::detect::Severity;

/// What the checks say of one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The worst severity; `None` if no check minds.
    pub severity: Option<Severity>,
    /// The checks that mind.
    pub checks: Vec<&'static str>,
}

/// One thing that a container was granted, or that confines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of which kind: `namespace`, `capability`, `confinement`, `mount`, `mask`, `device`, `socket`, `other`.
    pub kind: &'static str,
    /// Which.
    pub name: String,
    /// What the configuration says; `None` if it was not found.
    pub declared: Option<String>,
    /// What the kernel shows.
    pub observed: String,
    /// What the checks say.
    pub verdict: Verdict,
}

/// Every grant of a container, in the order of the kinds. What a finding is about is in it, whatever it is.
pub fn explain(b: &Baseline, host: &Host, findings: &[Finding]) -> Vec<Grant> {
    let mut grants = namespaces(b, host);
    grants.extend(capabilities(b));
    grants.extend(confinement(b, host));
    grants.extend(mounts(b));
    grants.extend(masks(b));
    grants.extend(devices(b));
    grants.extend(sockets(b));
    for grant in &mut grants {
        grant.verdict = verdict(&grant.name, findings);
    }
    let all = findings.iter().flat_map(|finding| finding.items.iter().map(move |item| (finding, item)));
    let missing: Vec<Grant> = all
        .filter(|(_, item)| grants.iter().all(|grant| grant.name != item.what))
        .map(|(finding, item)| Grant {
            kind: "other",
            name: item.what.clone(),
            declared: item.declared.clone().or_else(|| match &item.source {
                Source::Config(pointer) => Some(pointer.clone()),
                _ => None,
            }),
            observed: item.observed.clone(),
            verdict: Verdict { severity: Some(item.severity), checks: vec![finding.check.id] },
        })
        .collect();
    grants.extend(missing);
    grants
}

fn verdict(name: &str, findings: &[Finding]) -> Verdict {
    let mut verdict = Verdict::default();
    for finding in findings {
        let about = finding.items.iter().filter(|item| item.what == name);
        if let Some(severity) = about.map(|item| item.severity).max() {
            verdict.severity = verdict.severity.max(Some(severity));
            verdict.checks.push(finding.check.id);
        }
    }
    verdict
}

fn grant(
    kind: &'static str,
    name: impl Into<String>,
    declared: Option<String>,
    observed: impl Into<String>,
) -> Grant {
    Grant { kind, name: name.into(), declared, observed: observed.into(), verdict: Verdict::default() }
}

fn namespaces(b: &Baseline, host: &Host) -> Vec<Grant> {
    let one = |(name, kind): &(&str, &str)| {
        let declared = b.config.as_ref().map(|config| match config.namespace(kind) {
            None => "the host's".to_owned(),
            Some((_, "")) => "a new one".to_owned(),
            Some((_, path)) => path.to_owned(),
        });
        let observed = match b.namespace(name) {
            0 => "not known".to_owned(),
            number if number == host.namespace(name) => "the host's".to_owned(),
            number => format!("its own, {number}"),
        };
        grant("namespace", format!("{kind} namespace"), declared, observed)
    };
    NAMESPACES.iter().map(one).collect()
}

fn capabilities(b: &Baseline) -> Vec<Grant> {
    let all = b.effective | b.permitted | b.bounding;
    let declared = |bit: u32| b.config.as_ref().map(|config| config.capability(bit));
    let is_there = |bit: &u32| all >> bit & 1 == 1 || declared(*bit).flatten().is_some();
    (0..64)
        .filter(is_there)
        .map(|bit| {
            let sets = [(b.effective, "effective"), (b.permitted, "permitted"), (b.bounding, "bounding")];
            let held: Vec<&str> =
                sets.iter().filter(|(set, _)| set >> bit & 1 == 1).map(|(_, name)| *name).collect();
            let observed = if held.is_empty() { "no".to_owned() } else { held.join(", ") };
            let declared = declared(bit).map(|pointer| pointer.unwrap_or_else(|| "no".to_owned()));
            grant("capability", capability_name(bit), declared, observed)
        })
        .collect()
}

fn confinement(b: &Baseline, host: &Host) -> Vec<Grant> {
    let config = b.config.as_ref();
    let seccomp = match b.seccomp {
        0 => "off",
        1 => "strict",
        _ => "filter",
    };
    let yes = |flag: bool| if flag { "on" } else { "off" }.to_owned();
    let limit = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let declared_limit = |pointer: &str| {
        config.map(|config| {
            config.at(pointer).as_i64().map_or("no limit".to_owned(), |limit| limit.to_string())
        })
    };
    let label = match (host.apparmor, host.selinux) {
        (true, _) => "AppArmor",
        (_, true) => "SELinux",
        _ => "label",
    };
    let pointer = if host.selinux { "/process/selinuxLabel" } else { "/process/apparmorProfile" };
    let named = config.map(|c| Some(c.text(pointer)).filter(|t| !t.is_empty()).unwrap_or("none").to_owned());
    let profile =
        |c: &super::Config| if c.at("/linux/seccomp").is_null() { "none" } else { "a profile" }.to_owned();
    vec![
        grant(
            "confinement",
            "uid 0",
            config.map(|c| format!("uid {}", c.at("/process/user/uid").as_u64().unwrap_or(0))),
            format!("uid {}, {} of {} tasks with uid 0", b.uid, b.root_tasks, b.tasks),
        ),
        grant("confinement", "seccomp", config.map(profile), seccomp),
        grant(
            "confinement",
            "no_new_privs",
            config.map(|c| yes(c.flag("/process/noNewPrivileges"))),
            yes(b.no_new_privs),
        ),
        grant("confinement", label, named, b.label.clone().unwrap_or_else(|| "none".to_owned())),
        grant("confinement", "pids", declared_limit("/linux/resources/pids/limit"), limit(b.limits.pids)),
        grant(
            "confinement",
            "memory",
            declared_limit("/linux/resources/memory/limit"),
            limit(b.limits.memory),
        ),
    ]
}

fn mounts(b: &Baseline) -> Vec<Grant> {
    let one = |mount: &super::Mount| {
        let declared = b.config.as_ref().map(|config| match config.mount(&mount.point) {
            Some(declared) => format!("{} {}", declared.source, declared.options.join(",")).trim().to_owned(),
            None if mount.point == "/" => config.text(&format!("{ROOT}/path")).to_owned(),
            None => "no".to_owned(),
        });
        let mode = if mount.is_readonly() { "ro" } else { "rw" };
        let from = mount.host_path.as_ref().map(|path| format!(", {path} of the host")).unwrap_or_default();
        grant("mount", mount.point.clone(), declared, format!("{} {mode}{from}", mount.fstype))
    };
    b.mounts.iter().filter(|mount| !is_mask(b, mount)).map(one).collect()
}

/// True for mounts that are listed as masks.
fn is_mask(b: &Baseline, mount: &super::Mount) -> bool {
    b.config.as_ref().is_some_and(|config| config.lists_of_masks().contains(&mount.point))
}

fn masks(b: &Baseline) -> Vec<Grant> {
    let Some(config) = &b.config else { return Vec::new() };
    let lists = [("/linux/maskedPaths", "masked"), ("/linux/readonlyPaths", "read-only")];
    let all =
        lists.into_iter().flat_map(|(list, what)| config.strings(list).into_iter().map(move |p| (p.1, what)));
    all.map(|(path, what)| {
        let observed = match (b.objects.get(path), b.mount_over(path)) {
            (None, _) => "not there".to_owned(),
            (Some(Object::Char(1, 3)), _) => "/dev/null".to_owned(),
            (_, Some(mount)) => format!("{} {}", mount.fstype, if mount.is_readonly() { "ro" } else { "rw" }),
            (_, None) => "not mounted".to_owned(),
        };
        grant("mask", path, Some(what.to_owned()), observed)
    })
    .collect()
}

fn devices(b: &Baseline) -> Vec<Grant> {
    let declared = b.config.as_ref().map(super::Config::devices);
    let rules = b.config.as_ref().map(|config| {
        let all = declared.iter().flatten().any(super::config::DeclaredDevice::is_all);
        let some = if config.has_device_rules() { "some devices only" } else { "no" };
        if all { "every device" } else { some }.to_owned()
    });
    let in_force = match (&b.device_rules, b.device_program) {
        (Some(lines), _) => format!("{} lines of devices.list", lines.len()),
        (None, Some(true)) => "a program".to_owned(),
        (None, Some(false)) => "no program".to_owned(),
        (None, None) => "not known".to_owned(),
    };
    let rules = grant("device", RULES_FOR_DEVICES.to_owned(), rules, in_force);
    let nodes = b.nodes.iter().map(|node| {
        let kind = if node.block { "block" } else { "char" };
        let name = format!("{} {kind} {}:{}", node.path, node.major, node.minor);
        let by = |devices: &Vec<super::config::DeclaredDevice<'_>>| {
            let exact = devices.iter().find(|d| d.grants(node.block, node.major, node.minor));
            exact.map_or("no".to_owned(), |device| device.pointer.clone())
        };
        grant("device", name, declared.as_ref().map(by), "device file")
    });
    std::iter::once(rules).chain(nodes).collect()
}

fn sockets(b: &Baseline) -> Vec<Grant> {
    let one = |socket: &super::SocketSeen| {
        let mount = b.mount_at(&socket.mount);
        let declared = b.config.as_ref().map(|config| {
            config.mount(&socket.mount).map_or("no".to_owned(), |declared| declared.source.to_owned())
        });
        let from = mount.and_then(|mount| mount.host_path.clone()).unwrap_or_default();
        grant("socket", socket.path.clone(), declared, format!("socket, by {from} of the host"))
    };
    b.sockets.iter().map(one).collect()
}
