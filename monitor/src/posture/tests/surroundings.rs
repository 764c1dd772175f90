//! What is mounted, limited and brought by images, and the differences.

use serde_json::json;

use super::grants::{declared, privileged};
use super::*;
use crate::detect::Severity::{Critical, Info, Notice, Warning};

#[test]
fn g13_cgroups() {
    let with = |line: &str| {
        let mut b = quiet();
        host_users(&mut b);
        mount(&mut b, &format!("200 100 {line}\n"));
        b
    };
    let item: &[&str] = &["/sys/fs/cgroup [mountinfo /sys/fs/cgroup]"];
    let v1 = "0:30 / /sys/fs/cgroup rw - cgroup cgroup rw,memory";
    let v2 = "0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    check(&with(v1), "G13", Some((Warning, item)));
    check(&with(&v1.replacen("rw", "ro", 1)), "G13", None);
    let mut b = with(v1);
    b.bounding |= 1 << 21;
    check(&b, "G13", Some((Critical, item)));
    check(&with(v2), "G13", None);
    let mut b = with(v2);
    b.namespaces[5] = 6;
    check(&b, "G13", Some((Warning, item)));
}

#[test]
fn g14_propagation() {
    for (tags, options, want) in [
        ("shared:1", json!(["rbind", "rshared"]), Some(Warning)),
        ("shared:99", json!(["rbind", "rshared"]), None),
        ("master:1", json!(["rbind", "rslave"]), Some(Info)),
        ("master:1", json!(["rbind"]), None),
        ("", json!(["rbind"]), None),
    ] {
        let mut b = declared("/mounts/2/options", options);
        mount(
            &mut b,
            &format!("200 100 254:0 /srv/data /data rw {tags} - ext4 /dev/vda rw\n").replace("  ", " "),
        );
        let items: &[&str] = &["/data [config.json /mounts/2]"];
        check(&b, "G14", want.map(|severity| (severity, items)));
    }
}

#[test]
fn g15_limits() {
    let mut b = quiet();
    b.limits = Limits { pids: None, memory: Some(1) };
    check(&b, "G15", Some((Info, &["pids [config.json /linux/resources/pids/limit]"])));
    b.limits = Limits { pids: Some(1), memory: None };
    check(&b, "G15", Some((Info, &["memory [config.json /linux/resources/memory/limit]"])));
}

#[test]
fn g16_token() {
    let mut b = quiet();
    let line = "200 100 0:70 / /run/secrets/kubernetes.io/serviceaccount ro - tmpfs tmpfs rw\n";
    mount(&mut b, &line.replace("serviceaccount", "other"));
    check(&b, "G16", None);
    mount(&mut b, line);
    let point = "/run/secrets/kubernetes.io/serviceaccount";
    check(&b, "G16", Some((Notice, &[&format!("{point} [mountinfo {point}]")])));
}

#[test]
fn g17_images() {
    let b = declared("/process/cwd", json!("/proc/self/fd/8"));
    check(&b, "G17", Some((Critical, &["working directory [config.json /process/cwd]"])));
    let b = declared("/process/env", json!(["PATH=/bin", "LD_PRELOAD=/x.so"]));
    check(&b, "G17", Some((Notice, &["environment [config.json /process/env/1]"])));
    let b = declared("/mounts/2/source", json!("/var/lib/x/../../../etc"));
    check(&b, "G17", Some((Critical, &["mount [config.json /mounts/2]"])));
    let b = declared("/annotations", json!({"run.oci.handler": "krun"}));
    check(&b, "G17", Some((Notice, &["annotation [config.json /annotations/run.oci.handler]"])));
    let b = declared("/process/env", json!(["MY_LD_PRELOAD=/x.so"]));
    check(&b, "G17", None);
    let mut b = quiet();
    (b.config, b.environment) = (None, vec!["GLIBC_TUNABLES=x".to_owned()]);
    check(&b, "G17", Some((Notice, &["environment [/proc/<pid>/environ]"])));
}

#[test]
fn g18_versions() {
    for (version, want) in
        [("1.1.11", Some(Warning)), ("1.1.5+ds1", Some(Notice)), ("1.3.3", None), ("?", None)]
    {
        let host = Host { versions: [("runc".to_owned(), version.to_owned())].into(), ..host() };
        let got = found(&quiet(), &host);
        assert_eq!(got.iter().find(|f| f.0 == "G18").map(|f| f.1), want, "{version}");
    }
}

#[test]
fn g19_layers() {
    let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let other = || {
        let mut b = quiet();
        b.mounts[0].super_options = vec!["lowerdir=/l/C".to_owned()];
        b
    };
    let mut all = [quiet(), privileged(), other()];
    link_layers(&mut all, &names, &host());
    check(&all[0], "G19", Some((Info, &["layers [mountinfo /]"])));
    assert_eq!((&all[0].shares_layers_with[..], &all[1].shares_layers_with[..]), (&names[1..2], &names[..1]));
    check(&all[2], "G19", None);
    let mut all = [quiet(), quiet(), other()];
    link_layers(&mut all, &names, &host());
    check(&all[0], "G19", None);
}

#[test]
fn capabilities_that_nobody_declared() {
    let mut b = quiet();
    b.permitted = 1 << 21;
    check(&b, "X-capabilities", None);
    host_users(&mut b);
    check(&b, "X-capabilities", Some((Critical, &["CAP_SYS_ADMIN [/proc/<pid>/status CapPrm]"])));
    let mut b = quiet();
    host_users(&mut b);
    b.bounding |= 1;
    check(&b, "X-capabilities", Some((Warning, &["CAP_CHOWN [/proc/<pid>/status CapBnd]"])));
    b.config = None;
    check(&b, "X-capabilities", None);
}

#[test]
fn mounts_that_show_something_else() {
    let ids = |there, here| {
        let mut b = quiet();
        b.source_ids.insert("/srv/data".to_owned(), there);
        b.point_ids.insert("/data".to_owned(), here);
        b
    };
    check(&ids((1, 2), (1, 2)), "X-mount", None);
    check(&ids((1, 2), (1, 3)), "X-mount", Some((Warning, &["/data [config.json /mounts/2]"])));
    let mut b = ids((1, 2), (1, 3));
    mount(&mut b, "200 100 254:0 /srv/data//deleted /data rw - ext4 /dev/vda rw\n");
    check(&b, "X-mount", None);
    let b = declared("/mounts/2/options", json!(["rbind", "ro"]));
    check(&b, "X-mount", Some((Warning, &["/data [config.json /mounts/2]"])));
}
