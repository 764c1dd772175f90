//! Threads that died of a signal and were not the first of their processes: whose they were.

use aya::maps::{HashMap, MapData};
use monitor_common::policy::DeadThread;

use super::control::pod;
use super::maps::Maps;

pod!(DeadThreadPod(DeadThread));

/// The kernel side's notes about dead threads.
pub struct DeadThreads(HashMap<MapData, u32, DeadThreadPod>);

impl DeadThreads {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        maps.take("DEAD_THREADS").map(Self)
    }

    /// The last thread that died under this number, if it is noted.
    pub fn get(&self, tid: u32) -> Option<DeadThread> {
        self.0.get(&tid, 0).ok().map(|DeadThreadPod(thread)| thread)
    }
}
