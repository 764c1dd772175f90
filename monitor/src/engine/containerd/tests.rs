//! containerd's answers, as its own packages write them.

use prost::Message as _;

use super::proto::{AboutContainer, Any, Container, Envelope, Runtime, TaskExit};
use super::*;
use crate::container::{Engine, capability_bit};

fn container(spec: &str) -> Container {
    let labels = [
        ("io.cri-containerd.kind", "container"),
        ("io.kubernetes.container.name", "app"),
        ("io.kubernetes.pod.name", "web-0"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("io.kubernetes.pod.uid", "u-1"),
    ];
    Container {
        id: "c1".to_owned(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        image: "registry.example/app:1".to_owned(),
        runtime: Some(Runtime { name: "io.containerd.runc.v2".to_owned() }),
        spec: Some(Any { type_url: String::new(), value: spec.as_bytes().to_vec() }),
    }
}

#[test]
fn a_container_of_a_pod() {
    let spec = r#"{"process":{"capabilities":{"bounding":["CAP_KILL"]}},
        "annotations":{"io.kubernetes.cri.sandbox-id":"s1","io.kubernetes.cri.container-type":"container"}}"#;
    let answer = answer("k8s.io", container(spec), 42, Some("sha256:aa".to_owned()));
    assert_eq!((answer.id.as_str(), answer.pid), ("c1", 42));
    let identity = answer.identity;
    assert_eq!(identity.engine, Some(Engine::Kubernetes));
    assert_eq!(identity.name.as_deref(), Some("app"));
    assert_eq!(identity.image.as_deref(), Some("registry.example/app:1"));
    assert_eq!(identity.image_digest.as_deref(), Some("sha256:aa"));
    assert_eq!(identity.runtime.as_deref(), Some("runc"));
    let pod = identity.pod.expect("a pod");
    assert_eq!((pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()), ("web-0", "shop", "u-1"));
    assert_eq!(identity.labels["io.kubernetes.cri.sandbox-id"], "s1");
    assert_eq!(answer.grants.capabilities, capability_bit("KILL").map(|bit| 1 << bit));
}

#[test]
fn namespaces_tell_whose_a_container_is() {
    for (namespace, want) in
        [("moby", Engine::Docker), ("k8s.io", Engine::Kubernetes), ("default", Engine::Containerd)]
    {
        let bare = Container { id: "c".to_owned(), ..Container::default() };
        let answer = answer(namespace, bare, 0, None);
        assert_eq!(answer.identity.engine, Some(want), "{namespace}");
        assert_eq!((answer.identity.image, answer.identity.pod), (None, None));
        assert_eq!(answer.grants, Grants::default());
    }
}

#[test]
fn a_configuration_that_is_none_grants_nothing_to_compare_with() {
    assert_eq!(answer("default", container("no JSON"), 1, None).grants, Grants::default());
}

#[test]
fn names_of_runtimes() {
    for (shim, want) in [
        ("io.containerd.runc.v2", Some("runc")),
        ("io.containerd.kata.v2", Some("kata")),
        ("io.containerd.runhcs.v1", Some("runhcs")),
        ("io.containerd.runc", None),
        ("/usr/bin/shim", None),
        ("io.containerd.x.vy", None),
    ] {
        assert_eq!(runtime_name(shim).as_deref(), want, "{shim}");
    }
}

#[test]
fn what_events_tell() {
    let about = AboutContainer { container_id: "c1".to_owned() }.encode_to_vec();
    let exit = |id: &str| TaskExit { container_id: "c1".to_owned(), id: id.to_owned() }.encode_to_vec();
    let changed = Event::Changed("c1".to_owned());
    let ended = Event::Ended("c1".to_owned());
    for (topic, value, want) in [
        ("/tasks/start", about.clone(), &changed),
        ("/containers/update", about.clone(), &changed),
        ("/containers/delete", about.clone(), &ended),
        ("/tasks/exit", exit("c1"), &ended),
        // A program that was started beside the container's first.
        ("/tasks/exit", exit("exec-1"), &Event::Other),
        ("/tasks/oom", about, &Event::Other),
        ("/tasks/start", vec![0xff], &Event::Other),
    ] {
        let event_bytes = Any { type_url: String::new(), value };
        let envelope = Envelope { topic: topic.to_owned(), event: Some(event_bytes), ..Envelope::default() };
        assert_eq!(event(&envelope), *want, "{topic}");
    }
    assert_eq!(event(&Envelope::default()), Event::Other);
}
