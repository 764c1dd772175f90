//! Where a kubelet places its pods: classes of service, and the two drivers of cgroups.

use crate::systemd;

/// A class of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Every container has what it asks for at most: no folder of its own.
    Guaranteed,
    /// Some ask for less than they may have.
    Burstable,
    /// None asks.
    BestEffort,
}

impl Qos {
    /// Kubernetes' name for it.
    pub fn kubernetes(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// The name of its folder, if it has one.
    fn folder(self) -> Option<&'static str> {
        match self {
            Self::Guaranteed => None,
            Self::Burstable => Some("burstable"),
            Self::BestEffort => Some("besteffort"),
        }
    }
}

/// What makes cgroups for a kubelet and its runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// They themselves.
    Cgroupfs,
    /// systemd, asked for slices and scopes.
    Systemd,
}

impl Driver {
    /// What a pod names as its parent.
    pub(super) fn parent(self, qos: Qos, uid: &str, branch: &str) -> String {
        match self {
            Self::Cgroupfs => format!("/{branch}/{}", path(qos, uid)),
            Self::Systemd => slices(qos, uid).pop().unwrap_or_default(),
        }
    }

    /// A container's cgroup, below the branch.
    pub(super) fn cgroup(self, qos: Qos, uid: &str, id: &str) -> String {
        match self {
            Self::Cgroupfs => format!("{}/{id}", path(qos, uid)),
            Self::Systemd => {
                format!("{}/{}/cri-containerd-{id}.scope", systemd::CGROUP, slices(qos, uid).join("/"))
            }
        }
    }
}

fn path(qos: Qos, uid: &str) -> String {
    let folder = qos.folder().map(|folder| format!("{folder}/")).unwrap_or_default();
    format!("kubepods/{folder}pod{uid}")
}

/// From the outermost to the pod's: a dash is a step down (systemd.slice(5)), so that a uid has none.
fn slices(qos: Qos, uid: &str) -> Vec<String> {
    let mut names = vec!["kubepods".to_owned()];
    let pod = format!("pod{}", uid.replace('-', "_"));
    for part in qos.folder().into_iter().chain([pod.as_str()]) {
        let above = names.last().cloned().unwrap_or_default();
        names.push(format!("{above}-{part}"));
    }
    names.into_iter().map(|name| name + ".slice").collect()
}
