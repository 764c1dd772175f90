//! Container ids in cgroup paths, as engines write them.

use super::{Engine, resident};

/// What a cgroup path says about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathMatch<'a> {
    /// Full id, as it is in the path.
    pub id: &'a str,
    /// Engine, where the form of the path tells.
    pub engine: Option<Engine>,
    /// The path of the container's top cgroup: everything up to the component with the id.
    pub top: &'a str,
}

impl PathMatch<'_> {
    /// The id as the engine says it.
    pub fn full_id(&self) -> String {
        match self.engine {
            Some(Engine::SystemdNspawn) => resident::unescape(self.id),
            _ => self.id.to_owned(),
        }
    }
}

/// Prefixes of a component before the id, with the engine that writes them.
const PREFIXES: &[(&str, Engine)] = &[
    ("docker-", Engine::Docker),
    ("libpod-payload-", Engine::Podman),
    ("libpod-", Engine::Podman),
    ("cri-containerd-", Engine::Kubernetes),
    ("crio-", Engine::CriO),
    ("nerdctl-", Engine::Containerd),
];

/// Finds the innermost container in a cgroup path: in `/docker/A/docker/B` that is `B`, which runs in `A`.
pub fn container_in_path(path: &str) -> Option<PathMatch<'_>> {
    let mut found = None;
    let mut kubepods = false;
    let mut parent = "";
    let mut end = 0;
    for component in path.split_inclusive('/') {
        end += component.len();
        let name = component.strip_suffix('/').unwrap_or(component);
        let top = &path[..end - (component.len() - name.len())];
        kubepods |= name.starts_with("kubepods");
        let by_name = || resident::in_component(name, parent).map(|(id, engine)| (id, Some(engine)));
        if let Some((id, engine)) = id_in(name, parent, kubepods).or_else(by_name) {
            found = Some(PathMatch { id, engine, top });
            kubepods = false;
        }
        parent = name;
    }
    found
}

fn id_in<'a>(name: &'a str, parent: &str, kubepods: bool) -> Option<(&'a str, Option<Engine>)> {
    let bare = name.strip_suffix(".scope").unwrap_or(name);
    for (prefix, engine) in PREFIXES {
        if let Some(id) = bare.strip_prefix(prefix) {
            return is_id(id).then_some((id, Some(*engine)));
        }
    }
    // `SLICE:PREFIX:ID`, which is systemd's form, taken for a path by a runtime that was not told of systemd.
    if let Some((rest, id)) = name.rsplit_once(':') {
        let writer = rest.rsplit_once(':').map_or(rest, |(_, prefix)| prefix);
        let known = PREFIXES.iter().find(|(prefix, _)| prefix.strip_suffix('-') == Some(writer));
        return is_id(id).then_some((id, known.map(|(_, engine)| *engine)));
    }
    // Podman's pods are cgroups with the pod's id and no processes of their own.
    if !is_id(name) || parent == "libpod_parent" || parent == "machine.slice" {
        return None;
    }
    let engine =
        if parent == "docker" { Some(Engine::Docker) } else { kubepods.then_some(Engine::Kubernetes) };
    Some((name, engine))
}

/// True for the 64 hexadecimal digits of an engine's id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, want: Option<(char, Option<Engine>, &str)>) {
        // A and B stand for two ids.
        let long = |s: &str| s.replace('A', &"a".repeat(64)).replace('B', &"b".repeat(64));
        let path = long(path);
        let got = container_in_path(&path);
        let got = got.map(|m| (m.id.chars().next().unwrap_or(' '), m.engine, m.top.to_owned()));
        assert_eq!(got, want.map(|(c, e, top)| (c, e, long(top))), "{path}");
    }

    #[test]
    fn forms() {
        use Engine::{CriO, Docker, Kubernetes, Podman};
        check("/docker/A", Some(('a', Some(Docker), "/docker/A")));
        check("/docker/A/sub/x", Some(('a', Some(Docker), "/docker/A")));
        check("/system.slice/docker-A.scope", Some(('a', Some(Docker), "/system.slice/docker-A.scope")));
        check("/libpod_parent/libpod-A", Some(('a', Some(Podman), "/libpod_parent/libpod-A")));
        check("/libpod_parent/A/libpod-B", Some(('b', Some(Podman), "/libpod_parent/A/libpod-B")));
        check("/x.service/libpod-payload-A", Some(('a', Some(Podman), "/x.service/libpod-payload-A")));
        check(
            "/machine.slice/libpod-A.scope/container",
            Some(('a', Some(Podman), "/machine.slice/libpod-A.scope")),
        );
        check(
            "/kubepods/besteffort/pod12-34/A",
            Some(('a', Some(Kubernetes), "/kubepods/besteffort/pod12-34/A")),
        );
        check(
            "/kubepods.slice/kubepods-pod1.slice/cri-containerd-A.scope",
            Some(('a', Some(Kubernetes), "/kubepods.slice/kubepods-pod1.slice/cri-containerd-A.scope")),
        );
        check(
            "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:A",
            Some((
                'a',
                Some(Kubernetes),
                "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:A",
            )),
        );
        check("/kubepods.slice/crio-A.scope", Some(('a', Some(CriO), "/kubepods.slice/crio-A.scope")));
        check("/jail/docker/A/docker/B", Some(('b', Some(Docker), "/jail/docker/A/docker/B")));
        check(
            "/node/libpod-A/system.slice/docker-B.scope/",
            Some(('b', Some(Docker), "/node/libpod-A/system.slice/docker-B.scope")),
        );
        check("/kubepods/podx/A/B", Some(('b', None, "/kubepods/podx/A/B")));
        check("/custom/A", Some(('a', None, "/custom/A")));
        let (lxc, nspawn) = (Some(Engine::Lxc), Some(Engine::SystemdNspawn));
        check("/lxc.payload.web", Some(('w', lxc, "/lxc.payload.web")));
        check("/jail/lxc.payload.web/.lxc", Some(('w', lxc, "/jail/lxc.payload.web")));
        check("/lxc/web/init.scope", Some(('w', lxc, "/lxc/web")));
        check("/lxc.payload.web/docker/A", Some(('a', Some(Docker), "/lxc.payload.web/docker/A")));
        let unit = "/machine.slice/systemd-nspawn@web.service/payload";
        check(&format!("{unit}/init.scope"), Some(('w', nspawn, unit)));
        let scope = "/machine.slice/machine-web\\x2d1.scope/payload";
        check(scope, Some(('w', nspawn, scope)));
        assert_eq!(container_in_path(scope).map(|found| found.full_id()).as_deref(), Some("web-1"));
    }

    #[test]
    fn no_containers() {
        for path in [
            "",
            "/",
            "/t1",
            "/system.slice/docker.service",
            "/libpod_parent/A",
            "/x/crio-conmon-A.scope",
            "/x/a:b:c",
            "/docker/Ab",
            "/docker-.scope",
            "/libpod_parent/conmon",
            "/lxc.monitor.web",
            "/lxc",
            "/lxc/lxc.pivot",
            "/machine.slice/machine-web.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
            "/machine.slice/systemd-nspawn@web.service/supervisor",
            "/\u{e4}\u{f6}/",
        ] {
            check(path, None);
        }
    }
}
