//! Work with a deadline that may never end by itself: a file system whose server does not answer (FUSE, NFS) keeps whoever
//! asks it waiting for as long as it likes, and so may the lock of a memory whose pages come from one. The server may be in a
//! container.
//!
//! A thread cannot be told to stop waiting in the kernel. So another one does the work, and at the deadline is left behind,
//! with nothing of this process's but its memory; it ends when it comes back. Few may be left behind at a time.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// How long looking at one container may take: what answers does so in milliseconds, also where the machine is busy.
pub const LOOK: Duration = Duration::from_secs(5);
/// Threads that may be left behind at a time: each takes some 100 KiB, and has cost its user one deadline.
pub const MAX_STUCK: usize = 8;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The deadline passed.
    Late,
    /// Too many threads are left behind: it was not begun.
    Refused,
    /// No thread could be had, or it ended by a panic.
    Failed,
}

impl Unanswered {
    /// What is said of a container that was not looked at for this reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Late => "a file system that it uses did not answer in time",
            Self::Refused => {
                "not tried: too many earlier looks still wait for file systems that do not answer"
            }
            Self::Failed => "no thread could look at it",
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Does one piece of work after the other in a thread of its own, which shares no descriptor with anybody.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    way: Option<SyncSender<Job>>,
    /// Held by each of the threads.
    alive: Arc<()>,
}

impl Worker {
    /// One whose threads have this name, of at most 15 bytes. The first is started when there is work.
    pub fn new(name: &'static str) -> Self {
        Self { name, way: None, alive: Arc::new(()) }
    }

    /// Threads that were left behind and still wait.
    pub fn stuck(&self) -> usize {
        (Arc::strong_count(&self.alive) - 1).saturating_sub(usize::from(self.way.is_some()))
    }

    /// Does it, and waits for the result until the deadline. Neither work nor result may hold a descriptor.
    ///
    /// # Errors
    /// There is no result.
    pub fn run<A: Send + 'static>(
        &mut self,
        limit: Duration,
        work: impl FnOnce() -> A + Send + 'static,
    ) -> Result<A, Unanswered> {
        let way = match self.way.take() {
            Some(way) => way,
            None if self.stuck() >= MAX_STUCK => return Err(Unanswered::Refused),
            None => self.start()?,
        };
        let (reply, answer) = sync_channel(1);
        // Whoever comes back late finds nobody to tell.
        let job = Box::new(move || drop(reply.send(work())));
        way.send(job).map_err(|_| Unanswered::Failed)?;
        match answer.recv_timeout(limit) {
            Ok(answer) => {
                self.way = Some(way);
                Ok(answer)
            }
            // Without a way to it the thread ends as soon as it is back.
            Err(RecvTimeoutError::Timeout) => Err(Unanswered::Late),
            Err(RecvTimeoutError::Disconnected) => Err(Unanswered::Failed),
        }
    }

    fn start(&self) -> Result<SyncSender<Job>, Unanswered> {
        let (way, jobs) = sync_channel::<Job>(1);
        let alive = Arc::clone(&self.alive);
        let body = move || {
            leave_descriptors();
            while let Ok(job) = jobs.recv() {
                job();
            }
            drop(alive);
        };
        thread::Builder::new().name(self.name.to_owned()).spawn(body).map_err(|_| Unanswered::Failed)?;
        Ok(way)
    }
}

/// Gives this thread a table of descriptors of its own, with nothing in it but standard error: programs, locks, sockets and
/// pipes of a process that was killed are to be closed though one of its threads still waits. Before Linux 5.9, and where it
/// is refused, the table stays shared.
#[expect(unsafe_code, reason = "a call that no safe wrapper offers")]
fn leave_descriptors() {
    /// `CLOSE_RANGE_UNSHARE`, kernel `include/uapi/linux/close_range.h`.
    const UNSHARE: libc::c_uint = 2;
    // SAFETY: the first call makes the table this thread's own before it closes anything in it, and the second is made only
    // then: what other threads hold stays open. This thread has just begun, and holds no descriptor.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, UNSHARE) == 0 {
            libc::syscall(libc::SYS_close_range, 0 as libc::c_uint, 1 as libc::c_uint, 0 as libc::c_uint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_is_late_is_left_behind_and_ends_when_it_comes_back() {
        let mut worker = Worker::new("test");
        let own = worker.run(LONG, || thread::current().id()).unwrap();
        assert_eq!(worker.run(LONG, || thread::current().id()), Ok(own), "one thread after the other's work");
        let mut held = Vec::new();
        for stuck in 0..MAX_STUCK {
            assert_eq!(worker.stuck(), stuck);
            let (release, wait) = sync_channel::<()>(0);
            held.push(release);
            assert_eq!(worker.run(SOON, move || wait.recv().is_err()), Err(Unanswered::Late));
            if stuck + 1 < MAX_STUCK {
                assert_eq!(worker.run(LONG, || 7), Ok(7), "a fresh thread goes on");
            }
        }
        assert_eq!(worker.run(LONG, || 7), Err(Unanswered::Refused));
        // One of them comes back.
        held.pop();
        while worker.stuck() == MAX_STUCK {
            thread::yield_now();
        }
        assert_eq!(worker.run(LONG, || 7), Ok(7));
        held.clear();
        while worker.stuck() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_panic_is_no_end() {
        let mut worker = Worker::new("test");
        assert_eq!(worker.run(LONG, || assert!(std::hint::black_box(false))), Err(Unanswered::Failed));
        assert_eq!(worker.run(LONG, || 7), Ok(7));
    }

    #[test]
    fn the_thread_shares_no_descriptor() {
        use std::os::fd::AsRawFd as _;
        let file = tempfile::tempfile().unwrap();
        let of_file = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
        let here = std::fs::read_link(&of_file).unwrap();
        let there = Worker::new("test").run(LONG, move || std::fs::read_link(of_file)).unwrap();
        assert_ne!(there.ok(), Some(here));
        assert!(file.metadata().is_ok(), "it stays open");
    }
}
