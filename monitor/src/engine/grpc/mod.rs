//! gRPC over a Unix socket: one question and one answer, or one question and a stream of answers.
//!
//! Directly on HTTP/2 (`docs/decisions/0013`), because an engine is not trusted: what one message may weigh, how
//! long one call may take, and how much may be on its way is decided here.

mod error;
mod frame;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Uri, Version, header};
use prost::Message;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use error::GrpcError;
use frame::{Frames, framed};

use super::{CONNECT_LIMIT, LIST_LIMIT, Listener};
pub use frame::{Items, Raw, Reply};

/// Most bytes kept of what a server says about an error.
pub const MAX_MESSAGE: usize = 256;
/// Most bytes of headers or trailers of one answer.
const MAX_HEADERS: u32 = 16 << 10;
/// Bytes that may be on their way in one call; far less than in all of them, so that a stream of events that is not
/// read for a while does not stop the other calls.
const STREAM_WINDOW: u32 = 256 << 10;
/// Bytes that may be on their way in all calls of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// How long an engine may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the socket is connected.
    pub connect: Duration,
    /// From a question to its whole answer. A stream may be silent for as long as it likes.
    pub call: Duration,
}

impl Default for Limits {
    /// What any question to an engine may take; who asks sets closer ones.
    fn default() -> Self {
        Self { connect: CONNECT_LIMIT, call: LIST_LIMIT }
    }
}

/// A method of a service.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Bytes of the largest message that is taken as an answer.
    pub largest: usize,
}

/// A connection to a server; clones share it, and it ends with the last one.
#[derive(Clone, Debug)]
pub struct Connection {
    requests: SendRequest<Bytes>,
    limits: Limits,
    listener: Listener,
    _driver: Arc<Driver>,
}

/// The task that reads and writes the socket.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Connects; needs a tokio runtime. That anybody answers is known with the first answer.
    ///
    /// # Errors
    /// There is no socket, nobody accepts, or not in time.
    pub async fn open(socket: &Path, limits: Limits) -> Result<Self, GrpcError> {
        let connect = async {
            let stream = UnixStream::connect(socket).await.map_err(GrpcError::Connect)?;
            let listener = Listener::of(&stream).map_err(GrpcError::Connect)?;
            let mut builder = h2::client::Builder::new();
            builder
                .enable_push(false)
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(MAX_HEADERS);
            let (requests, connection) = builder.handshake::<_, Bytes>(stream).await?;
            Ok::<_, GrpcError>((requests, connection, listener))
        };
        let (requests, connection, listener) =
            timeout(limits.connect, connect).await.map_err(|_| GrpcError::Timeout(limits.connect))??;
        // How it ends is told to every call that waits.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { requests, limits, listener, _driver: Arc::new(Driver(driver)) })
    }

    /// Who made the socket.
    pub fn listener(&self) -> Listener {
        self.listener
    }

    /// Asks one question. `namespace` is containerd's, if any.
    ///
    /// # Errors
    /// Everything that keeps the answer from coming, or from being one.
    pub async fn call<R: Reply>(
        &self,
        method: Method,
        namespace: Option<&str>,
        request: &impl Message,
    ) -> Result<R, GrpcError> {
        let limit = self.limits.call;
        let ask = async {
            let mut replies = self.begin(method, namespace, request).await?;
            let reply = replies.bytes().await?.ok_or(GrpcError::Malformed("an answer without a message"))?;
            match replies.bytes().await? {
                None => Ok(R::read(reply)?),
                Some(_) => Err(GrpcError::Malformed("more than one message")),
            }
        };
        timeout(limit, ask).await.map_err(|_| GrpcError::Timeout(limit))?
    }

    /// Asks a question that is answered by a stream. Whether the server has such a method is known with the first
    /// answer: many servers say nothing before.
    ///
    /// # Errors
    /// The question cannot be sent.
    pub async fn stream(
        &self,
        method: Method,
        namespace: Option<&str>,
        request: &impl Message,
    ) -> Result<Replies, GrpcError> {
        let limit = self.limits.call;
        timeout(limit, self.begin(method, namespace, request)).await.map_err(|_| GrpcError::Timeout(limit))?
    }

    async fn begin(
        &self,
        method: Method,
        namespace: Option<&str>,
        request: &impl Message,
    ) -> Result<Replies, GrpcError> {
        let head = head(method.path, namespace)?;
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut body) = requests.send_request(head, false)?;
        body.send_data(framed(request), true)?;
        Ok(Replies { at: At::Head(response), frames: Frames::new(method.largest), _connection: self.clone() })
    }
}

fn head(path: &'static str, namespace: Option<&str>) -> Result<Request<()>, GrpcError> {
    // A server on a Unix socket looks at the authority's form only.
    let uri = Uri::builder().scheme("http").authority("localhost").path_and_query(path).build();
    let mut head = Request::builder()
        .method(http::Method::POST)
        .version(Version::HTTP_2)
        .uri(uri.map_err(|_| GrpcError::Malformed("the method's name is no path"))?)
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::USER_AGENT, concat!("bulkhead/", env!("CARGO_PKG_VERSION")));
    if let Some(namespace) = namespace {
        head = head.header("containerd-namespace", namespace);
    }
    head.body(()).map_err(|_| GrpcError::Malformed("the namespace's name is no header"))
}

/// The answers of a call, as they come.
#[derive(Debug)]
pub struct Replies {
    at: At,
    frames: Frames,
    _connection: Connection,
}

/// How far an answer is read.
#[derive(Debug)]
enum At {
    Head(ResponseFuture),
    Messages(RecvStream),
    Trailers(RecvStream),
    End,
}

impl Replies {
    /// The next answer; `None` when the server has ended the stream well. May be given up while it waits, and called
    /// again: nothing is lost.
    ///
    /// # Errors
    /// The connection broke, the server ended the stream with an error, or an answer is none.
    pub async fn next<R: Reply>(&mut self) -> Result<Option<R>, GrpcError> {
        Ok(self.bytes().await?.map(R::read).transpose()?)
    }

    async fn bytes(&mut self) -> Result<Option<Bytes>, GrpcError> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            self.at = match &mut self.at {
                At::Head(response) => {
                    let (parts, body) = response.await?.into_parts();
                    check(&parts)?;
                    if body.is_end_stream() {
                        // An answer without messages has its status among the headers.
                        outcome(&parts.headers)?;
                        At::End
                    } else {
                        At::Messages(body)
                    }
                }
                At::Messages(body) => match body.data().await {
                    Some(piece) => {
                        let piece = piece?;
                        self.frames.push(&piece);
                        body.flow_control().release_capacity(piece.len())?;
                        continue;
                    }
                    None => match std::mem::replace(&mut self.at, At::End) {
                        At::Messages(body) => At::Trailers(body),
                        other => other,
                    },
                },
                At::Trailers(body) => {
                    outcome(&body.trailers().await?.unwrap_or_default())?;
                    At::End
                }
                At::End if self.frames.is_empty() => return Ok(None),
                At::End => return Err(GrpcError::Malformed("it ends within a message")),
            }
        }
    }
}

fn check(head: &http::response::Parts) -> Result<(), GrpcError> {
    if head.status != http::StatusCode::OK {
        return Err(GrpcError::Http(head.status.as_u16()));
    }
    let kind = head.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    match kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        true => Ok(()),
        false => Err(GrpcError::Malformed("its content type is another")),
    }
}

/// What the server says at the end.
fn outcome(trailers: &HeaderMap) -> Result<(), GrpcError> {
    let text = |name| trailers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let code = text("grpc-status").and_then(|code| code.parse().ok());
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            Err(GrpcError::Refused { code, message: percent_decoded(text("grpc-message").unwrap_or("")) })
        }
        None => Err(GrpcError::Malformed("it ends without a status")),
    }
}

/// Undoes gRPC's percent-encoding, as far as it is kept.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if out.len() >= MAX_MESSAGE {
            break;
        }
        let code = (byte == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
