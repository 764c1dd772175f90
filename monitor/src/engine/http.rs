//! HTTP/1.1 over a Unix socket or whatever else there is, with every answer bounded: engines are not trusted to be
//! brief.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::{Fault, Listener};

/// Bytes of an answer's head.
const MAX_HEAD: usize = 64 << 10;
/// Bytes of one line of a stream.
const MAX_LINE: usize = 1 << 20;
/// The longest path that a socket's address has room for (unix(7)).
const MAX_PATH: usize = 107;

/// Asks one server, with a connection for each question.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: Arc<Path>,
    listener: Listener,
}

impl Client {
    /// Sees who listens.
    pub(super) async fn connect(socket: &Path) -> Result<Self, Fault> {
        let listener = Listener::of(&open(socket).await?)?;
        Ok(Self { socket: socket.into(), listener })
    }

    /// Who made the socket.
    pub(super) fn listener(&self) -> Listener {
        self.listener
    }

    /// The answer to `GET path`, of at most `limit` bytes; `None` for status 404.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        limit: usize,
    ) -> Result<Option<T>, Fault> {
        let (response, _link) = self.send(what, path).await?;
        if response.status() == 404 {
            return Ok(None);
        }
        let body = collect(response, what, limit).await?;
        serde_json::from_slice(&body).map(Some).map_err(|e| Fault::Garbage { what, why: e.to_string() })
    }

    /// The lines that `GET path` goes on to answer with.
    pub(super) async fn lines(&self, what: &'static str, path: &str) -> Result<Lines, Fault> {
        let (response, link) = self.send(what, path).await?;
        Lines::of(response, what, link)
    }

    async fn send(&self, what: &'static str, path: &str) -> Result<(Response<Incoming>, Link), Fault> {
        let stream = open(&self.socket).await?;
        if stream.peer_cred()?.uid() != self.listener.owner {
            return Err(Fault::Closed);
        }
        let mut link = Link::open(what, stream).await?;
        let request = Request::get(path).header("host", "localhost").body(Empty::new());
        let request = request.map_err(|e| Fault::Garbage { what: "path", why: e.to_string() })?;
        Ok((link.send(what, request).await?, link))
    }
}

/// A connection, for one question after the other.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Empty<Bytes>>,
    _connection: Connection,
}

impl Link {
    /// Begins to speak HTTP.
    pub(super) async fn open<S>(what: &'static str, stream: S) -> Result<Self, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| broken(what, &error))?;
        // The connection moves bytes while the answer is read; nobody needs what it returns.
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        Ok(Self { sender, _connection: connection })
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        what: &'static str,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, Fault> {
        self.sender.ready().await.map_err(|error| broken(what, &error))?;
        self.sender.send_request(request).await.map_err(|error| broken(what, &error))
    }
}

/// What hyper says, and what is behind it.
fn broken(what: &'static str, error: &hyper::Error) -> Fault {
    let why = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    Fault::Garbage { what, why }
}

/// The task that moves a connection's bytes; ends when this goes.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open(socket: &Path) -> Result<UnixStream, Fault> {
    if socket.as_os_str().as_bytes().len() > MAX_PATH {
        return Err(Fault::Garbage { what: "socket", why: "its path is too long".to_owned() });
    }
    Ok(UnixStream::connect(socket).await?)
}

/// The body of an answer, of at most `limit` bytes.
pub(super) async fn collect(
    response: Response<Incoming>,
    what: &'static str,
    limit: usize,
) -> Result<Vec<u8>, Fault> {
    if !response.status().is_success() {
        return Err(Fault::Refused { what, status: response.status().as_u16() });
    }
    let mut body = response.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(Fault::TooLarge(limit));
    }
    let mut out = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(what, &error))?;
        let Some(data) = frame.data_ref() else { continue };
        if out.len() + data.len() > limit {
            return Err(Fault::TooLarge(limit));
        }
        out.extend_from_slice(data);
    }
    Ok(out)
}

/// Lines of an answer that goes on.
#[derive(Debug)]
pub(super) struct Lines {
    what: &'static str,
    body: Incoming,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are known to have no end of a line.
    searched: usize,
    _link: Link,
}

impl Lines {
    /// Those of an answer.
    pub(super) fn of(response: Response<Incoming>, what: &'static str, link: Link) -> Result<Self, Fault> {
        if !response.status().is_success() {
            return Err(Fault::Refused { what, status: response.status().as_u16() });
        }
        Ok(Self { what, body: response.into_body(), buffer: Vec::new(), searched: 0, _link: link })
    }

    /// Waits for the next line. May be given up and called again.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let what = self.what;
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
                let end = self.searched + at;
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return serde_json::from_slice(&line)
                    .map_err(|e| Fault::Garbage { what, why: e.to_string() });
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_LINE {
                return Err(Fault::TooLarge(MAX_LINE));
            }
            match self.body.frame().await {
                None => return Err(Fault::Closed),
                Some(Err(error)) => return Err(broken(what, &error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

/// A part of a path or query, with everything escaped that has a meaning there (RFC 3986, 2.3).
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
