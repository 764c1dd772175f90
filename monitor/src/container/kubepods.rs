//! What a kubelet's cgroups say about a pod: its uid, and its class of service.
//!
//! With the `cgroupfs` driver a pod is at `/kubepods/CLASS/podUID`, with the `systemd` driver in
//! `kubepods-CLASS-podUID.slice`, where the uid's dashes are underscores; pods of the class `Guaranteed` are beside the
//! other classes (kubelet, `pkg/kubelet/cm/pod_container_manager_linux.go`). Whatever is before `kubepods` is the
//! kubelet's own place: `kubelet.slice/kubelet-` in nodes that are containers.

/// Longest uid that is taken: a mirror pod's is the hash of its file.
const MAX_UID: usize = 64;

/// A class of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Every container has as much as it may have at most.
    Guaranteed,
    /// Some container asks for less than it may have.
    Burstable,
    /// No container asks for anything.
    BestEffort,
}

impl Qos {
    /// Kubernetes' name for it, `status.qosClass`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// Out of a component, or a part of one.
    fn of(name: &str) -> Option<Self> {
        match name {
            "burstable" => Some(Self::Burstable),
            "besteffort" => Some(Self::BestEffort),
            _ => None,
        }
    }
}

/// The innermost pod in a cgroup path: its uid and its class.
pub fn pod_in_path(path: &str) -> Option<(String, Qos)> {
    let mut found = None;
    let (mut kubepods, mut class) = (false, None);
    for component in path.split('/') {
        // A runtime that takes systemd's form for a path makes one folder of `SLICE:PREFIX:ID`.
        let name = component.split(':').next().unwrap_or_default();
        if let Some(slice) = name.strip_suffix(".slice") {
            // `kubepods-burstable-pod…`, with `kubelet-` or the like before it.
            let mut parts = slice.split('-').skip_while(|part| *part != "kubepods").skip(1).peekable();
            let class = parts.peek().and_then(|part| Qos::of(part));
            if class.is_some() {
                parts.next();
            }
            let pod = parts.next().and_then(|part| uid(part, true)).filter(|_| parts.next().is_none());
            found = pod.map(|uid| (uid, class.unwrap_or(Qos::Guaranteed))).or(found);
        } else if name == "kubepods" {
            (kubepods, class) = (true, None);
        } else if kubepods {
            if let Some(uid) = uid(name, false) {
                found = Some((uid, class.unwrap_or(Qos::Guaranteed)));
                kubepods = false;
            } else {
                class = Qos::of(name);
                kubepods = class.is_some();
            }
        }
    }
    found
}

/// The uid of `podUID`.
fn uid(name: &str, escaped: bool) -> Option<String> {
    let uid = name.strip_prefix("pod").filter(|uid| !uid.is_empty() && uid.len() <= MAX_UID)?;
    let uid = if escaped { uid.replace('_', "-") } else { uid.to_owned() };
    uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-').then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f3c4a9e-1b2d-4c5e-8f70-123456789abc";
    const ESCAPED: &str = "0f3c4a9e_1b2d_4c5e_8f70_123456789abc";

    #[track_caller]
    fn check(path: &str, want: Option<Qos>) {
        let filled = path.replace("UID", UID).replace("U_D", ESCAPED).replace("ID", &"a".repeat(64));
        assert_eq!(pod_in_path(&filled), want.map(|qos| (UID.to_owned(), qos)), "{path}");
    }

    #[test]
    fn both_drivers_and_every_class() {
        use Qos::{BestEffort, Burstable, Guaranteed};
        check("/kubepods/podUID/ID", Some(Guaranteed));
        check("/kubepods/burstable/podUID/ID", Some(Burstable));
        check("/kubepods/besteffort/podUID/ID", Some(BestEffort));
        check("/kubepods/besteffort/podUID/crio-ID", Some(BestEffort));
        check("/kubepods/besteffort/podUID", Some(BestEffort));
        for (slice, class) in [
            ("kubepods-podU_D", Guaranteed),
            ("kubepods-burstable.slice/kubepods-burstable-podU_D", Burstable),
            ("kubepods-besteffort.slice/kubepods-besteffort-podU_D", BestEffort),
        ] {
            for scope in
                ["cri-containerd-ID.scope", "crio-ID.scope", "docker-ID.scope", "crio-ID.scope/container"]
            {
                check(&format!("/kubepods.slice/{slice}.slice/{scope}"), Some(class));
            }
        }
        // A node that is a container: kind, with either driver.
        check("/docker/ID/kubelet/kubepods/burstable/podUID/ID", Some(Burstable));
        check(
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
             kubelet-kubepods-besteffort-podU_D.slice/cri-containerd-ID.scope",
            Some(BestEffort),
        );
        // The kubelet has the systemd driver, the runtime has not.
        check(
            "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
            Some(Burstable),
        );
    }

    #[test]
    fn the_innermost_pod() {
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let path = format!("/kubepods/burstable/pod{one}/x/kubepods/pod{two}/y");
        assert_eq!(pod_in_path(&path), Some((two, Qos::Guaranteed)));
    }

    #[test]
    fn no_pod() {
        for path in [
            "",
            "/",
            "/docker/ID",
            "/podUID/ID",
            "/kubepods/other/podUID/ID",
            "/kubepods/besteffort/ID",
            "/kubepods/besteffort/pod/ID",
            "/kubepods/pod../ID",
            "/kubepods.slice/kubepods-burstable.slice/crio-ID.scope",
            "/user.slice/podU_D.slice/x",
            "/kubepods.slice/kubepods-podU_D-more.slice/x",
        ] {
            check(path, None);
        }
        assert_eq!(pod_in_path(&format!("/kubepods/pod{}", "a".repeat(65))), None);
    }
}
