//! Which paths of the host are sensitive.

use crate::detect::Severity;
use crate::posture::baseline::within;

/// Directories of the host whose mount gives the host away, with the severity of a mount that can be written and of
/// one that cannot.
const SENSITIVE: &[(&str, Severity, Severity)] = &[
    ("/etc", Severity::Critical, Severity::Warning),
    ("/root", Severity::Critical, Severity::Warning),
    ("/boot", Severity::Critical, Severity::Notice),
    ("/bin", Severity::Critical, Severity::Notice),
    ("/sbin", Severity::Critical, Severity::Notice),
    ("/lib", Severity::Critical, Severity::Notice),
    ("/lib64", Severity::Critical, Severity::Notice),
    ("/usr", Severity::Critical, Severity::Notice),
    ("/proc", Severity::Critical, Severity::Warning),
    ("/sys", Severity::Critical, Severity::Warning),
    ("/dev", Severity::Critical, Severity::Warning),
    ("/run", Severity::Critical, Severity::Warning),
    ("/var/run", Severity::Critical, Severity::Warning),
    ("/var/log", Severity::Warning, Severity::Notice),
    ("/var/spool/cron", Severity::Critical, Severity::Warning),
    ("/var/lib/kubelet", Severity::Critical, Severity::Warning),
    ("/var/lib/etcd", Severity::Critical, Severity::Critical),
    ("/var/lib/docker", Severity::Critical, Severity::Warning),
    ("/var/lib/containerd", Severity::Critical, Severity::Warning),
    ("/var/lib/containers", Severity::Critical, Severity::Warning),
    ("/home", Severity::Warning, Severity::Notice),
];

/// What engines themselves mount from those directories: volumes, and the files that each container gets.
const ENGINES_OWN: &[&str] = &[
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/var/lib/containerd/",
    "/var/lib/kubelet/pods/",
    "/run/containerd/",
    "/run/containers/",
    "/run/docker/",
    "/run/crio/",
    "/run/user/",
    "/run/libpod/",
    "/run/secrets/",
];

/// Files and directories that say nothing secret: read-only they are no finding.
const HARMLESS: &[&str] = &[
    "/etc/localtime",
    "/etc/timezone",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/ssl/certs",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share",
];

/// How bad a mount of this path of the host is; `None` if it is not.
///
/// A sensitive directory or one above it counts in full, what lies below one a step less.
pub(super) fn rate(path: &str, readonly: bool) -> Option<Severity> {
    if path == "/" {
        return Some(Severity::Critical);
    }
    let pick = |writable: Severity, read: Severity| if readonly { read } else { writable };
    let whole = SENSITIVE.iter().filter(|(top, ..)| within(top, path));
    if let Some(severity) = whole.map(|(_, writable, read)| pick(*writable, *read)).max() {
        return Some(severity);
    }
    if ENGINES_OWN.iter().any(|own| path.starts_with(own)) {
        return None;
    }
    if readonly && HARMLESS.iter().any(|harmless| within(path, harmless)) {
        return None;
    }
    let below = SENSITIVE.iter().filter(|(top, ..)| within(path, top));
    let severity = below.map(|(_, writable, read)| pick(*writable, *read)).max()?;
    // Homes and single logs are data.
    if severity == Severity::Notice && readonly { None } else { Some(super::lower(severity)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        use Severity::{Critical, Notice, Warning};
        for (path, writable, readonly) in [
            ("/", Some(Critical), Some(Critical)),
            ("/etc", Some(Critical), Some(Warning)),
            ("/var", Some(Critical), Some(Critical)),
            ("/etc/shadow", Some(Warning), Some(Notice)),
            ("/etc/localtime", Some(Warning), None),
            ("/etcetera", None, None),
            ("/srv/data", None, None),
            ("/var/lib/docker/volumes/v/_data", None, None),
            ("/var/lib/docker", Some(Critical), Some(Warning)),
            ("/var/lib/kubelet/pods/u/volumes/x", None, None),
            ("/var/lib/kubelet/pki", Some(Warning), Some(Notice)),
            ("/var/log", Some(Warning), Some(Notice)),
            ("/var/log/nginx", Some(Notice), None),
            ("/usr/lib/modules", Some(Warning), None),
            ("/run/docker", Some(Warning), Some(Notice)),
            ("/home/a/project", Some(Notice), None),
        ] {
            assert_eq!(rate(path, false), writable, "{path} rw");
            assert_eq!(rate(path, true), readonly, "{path} ro");
        }
    }
}
