//! Sockets of any kind, datagrams, descriptors passed through sockets, addresses of the loopback.

use std::ffi::CString;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::sys::{self, Ret, c_string, plain};
use crate::{Usage, Words};

fn done<T>(result: std::io::Result<T>) -> Ret {
    match result {
        Ok(_) => Ret::OK,
        Err(error) => Ret::refused(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Gives the loopback a further address, in the process's own network namespace only.
fn add_address(address: Ipv4Addr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    // SAFETY: all zeros is a value of this structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let label = format!("lo:{}", address.octets()[3]);
    for (slot, byte) in request.ifr_name.iter_mut().zip(label.bytes()) {
        *slot = byte as libc::c_char;
    }
    for (act, value) in [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, Ipv4Addr::BROADCAST)] {
        let inet = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from(value).to_be() },
            sin_zero: [0; 8],
        };
        // SAFETY: both are 16 bytes of plain numbers; the structure outlives the call.
        let answer = unsafe {
            request.ifr_ifru.ifru_addr = std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(inet);
            libc::ioctl(socket.as_raw_fd(), act, &request)
        };
        if answer < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Opens `path` and receives the descriptor through a socket.
fn pass_descriptor(path: &CString) -> std::io::Result<()> {
    let opened = sys::open(path, libc::O_PATH | libc::O_CLOEXEC);
    if opened.failed() {
        return Err(std::io::Error::from_raw_os_error(opened.errno));
    }
    // SAFETY: it was just opened and stays open.
    let file = unsafe { BorrowedFd::borrow_raw(opened.value as i32) };
    let (from, to) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::SendAncillaryBuffer::new(&mut space);
    let files = [file];
    control.push(net::SendAncillaryMessage::ScmRights(&files));
    net::sendmsg(&from, &[IoSlice::new(b"x")], &mut control, net::SendFlags::empty())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    net::recvmsg(&to, &mut [IoSliceMut::new(&mut byte)], &mut control, net::RecvFlags::CMSG_CLOEXEC)?;
    Ok(())
}

fn port(words: &mut Words) -> Result<u16, Usage> {
    u16::try_from(words.number("port")?).map_err(|_| Usage("no port".to_owned()))
}

fn address<T: std::str::FromStr>(words: &mut Words) -> Result<T, Usage> {
    let text = words.text("address")?;
    text.parse().map_err(|_| Usage(format!("{text} is no address")))
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        // Family, type and protocol as numbers.
        "socket" => {
            let args = [words.number("family")?, words.number("type")?, words.number("protocol")?];
            plain(libc::SYS_socket, &args.map(|n| n as usize))
        }
        "add-address" => done(add_address(address(words)?)),
        "send-udp" => {
            let to = (address::<IpAddr>(words)?, port(words)?);
            let any: IpAddr = if to.0.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                std::net::Ipv6Addr::UNSPECIFIED.into()
            };
            done(UdpSocket::bind((any, 0)).and_then(|socket| socket.send_to(b"x", to)))
        }
        "pass-descriptor" => done(pass_descriptor(&c_string(words.word("path")?))),
        _ => return Ok(None),
    }))
}
