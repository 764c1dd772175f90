//! Standard output, or any other writer: one write a batch, on a thread of its own.

use std::io::{self, Write};

use crate::output::queue::Inbox;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The outbox is gone and everything was written.
    Drained,
    /// The reader went away: nothing is wrong, there is just nobody to write for.
    BrokenPipe,
}

/// Writes until there is nothing more, or nobody reads. Blocks: must not be called from async code.
///
/// # Errors
/// Any write error but a broken pipe.
pub fn pump(inbox: &mut Inbox, out: &mut impl Write) -> io::Result<Ended> {
    while let Some(batch) = inbox.recv_blocking() {
        match out.write_all(&batch.bytes).and_then(|()| out.flush()) {
            Ok(()) => inbox.deliver(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ended::BrokenPipe),
            Err(error) => return Err(error),
        }
    }
    Ok(Ended::Drained)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::kinds::Class;
    use crate::output::queue::{Limits, Mark, queue};

    struct Sink(io::Result<Vec<u8>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match &mut self.0 {
                Ok(out) => out.write(bytes),
                Err(error) => Err(error.kind().into()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(sink: &mut Sink) -> io::Result<Ended> {
        let (mut outbox, mut inbox) = queue(Limits::default());
        outbox.push(Mark { class: Class::Event, slot: None }, b"one\n");
        outbox.push(Mark { class: Class::Event, slot: None }, b"two\n");
        drop(outbox);
        pump(&mut inbox, sink)
    }

    #[test]
    fn writes_everything() {
        let mut sink = Sink(Ok(Vec::new()));
        assert_eq!(run(&mut sink).unwrap(), Ended::Drained);
        assert_eq!(sink.0.unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_closed_pipe_is_an_end_and_a_full_disk_an_error() {
        let broken = io::ErrorKind::BrokenPipe;
        assert_eq!(run(&mut Sink(Err(broken.into()))).unwrap(), Ended::BrokenPipe);
        let full = io::ErrorKind::StorageFull;
        assert_eq!(run(&mut Sink(Err(full.into()))).unwrap_err().kind(), full);
    }
}
