//! The unix socket that `bulkhead tail` reads: every reader gets every line, nobody writes.
//!
//! The socket is made with mode 0600, so whoever may read it is who may run the daemon. A reader ends by
//! closing; closing only its writing side counts as that too.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::clients::{Client, Clients, LossLine};
use crate::diag::{Code, Diagnostic};
use crate::output::emitter::Demand;
use crate::output::queue::Inbox;

/// Where the socket is unless said otherwise.
pub const DEFAULT_PATH: &str = "/run/bulkhead/bulkhead.sock";

/// How the server behaves.
#[derive(Clone)]
pub struct Options {
    /// Bytes that one reader's buffer holds.
    pub client_bytes: usize,
    /// Readers at a time; one more is turned away.
    pub max_clients: usize,
    /// How long readers have at the end to take what is left.
    pub drain: Duration,
    /// Told how many readers there are.
    pub demand: Demand,
    /// Makes the line that tells a reader how many lines it missed.
    pub loss_line: LossLine,
}

impl Options {
    /// The usual figures.
    pub fn new(demand: Demand, loss_line: LossLine) -> Self {
        let (client_bytes, max_clients, drain) = (4 << 20, 16, Duration::from_secs(1));
        Self { client_bytes, max_clients, drain, demand, loss_line }
    }
}

/// The socket's file; removed when dropped, if it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn id(path: &Path) -> Option<(u64, u64)> {
        fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && Self::id(&self.path) == self.id {
            // Nothing can be done about it at the end; the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A socket that listens, and nobody is served yet.
#[derive(Debug)]
pub struct Bound {
    listener: StdListener,
    file: SocketFile,
}

/// Makes the socket, and its directory with mode 0755. Needs no runtime.
///
/// # Errors
/// [`Code::SocketInUse`] if somebody answers there; [`Code::SocketBind`] for everything else.
pub fn bind(path: &Path) -> Result<Bound, Diagnostic> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        let title = format!("the control socket {} cannot be made", path.display());
        Diagnostic::titled(Code::SocketBind, title).note(format!("{what}: {error}"))
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
        made.map_err(|e| failed("making its directory", &e))?;
    }
    remove_stale(path, &failed)?;
    let listener = listen(path).map_err(|e| failed("binding it", &e))?;
    let file = SocketFile { path: path.to_owned(), id: SocketFile::id(path) };
    Ok(Bound { listener, file })
}

fn remove_stale(
    path: &Path,
    failed: &dyn Fn(&str, &dyn std::fmt::Display) -> Diagnostic,
) -> Result<(), Diagnostic> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at it", &error)),
    };
    if !meta.file_type().is_socket() {
        return Err(failed("looking at it", &"something that is no socket is there, and is left alone"));
    }
    match StdStream::connect(path) {
        Ok(_) => {
            let title = format!("another daemon answers at {}", path.display());
            Err(Diagnostic::titled(Code::SocketInUse, title))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|e| failed("removing the one that a dead daemon left", &e))
        }
        Err(error) => Err(failed("trying the one that is there", &error)),
    }
}

fn listen(path: &Path) -> io::Result<StdListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets the mode of the unbound socket: there is no moment at which others could connect.
    rustix::fs::fchmod(socket.as_fd(), rustix::fs::Mode::from_raw_mode(0o600))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 16)?;
    Ok(StdListener::from(socket))
}

impl Bound {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Serves readers until the outbox of `inbox` is gone, then lets them drain; removes the socket's file at
    /// the end, also when the future is dropped. Must run in a tokio runtime.
    ///
    /// # Errors
    /// The listener cannot be registered with the runtime.
    pub async fn serve(self, mut inbox: Inbox, options: Options) -> io::Result<()> {
        let Self { listener, file } = self;
        let listener = UnixListener::from_std(listener)?;
        let mut clients = Clients::new(options.client_bytes, Arc::clone(&options.loss_line));
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                batch = inbox.recv() => match batch {
                    Some(batch) => clients.deliver(&batch),
                    None => break,
                },
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if clients.count() < options.max_clients => {
                        let (client, loss) = (clients.join(), Arc::clone(&options.loss_line));
                        tasks.spawn(serve_one(stream, client, loss));
                        options.demand.set(clients.count());
                    }
                    Ok((stream, _)) => drop(stream),
                    // Out of descriptors: the others are served on, and the next try waits a little.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = tasks.join_next() => options.demand.set(clients.count()),
            }
        }
        drop((listener, file));
        clients.finish();
        let drained = async { while tasks.join_next().await.is_some() {} };
        // Whoever has not read everything by then is cut off when the tasks are dropped.
        let _ = tokio::time::timeout(options.drain, drained).await;
        options.demand.set(0);
        Ok(())
    }
}

/// Marks the reader as gone however its task ends.
struct Leave(Arc<Client>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.leave();
    }
}

async fn serve_one(mut stream: UnixStream, client: Arc<Client>, loss: LossLine) {
    let client = Leave(client);
    let (mut reader, mut writer) = stream.split();
    let mut ignored = [0; 64];
    loop {
        tokio::select! {
            next = client.0.next(&loss) => {
                let Some(bytes) = next else { return };
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            read = reader.read(&mut ignored) => if matches!(read, Ok(0) | Err(_)) {
                return;
            },
        }
    }
}

#[cfg(test)]
mod tests;
