//! Every check with its quiet twin: one container that is as it should be, and one change at a time.

mod grants;
mod reports;
mod surroundings;

use super::*;
use crate::detect::Severity;

/// The configuration of the quiet container; tests change one thing in it.
fn config() -> serde_json::Value {
    serde_json::json!({
        "process": {
            "user": {"uid": 1000}, "cwd": "/", "env": ["PATH=/bin"], "noNewPrivileges": true,
            "apparmorProfile": "docker-default",
            "capabilities": {"bounding": ["CAP_KILL"], "effective": [], "permitted": []},
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind", "rprivate"]},
        ],
        "annotations": {"a": "b"},
        "linux": {
            "seccomp": {}, "maskedPaths": ["/proc/kcore", "/proc/acpi"], "readonlyPaths": ["/proc/sys"],
            "namespaces": [
                {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "cgroup"}, {"type": "user"},
            ],
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 100}, "memory": {"limit": 4096},
            },
        },
    })
}

const MOUNTS: &str = "\
100 90 0:60 / / ro,relatime - overlay overlay ro,lowerdir=/l/A:/l/B,upperdir=/u
101 100 0:61 / /proc rw - proc proc rw
102 100 0:62 / /dev rw - tmpfs tmpfs rw
103 100 0:63 / /sys ro - sysfs sysfs ro
104 101 0:62 /null /proc/kcore rw - tmpfs tmpfs rw
105 101 0:64 / /proc/acpi ro - tmpfs tmpfs ro
106 101 0:61 /sys /proc/sys ro - proc proc rw
107 100 254:0 /srv/data /data rw - ext4 /dev/vda rw
";

const HOST_MOUNTS: &str = "\
22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw shared:2 - proc proc rw
24 22 0:22 / /run rw shared:3 - tmpfs tmpfs rw
25 22 0:23 / /sys rw - sysfs sysfs rw
26 22 0:24 / /dev rw - devtmpfs devtmpfs rw
";

fn host() -> Host {
    let mounts = parse_mounts(HOST_MOUNTS);
    Host {
        namespaces: [1, 2, 3, 4, 5, 6, 7, 8],
        bounding: (1 << 41) - 1,
        apparmor: true,
        peer_groups: mounts.iter().filter_map(|mount| mount.shared).collect(),
        mounts,
        versions: [("runc".to_owned(), "1.3.3".to_owned())].into(),
        ..Host::default()
    }
}

/// A container that no check minds, with this configuration.
fn with_config(config: &serde_json::Value) -> Baseline {
    let mut b = Baseline {
        pid: 7,
        // Time is the host's, as it is everywhere.
        namespaces: [11, 12, 13, 14, 15, 16, 17, 8],
        tasks: 2,
        uid: 1000,
        bounding: 1 << 5,
        seccomp: 2,
        no_new_privs: true,
        label: Some("docker-default (enforce)".to_owned()),
        limits: Limits { pids: Some(100), memory: Some(4096) },
        device_rules: Some(vec!["c *:* m".to_owned(), "c 1:3 rwm".to_owned(), "c 10:200 rwm".to_owned()]),
        environment: vec!["PATH=/bin".to_owned()],
        runtime: Some("runc".to_owned()),
        config: Config::parse("/b/config.json", config.to_string().as_bytes()).ok(),
        ..Baseline::default()
    };
    for (path, object) in [
        ("/proc/kcore", Object::Char(1, 3)),
        ("/proc/acpi", Object::Directory),
        ("/proc/sys", Object::Directory),
        ("/dev/null", Object::Char(1, 3)),
        ("/dev/zero", Object::Char(1, 5)),
    ] {
        b.objects.insert(path.to_owned(), object);
    }
    mount(&mut b, MOUNTS);
    node(&mut b, "/dev/null", false, 1, 3);
    node(&mut b, "/dev/pts/0", false, 136, 0);
    b
}

fn quiet() -> Baseline {
    with_config(&config())
}

/// Adds lines of mountinfo.
fn mount(b: &mut Baseline, lines: &str) {
    let host = host();
    let mut mounts = parse_mounts(lines);
    for mount in &mut mounts {
        mount.host_path = host_path(mount, &host.mounts);
    }
    b.mounts.extend(mounts);
}

fn node(b: &mut Baseline, path: &str, block: bool, major: u32, minor: u32) {
    b.nodes.push(Node { path: path.to_owned(), block, major, minor });
}

/// A user namespace that is the host's, so that grants count in full.
fn host_users(b: &mut Baseline) {
    b.namespaces[6] = 7;
}

/// The findings: check, severity, and what each item is about and comes from.
fn found(b: &Baseline, host: &Host) -> Vec<(&'static str, Severity, Vec<String>)> {
    let text = |item: &Item| format!("{} [{}]", item.what, item.source);
    let findings = judge(b, host).into_iter();
    findings.map(|f| (f.check.id, f.severity, f.items.iter().map(text).collect())).collect()
}

/// One change to the quiet container gives this finding of that check; nothing where `None` is wanted.
#[track_caller]
fn check(b: &Baseline, id: &str, want: Option<(Severity, &[&str])>) {
    check_on(&host(), b, id, want);
}

#[track_caller]
fn check_on(host: &Host, b: &Baseline, id: &str, want: Option<(Severity, &[&str])>) {
    let all = found(b, host);
    let got = all
        .iter()
        .find(|finding| finding.0 == id)
        .map(|(_, severity, items)| (*severity, items.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(got, want.map(|(severity, items)| (severity, items.to_vec())), "{id}: {all:?}");
}

#[test]
fn a_container_that_is_as_it_should_be_has_no_finding() {
    assert_eq!(found(&quiet(), &host()), []);
}

#[test]
fn every_check_is_complete() {
    let mut ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    let rows: Vec<String> = (1..=19).map(|n| format!("G{n:02}")).collect();
    assert!(rows.iter().all(|row| ids.contains(&row.as_str())));
    for check in CHECKS {
        assert!(
            !check.rows.is_empty() && !check.what.is_empty() && check.change.ends_with('.'),
            "{}",
            check.id
        );
        assert!(check.checklist.iter().all(|point| (1..=17).contains(point)), "{}", check.id);
        assert_eq!(super::check::find(&check.id.to_lowercase()).map(|c| c.id), Some(check.id));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CHECKS.len());
}
