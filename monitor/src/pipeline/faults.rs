//! Faults of the kernel that its log reports: whose task it was in, and what is said of that.

use std::collections::VecDeque;

use monitor_common::event::{
    EventKind, EventRef, HEADER_LEN, Header, KernelFault, Record, STRING_PREFIX, flags,
};

use super::Pipeline;
use crate::kmsg::Fault;
use crate::output::record::loss_reason;
use crate::output::{Body, Loss};
use crate::process::{Process, TICK_NS};

/// Faults that may wait for the records before them.
const WAITING: usize = 256;

/// Two starts of one process may be so far apart, nanoseconds: one is told in clock ticks.
const TICKS: u64 = 2 * TICK_NS;

/// Faults that wait, and those that were not told.
#[derive(Debug, Default)]
pub(super) struct Faults {
    waiting: VecDeque<(u64, Fault)>,
    over_budget: u64,
}

impl Faults {
    /// Takes the number of faults that were not told.
    pub(super) fn take_over_budget(&mut self) -> u64 {
        std::mem::take(&mut self.over_budget)
    }
}

impl Pipeline {
    /// Takes a fault that the log reported at `time`. It waits until what was recorded before it has been seen: its process
    /// may be new.
    pub fn kernel_fault(&mut self, time: u64, fault: Fault) {
        if self.faults.waiting.len() >= WAITING {
            self.faults.over_budget += 1;
        } else {
            self.faults.waiting.push_back((time, fault));
        }
    }

    /// Counts a fault that was not told, because there were too many.
    pub fn fault_over_budget(&mut self) {
        self.faults.over_budget += 1;
    }

    /// Says that the kernel wrote over records of its log.
    pub fn log_overwritten(&mut self, time: u64, count: u64) {
        self.faults_lost(time, loss_reason::LOG_OVERWRITTEN, count);
    }

    pub(super) fn faults_lost(&mut self, time: u64, reason: &str, count: u64) {
        let (sensor, event) = (Some(crate::bpf::probes::KERNEL_LOG.name), Some(EventKind::KernelFault));
        self.emitter.emit(time, Body::Loss(Loss { reason, count, sensor, event, ..Loss::default() }));
    }

    /// True if a fault waits.
    pub fn has_faults(&self) -> bool {
        !self.faults.waiting.is_empty()
    }

    /// Says what waited: every record up to `horizon` has been seen.
    pub fn tell_faults(&mut self, horizon: u64) {
        while self.faults.waiting.front().is_some_and(|(time, _)| *time <= horizon) {
            if let Some((time, fault)) = self.faults.waiting.pop_front() {
                self.fault(time, &fault);
            }
        }
    }

    fn fault(&mut self, time: u64, fault: &Fault) {
        let pid = fault.process.map_or(fault.tid, |process| process.pid);
        // One that had the number before or has it since is another.
        let is_it = |known: &&Process| match fault.process.and_then(|process| process.started) {
            Some(started) => known.key.started.abs_diff(started) < TICKS,
            None => known.key.started <= fault.at,
        };
        let process = self.processes.get(pid).filter(is_it);
        let header = Header {
            cpu: u16::try_from(fault.cpu).unwrap_or(u16::MAX),
            time,
            pid,
            tid: fault.tid,
            ..Header::default()
        };
        let header = match process {
            None => header,
            Some(process) => Header {
                flags: if process.runtime { flags::RUNTIME } else { 0 },
                container: process.container.0,
                started: process.key.started,
                uid: process.uid,
                euid: process.euid,
                ..header
            },
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        write(header, fault, &mut bytes);
        if let Ok(event) = EventRef::decode(&bytes) {
            self.event(&event, &event);
        }
        self.bytes = bytes;
    }
}

/// Writes the record to `out`, which is used again.
fn write(header: Header, fault: &Fault, out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_LEN + KernelFault::SIZE, 0);
    let payload =
        KernelFault { taints: fault.taints, report: fault.report, interrupt: u32::from(fault.interrupt) };
    payload.write(&mut out[HEADER_LEN..]);
    for string in [&fault.title, &fault.function, &fault.place, &fault.comm] {
        // Its reader bounds each of them.
        let length = u16::try_from(string.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&[0; STRING_PREFIX - 2]);
        out.extend_from_slice(&string[..usize::from(length)]);
    }
    let mut head = [0; HEADER_LEN];
    Header { kind: EventKind::KernelFault as u16, len: out.len() as u16, ..header }.write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
}

#[cfg(test)]
mod tests;
