//! Joins the pieces of long arguments and of environments into the `exec` record that they belong to.

use monitor_common::event::{
    EventRef, Exec, ExecArgs, Payload, Record as _, STRING_PREFIX, TRUNCATED, TailString, exec_args,
};

/// Execs of which pieces may wait at once: one for each CPU that is in the middle of an exec, and those whose record
/// was lost, until they are dropped.
const WAITING: usize = 64;

/// Which variables of the environment are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// None: it holds passwords and keys.
    #[default]
    Nothing,
    /// All of them.
    Whole,
    /// Those with these names.
    Names(Vec<Vec<u8>>),
}

impl Environment {
    fn wants(&self, variable: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Whole => true,
            Self::Names(names) => {
                let name = variable.split(|b| *b == b'=' || *b == 0).next().unwrap_or_default();
                names.iter().any(|wanted| wanted == name)
            }
        }
    }
}

/// The pieces of one part, in a row.
#[derive(Debug, Default)]
struct Part {
    /// Where the first piece begins.
    from: usize,
    /// Bytes of the whole, whether they come or not.
    total: usize,
    bytes: Vec<u8>,
    /// A piece is missing: what follows it is not taken.
    broken: bool,
}

impl Part {
    fn clear(&mut self) {
        self.bytes.clear();
        (self.from, self.total, self.broken) = (0, 0, false);
    }

    fn add(&mut self, record: &ExecArgs, bytes: &[u8]) {
        let offset = record.offset as usize;
        if self.bytes.is_empty() && !self.broken {
            (self.from, self.total) = (offset, record.total as usize);
        }
        let end = self.from + self.bytes.len();
        if self.broken || offset != end || end + bytes.len() > exec_args::MOST {
            self.broken = true;
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The pieces that follow on `before`, which is what the record itself holds, and its flags with them.
    fn after(&self, before: TailString<'_>) -> (&[u8], u16) {
        if self.bytes.is_empty() || self.from != before.bytes.len() {
            return (&[], before.flags);
        }
        let whole = !self.broken && self.from + self.bytes.len() == self.total;
        (&self.bytes, before.flags & !TRUNCATED | if whole { 0 } else { TRUNCATED })
    }
}

/// A record with its pieces.
#[derive(Clone, Copy, Debug)]
pub struct Joined<'a> {
    /// With those variables of the environment that the user asked for: what is put out.
    pub shown: EventRef<'a>,
    /// With all of the environment that was sent: for rules, which never put a value out.
    pub whole: EventRef<'a>,
}

/// The pieces of one exec.
#[derive(Debug, Default)]
struct Waiting {
    pid: u32,
    started: u64,
    exec_id: u64,
    pieces: u64,
    argv: Part,
    environ: Part,
}

/// Holds pieces until their record comes. Bounded: beyond [`WAITING`] execs the oldest pieces are dropped and counted,
/// and the record that they were for says that it is truncated.
#[derive(Debug, Default)]
pub struct Arguments {
    environment: Environment,
    waiting: Vec<Waiting>,
    /// Kept for their buffers.
    spare: Vec<Waiting>,
    shown: Vec<u8>,
    whole: Vec<u8>,
    dropped: u64,
}

impl Arguments {
    /// With these variables of the environment.
    pub fn new(environment: Environment) -> Self {
        Self { environment, ..Self::default() }
    }

    /// True if no pieces wait: no record needs joining.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a piece.
    pub fn take(&mut self, ev: &EventRef<'_>) {
        let Some(Payload::ExecArgs(record)) = ev.payload() else { return };
        let key = (ev.header.pid, ev.header.started, record.exec_id);
        let at = match self.waiting.iter().position(|w| (w.pid, w.started, w.exec_id) == key) {
            Some(at) => at,
            None => {
                if self.waiting.len() >= WAITING {
                    self.drop_at(0);
                }
                let mut waiting = self.spare.pop().unwrap_or_default();
                (waiting.pid, waiting.started, waiting.exec_id) = key;
                waiting.pieces = 0;
                waiting.argv.clear();
                waiting.environ.clear();
                self.waiting.push(waiting);
                self.waiting.len() - 1
            }
        };
        let waiting = &mut self.waiting[at];
        waiting.pieces += 1;
        let part =
            if record.part == exec_args::part::ENVIRON { &mut waiting.environ } else { &mut waiting.argv };
        part.add(&record, ev.string(0).bytes);
    }

    /// The record with the pieces that came before it, if it is an exec and there are any.
    pub fn join<'a>(&'a mut self, ev: &EventRef<'a>) -> Joined<'a> {
        let unchanged = Joined { shown: *ev, whole: *ev };
        let Some(Payload::Exec(exec)) = ev.payload() else { return unchanged };
        let mut found = None;
        let process = (ev.header.pid, ev.header.started);
        while let Some(at) = self.waiting.iter().position(|w| (w.pid, w.started) == process) {
            if self.waiting[at].exec_id == exec.exec_id {
                found = Some(self.waiting.remove(at));
            } else {
                // Of an earlier exec, whose record was lost.
                self.drop_at(at);
            }
        }
        let Some(waiting) = found else { return unchanged };
        let strings: [TailString<'_>; Exec::TAIL.len()] = std::array::from_fn(|n| ev.string(n));
        let [exe, argv, cwd, environ] = strings;
        let (rest, argv_flags) = waiting.argv.after(argv);
        let (bytes, flags) = waiting.environ.after(environ);
        for tail in [&mut self.shown, &mut self.whole] {
            tail.clear();
            push(tail, [exe.bytes], exe.flags);
            push(tail, [argv.bytes, rest], argv_flags);
            push(tail, [cwd.bytes], cwd.flags);
        }
        push(&mut self.whole, [bytes], flags);
        let wanted = |variable: &&[u8]| self.environment.wants(variable);
        // Nothing is missing of what nobody asked for.
        let flags = if self.environment == Environment::Nothing { 0 } else { flags };
        push(&mut self.shown, bytes.split_inclusive(|b| *b == 0).filter(wanted), flags);
        self.spare.push(waiting);
        Joined { shown: EventRef { tail: &self.shown, ..*ev }, whole: EventRef { tail: &self.whole, ..*ev } }
    }

    fn drop_at(&mut self, at: usize) {
        let waiting = self.waiting.remove(at);
        self.dropped += waiting.pieces;
        self.spare.push(waiting);
    }

    /// Takes the number of pieces that were dropped because their record did not come.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Drops everything that waits.
    pub fn drop_all(&mut self) {
        while !self.waiting.is_empty() {
            self.drop_at(0);
        }
    }
}

/// Adds a string of these pieces to a tail.
fn push<'b>(tail: &mut Vec<u8>, pieces: impl IntoIterator<Item = &'b [u8]>, flags: u16) {
    let at = tail.len();
    tail.extend_from_slice(&[0; STRING_PREFIX]);
    let mut room = usize::from(u16::MAX);
    for piece in pieces {
        let piece = &piece[..piece.len().min(room)];
        tail.extend_from_slice(piece);
        room -= piece.len();
    }
    let len = u16::MAX - u16::try_from(room).unwrap_or(0);
    tail[at..at + 2].copy_from_slice(&len.to_ne_bytes());
    tail[at + 2..at + STRING_PREFIX].copy_from_slice(&flags.to_ne_bytes());
}

#[cfg(test)]
mod tests;
