//! The canary's acts with sockets. Nothing leaves the machine: addresses are of the loopback, and nobody listens.

use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use monitor_common::network;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

/// `discard`, RFC 863.
const DISCARD: u16 = 9;

/// One act for each sensor of sockets. What fails is not seen, and the daemon says so.
pub(super) fn act() {
    let _ = unix();
    // Protocol 0 is NETLINK_ROUTE.
    let _ = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None);
    let _ = datagram();
    let _ = descriptor();
    let _ = question();
}

/// bind, listen, connect on an abstract unix socket.
fn unix() -> std::io::Result<()> {
    let address = SocketAddr::from_abstract_name(format!("bulkhead-canary-{}", std::process::id()))?;
    let _listener = UnixListener::bind_addr(&address)?;
    UnixStream::connect_addr(&address).map(drop)
}

/// A datagram to an address that is watched for this.
fn datagram() -> std::io::Result<()> {
    let address = Ipv6Addr::from(network::CANARY).to_ipv4_mapped().unwrap_or(std::net::Ipv4Addr::LOCALHOST);
    UdpSocket::bind(("127.0.0.1", 0))?.send_to(b"", (address, DISCARD)).map(drop)
}

/// A DNS server of this process's own: an address of the loopback that no other canary has, so that two daemons may
/// start at once. Nobody else is ever asked.
fn resolver() -> std::io::Result<UdpSocket> {
    let [.., high, low] = std::process::id().to_be_bytes();
    UdpSocket::bind((Ipv4Addr::new(127, 98, high, low), network::DNS_PORT))
}

/// True if there can be one: the loopback is up, and nobody serves its whole range.
pub(super) fn has_resolver() -> bool {
    resolver().is_ok()
}

/// A DNS query and its answer, neither with more than a header.
fn question() -> std::io::Result<()> {
    let server = resolver()?;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.send_to(&[0; 12], server.local_addr()?)?;
    // Only if the datagram is lost; then the daemon says that it did not come back.
    server.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut message = [0; 12];
    let (_, from) = server.recv_from(&mut message)?;
    server.send_to(&message, from)?;
    // The kernel delivers it when it gets to it: the socket must still be there.
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    client.recv_from(&mut message).map(drop)
}

/// A descriptor that this process sends to itself.
fn descriptor() -> rustix::io::Result<()> {
    let (from, to) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let sent = [from.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::SendAncillaryBuffer::new(&mut space);
    control.push(net::SendAncillaryMessage::ScmRights(&sent));
    net::sendmsg(&from, &[IoSlice::new(b"x")], &mut control, net::SendFlags::empty())?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut into = [std::io::IoSliceMut::new(&mut byte)];
    net::recvmsg(&to, &mut into, &mut control, net::RecvFlags::CMSG_CLOEXEC).map(drop)
}
