//! Which processes of a container have not ended, as far as records told.

use super::ProcessTable;
use crate::container::ContainerKey;
use crate::process::ProcessKey;

impl ProcessTable {
    /// The processes that have not exited, each with its container.
    pub fn living(&self) -> impl Iterator<Item = (ContainerKey, ProcessKey)> {
        let processes = self.by_pid.values().map(|slot| &self.slots[*slot as usize].process);
        processes.filter(|process| !process.exited).map(|process| (process.container, process.key))
    }
}
