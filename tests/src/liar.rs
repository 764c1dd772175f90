//! Engines that do not behave: real servers at real sockets, which answer Docker's API late, never, wrongly, or with lies.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

/// What is wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes connections and says nothing.
    Silent,
    /// Nobody listens at its socket.
    Deaf,
    /// It says what is no HTTP.
    Nonsense,
    /// It never stops to talk.
    Endless,
    /// It says of every container that its first process is that of the test.
    Liar,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Silent, Self::Deaf, Self::Nonsense, Self::Endless, Self::Liar];

    /// The name of its socket.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Deaf => "deaf",
            Self::Nonsense => "nonsense",
            Self::Endless => "endless",
            Self::Liar => "liar",
        }
    }

    /// A part of the reason that the daemon gives for it; `None` for one that is taken for an engine.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Silent => Some("did not answer within"),
            Self::Deaf => Some("refused"),
            Self::Nonsense => Some("answered with what is no"),
            Self::Endless => Some("answered with more than"),
            Self::Liar => None,
        }
    }
}

/// The label that a liar gives to every container.
pub const LABEL: &str = "bulkhead.test.lie";

/// Starts an engine with this fault, at a socket in `folder`. Its threads end with the test.
///
/// # Errors
/// The socket cannot be made.
pub fn start(fault: Fault, folder: &Path) -> anyhow::Result<PathBuf> {
    let socket = folder.join(format!("{}.sock", fault.name()));
    if socket.exists() {
        fs::remove_file(&socket)?;
    }
    let listener = UnixListener::bind(&socket)?;
    if fault != Fault::Deaf {
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                thread::spawn(move || serve(fault, stream));
            }
        });
    }
    Ok(socket)
}

fn serve(fault: Fault, mut stream: UnixStream) {
    let mut head = [0; 4096];
    let Ok(got @ 1..) = stream.read(&mut head) else { return };
    let head = String::from_utf8_lossy(&head[..got]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    // Whoever has heard enough hangs up: that ends each of these.
    let _ = match fault {
        Fault::Silent | Fault::Deaf => Ok(()),
        Fault::Nonsense => stream.write_all(b"\x00\x01 this is no engine\r\n\r\n"),
        Fault::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let piece = [b' '; 1 << 16];
            while stream.write_all(&piece).is_ok() {}
            Ok(())
        }
        Fault::Liar => stream.write_all(lie(path).as_bytes()),
    };
    while stream.read(&mut [0; 4096]).is_ok_and(|got| got > 0) {}
}

fn lie(path: &str) -> String {
    let body = match path.trim_start_matches('/').split(['/', '?']).collect::<Vec<_>>()[..] {
        ["version", ..] => r#"{"Version":"99.9"}"#.to_owned(),
        // What never ends has no length.
        ["events", ..] => return "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        ["containers", "json", ..] => "[]".to_owned(),
        ["containers", id, "json", ..] => serde_json::json!({
            "Id": id,
            "Name": "/lie",
            "Image": "sha256:0",
            "State": {"Pid": std::process::id()},
            "Config": {"Image": "lie", "Labels": {LABEL: "yes"}},
        })
        .to_string(),
        _ => "{}".to_owned(),
    };
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
