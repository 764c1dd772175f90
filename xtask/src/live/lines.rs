//! Lines of a child's output, read by a thread, waited for with a deadline.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use crate::live::stop;

/// Bytes read at once where there are many lines.
const BULK: usize = 256 * 1024;

/// The lines of one pipe, in order, each with the time of its arrival.
pub(crate) struct Lines(Receiver<(Instant, Vec<u8>)>);

/// What a wait for a line came to.
pub(crate) enum Next {
    /// A line, without its newline.
    Line(Instant, Vec<u8>),
    /// The pipe is closed.
    End,
    /// Nothing until the deadline.
    Late,
}

impl Lines {
    /// Reads until the pipe is closed or this is dropped.
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// As [`Self::of`], but lines that `is_counted` is true for are only counted, in the second of the pair.
    pub(crate) fn counting(
        is_counted: impl Fn(&[u8]) -> bool + Send + 'static,
        pipe: impl Read + Send + 'static,
    ) -> (Self, Arc<AtomicU64>) {
        let (sender, receiver) = channel();
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        thread::spawn(move || {
            let mut pipe = BufReader::with_capacity(BULK, pipe);
            let mut line = Vec::new();
            // Nothing more can be read after an error, as after the end.
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if is_counted(&line) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    line.clear();
                    continue;
                }
                line.pop_if(|last| *last == b'\n');
                if sender.send((Instant::now(), std::mem::take(&mut line))).is_err() {
                    return;
                }
            }
        });
        (Self(receiver), count)
    }

    /// The next line; an error once a signal has come.
    pub(crate) fn next(&self, deadline: Instant) -> anyhow::Result<Next> {
        loop {
            stop::check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left.min(stop::TICK)) {
                Ok((at, line)) => return Ok(Next::Line(at, line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(Next::Late),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_then_the_end() {
        let lines = Lines::of(&b"one\ntwo"[..]);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = Vec::new();
        while let Next::Line(_, line) = lines.next(deadline).expect("no signal") {
            seen.push(line);
        }
        assert_eq!(seen, [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn skipped_lines_are_counted() {
        let (lines, count) =
            Lines::counting(|line| line.starts_with(b"ev"), &b"one\nev 1\nev 2\ntwo\nev 3"[..]);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = Vec::new();
        while let Next::Line(_, line) = lines.next(deadline).expect("no signal") {
            seen.push(line);
        }
        assert_eq!(seen, [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_deadline_passes() {
        let (_open, receiver) = channel();
        let late = Lines(receiver).next(Instant::now()).expect("no signal");
        assert!(matches!(late, Next::Late));
    }
}
