//! `struct sock` and `struct unix_sock` (kernel `include/net/sock.h`, `include/net/af_unix.h`).

use monitor_common::offsets::FieldId as F;
use monitor_common::policy::FileId;

use super::{Ptr, file};

/// `AF_UNIX`.
pub(crate) const AF_UNIX: u16 = 1;
/// `AF_INET`.
pub(crate) const AF_INET: u16 = 2;
/// `AF_INET6`.
pub(crate) const AF_INET6: u16 = 10;
/// `AF_ALG`.
pub(crate) const AF_ALG: u16 = 38;
/// `AF_VSOCK`.
pub(crate) const AF_VSOCK: u16 = 40;

/// The `struct sock` of a socket's file.
#[inline(always)]
pub(crate) fn of_file(file: Ptr) -> Ptr {
    file.follow(F::FilePrivate).follow(F::SocketSk)
}

#[inline(always)]
pub(crate) fn family(sock: Ptr) -> u16 {
    sock.read(F::SkFamily)
}

/// Local port, host byte order.
#[inline(always)]
pub(crate) fn local_port(sock: Ptr) -> u16 {
    sock.read(F::SkNum)
}

/// Port of the peer, host byte order; 0 if there is none.
#[inline(always)]
pub(crate) fn peer_port(sock: Ptr) -> u16 {
    u16::from_be_bytes(sock.read(F::SkDport))
}

/// IPv4 address of the peer, network byte order.
#[inline(always)]
pub(crate) fn peer_v4(sock: Ptr) -> [u8; 4] {
    sock.read(F::SkDaddr)
}

/// IPv6 address of the peer.
#[inline(always)]
pub(crate) fn peer_v6(sock: Ptr) -> [u8; 16] {
    sock.read(F::SkV6Daddr)
}

/// Local IPv4 address, network byte order.
#[inline(always)]
pub(crate) fn local_v4(sock: Ptr) -> [u8; 4] {
    sock.read(F::SkRcvSaddr)
}

/// Local IPv6 address.
#[inline(always)]
pub(crate) fn local_v6(sock: Ptr) -> [u8; 16] {
    sock.read(F::SkV6RcvSaddr)
}

/// The process, in the initial pid namespace, that listens at the other end of a connected unix socket; 0 if there
/// is none.
#[inline(always)]
pub(crate) fn peer_pid(sock: Ptr) -> u32 {
    // `numbers[0]` is that of the initial namespace, and its number is its first member (kernel
    // `include/linux/pid.h`).
    sock.follow(F::SkPeerPid).read(F::PidNumbers)
}

/// The file that a unix socket is bound to; zeros if it is bound to none.
#[inline(always)]
pub(crate) fn unix_file(sock: Ptr) -> FileId {
    file::id(sock.follow(F::UnixDentry).follow(F::DentryInode))
}

/// The peer of a connected unix socket.
#[inline(always)]
pub(crate) fn unix_peer(sock: Ptr) -> Ptr {
    sock.follow(F::UnixPeer)
}
