//! What processes run: one entry for a program, shared by a process and the children that have not executed
//! since, so that a fork copies no string.

use std::ops::Deref;
use std::sync::Arc;

use super::text::{set_list, weight};

/// Programs that nobody runs any more are kept for their buffers, up to so many of so many bytes.
const SPARE: usize = 256;
const SPARE_BYTES: usize = 1024;

/// What a process executes. Strings are bytes: they come from the container.
#[derive(Clone, Debug)]
pub struct Program {
    /// Unlike that of every other program of the same table, for ever: whoever keeps something about a program
    /// may keep it by this. 0 outside a table.
    pub id: u64,
    /// Path of the executable, root first.
    pub exe: Vec<u8>,
    /// The file that it was, if its exec was seen: device, inode, change time in seconds.
    pub file: Option<(u32, u64, i64)>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// True if there are more of them.
    pub argv_cut: bool,
    /// Working directory at exec.
    pub cwd: Vec<u8>,
    /// Bytes that it was counted with.
    weight: usize,
}

static NOTHING: Program = Program {
    id: 0,
    exe: Vec::new(),
    file: None,
    argv: Vec::new(),
    argv_cut: false,
    cwd: Vec::new(),
    weight: 0,
};

impl Program {
    /// A program that is in no table yet.
    pub fn new(exe: Vec<u8>, argv: Vec<Vec<u8>>, cwd: Vec<u8>) -> Self {
        Self { id: 0, exe, file: None, argv, argv_cut: false, cwd, weight: 0 }
    }
}

/// A program that may have several owners. The default is one that is not known: all of it is empty.
#[derive(Clone, Debug, Default)]
pub struct Shared(Option<Arc<Program>>);

impl Deref for Shared {
    type Target = Program;

    fn deref(&self) -> &Program {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl From<Program> for Shared {
    fn from(program: Program) -> Self {
        Self(Some(Arc::new(program)))
    }
}

/// Numbers programs, counts their bytes, and keeps the buffers of those that ended.
#[derive(Debug, Default)]
pub(super) struct Programs {
    last: u64,
    spare: Vec<Arc<Program>>,
    bytes: usize,
}

impl Programs {
    /// Bytes of all programs that somebody runs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A new program; `fill` is given empty strings, or those of a program that ended.
    pub(super) fn make(&mut self, fill: impl FnOnce(&mut Program)) -> Shared {
        let mut shared = self.spare.pop().unwrap_or_else(|| Arc::new(NOTHING.clone()));
        self.last += 1;
        // Whatever is spare has no other owner.
        if let Some(program) = Arc::get_mut(&mut shared) {
            fill(program);
            program.id = self.last;
            program.weight = weight(program);
            self.bytes += program.weight;
        }
        Shared(Some(shared))
    }

    /// Takes a program in that was made elsewhere.
    pub(super) fn adopt(&mut self, from: &Program) -> Shared {
        self.make(|to| {
            to.exe.clone_from(&from.exe);
            to.cwd.clone_from(&from.cwd);
            to.file = from.file;
            let cut = set_list(&mut to.argv, from.argv.iter().map(Vec::as_slice));
            to.argv_cut = from.argv_cut || cut;
        })
    }

    /// One owner less.
    pub(super) fn release(&mut self, program: Shared) {
        let Some(mut shared) = program.0 else { return };
        if let Some(program) = Arc::get_mut(&mut shared) {
            self.bytes -= program.weight;
            if program.weight <= SPARE_BYTES && self.spare.len() < SPARE {
                self.spare.push(shared);
            }
        }
    }
}
