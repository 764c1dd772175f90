//! An API server's answers, as Kubernetes' documentation has them and as they must not be, over real TLS.

mod parties;
mod server;

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, channel};

use super::super::follow::{Report, Said};
use super::super::{CONNECT_LIMIT, Endpoint, EngineKind, Fault, LIST_LIMIT, Probe};
use super::meta::{Change, List, Object};
use super::{MAX_PODS, Told, follow, look};
use crate::container::Owner;
pub(super) use parties::PARTIES;
use server::{Answer, Server, kubeconfig};

const VERSION: &str = r#"{"major":"1","minor":"31","gitVersion":"v1.31.0","platform":"linux/amd64"}"#;
const NODE: &str = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"n1",
    "labels":{"kubernetes.io/hostname":"n1","topology.kubernetes.io/zone":"z1"}}}"#;
const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},
    "status":"Failure","message":"too old resource version: 1 (9)","reason":"Expired","code":410}}"#;

fn one_line(text: &str) -> String {
    text.replace('\n', "") + "\n"
}

fn pod(uid: &str, kind: &str, owner: &str) -> String {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    format!(
        r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"p-{uid}",
        "namespace":"shop","uid":"{uid}","resourceVersion":"7","labels":{{"app":"web"}},"ownerReferences":[
        {{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}},
        {{"apiVersion":"{group}","kind":"{kind}","name":"{owner}","uid":"2","controller":true}}]}}}}"#
    )
}

fn list(pods: &[String], next: &str) -> String {
    let metadata = format!(r#"{{"resourceVersion":"5","continue":"{next}"}}"#);
    format!(r#"{{"kind":"PartialObjectMetadataList","metadata":{metadata},"items":[{}]}}"#, pods.join(","))
}

/// What a server says that behaves; `pods` and `watch` are what it says of pods.
fn behaved(path: &str, pods: &str, watch: Answer) -> Answer {
    match path.split('?').next().unwrap_or_default() {
        "/version" => Answer::whole(VERSION),
        "/api/v1/nodes/n1" => Answer::whole(NODE),
        "/api/v1/pods" if path.contains("watch=1") => watch,
        "/api/v1/pods" => Answer::whole(pods),
        "/apis/apps/v1/namespaces/shop/replicasets/web-7f" => Answer::whole(&pod("r", "Deployment", "web")),
        "/apis/batch/v1/namespaces/shop/jobs/nightly-1" => Answer::whole(&pod("j", "CronJob", "nightly")),
        _ => Answer::status(404),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn endpoint(folder: &tempfile::TempDir) -> Endpoint {
    Endpoint { kind: EngineKind::Kubernetes, socket: folder.path().join("config"), given: true }
}

fn probe(server: &Server, user: &str) -> Result<Probe, Fault> {
    let config = kubeconfig(server.port, &PARTIES.ca, "", user);
    runtime().block_on(look(&endpoint(&config), "n1"))
}

const TOKEN: &str = "token: s3cret";
/// A name that the server's certificate has beside its address.
const NAME: &str = "kubernetes.tests";

/// Follows a server until it has said so much, beside how much was asked.
fn said(server: &Server, count: usize) -> Vec<Said> {
    followed(server, count).1
}

/// The same with the number of questions.
fn followed(server: &Server, count: usize) -> (u64, Vec<Said>) {
    let config = kubeconfig(server.port, &PARTIES.ca, NAME, TOKEN);
    runtime().block_on(async {
        let (reports, mut inbox): (_, Receiver<Report>) = channel(1);
        let task = tokio::spawn(follow(endpoint(&config), "n1".to_owned(), 0, reports));
        let (mut asked, mut out) = (0, Vec::new());
        while out.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(20), inbox.recv());
            match next.await.expect("in time").expect("it goes on").said {
                Said::Asked(questions) => asked += questions,
                said => out.push(said),
            }
        }
        task.abort();
        (asked, out)
    })
}

fn owners(said: &[Said]) -> Vec<(String, String, String)> {
    let told = said.iter().filter_map(|said| match said {
        Said::Pod(told) => Some(told),
        _ => None,
    });
    told.map(|told| {
        let Owner { kind, name } = told.owner.clone().unwrap_or_default();
        (told.uid.clone(), kind, name)
    })
    .collect()
}

fn triple(uid: &str, kind: &str, name: &str) -> (String, String, String) {
    (uid.to_owned(), kind.to_owned(), name.to_owned())
}

#[test]
fn a_server_is_looked_at() {
    let server = Server::start(|head, path| {
        // A bearer token, and pods of this node alone.
        if !head.contains("authorization: Bearer s3cret\r\n") {
            return Answer::status(401);
        }
        let wanted = !path.starts_with("/api/v1/pods") || path.contains("?fieldSelector=spec.nodeName%3Dn1&");
        assert!(wanted && head.contains("accept: application/json"), "{head}");
        behaved(path, &list(&[pod("a", "DaemonSet", "d")], ""), Answer::Silence)
    });
    let found = probe(&server, TOKEN).expect("it answers");
    assert_eq!(found, Probe { version: "v1.31.0".into(), containers: 1, owner: 0 });
    let refused = probe(&server, "token: other");
    assert!(matches!(refused, Err(Fault::Refused { what: "version", status: 401 })), "{refused:?}");
}

#[test]
fn a_client_certificate_is_shown() {
    let server = Server::start_with(true, |_, path| behaved(path, &list(&[], ""), Answer::Silence));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = &PARTIES.client;
    let user =
        format!("client-certificate: {}, client-key: {}", file("certificate", certificate), file("key", key));
    assert_eq!(probe(&server, &user).map(|found| found.containers).ok(), Some(0));
    assert!(probe(&server, TOKEN).is_err());
}

#[test]
fn owners_are_those_at_the_top() {
    let server = Server::start(|_, path| {
        let first = [pod("a", "ReplicaSet", "web-7f"), pod("b", "Job", "nightly-1")];
        // What is gone, or not for this account, is named by what the pod says itself.
        let second = [pod("c", "ReplicaSet", "gone"), pod("d", "DaemonSet", "logs")];
        let page = if path.contains("&continue=x%2Fy") { list(&second, "") } else { list(&first, "x/y") };
        behaved(path, &page, Answer::Silence)
    });
    let (asked, said) = followed(&server, 6);
    // Version, node, two pages of pods, and each owner that may have one itself.
    assert_eq!(asked, 7);
    let Said::Node(node) = &said[0] else { panic!("{said:?}") };
    assert_eq!((node.name.as_str(), node.labels["topology.kubernetes.io/zone"].as_str()), ("n1", "z1"));
    assert!(matches!(&said[1], Said::Up { version, containers: 4, .. } if version == "v1.31.0"), "{said:?}");
    let want = [
        triple("a", "Deployment", "web"),
        triple("b", "CronJob", "nightly"),
        triple("c", "ReplicaSet", "gone"),
        triple("d", "DaemonSet", "logs"),
    ];
    assert_eq!(owners(&said), want);
}

#[test]
fn what_happens_is_heard_and_what_is_too_old_is_listed_anew() {
    let change = |kind: &str, pod: &str| one_line(&format!(r#"{{"type":"{kind}","object":{pod}}}"#));
    let lists = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_, path| {
        let (added, gone) = (pod("b", "Job", "nightly-1"), pod("a", "DaemonSet", "d"));
        let bookmark = r#"{"kind":"PartialObjectMetadata","metadata":{"resourceVersion":"8"}}"#;
        let count = || lists.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let page = match path.contains("limit=") {
            true if count() > 0 => list(&[pod("c", "DaemonSet", "e")], ""),
            _ => list(&[pod("a", "DaemonSet", "d")], ""),
        };
        let watch = match () {
            () if path.contains("resourceVersion=8") => Answer::lines(&one_line(EXPIRED)),
            () if lists.load(std::sync::atomic::Ordering::Relaxed) > 1 => Answer::Silence,
            () => Answer::lines(
                &[change("ADDED", &added), change("DELETED", &gone), change("BOOKMARK", bookmark)].concat(),
            ),
        };
        behaved(path, &page, watch)
    });
    // The first watch ends by itself, the second says that the version of the bookmark is too old.
    let said = said(&server, 9);
    let order: Vec<String> = said
        .iter()
        .map(|said| match said {
            Said::Node(_) => "node".to_owned(),
            Said::Up { .. } => "up".to_owned(),
            Said::Pod(told) => format!("pod {}", told.uid),
            Said::PodGone(uid) => format!("gone {uid}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(order, ["node", "up", "pod a", "pod b", "gone a", "node", "node", "gone b", "pod c"]);
}

#[test]
fn servers_that_do_not_behave() {
    let many: Vec<String> = vec!["{}".to_owned(); MAX_PODS + 1];
    let deep = "[".repeat(100_000);
    for (said, want) in [
        (Answer::whole("[]x"), "what is no pods"),
        (Answer::whole(&deep), "what is no pods"),
        (Answer::whole(r#"{"items":{}}"#), "what is no pods"),
        (Answer::whole(r#"{"items":[{"metadata":{"uid":7}}]}"#), "what is no pods"),
        (Answer::whole(r#"{"items":[{"metadata":{"labels":[1]}}]}"#), "what is no pods"),
        (Answer::whole(&list(&many, "")), "more than 4096 pods"),
        (Answer::whole(&list(&many[..MAX_PODS], "again")), "more than 4096 pods"),
        (Answer::whole(&" ".repeat(17 << 20)), "more than 16777216 bytes"),
        (Answer::status(403), "answered pods with status 403"),
        (Answer::status(301), "answered pods with status 301"),
        (Answer::Endless, "more than 16777216 bytes"),
    ] {
        let server = Server::start(move |_, path| {
            if path.starts_with("/api/v1/pods") { said.clone() } else { behaved(path, "", Answer::Silence) }
        });
        let fault = probe(&server, TOKEN).expect_err(want).to_string();
        assert!(fault.contains(want), "{fault}, not {want}");
    }
    let server = Server::start(|_, path| match path {
        "/version" => Answer::whole(VERSION),
        _ => Answer::status(404),
    });
    let fault = probe(&server, TOKEN).expect_err("no node").to_string();
    assert!(fault.contains("knows no node `n1`"), "{fault}");
}

#[test]
fn a_watch_that_never_ends_a_line() {
    let server = Server::start(|_, path| behaved(path, &list(&[], ""), Answer::Endless));
    let said = said(&server, 3);
    assert!(matches!(said[2], Said::Down(Fault::TooLarge(_))), "{said:?}");
}

#[test]
fn a_server_that_hangs() {
    for pods_hang in [false, true] {
        let server = Server::start(move |_, path| match path {
            "/version" | "/api/v1/nodes/n1" if pods_hang => behaved(path, "", Answer::Silence),
            _ => Answer::Silence,
        });
        let began = Instant::now();
        let result = probe(&server, TOKEN);
        assert!(matches!(result, Err(Fault::TimedOut(_))), "{result:?}");
        assert!(began.elapsed() < LIST_LIMIT + Duration::from_secs(5));
    }
    // It takes the connection, and has no words of TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let config = kubeconfig(listener.local_addr().expect("an address").port(), &PARTIES.ca, NAME, TOKEN);
    let result = runtime().block_on(look(&endpoint(&config), "n1"));
    assert!(matches!(result, Err(Fault::TimedOut(CONNECT_LIMIT))), "{result:?}");
}

#[test]
fn a_server_that_nobody_vouches_for() {
    let server = Server::start(|_, path| {
        assert!(path.is_empty(), "it is asked for {path}");
        Answer::Silence
    });
    for (ca, name) in [(&PARTIES.other, NAME), (&PARTIES.ca, "other.tests"), (&PARTIES.ca, "127.0.0.2")] {
        let config = kubeconfig(server.port, ca, name, TOKEN);
        let fault = runtime().block_on(look(&endpoint(&config), "n1")).expect_err("refused").to_string();
        assert!(fault.contains("invalid peer certificate"), "{fault}");
    }
    let config = kubeconfig(server.port, &PARTIES.ca, "", "");
    let fault = runtime().block_on(look(&endpoint(&config), "n1")).expect_err("refused").to_string();
    assert!(fault.contains("neither a token nor a client certificate"), "{fault}");
}

#[test]
fn what_is_kept_of_an_object() {
    let labels: Vec<String> = (0..1000).map(|n| format!(r#""l{n}":"v""#)).collect();
    let text = format!(
        r#"{{"spec":{{"x":[1,{{"y":null}}]}},"metadata":{{"uid":"u","labels":{{{},"long":"{}"}},
        "annotations":{{"kubernetes.io/config.mirror":"m","other":"{}"}},"ownerReferences":null}}}}"#,
        labels.join(","),
        "x".repeat(5000),
        "y".repeat(5000),
    );
    let object: Object = serde_json::from_str(&text).expect("read");
    assert_eq!(object.metadata.uid_on_node(), "m");
    let Told { uid, labels, owner, .. } = object.metadata.told(None);
    assert_eq!((uid.as_str(), labels.len(), owner), ("m", 128, None));
    for null in
        [r#"{"metadata":null}"#, r#"{"metadata":{"labels":null,"annotations":null,"uid":null}}"#, "{}"]
    {
        let object: Object = serde_json::from_str(null).expect(null);
        assert_eq!(object.metadata.uid_on_node(), "");
    }
    assert!(serde_json::from_str::<List>(r#"{"metadata":null,"items":null}"#).is_ok());
    for wrong in ["{}", "[]", r#"{"type":"ADDED"}"#, r#"{"type":1,"object":{}}"#] {
        assert!(serde_json::from_str::<Change>(wrong).is_err(), "{wrong}");
    }
}
