//! Containers that are granted something, and what must be said of each: all of it, and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::bundle::Change;
use crate::fixture::SHARED;
use crate::host::Layout;
use crate::run::Stage;
use crate::runtime::Kind;
use crate::scenario::{Bind, Setup};

/// Checks with their severities.
type Verdicts = &'static [(&'static str, &'static str)];

/// What is said of every container of a runtime that is called directly, because nothing was done about it: the root can be
/// written, set-uid programs give privileges, nothing is limited, the host's user namespace is shared.
const USUAL: Verdicts = &[("G04", "info"), ("G09", "info"), ("G10", "info"), ("G15", "info")];
/// What may be said of any of them, because it is about more than the container: AppArmor that is on, an old runtime, a
/// privileged container of the same image.
const OF_MACHINE: &[&str] = &["G08", "G18", LAYERS];
/// The last of these.
pub(in crate::run) const LAYERS: &str = "G19";
const MOUNTS_OF_HOST: &str = "mounts of the host";

/// A container: what it is granted, and what must be said of it.
pub(in crate::run) struct Case {
    pub(in crate::run) name: &'static str,
    pub(in crate::run) setup: Setup,
    /// Checks with their severities.
    pub(in crate::run) wanted: Verdicts,
    /// What is said of others, and not of this one.
    pub(in crate::run) without: &'static [&'static str],
}

impl Case {
    /// One that only a runtime that is called directly can be asked for.
    fn direct(name: &'static str, change: Change, wanted: Verdicts) -> Self {
        let setup = Setup { user: 1000, seccomp: true, config: Some(change), ..Setup::default() };
        Self { name, setup, wanted, without: &[] }
    }
}

fn cases() -> Vec<Case> {
    let caps = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mounts = |all: &[(&str, &str)]| {
        all.iter().map(|(host, at)| Bind { host: (*host).to_owned(), at: (*at).to_owned() }).collect()
    };
    let filtered = || Setup { seccomp: true, ..Setup::default() };
    vec![
        // The quiet twin of all that follow.
        Case { name: "plain", setup: Setup { user: 1000, ..filtered() }, wanted: &[], without: &[] },
        Case { name: "root", setup: filtered(), wanted: &[("G03", "notice")], without: &[] },
        Case { name: "no seccomp", setup: Setup::default(), wanted: &[("G07", "warning")], without: &[] },
        Case {
            name: "privileged",
            setup: Setup {
                caps: caps(&[
                    "CAP_SYS_ADMIN",
                    "CAP_SYS_MODULE",
                    "CAP_SYS_RAWIO",
                    "CAP_SYS_PTRACE",
                    "CAP_NET_ADMIN",
                ]),
                devices: true,
                unmasked: true,
                ..Setup::default()
            },
            wanted: &[
                ("G01", "critical"),
                ("G02", "critical"),
                ("G07", "warning"),
                ("G11", "warning"),
                ("G12", "critical"),
            ],
            without: &[],
        },
        Case {
            name: "capability in the bounding set",
            setup: Setup { user: 1000, caps: caps(&["CAP_SYS_ADMIN"]), ..filtered() },
            wanted: &[("G02", "warning")],
            without: &[],
        },
        Case {
            name: "host pid",
            setup: Setup { host_pid: true, ..filtered() },
            wanted: &[("G04", "warning")],
            without: &[],
        },
        Case {
            name: "host pid and ptrace",
            setup: Setup { host_pid: true, caps: caps(&["CAP_SYS_PTRACE"]), ..filtered() },
            wanted: &[("G04", "critical"), ("G02", "critical")],
            without: &[],
        },
        Case {
            name: "host network",
            setup: Setup { host_net: true, ..filtered() },
            wanted: &[("G04", "warning")],
            without: &[],
        },
        Case {
            name: "engine's sockets in a folder",
            setup: Setup { mounts: mounts(&[("{work}/ctl", "/ctl")]), ..filtered() },
            wanted: &[("G06", "critical")],
            without: &[],
        },
        Case {
            name: "engine's socket",
            setup: Setup { mounts: mounts(&[("{work}/ctl/docker.sock", "/engine.sock")]), ..filtered() },
            wanted: &[("G06", "critical")],
            without: &[],
        },
        Case {
            name: "a socket that is no engine's",
            setup: Setup {
                user: 1000,
                mounts: mounts(&[("{work}/ctl/service.sock", "/service.sock")]),
                ..filtered()
            },
            wanted: &[],
            without: &[],
        },
        Case {
            name: "/etc of the host",
            setup: Setup { mounts: mounts(&[("/etc", "/somewhere")]), ..filtered() },
            wanted: &[("G05", "critical")],
            without: &[],
        },
    ]
}

/// What youki does not do as it is told: version 1 cgroups that can only be read are written too, and what is mounted over a
/// device's place is in the way of the device.
const NOT_BY_YOUKI: [&str; 2] = ["cgroups to be read", "/dev/null is another device"];

pub(super) fn can_make(kind: Kind, case: &Case) -> bool {
    kind != Kind::Youki || !NOT_BY_YOUKI.contains(&case.name)
}

/// What a runtime can be asked for: engines have words of their own for some, and none for others.
pub(in crate::run) fn cases_of(kind: Kind) -> Vec<Case> {
    let is_direct = kind.is_direct();
    // Docker's own network namespace here is not the host's, and containers are never given another one.
    let has_host_net = is_direct || kind == Kind::Containerd;
    let mut cases = cases();
    if is_direct {
        cases.extend(direct());
    }
    cases.retain(|case| (has_host_net || !case.setup.host_net) && can_make(kind, case));
    if !is_direct {
        for case in cases.iter_mut().filter(|case| case.setup.devices) {
            case.setup = Setup { privileged: true, ..Setup::default() };
        }
    }
    // It first makes every mount one that receives nothing, unless told; the others do not, and youki has no such word.
    for case in cases.iter_mut().filter(|case| kind == Kind::Crun && case.name == MOUNTS_OF_HOST) {
        case.setup.config = Some(|config, work| {
            push(&mut config["mounts"], shared(work, "rslave"));
            config["linux"]["rootfsPropagation"] = "rslave".into();
        });
    }
    // What it would be critical to give is given within the user's own namespace of users.
    for case in cases.iter_mut().filter(|_| kind == Kind::PodmanRootless) {
        case.wanted = rootless(case.name, case.wanted);
    }
    // It gives a user who is not root what was added, not just leave to gain it.
    for case in cases.iter_mut().filter(|case| kind == Kind::Podman && case.setup.user != 0) {
        if !case.setup.caps.is_empty() {
            case.wanted = &[("G02", "critical")];
        }
    }
    cases
}

/// What is said where ids are mapped, if it is not the same.
fn rootless(case: &str, otherwise: Verdicts) -> Verdicts {
    match case {
        "root" => &[],
        "privileged" => {
            &[("G01", "notice"), ("G02", "notice"), ("G07", "warning"), ("G11", "notice"), ("G12", "notice")]
        }
        "capability in the bounding set" => &[("G02", "notice")],
        "host pid and ptrace" => &[("G04", "warning"), ("G02", "notice")],
        _ => otherwise,
    }
}

/// Why the cases cannot be made with this runtime, if they cannot.
pub(in crate::run) fn lacks_cases(stage: &Stage, kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Cri => Some("what a pod is granted is its kubelet's to say"),
        Kind::Crun if !stage.flags.in_vm => Some("it makes no program for devices in a branch of its own"),
        Kind::Youki if stage.env.host.layout == Layout::V2 => {
            Some("it was built without what makes programs for devices")
        }
        _ => None,
    }
}

/// Configurations that are the opposite of careful, each in one thing, and one that is careful.
fn direct() -> Vec<Case> {
    vec![
        Case { without: &["G09", "G10", "G15"], ..Case::direct("careful", careful, &[]) },
        Case::direct(
            "cgroups",
            |config, _| {
                push(
                    &mut config["mounts"],
                    json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                            "options": ["nosuid", "noexec", "nodev", "relatime"] }),
                );
                // Version 2 is reported where the rest of the tree is in sight.
                leave_out(config, "cgroup");
            },
            &[("G13", "warning")],
        ),
        Case::direct(
            "cgroups to be read",
            |config, _| {
                push(
                    &mut config["mounts"],
                    json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] }),
                );
            },
            &[],
        ),
        Case::direct(
            "token",
            |config, work| {
                push(
                    &mut config["mounts"],
                    json!({ "destination": "/run/secrets/kubernetes.io/serviceaccount", "type": "bind",
                            "source": format!("{work}/rootfs"), "options": ["bind", "ro"] }),
                );
            },
            &[("G16", "notice")],
        ),
        Case::direct(
            MOUNTS_OF_HOST,
            |config, work| push(&mut config["mounts"], shared(work, "rslave")),
            &[("G14", "info")],
        ),
        Case::direct(
            "mounts of its own",
            |config, work| push(&mut config["mounts"], shared(work, "rprivate")),
            &[],
        ),
        Case::direct(
            "steered loader",
            |config, _| push(&mut config["process"]["env"], "GLIBC_TUNABLES=glibc.malloc.check=0".into()),
            &[("G17", "notice")],
        ),
        Case::direct(
            "ordinary variable",
            |config, _| push(&mut config["process"]["env"], "GLIBC=glibc.malloc.check=0".into()),
            &[],
        ),
    ]
}

fn shared(work: &str, propagation: &str) -> Value {
    json!({ "destination": "/shared", "type": "bind", "source": format!("{work}/{SHARED}"),
            "options": ["rbind", propagation] })
}

/// One whose mounts appear on the host, where that has the folder's mount as well.
pub(in crate::run) fn shared_with_host() -> Case {
    let change: Change = |config, work| {
        push(&mut config["mounts"], shared(work, "rshared"));
        // As engines do it: otherwise the runtime first makes every mount one that only receives.
        config["linux"]["rootfsPropagation"] = "rshared".into();
    };
    Case::direct("mounts to the host", change, &[("G14", "warning")])
}

fn careful(config: &mut Value, _: &str) {
    config["root"]["readonly"] = true.into();
    config["process"]["noNewPrivileges"] = true.into();
    config["linux"]["resources"]["pids"] = json!({ "limit": 64 });
    config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
}

pub(super) fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

/// Takes a namespace out: the host's is shared.
pub(super) fn leave_out(config: &mut Value, kind: &str) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != kind);
    }
}

/// What is wanted is said, with a source that the configuration has; and of the rest nothing that matters, or nothing at all
/// where the configuration is the test's own.
pub(in crate::run) fn judge(case: &Case, kind: Kind, object: &Value) -> anyhow::Result<()> {
    ensure!(object["container"]["status"] == "resolved", "not resolved");
    let findings = object["findings"].as_array().context("no findings")?;
    let mut got: BTreeMap<&str, &str> = BTreeMap::new();
    for finding in findings {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        got.insert(text("id"), text("severity"));
        let items = finding["items"].as_array().context("no items")?;
        ensure!(items.iter().all(|item| item["source"].as_str().is_some_and(|s| !s.is_empty())), "no source");
    }
    ensure!(kind != Kind::PodmanRootless || !got.contains_key("G03"), "his root is not the machine's: G03");
    let is_direct = kind.is_direct();
    let root = (case.setup.user == 0).then_some(&("G03", "notice"));
    let usual = USUAL.iter().chain(root).filter(|(id, _)| is_direct && !case.without.contains(id));
    let wanted: BTreeMap<&str, &str> = usual.chain(case.wanted).copied().collect();
    for (id, severity) in &wanted {
        ensure!(got.get(id) == Some(severity), "{id} is {:?} and not {severity}", got.get(id));
    }
    // The run's own folder may lie where it matters: in a guest it is in /run. Some engines make cgroups writable with
    // `privileged`.
    let may_be = |id: &str| {
        OF_MACHINE.contains(&id)
            || id == "G05" && !(case.setup.mounts.is_empty() && case.setup.config.is_none())
            || id == "G13" && case.setup.privileged
    };
    let matters = |severity: &str| is_direct || ["warning", "critical"].contains(&severity);
    got.retain(|id, severity| !wanted.contains_key(id) && !may_be(id) && matters(severity));
    ensure!(got.is_empty(), "also said: {got:?}");
    Ok(())
}
