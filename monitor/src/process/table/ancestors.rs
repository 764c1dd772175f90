//! The way up from a process.

use super::{ProcessTable, Slot, TICK_NS, near};
use crate::process::Process;

/// How far [`ProcessTable::ancestors`] goes up.
pub const MAX_ANCESTORS: usize = 16;

impl ProcessTable {
    /// The ancestors of a process, nearest first: at most [`MAX_ANCESTORS`], across container borders, exited
    /// ones included, each once.
    pub fn ancestors(&self, pid: u32) -> Ancestors<'_> {
        let start = self.by_pid.get(&pid).copied();
        Ancestors { table: self, at: start, seen: [0; MAX_ANCESTORS + 1], count: 0 }
    }

    /// The parent of a process, if it has one that is not in the table.
    pub fn stranger(&self, pid: u32) -> Option<u32> {
        let at = self.by_pid.get(&pid).copied()?;
        let parent = self.slots[at as usize].process.ppid;
        (parent != 0 && self.parent_of(at).is_none()).then_some(parent)
    }

    fn parent_of(&self, at: u32) -> Option<u32> {
        let Slot { process, parent, .. } = &self.slots[at as usize];
        let born = self.by_pid.get(&parent.pid).copied().filter(|up| {
            parent.pid != 0 && near(self.slots[*up as usize].process.key.started, parent.started)
        });
        born.or_else(|| {
            // The pid may belong to somebody younger by now, who cannot be the parent.
            let up = self.by_pid.get(&process.ppid).copied().filter(|_| process.ppid != 0)?;
            let older =
                self.slots[up as usize].process.key.started < process.key.started.saturating_add(TICK_NS);
            older.then_some(up)
        })
    }
}

/// Iterator over the ancestors of a process; see [`ProcessTable::ancestors`].
#[derive(Debug)]
pub struct Ancestors<'a> {
    table: &'a ProcessTable,
    at: Option<u32>,
    seen: [u32; MAX_ANCESTORS + 1],
    count: usize,
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = &'a Process;

    fn next(&mut self) -> Option<&'a Process> {
        let at = self.at?;
        *self.seen.get_mut(self.count)? = at;
        self.count += 1;
        let up = self.table.parent_of(at).filter(|up| !self.seen[..self.count].contains(up));
        self.at = up.filter(|_| self.count <= MAX_ANCESTORS);
        up.filter(|_| self.count <= MAX_ANCESTORS).map(|up| &self.table.slots[up as usize].process)
    }
}
