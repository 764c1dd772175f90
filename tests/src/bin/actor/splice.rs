//! Pages of files into pipes and sockets, without a copy.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use crate::compat::{self, SendfileNumber};
use crate::sys::{self, Ret, c_string, plain, ret_of};
use crate::{Usage, Words};

/// How many bytes: few enough for one datagram and for any pipe.
const BYTES: usize = 16;

/// A socket of the loopback that is connected to somebody who need not read; both ends are open as long as it is.
fn socket(kind: &str) -> Result<std::io::Result<Vec<OwnedFd>>, Usage> {
    Ok(match kind {
        "udp" => UdpSocket::bind("127.0.0.1:0").and_then(|other| {
            let own = UdpSocket::bind("127.0.0.1:0")?;
            own.connect(other.local_addr()?)?;
            Ok(vec![own.into(), other.into()])
        }),
        "tcp" => TcpListener::bind("127.0.0.1:0").and_then(|other| {
            let own = TcpStream::connect(other.local_addr()?)?;
            Ok(vec![own.into(), other.into()])
        }),
        _ => return Err(Usage(format!("unknown socket {kind}"))),
    })
}

fn splice(from: i32, to: i32) -> Ret {
    plain(libc::SYS_splice, &[from as usize, 0, to as usize, 0, BYTES])
}

fn sendfile(from: i32, to: i32) -> Ret {
    plain(libc::SYS_sendfile, &[to as usize, from as usize, 0, BYTES])
}

/// The file's first bytes into a pipe, and from there to `to`.
fn through_pipe(file: i32, to: Option<i32>) -> std::io::Result<Ret> {
    let (read, write) = std::io::pipe()?;
    let into = splice(file, write.as_raw_fd());
    Ok(match to {
        Some(to) if !into.failed() => splice(read.as_raw_fd(), to),
        _ => into,
    })
}

fn failed(error: std::io::Error) -> Ret {
    ret_of(Err(error))
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    if !["splice-to-pipe", "splice-to", "sendfile-to", "compat-sendfile-to", "compat-sendfile64-to"]
        .contains(&verb)
    {
        return Ok(None);
    }
    let file = sys::open(&c_string(words.word("path")?), libc::O_RDONLY | libc::O_CLOEXEC);
    let ends = match verb {
        "splice-to-pipe" => Ok(Vec::new()),
        _ => socket(&words.text("kind of socket")?)?,
    };
    if file.failed() {
        return Ok(Some(file));
    }
    let file = file.value as i32;
    Ok(Some(ends.map_or_else(failed, |ends| {
        let to = ends.first().map(AsRawFd::as_raw_fd);
        match to {
            Some(to) if verb == "sendfile-to" => sendfile(file, to),
            Some(to) if verb == "compat-sendfile-to" => {
                compat::sendfile(SendfileNumber::Old, file, to, BYTES)
            }
            Some(to) if verb == "compat-sendfile64-to" => {
                compat::sendfile(SendfileNumber::Wide, file, to, BYTES)
            }
            _ => through_pipe(file, to).unwrap_or_else(failed),
        }
    })))
}
