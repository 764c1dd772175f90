//! Tests of the scan: over a made-up host, and over this machine.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::super::HostPaths;
use super::super::cgroup::cgroup_id;
use super::super::{Engine, Status};
use super::*;
use monitor_common::policy::KEY_V1;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().expect("temp dir") };
        host.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        host.write("proc/self/cgroup", "0::/\n");
        host.process(1, 0, "/init.scope", 100, &["init"]);
        symlink("/", host.path("proc/1/root")).expect("link");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn process(&self, pid: u32, ppid: u32, cgroup: &str, mnt_ns: u32, argv: &[&str]) {
        let p = format!("proc/{pid}");
        self.write(
            &format!("{p}/stat"),
            &format!("{pid} (x) S {ppid} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {} 0", pid * 100),
        );
        self.write(&format!("{p}/cgroup"), &format!("0::{cgroup}\n"));
        self.write(&format!("{p}/cmdline"), &argv.join("\0"));
        let status = "Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nNSpid:\t9\t1\nCapPrm:\tff\nCapEff:\tff\nCapBnd:\tff\nSeccomp:\t2\n";
        self.write(&format!("{p}/task/{pid}/status"), status);
        fs::create_dir_all(self.path(&format!("{p}/ns"))).expect("made");
        symlink(format!("mnt:[{mnt_ns}]"), self.path(&format!("{p}/ns/mnt"))).expect("link");
        symlink(format!("pid:[{mnt_ns}]"), self.path(&format!("{p}/ns/pid"))).expect("link");
        fs::create_dir_all(self.path(&format!("sys/fs/cgroup{cgroup}"))).expect("made");
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(HostPaths { root: self.dir.path().into(), proc: self.path("proc") })
    }
}

#[test]
fn a_made_up_host() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let host = Host::new();
    let outer = format!("/docker/{a}");
    let inner = format!("{outer}/docker/{b}");
    host.process(
        10,
        1,
        "/system.slice/docker.service",
        100,
        &["containerd-shim-runc-v2", "-namespace", "moby", "-id", &a],
    );
    host.process(11, 10, &outer, 200, &["sh"]);
    host.process(12, 11, &format!("{outer}/sub"), 200, &["sleep"]);
    host.process(13, 12, &inner, 300, &["nested"]);
    // Moved out of their cgroup: a child, and what was started by the engine's exec.
    host.process(14, 11, "/elsewhere", 200, &["stray"]);
    host.process(16, 1, "/system.slice/docker.service", 100, &["runc", "exec", &a, "sh"]);
    host.process(17, 16, "/elsewhere", 200, &["sh"]);
    // Known by the runtime's state alone, with its first process moved down inside.
    host.process(20, 1, "/t1/init", 400, &["sleep"]);
    host.write("run/runc/t1/state.json", r#"{"init_process_pid":20,"cgroup_paths":{"":"/sys/fs/cgroup/t1"},"config":{"labels":["bundle=/b"]}}"#);
    host.write("b/config.json", "{}");
    // Without a cgroup of its own.
    host.process(30, 1, "/", 500, &["sleep"]);
    host.write("run/crun/t2/status", r#"{"pid":30,"bundle":"/none"}"#);
    // A service with a mount namespace of its own is no container.
    host.process(40, 1, "/system.slice/private.service", 600, &["service"]);
    symlink("/", host.path("proc/40/root")).expect("link");

    let resolver = host.resolver();
    let found = resolver.scan();
    let brief: Vec<(String, Vec<u32>, usize)> = found
        .iter()
        .map(|s| (s.cgroup_path.clone(), s.processes.iter().map(|p| p.key.pid).collect(), s.cgroup_ids.len()))
        .collect();
    // A's cgroups: itself, sub, and those that its own engine made.
    assert_eq!(
        brief,
        [
            (outer.clone(), vec![11, 12, 13, 14, 17], 4),
            ("/t1".to_owned(), vec![20], 2),
            ("/".to_owned(), vec![30], 0)
        ]
    );
    let above: Vec<u32> = found[0].ancestors.iter().map(|p| p.key.pid).collect();
    assert_eq!(above, [10, 1, 16]);
    let id = cgroup_id(&host.path(&format!("sys/fs/cgroup{outer}"))).expect("made");
    assert_eq!((found[0].key.0, found[0].cgroup_ids[0], found[0].request.pid), (id, id, 11));
    assert_eq!(
        (found[0].baseline.mnt_ns, found[0].baseline.reason, found[0].baseline.seccomp),
        (200, state_reason::SCAN, 2)
    );
    assert_eq!(
        found[0].tasks[0],
        ScannedTask {
            tid: 11,
            tgid: 11,
            ppid: 10,
            started_ns: 11_000_000_000,
            uid: 5,
            euid: 5,
            suid: 5,
            cap_permitted: 255,
            cap_effective: 255,
        }
    );
    assert_eq!(found[2].key.0, 500 | KEY_MNT_NS);
    let update = resolver.resolve(&found[1].request);
    assert_eq!((update.status, update.identity.id.as_deref()), (Status::Resolved, Some("t1")));
    let update = resolver.resolve(&found[2].request);
    assert_eq!(update.identity.id.as_deref(), Some("t2"));
    assert!(matches!(update.status, Status::Unknown(_)));
    let ancestors: Vec<u32> = resolver.ancestors_from_proc(12).iter().map(|p| p.key.pid).collect();
    assert_eq!(ancestors, [11, 10, 1]);
}

/// The processes of each container of a host, by the path of its cgroup.
fn members(host: &Host) -> Vec<(String, Vec<u32>)> {
    let found = host.resolver().scan();
    found.iter().map(|s| (s.cgroup_path.clone(), s.processes.iter().map(|p| p.key.pid).collect())).collect()
}

#[test]
fn an_engine_in_a_container() {
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|digit| format!("/docker/{}", digit.repeat(64)));
    let shim = |id: &str| ["containerd-shim-runc-v2", "-namespace", "moby", "-id", id].map(str::to_owned);
    let host = Host::new();
    let run = |pid, ppid, cgroup: &str, mnt_ns, argv: &[String]| {
        host.process(pid, ppid, cgroup, mnt_ns, &argv.iter().map(String::as_str).collect::<Vec<_>>());
    };
    run(10, 1, "/docker.service", 100, &shim(&a));
    run(11, 10, &a, 200, &["dockerd".to_owned()]);
    run(12, 11, &a, 200, &shim(&b));
    // With the cgroup namespace of the host its containers are beside it, and one of those may have an engine too.
    run(13, 12, &b, 300, &["dockerd".to_owned()]);
    run(14, 13, &b, 300, &shim(&c));
    run(15, 14, &format!("{b}{c}"), 400, &["sh".to_owned()]);
    // One without a cgroup of its own, and one whose maker has ended: the shim of the outer one took it in.
    run(16, 12, &a, 500, &["sh".to_owned()]);
    run(17, 10, &format!("{a}{d}"), 600, &["sh".to_owned()]);
    // A container of the host's own that was put below another one's cgroup.
    let below = format!("{a}{e}");
    run(20, 1, "/docker.service", 100, &shim(&e));
    run(21, 20, &below, 700, &["sh".to_owned()]);
    let state = format!(
        r#"{{"init_process_pid":21,"cgroup_paths":{{"":"/sys/fs/cgroup{below}"}},"config":{{"labels":["bundle=/b"]}}}}"#
    );
    host.write(&format!("run/docker/runtime-runc/moby/{}/state.json", "e".repeat(64)), &state);
    assert_eq!(members(&host), [(a, vec![11, 12, 13, 14, 15, 16, 17]), (below, vec![21])]);
}

#[test]
fn a_host_in_a_container_is_around_nothing() {
    let (node, pod) = ("a".repeat(64), "b".repeat(64));
    let host = Host::new();
    fs::write(host.path("proc/1/cgroup"), format!("0::/docker/{node}/init.scope\n")).expect("written");
    host.process(10, 1, &format!("/docker/{node}/system"), 100, &["containerd-shim-runc-v2", "-id", &pod]);
    let inner = format!("/docker/{node}/kubepods/{pod}");
    host.process(11, 10, &inner, 200, &["sh"]);
    assert!(members(&host).contains(&(inner, vec![11])), "{:?}", members(&host));
}

#[test]
fn cgroups_of_version_1_are_marked_as_such() {
    let host = Host::new();
    let mount = "30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,pids\n";
    host.write("proc/self/mountinfo", mount);
    host.write("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\npids\t4\t1\t1\n");
    let top = format!("/docker/{}", "a".repeat(64));
    for (pid, cgroup) in [(11, top.clone()), (12, format!("{top}/sub"))] {
        host.process(pid, 10, &cgroup, 200, &["sh"]);
        host.write(&format!("proc/{pid}/cgroup"), &format!("4:pids:{cgroup}\n"));
    }
    let found = host.resolver().scan();
    let ids: Vec<u64> = [top.clone(), format!("{top}/sub")]
        .iter()
        .map(|path| cgroup_id(&host.path(&format!("sys/fs/cgroup{path}"))).expect("made") | KEY_V1)
        .collect();
    assert_eq!((found.len(), found[0].key.0, &found[0].cgroup_ids), (1, ids[0], &ids));
}

#[test]
fn containers_without_a_bundle() {
    let host = Host::new();
    host.process(50, 1, "/lxc.monitor.web", 100, &["[lxc monitor] /var/lib/lxc web"]);
    host.process(51, 50, "/lxc.payload.web-1", 700, &["init"]);
    host.process(52, 51, "/lxc.payload.web-1/.lxc", 700, &["sh"]);
    let unit = "/machine.slice/systemd-nspawn@db.service";
    host.process(60, 1, &format!("{unit}/supervisor"), 100, &["/usr/bin/systemd-nspawn", "-M", "db"]);
    host.process(61, 60, &format!("{unit}/payload/init.scope"), 800, &["init"]);
    host.process(62, 61, &format!("{unit}/payload/system.slice/a.service"), 801, &["private"]);
    // No container has the host's mounts, whatever its cgroup is called; nor is a virtual machine one.
    host.process(70, 1, "/lxc/notes", 100, &["sleep"]);
    host.process(71, 1, "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt", 100, &["qemu"]);
    // Without a cgroup of its own it has a runtime above it all the same.
    host.process(80, 1, "/", 100, &["systemd-nspawn", "-D", "/srv/tree"]);
    host.process(81, 80, "/", 900, &["init"]);

    let resolver = host.resolver();
    let found = resolver.scan();
    let brief: Vec<(&str, Vec<u32>)> = found
        .iter()
        .map(|s| (s.cgroup_path.as_str(), s.processes.iter().map(|p| p.key.pid).collect()))
        .collect();
    let payload = format!("{unit}/payload");
    assert_eq!(
        brief,
        [("/lxc.payload.web-1", vec![51, 52]), (payload.as_str(), vec![61, 62]), ("/", vec![81])]
    );
    let named: Vec<_> = found
        .iter()
        .map(|scanned| {
            let update = resolver.resolve(&scanned.request);
            let id = update.identity;
            (update.status, id.id, id.name, id.runtime, id.engine)
        })
        .collect();
    // LXC puts a number behind the name if the cgroup is there already; its monitor has the name as it is.
    let known = |name: &str, engine: Engine| {
        let name = Some(name.to_owned());
        (Status::Resolved, name.clone(), name, Some(engine.name().to_owned()), Some(engine))
    };
    let nspawn = Engine::SystemdNspawn;
    assert_eq!(named, [known("web", Engine::Lxc), known("db", nspawn), known("tree", nspawn)]);
}

#[test]
fn a_host_that_is_such_a_container_is_none_of_its_own() {
    let host = Host::new();
    fs::write(host.path("proc/1/cgroup"), "0::/lxc.payload.node/init.scope\n").expect("written");
    host.process(50, 1, "/lxc.payload.node/system.slice/a.service", 700, &["private"]);
    let found = host.resolver().scan();
    assert!(found.iter().all(|s| s.cgroup_path != "/lxc.payload.node"), "{found:?}");
}

#[test]
fn prefixes_of_paths() {
    for (path, top, want) in
        [("/a", "/a", true), ("/a/b", "/a", true), ("/ab", "/a", false), ("/a", "/", true)]
    {
        assert_eq!(within(path, top), want, "{path} {top}");
    }
}

#[test]
fn this_machine() {
    let resolver = Resolver::new(HostPaths::default());
    for scanned in resolver.scan() {
        assert!(!scanned.key.is_host() && !scanned.processes.is_empty());
        let update = resolver.resolve(&scanned.request);
        println!("{} {:?} {:?}", scanned.cgroup_path, update.status, update.identity);
    }
    assert!(!resolver.ancestors_from_proc(std::process::id()).is_empty());
}
