//! The thread that hashes executables (SHA-256), behind everybody else; nothing waits for it. Another one reads the files of
//! containers, and is left behind if that does not end.
//!
//! What it reads is what was executed, or nothing: a file is found by the process or under the container's root, and
//! read if device, inode and change time are those of the exec.

mod known;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::hot::{Mailbox, Wake};
use super::start::{kernel_dev, superblock_device};
use crate::bounded::{LOOK, Unanswered, Worker};
use crate::container::cached_status;
use crate::diag::Diagnostic;
use crate::process::{Executable, Hashed, Outcome};
use known::{Contents, Known};

/// Files that may wait. What finds no room is counted, and asked for again at the next exec.
const QUEUE: usize = 256;
/// Read at once.
const CHUNK: usize = 128 << 10;
/// Bytes a second that a file system which answers is taken to give at least.
const SLOWEST: u64 = 1 << 20;
/// Two changes of a file within so many nanoseconds may leave the same times: those come from a clock that ticks every
/// 10 ms at most (`current_time()`, kernel `fs/inode.c`).
const TICK: i128 = 20_000_000;

/// Starts the thread; it reads files of at most `limit` bytes. It ends with the process: a file system may keep it
/// waiting for as long as it likes.
///
/// # Errors
/// No thread could be had.
pub(super) fn start(limit: u64, mailbox: Mailbox) -> Result<SyncSender<Executable>, Diagnostic> {
    let (sender, files) = sync_channel(QUEUE);
    super::spawn("hash", move || run(limit, &files, &mailbox))?;
    Ok(sender)
}

fn run(limit: u64, files: &Receiver<Executable>, mailbox: &Mailbox) {
    come_last();
    let mut hasher = Hasher::new(limit);
    while let Ok(file) = files.recv() {
        let hashed = hasher.take(file);
        let told = mailbox.send(Wake::Do(Box::new(move |pipeline, now| pipeline.hashed(now, &hashed))));
        if !told {
            return;
        }
    }
}

/// Puts this thread after everybody else. If the kernel refuses, it takes its turn like everybody.
fn come_last() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 10);
}

#[derive(Debug)]
struct Hasher {
    limit: u64,
    files: Worker,
    known: Known,
    files_read: u64,
}

impl Hasher {
    fn new(limit: u64) -> Self {
        Self { limit, files: Worker::new("hash-files"), known: Known::default(), files_read: 0 }
    }

    fn take(&mut self, file: Executable) -> Hashed {
        let (size, outcome, is_news) = match self.look(&file) {
            Err(outcome) => (None, outcome, self.known.is_first_failure(&file, outcome)),
            Ok(contents) => {
                let size = Some(contents.size);
                match self.known.get(&contents) {
                    Some(outcome) => (size, outcome, false),
                    None => {
                        let outcome = self.read(&contents);
                        let is_news = if outcome.is_worth_another_try() {
                            self.known.is_first_failure(&file, outcome)
                        } else {
                            self.known.put(contents, outcome)
                        };
                        (size, outcome, is_news)
                    }
                }
            }
        };
        Hashed { file, size, outcome, files_read: self.files_read, is_news }
    }

    fn look(&mut self, file: &Executable) -> Result<Contents, Outcome> {
        if file.is_remote() {
            return Err(Outcome::Remote);
        }
        if self.known.failed(file, Outcome::Unanswered) {
            return Err(Outcome::Unanswered);
        }
        let file = file.clone();
        let look = move || {
            come_last();
            let (found, contents) = find(&file)?;
            FOUND.set(Some(found));
            Ok(contents)
        };
        self.files.run(LOOK, look).unwrap_or_else(|why| Err(outcome(why)))
    }

    /// Reads what was found.
    fn read(&mut self, contents: &Contents) -> Outcome {
        if contents.size > self.limit {
            return Outcome::TooLarge;
        }
        self.files_read += 1;
        let deadline = LOOK + Duration::from_secs(contents.size / SLOWEST);
        let contents = *contents;
        let read = move || FOUND.take().map_or(Outcome::Gone, |found| read(&found, &contents));
        self.files.run(deadline, read).unwrap_or_else(outcome)
    }
}

thread_local! {
    /// What was found last, in the thread that has its descriptor.
    static FOUND: RefCell<Option<OwnedFd>> = const { RefCell::new(None) };
}

/// What becomes of a file that could not be looked at. What was not tried may be tried again.
fn outcome(why: Unanswered) -> Outcome {
    match why {
        Unanswered::Late => Outcome::Unanswered,
        Unanswered::Refused | Unanswered::Failed => Outcome::Unreadable,
    }
}

fn read(found: &OwnedFd, contents: &Contents) -> Outcome {
    match digest(found, contents.size) {
        Err(_) => Outcome::Unreadable,
        Ok(None) => Outcome::Changed,
        Ok(Some(hash)) => match status(found).map(|after| Contents::of(&after, contents.dev)) {
            Ok(after) if after == *contents => Outcome::Hashed(hash),
            _ => Outcome::Changed,
        },
    }
}

/// Hash of `size` bytes; `None` if there are more or fewer.
fn digest(found: &OwnedFd, size: u64) -> std::io::Result<Option<[u8; 32]>> {
    let path = format!("/proc/thread-self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    // The time of the last access stays what the container made it, where the file system allows that.
    let file = rustix::fs::open(&path, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| rustix::fs::open(&path, flags, Mode::empty()))?;
    let mut file = File::from(file).take(size.saturating_add(1));
    let (mut hash, mut read, mut chunk) = (Sha256::new(), 0u64, vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n => {
                hash.update(&chunk[..n]);
                read += n as u64;
            }
        }
    }
    Ok((read == size).then(|| hash.finalize().into()))
}

/// Finds the file, without opening it for reading: by the process, which may have gone on to another program; then by
/// its path under the root of the process, and of the container's first.
fn find(file: &Executable) -> Result<(OwnedFd, Contents), Outcome> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    for (pid, path) in [(file.pid, None), (file.pid, Some(&file.path)), (file.root_pid, Some(&file.path))] {
        let opened = match path {
            None => rustix::fs::open(format!("/proc/{pid}/exe"), flags, Mode::empty()),
            Some(path) => under_root(pid, path),
        };
        if let Ok(found) = opened
            && let Ok(status) = status(&found)
            && let Some(contents) = verify(file, pid, &found, &status)
        {
            return Ok((found, contents));
        }
    }
    Err(Outcome::Gone)
}

/// Opens a path as the process sees it. No link leads out of its root, and nothing is asked of a file system that is
/// not in the kernel's caches, where the exec has left it: another one might not answer.
fn under_root(pid: u32, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags | OFlags::DIRECTORY, Mode::empty())?;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), inside | ResolveFlags::CACHED) {
        // Before 5.12.
        Err(Errno::INVAL) => rustix::fs::openat2(&root, path, flags, Mode::empty(), inside),
        other => other,
    }
}

/// What the kernel has of the file.
fn status(found: impl AsFd) -> std::io::Result<Statx> {
    cached_status(found, c"", AtFlags::EMPTY_PATH)
}

/// The file's identity if it is the one that was executed.
fn verify(file: &Executable, pid: u32, found: &OwnedFd, status: &Statx) -> Option<Contents> {
    /// `S_IFMT`, `S_IFREG` (`inode(7)`).
    const TYPE: u16 = 0o170_000;
    const REGULAR: u16 = 0o100_000;
    // What `stat(2)` says of both differs on some file systems (btrfs, overlays of several).
    let dev = superblock_device(found, &format!("/proc/{pid}/mountinfo"))
        .unwrap_or_else(|| kernel_dev(status.stx_dev_major, status.stx_dev_minor));
    let ino = inode(found).unwrap_or(status.stx_ino);
    let same = (dev, ino, status.stx_ctime.tv_sec) == (file.dev, file.ino, file.ctime);
    (same && status.stx_mode & TYPE == REGULAR).then(|| Contents { ino, ..Contents::of(status, dev) })
}

/// The inode's own number, which the kernel shows from 5.14 on.
fn inode(found: &OwnedFd) -> Option<u64> {
    let info = fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", found.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("ino:"))?.trim().parse().ok()
}

/// Nanoseconds since the epoch.
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests;
