//! A recorded API server of Kubernetes, over real TLS at a port of the loopback: its answers have the shape that
//! Kubernetes' API reference and its page "API Concepts" give, with the pods of the test in them. No package has a
//! real one; it was tried by hand (`docs/decisions/0015`). This one also does what none should.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::runtime::cri::{PODS, Pod};

/// The bearer token that it wants.
const TOKEN: &str = "recorded-token";
/// The name of the node, which every daemon of the tests is given.
pub const NODE: &str = "test";
/// A label of the node.
pub const ZONE: (&str, &str) = ("topology.kubernetes.io/zone", "zone-1");
/// Kind and name of the owner of every pod.
pub const OWNER: (&str, &str) = ("Deployment", "web");

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It answers.
    Honest,
    /// It takes connections, and answers nothing.
    Silent,
    /// It shows a certificate of somebody for whom nobody vouches.
    Stranger,
    /// It knows nobody.
    Refusing,
}

impl Manner {
    /// The number in which the daemon counts what becomes of its questions.
    pub fn failure(self) -> &'static str {
        match self {
            Self::Honest => "mismatched",
            Self::Silent => "timed_out",
            Self::Stranger => "unreachable",
            Self::Refusing => "refused",
        }
    }

    /// A part of the reason that the daemon gives for it; `None` for one that answers.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Honest => None,
            Self::Silent => Some("did not answer within"),
            Self::Stranger => Some("invalid peer certificate"),
            Self::Refusing => Some("with status 401"),
        }
    }
}

/// Pods in the order in which they came: a version is how many there are.
type Pods = Arc<(Mutex<Vec<(String, String)>>, Condvar)>;

/// A server; its threads end with the test.
#[derive(Debug)]
pub struct ApiServer {
    /// The kubeconfig for it.
    pub config: PathBuf,
    pods: Pods,
}

impl ApiServer {
    /// Starts one, and writes a kubeconfig for it into `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(manner: Manner, folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (issuer, vouching) = authority()?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let own_key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::from(own_key))?;
        let (tls, pods) = (Arc::new(tls), Pods::default());
        let (name, served) = (format!("{manner:?}").to_lowercase(), Arc::clone(&pods));
        let ca = folder.join(format!("{name}.pem"));
        fs::write(&ca, if manner == Manner::Stranger { authority()?.1 } else { vouching })?;
        let token = folder.join(format!("{name}.token"));
        fs::write(&token, TOKEN)?;
        let config = folder.join(format!("{name}.conf"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: scenario\nclusters:\n- name: scenario\n  cluster:\n    \
             server: https://127.0.0.1:{port}\n    certificate-authority: {}\ncontexts:\n- name: scenario\n  \
             context: {{cluster: scenario, user: scenario}}\nusers:\n- name: scenario\n  user:\n    tokenFile: {}\n",
            ca.display(),
            token.display()
        );
        fs::write(&config, text).context("the kubeconfig")?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, pods) = (Arc::clone(&tls), Arc::clone(&served));
                thread::spawn(move || serve(manner, stream, tls, &pods));
            }
        });
        Ok(Self { config, pods })
    }

    /// Tells it of a pod: whoever watches hears of it.
    pub fn add(&self, pod: &Pod) {
        let (list, changed) = &*self.pods;
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((pod.uid.clone(), pod.name.clone()));
        changed.notify_all();
    }
}

/// Who vouches for a server, made anew, and the certificate that says so, as PEM.
fn authority() -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), certificate))
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

fn serve(manner: Manner, stream: TcpStream, tls: Arc<ServerConfig>, pods: &Pods) {
    let Ok(connection) = ServerConnection::new(tls) else { return };
    let mut tls = StreamOwned::new(connection, stream);
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    // Whoever has heard enough hangs up.
    while let Ok(got @ 1..) = tls.read(&mut piece) {
        head.extend_from_slice(&piece[..got]);
        if manner == Manner::Silent || !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let path = text.split(' ').nth(1).unwrap_or_default();
        let is_known = text.contains(&format!("authorization: Bearer {TOKEN}\r\n"));
        let said = if manner == Manner::Refusing || !is_known {
            say(&mut tls, 401, &status(401, "Unauthorized"))
        } else if path.contains("watch=1") {
            watch(&mut tls, path, pods)
        } else {
            let (code, body) = answer(path, pods);
            say(&mut tls, code, &body)
        };
        if said.is_err() {
            return;
        }
    }
}

fn say(tls: &mut Tls, code: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        tls,
        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    tls.flush()
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code})
}

fn answer(path: &str, pods: &Pods) -> (u16, Value) {
    let list = pods.0.lock().unwrap_or_else(PoisonError::into_inner);
    let body = match path.split('?').next().unwrap_or_default() {
        "/version" => {
            json!({"major": "1", "minor": "31", "gitVersion": "v1.31.0", "platform": "linux/amd64"})
        }
        "/api/v1/nodes/test" => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": NODE, "labels": {ZONE.0: ZONE.1, "kubernetes.io/hostname": NODE}},
        }),
        "/api/v1/pods" if path.contains("?fieldSelector=spec.nodeName%3Dtest&") => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": list.len().to_string()},
            "items": list.iter().enumerate().map(|(at, pod)| object(at + 1, pod)).collect::<Vec<_>>(),
        }),
        "/apis/apps/v1/namespaces/scenarios/replicasets/web-7f" => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "web-7f", "namespace": PODS, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": OWNER.0, "name": OWNER.1, "uid": "d", "controller": true,
                    "blockOwnerDeletion": true},
            ]},
        }),
        _ => return (404, status(404, "NotFound")),
    };
    (200, body)
}

fn object(version: usize, (uid, name): &(String, String)) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": PODS,
            "uid": uid,
            "resourceVersion": version.to_string(),
            "labels": {"app": "not what CRI says", "pod-template-hash": "7f"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7f", "uid": "r",
                "controller": true, "blockOwnerDeletion": true}],
        },
    })
}

/// Says what comes after the version that is asked for, as it comes.
fn watch(tls: &mut Tls, path: &str, pods: &Pods) -> std::io::Result<()> {
    let version = path.split("resourceVersion=").nth(1).and_then(|text| text.parse().ok());
    let mut told: usize = version.unwrap_or_default();
    write!(tls, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
    loop {
        let (list, changed) = &**pods;
        let list = list.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = Duration::from_secs(1);
        let (list, _) = changed
            .wait_timeout_while(list, limit, |list| list.len() <= told)
            .unwrap_or_else(PoisonError::into_inner);
        let new: Vec<Value> =
            list.iter().enumerate().skip(told).map(|(at, pod)| object(at + 1, pod)).collect();
        told = told.max(list.len());
        drop(list);
        for object in new {
            writeln!(tls, "{}", json!({"type": "ADDED", "object": object}))?;
        }
        // A real one says this each minute; here it finds out that nobody listens.
        let at = json!({"kind": "PartialObjectMetadata", "metadata": {"resourceVersion": told.to_string()}});
        writeln!(tls, "{}", json!({"type": "BOOKMARK", "object": at}))?;
        tls.flush()?;
    }
}
