//! Floods, and break-outs at a steady pace in the middle of them.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::sys::{self, Ret, plain};
use crate::{Usage, Words};

/// Acts between two looks at the clock.
const BATCH: u32 = 128;
/// Dear ones of them.
const DEAR: u32 = 2;
/// Nobody listens there.
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "storm" => storm(Duration::from_millis(words.number("milliseconds")?.into())),
        "canaries" => {
            let (count, pause) = (words.number("how many")?, words.number("milliseconds")?);
            let path = sys::c_string(words.word("path")?);
            canaries(count, Duration::from_millis(pause.into()), &path)
        }
        _ => return Ok(None),
    }))
}

/// Connects, opens and forks as fast as two threads can; gives how many acts there were.
fn storm(time: Duration) -> Ret {
    let end = Instant::now() + time;
    let repeat = move |act: &dyn Fn()| {
        // To say whom a datagram would be for is the cheapest act that is an event: many for each dear one.
        let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
        let mut done = 0;
        while Instant::now() < end {
            for _ in 0..BATCH {
                let _ = datagrams.as_ref().map(|socket| socket.connect(NOBODY));
            }
            for _ in 0..DEAR {
                act();
            }
            done += i64::from(BATCH + DEAR);
        }
        done
    };
    let calls = std::thread::spawn(move || {
        // A refusal is quick, and an event all the same.
        repeat(&|| drop((TcpStream::connect(NOBODY), std::fs::File::open("/etc/passwd"))))
    });
    let forks = repeat(&|| {
        fork(|| {});
    });
    Ret { value: forks + calls.join().unwrap_or(0), errno: 0 }
}

/// One foreign namespace joined after the other, each by a process of its own.
fn canaries(count: u32, pause: Duration, path: &std::ffi::CString) -> Ret {
    let begin = Instant::now();
    for n in 0..count {
        let done = fork(|| {
            let fd = sys::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
            plain(libc::SYS_setns, &[fd.value as usize, 0]);
        });
        if done.failed() {
            return done;
        }
        // The pace is kept by the clock: one that comes late does not delay the rest.
        std::thread::sleep((begin + pause * (n + 1)).saturating_duration_since(Instant::now()));
    }
    Ret { value: count.into(), errno: 0 }
}

/// Runs `act` in a child and waits for it.
fn fork(act: impl Fn()) -> Ret {
    // SAFETY: without CLONE_VM the child has its own memory; it makes system calls only, and ends by _exit.
    let child = plain(libc::SYS_clone, &[libc::SIGCHLD as usize]);
    if child.value == 0 {
        act();
        sys::end_child();
    }
    if !child.failed() {
        sys::wait_for(child.value);
    }
    child
}
