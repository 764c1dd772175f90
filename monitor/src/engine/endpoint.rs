//! Where engines listen: sockets that are found by themselves, and those that are given.

use std::path::{Path, PathBuf};

use super::kube;
use crate::container::Engine;

/// Users whose sockets are looked for.
const MAX_USERS: usize = 64;

/// Sockets of containerd: its own, and those of k3s and RKE2, of MicroK8s and of k0s.
const CONTAINERD: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/run/k0s/containerd.sock",
];
/// Sockets of CRI: those of containerd, of CRI-O and of cri-dockerd.
const CRI: &[&str] = &[
    CONTAINERD[0],
    CONTAINERD[1],
    CONTAINERD[2],
    CONTAINERD[3],
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

/// A protocol that engines speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Docker Engine's API.
    Docker,
    /// Podman's own API.
    Podman,
    /// containerd's own API.
    Containerd,
    /// CRI, which kubelets speak to containerd, CRI-O and cri-dockerd.
    Cri,
    /// Kubernetes' API server.
    Kubernetes,
}

impl EngineKind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Docker, Self::Podman, Self::Containerd, Self::Cri, Self::Kubernetes];

    /// The name in options and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Cri => "cri",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Sockets of the machine's own engines, as they are packaged.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["/run/docker.sock"],
            Self::Podman => &["/run/podman/podman.sock"],
            Self::Containerd => CONTAINERD,
            // Its CRI service is at the same socket.
            Self::Cri => CRI,
            // Nobody is spoken to over a network who was not given.
            Self::Kubernetes => &[],
        }
    }

    /// Sockets of a user's own engine below `/run/user/UID`.
    const fn of_user(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["docker.sock"],
            Self::Podman => &["podman/podman.sock"],
            Self::Containerd | Self::Cri | Self::Kubernetes => &[],
        }
    }

    /// True if a container that files take for `engine`'s may be known here. `None` where they cannot tell.
    pub(crate) fn may_know(self, engine: Option<Engine>) -> bool {
        match engine {
            // It speaks of pods, not of containers.
            _ if self == Self::Kubernetes => false,
            None => true,
            Some(Engine::Docker) => self == Self::Docker,
            Some(Engine::Containerd) => self == Self::Containerd,
            Some(Engine::Kubernetes) => matches!(self, Self::Containerd | Self::Cri),
            Some(Engine::CriO) => self == Self::Cri,
            Some(Engine::Podman) => self == Self::Podman,
            // An OCI runtime called directly is nobody's, and those without bundles are asked by nobody.
            Some(Engine::Lxc | Engine::SystemdNspawn | Engine::None) => false,
        }
    }
}

/// A socket where an engine may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it speaks.
    pub kind: EngineKind,
    /// The socket; for Kubernetes the kubeconfig, or `in-cluster`.
    pub socket: PathBuf,
    /// True if somebody asked for it: then its absence is worth a word.
    pub given: bool,
}

impl Endpoint {
    /// Out of `KIND:PATH`, or `kubernetes:in-cluster`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = || EngineKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        let (kind, path) = text.split_once(':').ok_or("give it as KIND:PATH")?;
        let kind = EngineKind::ALL
            .iter()
            .copied()
            .find(|known| known.name() == kind)
            .ok_or_else(|| format!("no engine `{kind}`; known are: {}", known()))?;
        // `unix:///run/docker.sock` is how engines write it.
        let path = path.strip_prefix("unix://").unwrap_or(path);
        let is_account = kind == EngineKind::Kubernetes && path == kube::IN_CLUSTER;
        if !is_account && !path.starts_with('/') {
            return Err(format!("`{path}` is no absolute path"));
        }
        Ok(Self { kind, socket: path.into(), given: true })
    }
}

/// The usual sockets, of the machine and of users who have some below `run`, which is `/run`.
pub fn usual(run: &Path) -> Vec<Endpoint> {
    let found = |kind, socket| Endpoint { kind, socket, given: false };
    let mut out: Vec<Endpoint> = EngineKind::ALL
        .iter()
        .flat_map(|kind| kind.usual().iter().map(|path| found(*kind, PathBuf::from(path))))
        .collect();
    let users = std::fs::read_dir(run.join("user")).into_iter().flatten().filter_map(Result::ok);
    let mut homes: Vec<PathBuf> = users.map(|user| user.path()).take(MAX_USERS).collect();
    homes.sort_unstable();
    for home in homes {
        for kind in EngineKind::ALL {
            let sockets = kind.of_user().iter().map(|name| home.join(name));
            out.extend(sockets.filter(|path| path.symlink_metadata().is_ok()).map(|path| found(*kind, path)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_endpoints() {
        let docker = Endpoint { kind: EngineKind::Docker, socket: "/x/d.sock".into(), given: true };
        assert_eq!(Endpoint::parse("docker:/x/d.sock"), Ok(docker.clone()));
        assert_eq!(Endpoint::parse("docker:unix:///x/d.sock"), Ok(docker));
        let kubernetes =
            |socket: &str| Endpoint { kind: EngineKind::Kubernetes, socket: socket.into(), given: true };
        for account in ["in-cluster", "/etc/kubernetes/k.conf"] {
            assert_eq!(Endpoint::parse(&format!("kubernetes:{account}")), Ok(kubernetes(account)));
        }
        for wrong in [
            "kubernetes:",
            "kubernetes:k.conf",
            "docker:in-cluster",
            "",
            "docker",
            "/x/d.sock",
            "docker:",
            "docker:d.sock",
            "dock:/x",
            "Docker:/x",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sockets_of_users_are_found() {
        let run = tempfile::tempdir().expect("a folder");
        let home = run.path().join("user/1000");
        std::fs::create_dir_all(&home).expect("made");
        std::fs::create_dir_all(run.path().join("user/1001")).expect("made");
        let of_users = || usual(run.path()).into_iter().filter(|e| e.socket.starts_with(run.path()));
        assert_eq!(of_users().count(), 0);
        let socket = home.join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let found: Vec<Endpoint> = of_users().collect();
        assert_eq!(found, [Endpoint { kind: EngineKind::Docker, socket, given: false }]);
    }
}
