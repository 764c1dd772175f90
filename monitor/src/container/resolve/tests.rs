//! Tests of the ladder, over made-up hosts.

use std::fs;
use std::os::unix::fs::symlink;

use super::super::{Pod, Qos};
use super::*;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp dir") }
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(path, text).expect("written");
        self
    }

    fn process(&self, pid: u32, ppid: u32, argv: &str, cwd: &str) -> &Self {
        self.write(
            &format!("proc/{pid}/stat"),
            &format!("{pid} (x) S {ppid} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 7 0"),
        );
        self.write(&format!("proc/{pid}/cmdline"), &argv.replace(' ', "\0"));
        symlink(cwd, self.dir.path().join(format!("proc/{pid}/cwd"))).expect("link");
        self
    }

    fn resolve(&self, request: &ResolveRequest) -> Update {
        Resolver::new(HostPaths { root: self.dir.path().into(), proc: self.dir.path().join("proc") })
            .resolve(request)
    }
}

fn request(path: &str, pid: u32, run: Option<(&str, &str)>) -> ResolveRequest {
    let runtime = run.map(|(line, cwd)| RuntimeInvocation {
        pid: 999,
        exe: line.split(' ').next().unwrap_or_default().into(),
        argv: line.split(' ').map(Into::into).collect(),
        cwd: cwd.into(),
    });
    ResolveRequest { key: ContainerKey(5), cgroup_path: path.into(), pid, runtime }
}

fn hex(c: char) -> String {
    c.to_string().repeat(64)
}

#[test]
fn a_bare_runtime() {
    let host = Host::new();
    host.write("/w/b/config.json", r#"{"linux":{"cgroupsPath":"/x"}}"#);
    let update = host.resolve(&request("/t1", 0, Some(("/usr/sbin/runc run -d -b b t1", "/w"))));
    assert_eq!(update.status, Status::Resolved);
    let id = update.identity;
    assert_eq!(
        (id.id.as_deref(), id.runtime.as_deref(), id.engine),
        (Some("t1"), Some("runc"), Some(Engine::None))
    );
    assert_eq!(update.declared.expect("read").bundle, "/w/b");
}

#[test]
fn a_bundle_in_the_engines_mount_namespace() {
    let host = Host::new();
    host.write("/proc/999/root/w/config.json", "{}");
    let update = host.resolve(&request("/t1", 0, Some(("crun create t1", "/w"))));
    assert_eq!((update.status, update.identity.runtime.as_deref()), (Status::Resolved, Some("crun")));
}

#[test]
fn docker() {
    let id = hex('c');
    let other = hex('d');
    let host = Host::new();
    let bundle = format!("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{id}");
    // The network of another container, so its files; the configuration must still be this one's.
    host.write(&format!("{bundle}/config.json"), &format!(
        r#"{{"mounts":[{{"destination":"/etc/hostname","source":"/d/containers/{other}/hostname","type":"bind"}}]}}"#));
    host.write(
        &format!("/d/containers/{other}/config.v2.json"),
        &format!(r#"{{"ID":"{other}","Name":"/no"}}"#),
    );
    host.write(
        &format!("/d/containers/{id}/config.v2.json"),
        &format!(
            r#"{{"ID":"{id}","Name":"/svc.1.x","Config":{{"Image":"busybox:1","Labels":{{"k":"v",
           "com.docker.swarm.service.name":"svc","com.docker.swarm.task.name":"svc.1.x"}}}}}}"#
        ),
    );
    host.process(
        10,
        1,
        &format!("/usr/bin/containerd-shim-runc-v2 -namespace moby -id {id} -address x"),
        &bundle,
    );
    host.process(11, 10, "sh", "/");
    let request = request(&format!("/docker/{id}"), 11, None);
    // The runtime's state may be anywhere: its shim notes which one it is.
    for (noted, runtime) in [("", Some("runc")), ("/opt/crun-2", Some("crun")), ("x", None)] {
        host.write(&format!("{bundle}/runtime"), noted);
        assert_eq!(host.resolve(&request).identity.runtime.as_deref(), runtime, "{noted}");
    }
    let update = host.resolve(&request);
    assert_eq!(update.status, Status::Resolved);
    let got = update.identity;
    assert_eq!(
        (got.id, got.name.as_deref(), got.image.as_deref()),
        (Some(id), Some("svc.1.x"), Some("busybox:1"))
    );
    assert_eq!((got.engine, got.swarm.map(|s| s.service)), (Some(Engine::Docker), Some("svc".into())));
    assert_eq!(got.labels.get("k").map(String::as_str), Some("v"));
}

#[test]
fn a_pods_second_container() {
    let (pod, id) = (hex('e'), hex('f'));
    let host = Host::new();
    let tasks = "/state/io.containerd.runtime.v2.task/k8s.io";
    host.write(&format!("{tasks}/{pod}/config.json"), "{}");
    host.write(&format!("{tasks}/{id}/config.json"), r#"{"annotations":{"io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.container-name":"app","io.kubernetes.cri.sandbox-name":"p","io.kubernetes.cri.sandbox-namespace":"n",
        "io.kubernetes.cri.sandbox-uid":"ab","io.kubernetes.cri.image-name":"i"}}"#);
    host.process(
        10,
        1,
        &format!("containerd-shim-runc-v2 -namespace k8s.io -id {pod}"),
        &format!("{tasks}/{pod}"),
    );
    host.process(11, 10, "app", "/");
    let update = host.resolve(&request(&format!("/kubepods/besteffort/podab/{id}"), 11, None));
    let got = update.identity;
    assert_eq!((got.id, got.engine, got.name.as_deref()), (Some(id), Some(Engine::Kubernetes), Some("app")));
    let qos = Some(Qos::BestEffort);
    let want = Pod { name: "p".into(), namespace: "n".into(), uid: "ab".into(), qos, ..Pod::default() };
    assert_eq!(got.pod, Some(want));
    // The cgroup's path alone names the pod, too.
    let bare = host.resolve(&request(&format!("/kubepods/podcd/{}", hex('e')), 0, None)).identity;
    let want = Pod { uid: "cd".into(), qos: Some(Qos::Guaranteed), ..Pod::default() };
    assert_eq!(bare.pod, Some(want));
}

#[test]
fn podman() {
    let id = hex('a');
    let host = Host::new();
    let bundle = format!("/s/overlay-containers/{id}/userdata");
    host.write(&format!("{bundle}/config.json"), r#"{"annotations":{"io.container.manager":"libpod"}}"#);
    host.write("/s/overlay-containers/containers.json", &format!(
        r#"[{{"id":"{id}","names":["web"],"metadata":"{{\"image-name\":\"localhost/bb:1\",\"name\":\"web\"}}"}}]"#));
    host.process(10, 1, &format!("/usr/bin/conmon -c {id} -u {id} -r /usr/bin/crun -b {bundle} -n web"), "/");
    host.process(11, 10, "sh", "/");
    let got = host.resolve(&request(&format!("/libpod_parent/libpod-{id}"), 11, None)).identity;
    assert_eq!((got.name.as_deref(), got.image.as_deref()), (Some("web"), Some("localhost/bb:1")));
    assert_eq!((got.runtime.as_deref(), got.engine), (Some("crun"), Some(Engine::Podman)));
}

#[test]
fn what_cannot_be_found_says_why() {
    let host = Host::new();
    let id = hex('b');
    let update = host.resolve(&request(&format!("/docker/{id}"), 0, None));
    assert_eq!((update.identity.id, update.identity.engine), (Some(id), Some(Engine::Docker)));
    assert_eq!(update.status, Status::Unknown("no bundle was found for its id".into()));
    let update = host.resolve(&request("/x", 44, None));
    assert!(matches!(update.status, Status::Unknown(why) if why.contains("cgroup path")));
    let update = host.resolve(&request("/x", 0, Some(("runc create -b /gone t", "/"))));
    assert!(matches!(update.status, Status::Unknown(why) if why.contains("/gone/config.json")));
    // A state that another container of the host has, under a name that would leave the directory.
    let update = host.resolve(&request("/x", 0, Some(("runc --root /r create -b /gone ../../etc", "/"))));
    assert!(matches!(update.status, Status::Unknown(_)));
}

#[test]
fn names_of_runtimes() {
    for (path, want) in [
        ("/usr/bin/runc", Some("runc")),
        ("runc-nocap", Some("runc")),
        ("crun", Some("crun")),
        ("runcible", None),
        ("/x/youki", Some("youki")),
        ("", None),
    ] {
        assert_eq!(runtime_name(path.as_bytes()).as_deref(), want, "{path}");
    }
}

#[test]
fn runtimes_without_a_bundle() {
    let host = Host::new();
    // Another container of that name does not lend it its bundle.
    host.write("/run/runc/web/state.json", r#"{"init_process_pid":3,"config":{"labels":["bundle=/b"]}}"#);
    host.write("/b/config.json", "{}");
    let known = |update: Update| {
        assert_eq!((&update.status, &update.declared), (&Status::Resolved, &None), "{update:?}");
        let id = update.identity;
        assert_eq!(id.name, id.id);
        (id.id.unwrap_or_default(), id.runtime.unwrap_or_default())
    };
    let own = |name: &str, runtime: &str| (name.to_owned(), runtime.to_owned());
    // By the cgroup alone: nobody lives that could be asked.
    let update = host.resolve(&request("/lxc.payload.web", 0, None));
    assert_eq!(update.identity.engine, Some(Engine::Lxc));
    assert_eq!(known(update), own("web", "lxc"));
    let scope = "/machine.slice/machine-db\\x2d1.scope";
    assert_eq!(
        known(host.resolve(&request(&format!("{scope}/payload"), 0, None))),
        own("db-1", "systemd-nspawn")
    );
    // By whoever stays above it, where the cgroup is called otherwise or is not its own.
    host.process(20, 1, "lxc-start -n web -P /p", "/").process(21, 20, "init", "/");
    assert_eq!(known(host.resolve(&request("/jail/x", 21, None))), own("web", "lxc"));
    host.process(30, 1, "systemd-nspawn -D /srv/tree", "/").process(31, 30, "init", "/");
    assert_eq!(known(host.resolve(&request("", 31, None))), own("tree", "systemd-nspawn"));
    assert_eq!(known(host.resolve(&request(scope, 31, None))), own("db-1", "systemd-nspawn"));
    // The nearest above a container of Docker's in one of LXC's is not its own.
    let docker = format!("/lxc.payload.web/docker/{}", hex('a'));
    let update = host.resolve(&request(&docker, 21, None));
    assert_eq!((update.identity.engine, update.identity.id), (Some(Engine::Docker), Some(hex('a'))));
    assert!(matches!(update.status, Status::Unknown(_)));
    // Nobody says which.
    host.process(40, 1, "lxc-autostart -a", "/").process(41, 40, "init", "/");
    let update = host.resolve(&request("/jail/y", 41, None));
    assert_eq!((update.identity.engine, update.identity.id), (Some(Engine::Lxc), None));
    assert!(matches!(update.status, Status::Unknown(_)));
}
