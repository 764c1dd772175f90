//! What a kubelet asks for: a pod, and its container.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CONTAINER_NAME, IMAGE, PODS, proto};
use crate::bundle;
use crate::runtime::Spec;

/// A uid like Kubernetes gives: the name is unique, and so is this.
pub(super) fn uid(name: &str) -> String {
    let digits: String = name.bytes().rev().take(16).map(|byte| format!("{byte:02x}")).collect();
    let digits = format!("{digits:0>32}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn namespaces(spec: &Spec<'_>) -> proto::Namespaces {
    proto::Namespaces {
        network: if spec.setup.host_net { proto::NODE } else { proto::POD },
        pid: if spec.setup.host_pid { proto::NODE } else { proto::CONTAINER },
        ipc: proto::POD,
    }
}

/// The pod's container; it has the labels that a kubelet gives, of the pod's own.
pub(super) fn container(spec: &Spec<'_>, pod: &BTreeMap<String, String>) -> proto::ContainerConfig {
    let mut labels = texts(&[("io.kubernetes.container.name", CONTAINER_NAME)]);
    labels.extend(
        pod.iter().filter(|(key, _)| key.starts_with("io.kubernetes.")).map(|(k, v)| (k.clone(), v.clone())),
    );
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let user = (spec.setup.user != 0).then_some(proto::Number { value: i64::from(spec.setup.user) });
    let bare = |cap: &String| cap.trim_start_matches("CAP_").to_owned();
    let security = proto::ContainerSecurity {
        capabilities: Some(proto::Capabilities { add: spec.setup.caps.iter().map(bare).collect() }),
        namespaces: Some(namespaces(spec)),
        user,
        group: user,
        masked_paths: paths(&bundle::MASKED),
        readonly_paths: paths(&bundle::READONLY),
        seccomp: Some(proto::Profile {
            kind: if spec.setup.seccomp { proto::RUNTIME_DEFAULT } else { proto::UNCONFINED },
        }),
    };
    proto::ContainerConfig {
        metadata: Some(proto::ContainerMetadata { name: CONTAINER_NAME.to_owned(), attempt: 2 }),
        image: Some(proto::ImageSpec { image: IMAGE.to_owned() }),
        command: spec.argv.to_vec(),
        mounts: spec
            .mounts
            .iter()
            .map(|(host, at)| proto::Mount { container_path: at.clone(), host_path: host.clone() })
            .collect(),
        labels,
        annotations: texts(&[("io.kubernetes.container.restartCount", "2")]),
        log_path: format!("{}.log", spec.name),
        linux: Some(proto::LinuxContainer { security: Some(security) }),
    }
}

/// The pod. Its log goes to `logs`.
pub(super) fn sandbox(logs: &Path, spec: &Spec<'_>, uid: &str, parent: &str) -> proto::SandboxConfig {
    let labels = [
        ("io.kubernetes.pod.name", spec.name),
        ("io.kubernetes.pod.namespace", PODS),
        ("io.kubernetes.pod.uid", uid),
        ("app", "scenario"),
    ];
    let security = proto::SandboxSecurity { namespaces: Some(namespaces(spec)) };
    proto::SandboxConfig {
        metadata: Some(proto::SandboxMetadata {
            name: spec.name.to_owned(),
            uid: uid.to_owned(),
            namespace: PODS.to_owned(),
            attempt: 1,
        }),
        hostname: spec.name.to_owned(),
        log_directory: logs.display().to_string(),
        labels: texts(&labels),
        annotations: texts(&[("scenarios.example/owner", "tests")]),
        linux: Some(proto::LinuxSandbox { cgroup_parent: parent.to_owned(), security: Some(security) }),
    }
}
