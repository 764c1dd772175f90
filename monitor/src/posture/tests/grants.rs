//! The rows G01 to G12: what makes each, and what does not.

use serde_json::json;

use super::*;
use crate::detect::Severity::{Critical, Info, Notice, Warning};

/// The quiet container with a change in its configuration.
pub(super) fn declared(pointer: &str, value: serde_json::Value) -> Baseline {
    let mut config = config();
    *config.pointer_mut(pointer).unwrap() = value;
    with_config(&config)
}

/// The quiet container without what a pointer of the configuration names.
fn without(parent: &str, key: &str) -> Baseline {
    let mut config = config();
    config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    with_config(&config)
}

pub(super) fn privileged() -> Baseline {
    let mut config = config();
    config["process"]["capabilities"] = json!({"effective": ["CAP_NET_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
        "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]});
    config["linux"]["seccomp"] = json!(null);
    config["linux"]["maskedPaths"] = json!([]);
    config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    let mut b = with_config(&config);
    host_users(&mut b);
    b.bounding = 1 << 12 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 21;
    (b.permitted, b.effective) = (b.bounding, b.bounding);
    b.seccomp = 0;
    b.mounts.retain(|mount| mount.point != "/proc/kcore");
    b.objects.insert("/proc/kcore".to_owned(), Object::File);
    b.device_rules = Some(vec!["a *:* rwm".to_owned()]);
    b
}

#[test]
fn g01_privileged() {
    let mut b = privileged();
    check(&b, "G01", Some((Critical, &["privileged [config.json /linux/resources/devices/0]"])));
    b.namespaces[6] = 17;
    check(&b, "G01", Some((Notice, &["privileged [config.json /linux/resources/devices/0]"])));
    let twins: [fn(&mut Baseline); 4] = [
        |b| b.bounding &= !(1 << 16),
        |b| b.seccomp = 2,
        |b| mount(b, "9 9 0:62 /null /proc/kcore rw - tmpfs tmpfs rw\n"),
        |b| b.device_rules = Some(vec!["c *:* m".to_owned()]),
    ];
    for twin in twins {
        let mut b = privileged();
        twin(&mut b);
        check(&b, "G01", None);
    }
}

#[test]
fn g02_capabilities() {
    let mut b = declared("/process/capabilities/effective", json!(["CAP_SYS_ADMIN"]));
    (b.effective, b.permitted) = (1 << 21, 1 << 21);
    let items = ["CAP_SYS_ADMIN [config.json /process/capabilities/effective/0]"];
    check(&b, "G02", Some((Notice, &items)));
    host_users(&mut b);
    check(&b, "G02", Some((Critical, &items)));
    // In the bounding set only; and out of reach, where nothing can give it.
    let mut b = quiet();
    host_users(&mut b);
    (b.bounding, b.no_new_privs) = (1 << 21, false);
    check(&b, "G02", Some((Warning, &["CAP_SYS_ADMIN [/proc/<pid>/status CapBnd]"])));
    b.no_new_privs = true;
    check(&b, "G02", None);
    (b.bounding, b.permitted, b.no_new_privs) = (0xa804_25fb, 0xa804_25fb, false);
    check(&b, "G02", None);
}

#[test]
fn g03_root() {
    let mut b = quiet();
    b.root_tasks = 1;
    check(&b, "G03", Some((Notice, &["uid 0 [/proc/<pid>/status Uid]"])));
    let mut b = declared("/process/user/uid", json!(0));
    check(&b, "G03", None);
    b.root_tasks = 2;
    check(&b, "G03", Some((Notice, &["uid 0 [config.json /process/user/uid]"])));
}

#[test]
fn g04_namespaces() {
    for (at, kind, severity) in [
        (0, "mount", Critical),
        (1, "pid", Warning),
        (2, "network", Warning),
        (3, "ipc", Warning),
        (4, "uts", Notice),
        (5, "cgroup", Info),
        (6, "user", Info),
    ] {
        let kept: Vec<_> = config()["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|n| n["type"] != kind)
            .cloned()
            .collect();
        let mut b = declared("/linux/namespaces", kept.into());
        b.namespaces[at] = host().namespaces[at];
        let item = format!("{kind} namespace [config.json /linux/namespaces]");
        check(&b, "G04", Some((severity, &[&item])));
        check(&b, "X-namespace", None);
        b.namespaces[at] = 0;
        check(&b, "G04", None);
    }
    let mut b = quiet();
    (b.namespaces[1], b.namespaces[6], b.permitted) = (2, 0, 1 << 19);
    check(&b, "G04", Some((Critical, &["pid namespace [config.json /linux/namespaces/1]"])));
    check(&b, "X-namespace", Some((Critical, &["pid namespace [config.json /linux/namespaces/1]"])));
    // The capability counts for nobody who is outside of its own namespace of users.
    b.namespaces[6] = 17;
    check(&b, "G04", Some((Warning, &["pid namespace [config.json /linux/namespaces/1]"])));
}

#[test]
fn g05_directories_of_the_host() {
    for (line, want) in [
        ("254:0 /etc /x rw - ext4 /dev/vda rw", Some((Critical, "/x [mountinfo /x]"))),
        ("254:0 /etc /x ro - ext4 /dev/vda rw", Some((Warning, "/x [mountinfo /x]"))),
        ("254:0 / /host ro - ext4 /dev/vda rw", Some((Critical, "/host [mountinfo /host]"))),
        ("254:0 /var/log /logs rw - ext4 /dev/vda rw", Some((Warning, "/logs [mountinfo /logs]"))),
        ("0:21 / /host/proc rw - proc proc rw", Some((Critical, "/host/proc [mountinfo /host/proc]"))),
        ("0:24 / /dev rw - devtmpfs devtmpfs rw", Some((Critical, "/dev [mountinfo /dev]"))),
        ("254:0 /srv/etc /etc rw - ext4 /dev/vda rw", None),
        ("254:0 /var/lib/docker/volumes/v/_data /v rw - ext4 /dev/vda rw", None),
        ("0:99 / /x rw - tmpfs tmpfs rw", None),
        ("0:25 / /sys ro - sysfs sysfs rw", None),
    ] {
        let mut b = quiet();
        mount(&mut b, &format!("200 100 {line}\n"));
        let want = want.map(|(severity, item)| (severity, [item]));
        check(&b, "G05", want.as_ref().map(|(severity, items)| (*severity, &items[..])));
    }
    let mut b = declared(
        "/mounts/2",
        json!({"destination": "/x", "type": "bind", "source": "/etc", "options": ["rbind"]}),
    );
    mount(&mut b, "200 100 254:0 /etc /x rw - ext4 /dev/vda rw\n");
    check(&b, "G05", Some((Critical, &["/x [config.json /mounts/2]"])));
}

#[test]
fn g06_control_sockets() {
    let mut b = quiet();
    mount(&mut b, "200 100 0:22 /docker.sock /run/docker.sock rw - tmpfs tmpfs rw\n");
    check(&b, "G06", None);
    b.sockets.push(SocketSeen { path: "/run/docker.sock".into(), mount: "/run/docker.sock".into() });
    check(&b, "G06", Some((Critical, &["/run/docker.sock [mountinfo /run/docker.sock]"])));
    // Said once: not as a part of /run, too.
    check(&b, "G05", None);
}

#[test]
fn g07_seccomp() {
    let mut b = without("/linux", "seccomp");
    check(&b, "G07", None);
    b.seccomp = 0;
    check(&b, "G07", Some((Warning, &["seccomp [config.json /linux/seccomp]"])));
    check(&b, "X-seccomp", None);
    let mut b = quiet();
    b.seccomp = 0;
    check(&b, "X-seccomp", Some((Critical, &["seccomp [config.json /linux/seccomp]"])));
    b.config = None;
    check(&b, "G07", Some((Warning, &["seccomp [/proc/<pid>/status Seccomp]"])));
    check(&b, "X-seccomp", None);
}

#[test]
fn g08_labels() {
    let apparmor = |label: Option<&str>, id: &str, want| {
        let mut b = without("/process", "apparmorProfile");
        b.label = label.map(str::to_owned);
        check(&b, id, want);
    };
    let item: &[&str] = &["AppArmor [/proc/<pid>/attr/current]"];
    apparmor(Some("unconfined"), "G08", Some((Warning, item)));
    apparmor(None, "G08", Some((Warning, item)));
    apparmor(Some("own (complain)"), "G08", Some((Notice, item)));
    apparmor(Some("own (enforce)"), "G08", None);
    apparmor(Some("unconfined"), "X-label", None);
    let selinux = Host { apparmor: false, selinux: true, ..host() };
    for (label, want) in [
        ("system_u:system_r:container_t:s0:c1,c2", None),
        ("system_u:system_r:spc_t:s0", Some((Warning, &["SELinux [/proc/<pid>/attr/current]"][..]))),
    ] {
        let mut b = quiet();
        b.label = Some(label.to_owned());
        check_on(&selinux, &b, "G08", want);
    }
    let none = Host { apparmor: false, ..host() };
    let mut b = quiet();
    b.label = None;
    check_on(&none, &b, "G08", None);
    check_on(&none, &b, "X-label", None);
    let lost = Some((Critical, &["label [config.json /process/apparmorProfile]"][..]));
    check(&b, "X-label", lost);
    b.label = Some("other (enforce)".to_owned());
    check(&b, "X-label", lost);
    b.label = Some("docker-default//child (enforce)".to_owned());
    check(&b, "X-label", None);
}

#[test]
fn g09_root_file_system() {
    let mut b = quiet();
    b.mounts[0].options = vec!["rw".to_owned()];
    b.mounts[0].super_options.retain(|option| option != "ro");
    check(&b, "G09", Some((Info, &[&format!("/ [config.json {}/readonly]", crate::posture::config::ROOT)])));
}

#[test]
fn g10_no_new_privs() {
    let mut b = quiet();
    b.no_new_privs = false;
    check(&b, "G10", Some((Info, &["no_new_privs [config.json /process/noNewPrivileges]"])));
}

#[test]
fn g11_masks() {
    // Not declared: a choice.
    let mut b = declared("/linux/maskedPaths", json!(["/proc/acpi"]));
    host_users(&mut b);
    b.mounts.retain(|mount| mount.point != "/proc/kcore");
    b.objects.insert("/proc/kcore".to_owned(), Object::File);
    check(&b, "G11", Some((Warning, &["/proc/kcore [config.json /linux/maskedPaths]"])));
    check(&b, "X-masks", None);
    b.objects.remove("/proc/kcore");
    check(&b, "G11", None);
    // Declared: a difference.
    let mut b = quiet();
    b.mounts.retain(|mount| mount.point != "/proc/kcore");
    b.objects.insert("/proc/kcore".to_owned(), Object::File);
    check(&b, "G11", None);
    check(&b, "X-masks", Some((Critical, &["/proc/kcore [config.json /linux/maskedPaths/0]"])));
    // Something else than /dev/null over it.
    let mut b = quiet();
    b.objects.insert("/proc/kcore".to_owned(), Object::File);
    check(&b, "X-masks", Some((Critical, &["/proc/kcore [config.json /linux/maskedPaths/0]"])));
    let mut b = quiet();
    mount(&mut b, "200 101 254:0 /srv /proc/acpi rw - ext4 /dev/vda rw\n");
    check(&b, "X-masks", Some((Critical, &["/proc/acpi [config.json /linux/maskedPaths/1]"])));
    // Writable where it should not be.
    let mut b = quiet();
    b.mounts.retain(|mount| mount.point != "/proc/sys");
    check(&b, "X-masks", Some((Critical, &["/proc/sys [config.json /linux/readonlyPaths/0]"])));
    let mut b = declared("/linux/readonlyPaths", json!([]));
    b.mounts.retain(|mount| mount.point != "/proc/sys");
    check(&b, "G11", Some((Notice, &["/proc/sys [config.json /linux/readonlyPaths]"])));
    let mut b = quiet();
    mount(&mut b, "200 100 0:63 / /sys rw - sysfs sysfs rw\n");
    check(&b, "G11", Some((Notice, &["/sys [config.json /mounts/1]"])));
}

#[test]
fn g12_devices() {
    let mut b = declared(
        "/linux/resources/devices",
        json!([{"allow": true, "type": "b", "major": 8, "access": "r"}]),
    );
    host_users(&mut b);
    check(&b, "G12", Some((Critical, &["block 8:* [config.json /linux/resources/devices/0]"])));
    let mut config = config();
    config["linux"]["devices"] = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229},
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3}]);
    let mut b = with_config(&config);
    host_users(&mut b);
    node(&mut b, "/dev/fuse", false, 10, 229);
    check(&b, "G12", Some((Notice, &["char 10:229 /dev/fuse [config.json /linux/devices/0]"])));
    // A file that nobody declared; and with a rule that lets it be used.
    let mut b = quiet();
    host_users(&mut b);
    node(&mut b, "/dev/sda", true, 8, 0);
    check(&b, "G12", Some((Notice, &["/dev/sda block 8:0 [/proc/<pid>/root/dev]"])));
    b.device_rules = Some(vec!["a *:* rwm".to_owned()]);
    check(
        &b,
        "G12",
        Some((Critical, &["every device [devices.list]", "/dev/sda block 8:0 [/proc/<pid>/root/dev]"])),
    );
}

#[test]
fn device_rules_of_cgroup_v2() {
    let of = |program: Option<bool>, rules: &serde_json::Value| {
        let mut config = config();
        config["linux"]["resources"]["devices"] = rules.clone();
        let mut b = with_config(&config);
        host_users(&mut b);
        (b.device_rules, b.device_program) = (None, program);
        b
    };
    let (some, all) = (json!([{"allow": false, "access": "rwm"}]), json!([{"allow": true, "access": "rwm"}]));
    // The quiet twins: a program is there, or nobody knows.
    for program in [Some(true), None] {
        check(&of(program, &some), "G12", None);
        check(&of(program, &some), "X-devices", None);
    }
    let query = "bpf(2) BPF_PROG_QUERY BPF_CGROUP_DEVICE";
    let every = format!("every device [{query}]");
    check(&of(Some(false), &some), "G12", Some((Critical, &[&every])));
    let missing = format!("rules for devices [{query}]");
    check(&of(Some(false), &some), "X-devices", Some((Critical, &[&missing])));
    // Nothing was declared: no difference.
    check(&of(Some(false), &json!([])), "X-devices", None);
    check(&of(Some(false), &all), "X-devices", None);
    check(
        &of(Some(false), &all),
        "G12",
        Some((Critical, &["every device [config.json /linux/resources/devices/0]"])),
    );
    let mut rootless = of(Some(false), &some);
    rootless.namespaces[6] = 17;
    check(&rootless, "X-devices", None);
    check(&rootless, "G12", Some((Notice, &[&every])));
}

#[test]
fn standard_devices() {
    for (object, want) in
        [(Object::Char(1, 3), false), (Object::Char(1, 5), true), (Object::Link, true), (Object::File, true)]
    {
        let mut b = quiet();
        b.objects.insert("/dev/null".to_owned(), object);
        let items: &[&str] = &["/dev/null [/proc/<pid>/root/dev]"];
        check(&b, "X-devices", want.then_some((Critical, items)));
    }
}
