//! Answers of CRI servers, as containerd, CRI-O and cri-dockerd write them.

use std::time::{Duration, Instant};

use prost::Message as _;
use tokio::task::JoinHandle;

use super::super::{CONNECT_LIMIT, EngineKind, probe};
use super::proto::{
    ContainerMetadata, ContainerStatus, ContainerStatusResponse, ImageSpec, SandboxMetadata, SandboxStatus,
    SandboxStatusResponse,
};
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

const HEX: &str = "44e9f0d22f9281a58fa1e7e8e05a7515bb06cf7d5ea9604cef3ce015c79a26fa";
const ID: &str = "sha256:44e9f0d22f9281a58fa1e7e8e05a7515bb06cf7d5ea9604cef3ce015c79a26fa";
const NAME: &str = "registry.example/a-name-that-has-sixty-four-letters/and-a-tag:01";

#[test]
fn names_and_digests_of_images() {
    // Image, what the pod's author wrote, reference; name, digest, id.
    for (image, written, image_ref, name, digest, id) in [
        ("app:1", "", "r/app@sha256:aa", Some("app:1"), Some("sha256:aa"), None),
        // The kubelet asked by id for what it had pulled.
        ("sha256:bb", "app:1", "r/app@sha256:aa", Some("app:1"), Some("sha256:aa"), None),
        ("sha256:bb", "", "sha256:bb", None, None, Some("sha256:bb")),
        ("", "", "", None, None, None),
        // cri-dockerd's.
        ("app:1", "", "docker://sha256:bb", Some("app:1"), None, Some("sha256:bb")),
        ("app:1", "", "docker-pullable://r/app@sha256:aa", Some("app:1"), Some("sha256:aa"), None),
        // CRI-O's ids, and a name that is as long as one.
        (HEX, "app:1", HEX, Some("app:1"), None, Some(ID)),
        (HEX, "", "r/app@sha256:aa", None, Some("sha256:aa"), None),
        (NAME, "", "", Some(NAME), None, None),
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

/// A server at a socket of its own that answers each path with what `answer` has for it: bytes of a message, or none.
async fn serving(answer: fn(&str) -> Option<Vec<u8>>) -> (tempfile::TempDir, Endpoint, JoinHandle<()>) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let listener = tokio::net::UnixListener::bind(&socket).expect("bound");
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepted");
        let mut server = h2::server::handshake(stream).await.expect("handshake");
        while let Some(Ok((request, mut respond))) = server.accept().await {
            let head = http::Response::builder().header("content-type", "application/grpc");
            let mut send = respond.send_response(head.body(()).expect("a head"), false).expect("a head");
            if let Some(message) = answer(request.uri().path()) {
                // Not compressed, and its length, before each message of gRPC.
                let length = u32::try_from(message.len()).expect("a length").to_be_bytes();
                let framed = [&[0], &length[..], &message].concat();
                send.send_data(framed.into(), false).expect("data");
            }
            let mut end = http::HeaderMap::new();
            end.insert("grpc-status", http::HeaderValue::from_static("0"));
            send.send_trailers(end).expect("trailers");
        }
    });
    (folder, Endpoint { kind: EngineKind::Cri, socket, given: true }, server)
}

/// A CRI-O with `enable_pod_events = false`, which it is unless told otherwise (`server/container_events.go`): it ends the
/// stream well, and at once.
#[tokio::test]
async fn a_server_whose_events_end_has_lists() {
    let (_folder, endpoint, server) = serving(|path| match path {
        path if path == EVENTS.path => None,
        // `containers { id: "c1" }`
        path if path == CONTAINERS.path => Some(b"\x0a\x04\x0a\x02c1".to_vec()),
        _ => Some(Vec::new()),
    })
    .await;
    let mut connected = Cri::connect(&endpoint).await.expect("connected");
    let event = Cri::next(&mut connected.events).await.expect("an event");
    assert_eq!(event, Event::Changed("c1".to_owned()));
    // Where the server is gone, the next list says so.
    server.abort();
    assert!(Cri::next(&mut connected.events).await.is_err());
}

/// cri-dockerd: the container that holds a pod is one like any other, and the pod.
#[tokio::test]
async fn a_sandbox_that_is_taken_for_a_container() {
    let (_folder, endpoint, _server) = serving(|path| {
        Some(match path {
            path if path == CONTAINER.path => {
                let status = ContainerStatus { id: "s1".to_owned(), ..status("pause:3", "", "") };
                ContainerStatusResponse { status: Some(status), ..Default::default() }.encode_to_vec()
            }
            path if path == SANDBOX.path => {
                SandboxStatusResponse { status: Some(sandbox()), ..Default::default() }.encode_to_vec()
            }
            _ => Vec::new(),
        })
    })
    .await;
    let connected = Cri::connect(&endpoint).await.expect("connected");
    let answer = connected.engine.inspect("s1").await.expect("an answer").expect("a container");
    assert_eq!(answer.identity.name.as_deref(), Some("web-0"));
    let pod = answer.identity.pod.expect("a pod");
    assert_eq!((pod.sandbox.as_deref(), pod.labels["app"].as_str()), (Some("s1"), "web"));
}

#[test]
fn a_socket_without_the_service_is_no_news() {
    assert!(Fault::NotServed("runtime.v1").is_absent());
    assert!(!Fault::Rpc { code: 12, message: String::new() }.is_absent());
}
