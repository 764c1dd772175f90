//! Tests of the server with real sockets.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;

use super::*;
use crate::output::kinds::Class;
use crate::output::queue::{Limits, Mark, Outbox, queue};

const EVENT: Mark = Mark { class: Class::Event, slot: None };

fn options(client_bytes: usize) -> Options {
    let loss: LossLine = Arc::new(|count| Bytes::from(format!("lost {count}\n")));
    Options { client_bytes, ..Options::new(Demand::new(), loss) }
}

struct Server {
    dir: tempfile::TempDir,
    outbox: Outbox,
    task: JoinHandle<io::Result<()>>,
    demand: Demand,
}

impl Server {
    fn start(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bound = bind(&dir.path().join("run/b.sock")).unwrap();
        let (outbox, inbox) = queue(Limits::default());
        let demand = options.demand.clone();
        Self { dir, outbox, task: tokio::spawn(bound.serve(inbox, options)), demand }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("run/b.sock")
    }

    /// Connects, and waits until the server counts that many readers.
    async fn connect(&self, readers: usize) -> BufReader<UnixStream> {
        let stream = BufReader::new(UnixStream::connect(self.path()).await.unwrap());
        self.readers(readers).await;
        stream
    }

    async fn readers(&self, count: usize) {
        while self.demand.readers() != count {
            tokio::task::yield_now().await;
        }
    }

    fn send(&mut self, mark: Mark, line: &str) {
        self.outbox.push(mark, line.as_bytes());
        self.outbox.flush();
    }
}

async fn line(reader: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn every_reader_gets_every_line_and_the_file_goes() {
    let mut server = Server::start(options(1 << 20));
    let path = server.path();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o755);
    server.send(Mark { class: Class::Status, slot: Some(2) }, "ready\n");
    server.send(Mark { class: Class::Status, slot: Some(1) }, "old coverage\n");
    server.send(Mark { class: Class::Status, slot: Some(1) }, "coverage\n");
    // Whoever comes before the status lines gets them as they come, whoever comes after gets them kept: the
    // first reader makes sure that they were delivered.
    let mut early = server.connect(1).await;
    while line(&mut early).await != "coverage\n" {}
    drop(early);
    server.readers(0).await;
    let mut first = server.connect(1).await;
    let mut second = server.connect(2).await;
    for reader in [&mut first, &mut second] {
        assert_eq!(line(reader).await, "coverage\n");
        assert_eq!(line(reader).await, "ready\n");
    }
    server.send(EVENT, "one\n");
    assert_eq!((line(&mut first).await, line(&mut second).await), ("one\n".into(), "one\n".into()));
    server.send(EVENT, "last\n");
    drop(server.outbox);
    assert_eq!((line(&mut first).await, line(&mut first).await), ("last\n".into(), String::new()));
    assert_eq!(line(&mut second).await, "last\n");
    server.task.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_slow_reader_loses_and_is_told_and_the_others_notice_nothing() {
    let mut server = Server::start(options(64 << 10));
    let (slow, mut quick) = (server.connect(1).await, server.connect(2).await);
    let total = 3000;
    let long = "x".repeat(1000);
    for n in 0..total {
        server.send(EVENT, &format!("{n} {long}\n"));
        assert!(line(&mut quick).await.starts_with(&format!("{n} ")));
    }
    let mut slow = slow;
    let (mut seen, mut lost) = (0, 0);
    let mut marker_sent = false;
    loop {
        let text = line(&mut slow).await;
        match text.strip_prefix("lost ") {
            Some(count) => lost += count.trim().parse::<u64>().unwrap(),
            None if text == "end\n" => break,
            None => seen += 1,
        }
        if seen + lost == total && !marker_sent {
            marker_sent = true;
            server.send(EVENT, "end\n");
        }
    }
    assert!(lost > 0 && seen > 0, "{seen} seen, {lost} lost");
    assert_eq!(seen + lost, total);
}

#[tokio::test]
async fn readers_that_leave_are_forgotten_and_too_many_are_turned_away() {
    let server = Server::start(Options { max_clients: 1, ..options(1024) });
    let first = server.connect(1).await;
    let mut second = server.connect(1).await;
    assert_eq!(line(&mut second).await, "");
    drop(first);
    server.readers(0).await;
    server.connect(1).await;
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_hold_up_the_end() {
    let mut server = Server::start(Options { drain: Duration::from_millis(50), ..options(8 << 20) });
    let stuck = server.connect(1).await;
    for _ in 0..100 {
        server.send(EVENT, &("y".repeat(50_000) + "\n"));
    }
    drop(server.outbox);
    server.task.await.unwrap().unwrap();
    drop(stuck);
}

#[tokio::test]
async fn dropping_the_server_removes_the_file() {
    let server = Server::start(options(1024));
    let path = server.path();
    server.task.abort();
    assert!(server.task.await.unwrap_err().is_cancelled());
    assert!(!path.exists());
}

#[test]
fn a_live_socket_is_not_stolen_and_a_dead_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.sock");
    let live = bind(&path).unwrap();
    assert_eq!(bind(&path).unwrap_err().code(), Code::SocketInUse);
    assert!(path.exists());
    drop(live);
    assert!(!path.exists());
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind(&path).unwrap());
    fs::write(&path, "mine").unwrap();
    assert_eq!(bind(&path).unwrap_err().code(), Code::SocketBind);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn somebody_elses_file_is_left_alone_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.sock");
    let bound = bind(&path).unwrap();
    fs::rename(&path, dir.path().join("aside")).unwrap();
    fs::write(&path, "new").unwrap();
    drop(bound);
    assert!(path.exists());
}
