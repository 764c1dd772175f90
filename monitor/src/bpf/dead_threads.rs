//! Threads that died of a signal while their processes went on: whose they were.

use aya::maps::{HashMap, MapData};
use monitor_common::policy::DeadThread;

use super::control::pod;
use super::maps::Maps;

pod!(DeadThreadPod(DeadThread));

/// How long a thread's number stands for it, nanoseconds: the kernel gives numbers again.
const RECENT: u64 = 10_000_000_000;

/// The kernel side's notes about dead threads.
pub struct DeadThreads(HashMap<MapData, u32, DeadThreadPod>);

impl DeadThreads {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        maps.take("DEAD_THREADS").map(Self)
    }

    /// The process of a thread that died a moment before `now`, nanoseconds since boot.
    pub fn process_of(&self, tid: u32, now: u64) -> Option<u32> {
        let DeadThreadPod(thread) = self.0.get(&tid, 0).ok()?;
        (now.saturating_sub(thread.died) < RECENT).then_some(thread.pid)
    }
}
