//! Who listens at a socket, as the kernel says.

use std::fs;
use std::io;

use tokio::net::UnixStream;

/// Whoever listened at a socket first (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// Its uid: what the engine of a user says counts for containers of that user.
    pub owner: u32,
    /// Its PID namespace is another one than this process's: it numbers processes otherwise.
    pub has_own_pids: bool,
}

impl Listener {
    /// At the other end of a connection.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        // One that has ended, or whose namespaces are not ours to see, is taken for one like any other.
        let its = peer.pid().and_then(|pid| namespace(&pid.to_string()));
        Ok(Self { owner: peer.uid(), has_own_pids: its.is_some_and(|its| namespace("self") != Some(its)) })
    }
}

#[tokio::test]
async fn this_process_numbers_as_itself() {
    let (near, _far) = UnixStream::pair().expect("a pair");
    let owner = rustix::process::getuid().as_raw();
    assert_eq!(Listener::of(&near).expect("a peer"), Listener { owner, has_own_pids: false });
}
