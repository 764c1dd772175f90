//! What image and runtime bring: G17, G18, G19.

use super::{Item, Source};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host};
use crate::posture::check::Check;

pub(in crate::posture) const G17: Check = Check {
    id: "G17",
    title: "Hostile configuration of the image",
    severity: Severity::Critical,
    rows: &["G17"],
    cis: &[],
    pss: &[],
    checklist: &[15],
    what: "Settings that attacks on runtimes use: a working directory in /proc/self/fd (CVE-2024-21626) and a mount with \
           `..` in its path (CVE-2022-23648) are critical; variables that steer the loader or the runtime, and \
           annotations that change what the runtime does, are notices, because profilers and some platforms set them.",
    change: "Ask who made the image; build it again without the setting.",
    judge: g17,
};

/// Variables that steer the loader (ld.so(8)) or runc.
const VARIABLES: &[&str] = &["LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES", "_LIBCONTAINER_"];

/// Annotations that runtimes act upon: properties of systemd units (runc, crun), crun's handlers and hooks, devices of
/// CDI.
const ANNOTATIONS: &[&str] = &["org.systemd.property.", "run.oci.", "cdi.k8s.io/"];

fn g17(b: &Baseline, _: &Host) -> Vec<Item> {
    let mut items = Vec::new();
    let steers = |variable: &str| VARIABLES.iter().any(|name| variable.starts_with(name));
    let Some(config) = &b.config else {
        let found = b.environment.iter().filter(|variable| steers(variable));
        return found
            .map(|text| variable(text, "environment", Source::Kernel("/proc/<pid>/environ")))
            .collect();
    };
    let cwd = config.text("/process/cwd");
    if is_descriptor(cwd) {
        items.push(Item::new(
            Severity::Critical,
            "working directory",
            cwd,
            Source::Config("/process/cwd".to_owned()),
        ));
    }
    for (pointer, text) in config.strings("/process/env").into_iter().filter(|(_, text)| steers(text)) {
        items.push(variable(text, "environment", Source::Config(pointer)));
    }
    for mount in config.mounts() {
        let climbs = |path: &str| path.split('/').any(|part| part == "..");
        if climbs(mount.source) || climbs(mount.destination) {
            let observed = format!("{} at {}", mount.source, mount.destination);
            items.push(Item::new(Severity::Critical, "mount", observed, Source::Config(mount.pointer)));
        }
    }
    for (pointer, key, value) in config.entries("/annotations") {
        if ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)) {
            let observed = format!("{key}={value}");
            items.push(Item::new(Severity::Notice, "annotation", observed, Source::Config(pointer)));
        }
    }
    items
}

fn variable(text: &str, what: &str, source: Source) -> Item {
    Item::new(Severity::Notice, what, text, source)
}

/// `/proc/self/fd/N` in any of its forms.
fn is_descriptor(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    let is_process = |part: &str| {
        ["self", "thread-self"].contains(&part) || part.bytes().all(|byte| byte.is_ascii_digit())
    };
    parts.next() == Some("proc")
        && parts.next().is_some_and(is_process)
        && parts.any(|part| ["fd", "cwd", "root"].contains(&part))
}

pub(in crate::posture) const G18: Check = Check {
    id: "G18",
    title: "Runtime with known holes",
    severity: Severity::Warning,
    rows: &["G18"],
    cis: &["1.2.2"],
    pss: &[],
    checklist: &[12],
    what: "The runtime's own version is older than the one that closed a way out of containers. Distributions close holes \
           without a new version: a version with a suffix of theirs is a notice. Kernels are not judged by their version.",
    change: "Update the runtime, and start its containers again.",
    judge: g18,
};

/// The first version of each line that has the hole closed.
struct Fixed {
    runtime: &'static str,
    hole: &'static str,
    versions: &'static [[u32; 3]],
}

/// From the advisories of opencontainers/runc, containers/crun and containerd. Versions of one line are fixed by the
/// version of that line; newer lines are not affected.
const FIXED: &[Fixed] = &[
    Fixed { runtime: "runc", hole: "CVE-2024-21626", versions: &[[1, 1, 12]] },
    Fixed {
        runtime: "runc",
        hole: "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881",
        versions: &[[1, 2, 8], [1, 3, 3]],
    },
    Fixed { runtime: "crun", hole: "CVE-2025-24965", versions: &[[1, 20, 0]] },
];

fn g18(b: &Baseline, host: &Host) -> Vec<Item> {
    let Some(runtime) = b.runtime.as_deref() else { return Vec::new() };
    let Some(version) = host.versions.get(runtime) else { return Vec::new() };
    let Some((numbers, plain)) = parse_version(version) else { return Vec::new() };
    let severity = if plain { Severity::Warning } else { Severity::Notice };
    let open = FIXED.iter().filter(|fixed| fixed.runtime == runtime && is_older(numbers, fixed.versions));
    let source = || Source::Program(format!("{runtime} --version"));
    open.map(|fixed| Item::new(severity, fixed.hole, format!("{runtime} {version}"), source())).collect()
}

/// Three numbers, and whether nothing of a distribution's stands behind them.
fn parse_version(text: &str) -> Option<([u32; 3], bool)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(|part| part.parse().unwrap_or(0));
    let numbers = [parts.next()?, parts.next()?, parts.next().unwrap_or(0)];
    let rest = &text[end..];
    Some((numbers, rest.is_empty() || rest.starts_with("-rc")))
}

/// True if the version is below that of its own line, or its line is older than all that are fixed.
fn is_older(version: [u32; 3], fixed: &[[u32; 3]]) -> bool {
    match fixed.iter().find(|line| line[..2] == version[..2]) {
        Some(line) => version < *line,
        None => fixed.iter().all(|line| version < *line),
    }
}

pub(in crate::posture) const G19: Check = Check {
    id: "G19",
    title: "Shares image layers with a privileged container",
    severity: Severity::Info,
    rows: &["G19"],
    cis: &[],
    pss: &[],
    checklist: &[],
    what: "Two containers read the same files of an image, and one of them is privileged: a bug of the kernel that lets \
           one write to the page cache reaches the other through it. Nearly every node has such pairs.",
    change: "Give privileged containers images of their own; keep the kernel up to date.",
    judge: g19,
};

fn g19(b: &Baseline, _: &Host) -> Vec<Item> {
    let shared = b.shares_layers_with.iter();
    let source = || Source::Mount("/".to_owned());
    shared
        .map(|other| Item::new(Severity::Info, "layers", format!("shared with {other}"), source()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, want) in [
            ("1.1.5+ds1", Some(([1, 1, 5], false))),
            ("1.3.3", Some(([1, 3, 3], true))),
            ("v1.2.0-rc.1", Some(([1, 2, 0], true))),
            ("1.20", Some(([1, 20, 0], true))),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), want, "{text}");
        }
        let fixed: &[[u32; 3]] = &[[1, 2, 8], [1, 3, 3]];
        for (version, older) in [
            ([1, 1, 99], true),
            ([1, 2, 7], true),
            ([1, 2, 8], false),
            ([1, 3, 2], true),
            ([1, 3, 3], false),
            ([1, 4, 0], false),
        ] {
            assert_eq!(is_older(version, fixed), older, "{version:?}");
        }
    }

    #[test]
    fn descriptors() {
        for path in ["/proc/self/fd/7", "//proc/./self/fd/7/../..", "/proc/thread-self/fd/3", "/proc/1/cwd"] {
            assert!(is_descriptor(path), "{path}");
        }
        for path in ["/", "/proc", "/proc/self", "/srv/proc/self/fd/7", "/proc/sys/fd", ""] {
            assert!(!is_descriptor(path), "{path}");
        }
    }
}
