//! Questions to an API server, over TLS: each with a limit of time, each answer with one of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::follow::within;
use super::super::http::{Lines, Link, collect, escape};
use super::super::{ASK_LIMIT, CONNECT_LIMIT, Fault, LIST_LIMIT, MAX_ANSWER};
use super::account::Account;
use super::meta::{List, Object, Version};
use super::{MAX_PODS, WATCH};

/// Pods that are asked for at once.
const PAGE: usize = 100;
/// Bytes of one page: an object has at most 1.5 MiB in etcd, and metadata a few kilobytes.
const MAX_PAGE: usize = 16 << 20;
/// Metadata alone, from servers that know how (since 1.15): the rest of a pod is large, and nobody's business here.
const ONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
const MANY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";

/// Asks one API server.
pub(super) struct Client {
    account: Account,
    /// A connection that was used and may be used again.
    kept: Option<Link>,
    /// Questions that were put.
    asked: Arc<AtomicU64>,
}

impl Client {
    pub(super) fn new(account: Account, asked: Arc<AtomicU64>) -> Self {
        Self { account, kept: None, asked }
    }

    /// Its version.
    pub(super) async fn version(&mut self) -> Result<String, Fault> {
        let Version { git_version } = self
            .get("version", "/version", "application/json", MAX_ANSWER, CONNECT_LIMIT + ASK_LIMIT)
            .await?;
        if git_version.is_empty() {
            return Err(Fault::Garbage { what: "version", why: "it has none".to_owned() });
        }
        Ok(git_version)
    }

    /// The metadata of a node.
    pub(super) async fn node(&mut self, name: &str) -> Result<Object, Fault> {
        let path = format!("/api/v1/nodes/{}", escape(name));
        match self.one("node", &path).await {
            Err(Fault::Refused { status: 404, .. }) => {
                Err(Fault::Account(format!("knows no node `{name}`: give its name with --node")))
            }
            found => found,
        }
    }

    /// The metadata of one object.
    pub(super) async fn one(&mut self, what: &'static str, path: &str) -> Result<Object, Fault> {
        self.get(what, path, ONE, MAX_ANSWER, CONNECT_LIMIT + ASK_LIMIT).await
    }

    /// The pods of a node, and the version of the list.
    pub(super) async fn pods(&mut self, node: &str) -> Result<(Vec<Object>, String), Fault> {
        let (mut pods, mut next) = (Vec::new(), String::new());
        // A page may be empty and yet not the last.
        for _ in 0..=MAX_PODS {
            let mut path = format!("{}&limit={PAGE}", of_node(node));
            if !next.is_empty() {
                path.push_str(&format!("&continue={}", escape(&next)));
            }
            let list: List = self.get("pods", &path, MANY, MAX_PAGE, LIST_LIMIT).await?;
            pods.extend(list.items);
            if pods.len() > MAX_PODS {
                break;
            }
            if list.metadata.next.is_empty() {
                return Ok((pods, list.metadata.resource_version));
            }
            next = list.metadata.next;
        }
        Err(Fault::TooMany(MAX_PODS))
    }

    /// What happens to the pods of a node from a version on. The server ends it after [`WATCH`].
    pub(super) async fn watch(&self, node: &str, version: &str) -> Result<Lines, Fault> {
        let path = format!(
            "{}&watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            of_node(node),
            WATCH.as_secs(),
            escape(version)
        );
        self.asked.fetch_add(1, Ordering::Relaxed);
        within(CONNECT_LIMIT + ASK_LIMIT, async {
            let mut link = self.open("watch").await?;
            let response = link.send("watch", self.request(&path, ONE)?).await?;
            Lines::of(response, "watch", link)
        })
        .await
    }

    async fn get<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        path: &str,
        accept: &'static str,
        bytes: usize,
        time: std::time::Duration,
    ) -> Result<T, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        within(time, async {
            let (response, link) = self.send(what, path, accept).await?;
            let body = collect(response, what, bytes).await?;
            self.kept = Some(link);
            serde_json::from_slice(&body).map_err(|e| Fault::Garbage { what, why: e.to_string() })
        })
        .await
    }

    /// Sends over the connection that is there, or a new one if that does not live any more.
    async fn send(
        &mut self,
        what: &'static str,
        path: &str,
        accept: &'static str,
    ) -> Result<(Response<Incoming>, Link), Fault> {
        if let Some(mut link) = self.kept.take()
            && let Ok(response) = link.send(what, self.request(path, accept)?).await
        {
            return Ok((response, link));
        }
        let mut link = self.open(what).await?;
        let response = link.send(what, self.request(path, accept)?).await?;
        Ok((response, link))
    }

    fn request(&self, path: &str, accept: &'static str) -> Result<Request<Empty<Bytes>>, Fault> {
        let mut request = Request::get(format!("{}{path}", self.account.base))
            .header(HOST, &self.account.authority)
            .header(USER_AGENT, concat!("bulkhead/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept);
        if let Some(value) = self.account.authorization()? {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Empty::new()).map_err(|e| Fault::Garbage { what: "path", why: e.to_string() })
    }

    async fn open(&self, what: &'static str) -> Result<Link, Fault> {
        let connected = async {
            let stream = TcpStream::connect((self.account.host.as_str(), self.account.port)).await?;
            let connector = TlsConnector::from(self.account.tls.clone());
            connector.connect(self.account.server.clone(), stream).await
        };
        within(CONNECT_LIMIT, async { Link::open(what, connected.await.map_err(Fault::Io)?).await }).await
    }
}

fn of_node(node: &str) -> String {
    format!("/api/v1/pods?fieldSelector={}", escape(&format!("spec.nodeName={node}")))
}
