//! Answers of CRI servers, as containerd, CRI-O and cri-dockerd write them.

use std::time::{Duration, Instant};

use super::super::{CONNECT_LIMIT, EngineKind, probe};
use super::proto::{ContainerMetadata, ContainerStatus, ImageSpec, SandboxMetadata, SandboxStatus};
use super::*;
use crate::container::capability_bit;

fn sandbox() -> SandboxStatus {
    let text = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    SandboxStatus {
        id: "s1".to_owned(),
        metadata: Some(SandboxMetadata {
            name: "web-0".to_owned(),
            uid: "u-1".to_owned(),
            namespace: "shop".to_owned(),
            attempt: 1,
        }),
        labels: text(&[("app", "web"), ("io.kubernetes.pod.name", "web-0")]),
        annotations: text(&[("owner.example/team", "front")]),
    }
}

fn status(image: &str, written: &str, image_ref: &str) -> ContainerStatus {
    ContainerStatus {
        id: "c1".to_owned(),
        metadata: Some(ContainerMetadata { name: "app".to_owned(), attempt: 3 }),
        image: Some(ImageSpec { image: image.to_owned(), user_specified_image: written.to_owned() }),
        image_ref: image_ref.to_owned(),
        ..ContainerStatus::default()
    }
}

#[test]
fn a_container_and_its_pod() {
    let info = info(
        r#"{"sandboxID":"s1","pid":42,"config":{"linux":{"security_context":{"privileged":true}}},
            "runtimeSpec":{"process":{"capabilities":{"bounding":["CAP_KILL"]}}}}"#,
    );
    assert_eq!(info.sandbox_id, "s1");
    let status = status("registry.example/app:1", "", "registry.example/app@sha256:aa");
    let answer = container(Engine::Kubernetes, status, Some(sandbox()), &info);
    assert_eq!((answer.id.as_str(), answer.pid), ("c1", 42));
    let kill = capability_bit("KILL").map(|bit| 1 << bit);
    assert_eq!(answer.grants, Grants { privileged: Some(true), capabilities: kill });
    let identity = answer.identity;
    assert_eq!(identity.name.as_deref(), Some("app"));
    assert_eq!(identity.image.as_deref(), Some("registry.example/app:1"));
    assert_eq!(identity.image_digest.as_deref(), Some("sha256:aa"));
    let pod = identity.pod.expect("a pod");
    assert_eq!((pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()), ("web-0", "shop", "u-1"));
    assert_eq!((pod.sandbox.as_deref(), pod.attempt), (Some("s1"), Some(3)));
    assert_eq!(pod.labels["app"], "web");
    assert_eq!(pod.annotations["owner.example/team"], "front");
}

#[test]
fn the_container_that_holds_a_pod() {
    let answer = pause(Engine::Kubernetes, sandbox(), &info(r#"{"pid":7,"image":"pause:3"}"#));
    assert_eq!((answer.id.as_str(), answer.pid), ("s1", 7));
    assert_eq!(answer.identity.name.as_deref(), Some("web-0"));
    assert_eq!(answer.identity.image.as_deref(), Some("pause:3"));
    let pod = answer.identity.pod.expect("a pod");
    assert_eq!((pod.sandbox.as_deref(), pod.attempt), (Some("s1"), None));
}

#[test]
fn names_and_digests_of_images() {
    // Image, what the pod's author wrote, reference; name, digest, id.
    for (image, written, image_ref, name, digest, id) in [
        ("app:1", "", "r/app@sha256:aa", Some("app:1"), Some("sha256:aa"), None),
        // The kubelet asked by id for what it had pulled.
        ("sha256:bb", "app:1", "r/app@sha256:aa", Some("app:1"), Some("sha256:aa"), None),
        ("sha256:bb", "", "sha256:bb", None, None, Some("sha256:bb")),
        ("", "", "", None, None, None),
    ] {
        let status = status(image, written, image_ref);
        let identity = container(Engine::CriO, status, None, &Info::default()).identity;
        assert_eq!(identity.image.as_deref(), name, "{image}");
        assert_eq!(identity.image_digest.as_deref(), digest, "{image}");
        assert_eq!(identity.image_id.as_deref(), id, "{image}");
        assert_eq!(identity.pod, None);
    }
}

fn info(text: &str) -> Info {
    Info::read(&BTreeMap::from([("info".to_owned(), text.to_owned())]))
}

#[test]
fn verbose_answers() {
    // CRI-O's words.
    let crio = info(r#"{"sandboxID":"s","pid":9,"privileged":false,"runtimeSpec":{"process":null}}"#);
    assert_eq!((crio.pid, crio.grants().privileged), (9, Some(false)));
    assert_eq!(crio.grants().capabilities, Some(0));
    // cri-dockerd has none, and what is no JSON says nothing.
    for text in ["", "[]", "{\"pid\":-1}", "{\"pid\":null,\"config\":null,\"runtimeSpec\":null}"] {
        let info = info(text);
        assert_eq!((info.pid, info.sandbox_id.as_str()), (0, ""), "{text}");
        assert_eq!(info.grants(), Grants::default(), "{text}");
    }
    assert_eq!(Info::read(&BTreeMap::new()).pid, 0);
}

#[test]
fn a_server_that_never_answers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for kind in [EngineKind::Cri, EngineKind::Containerd] {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let began = Instant::now();
        let result = runtime.block_on(probe(&Endpoint { kind, socket, given: true }, ""));
        assert!(matches!(result, Err(Fault::TimedOut(CONNECT_LIMIT))), "{result:?}");
        assert!(began.elapsed() < CONNECT_LIMIT + Duration::from_secs(2));
    }
}

#[test]
fn a_socket_without_the_service_is_no_news() {
    assert!(Fault::NotServed("runtime.v1").is_absent());
    assert!(!Fault::Rpc { code: 12, message: String::new() }.is_absent());
}
