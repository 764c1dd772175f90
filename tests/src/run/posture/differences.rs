//! Containers that differ from what was declared of them, and what must be said of that.

use serde_json::{Value, json};

use super::cases::{Case, can_make, leave_out, push};
use crate::bundle::Change;
use crate::runtime::Kind;
use crate::scenario::{Bind, Setup};

/// Containers that are not what their configuration declares.
pub(in crate::run) fn differences(kind: Kind) -> Vec<Case> {
    if !kind.is_direct() {
        return Vec::new();
    }
    let user = || Setup { user: 1000, seccomp: true, ..Setup::default() };
    let case = |name, setup, wanted| Case { name, setup, wanted, without: &[] };
    let mut cases = vec![
        case(
            "a mask that is missing and a mount that leads elsewhere",
            Setup {
                altered: Some(|config, work| {
                    push(&mut config["linux"]["maskedPaths"], "/proc/version".into());
                    if let Some(mount) = config["mounts"].as_array_mut().and_then(|mounts| mounts.last_mut())
                    {
                        mount["source"] = work.into();
                    }
                }),
                mounts: vec![Bind { host: "{work}/rootfs".to_owned(), at: "/data".to_owned() }],
                ..user()
            },
            &[("X-masks", "critical"), ("X-mount", "warning")],
        ),
        case(
            "/dev/null is another device",
            Setup {
                // Without masks, which a runtime makes of it.
                config: Some(|config, _| {
                    config["linux"]["maskedPaths"] = json!([]);
                    push(
                        &mut config["mounts"],
                        json!({ "destination": "/dev/null", "type": "bind", "source": "/dev/zero", "options": ["bind"] }),
                    );
                }),
                ..user()
            },
            &[("G11", "warning"), ("X-devices", "critical")],
        ),
        case(
            "a capability that nobody declared",
            Setup {
                altered: Some(|config, _| {
                    let sets = config["process"]["capabilities"].as_object_mut();
                    for set in
                        sets.into_iter().flat_map(|sets| sets.values_mut()).filter_map(Value::as_array_mut)
                    {
                        set.retain(|name| name != "CAP_KILL");
                    }
                }),
                user: 0,
                ..user()
            },
            &[("G03", "notice"), ("X-capabilities", "critical")],
        ),
        case(
            "a namespace that is the host's",
            Setup {
                config: Some(|config, _| leave_out(config, "ipc")),
                altered: Some(|config, _| push(&mut config["linux"]["namespaces"], json!({ "type": "ipc" }))),
                ..user()
            },
            &[("G04", "warning"), ("X-namespace", "critical")],
        ),
        case(
            "a filter that is not there",
            Setup {
                altered: Some(|config, _| {
                    config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
                }),
                seccomp: false,
                ..user()
            },
            &[("G07", "warning"), ("X-seccomp", "critical")],
        ),
    ];
    // Few machines have AppArmor on; of the guests one has.
    let apparmor = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if apparmor.is_ok_and(|enabled| enabled.starts_with('Y')) {
        let altered: Change = |config, _| config["process"]["apparmorProfile"] = "harmless".into();
        let setup = Setup { altered: Some(altered), ..user() };
        cases.push(case("a label that is not in force", setup, &[("X-label", "critical")]));
    }
    cases.retain(|case| can_make(kind, case));
    cases
}
