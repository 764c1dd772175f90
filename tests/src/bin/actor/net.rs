//! Sockets, through std: each act is a socket, one or two calls, and nothing left open after the process.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};

use crate::sys::Ret;
use crate::{Usage, Words};

/// The descriptor stays open, so that a later act of this process finds a listener.
fn keep<T>(result: io::Result<T>) -> Ret {
    match result {
        Ok(socket) => {
            std::mem::forget(socket);
            Ret::OK
        }
        Err(error) => Ret::refused(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

pub(crate) fn address(words: &mut Words) -> Result<SocketAddr, Usage> {
    let text = words.text("address")?;
    let ip: IpAddr = text.parse().map_err(|_| Usage(format!("{text} is no address")))?;
    let port = words.number("port")?;
    Ok(SocketAddr::new(ip, u16::try_from(port).map_err(|_| Usage(format!("{port} is no port")))?))
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "connect-tcp" => keep(TcpStream::connect(address(words)?)),
        // bind and listen.
        "listen-tcp" => keep(TcpListener::bind(address(words)?)),
        "connect-unix" => keep(UnixStream::connect(words.word("path")?)),
        "listen-unix" => {
            let path = words.word("path")?;
            let _ = std::fs::remove_file(&path);
            keep(UnixListener::bind(path))
        }
        "connect-unix-abstract" => {
            let name = words.text("name")?;
            keep(UnixAddr::from_abstract_name(name).and_then(|addr| UnixStream::connect_addr(&addr)))
        }
        "listen-unix-abstract" => {
            let name = words.text("name")?;
            keep(UnixAddr::from_abstract_name(name).and_then(|addr| UnixListener::bind_addr(&addr)))
        }
        _ => return Ok(None),
    }))
}
