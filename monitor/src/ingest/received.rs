//! What came out of the rings, by CPU and kind, and the gaps in the numbers of each CPU.

use monitor_common::event::{EventKind, Header};

use super::look::Look;

/// CPUs that the tables have room for. Linux allows 8,192 (`CONFIG_NR_CPUS`).
const CPUS: usize = 8192;

/// One CPU.
#[derive(Clone, Debug)]
pub struct CpuReceived {
    /// The highest number seen.
    pub highest: u64,
    /// When the record with that number was made, nanoseconds since boot.
    time: u64,
    /// Records by [`EventKind::index`].
    pub kinds: [u64; EventKind::COUNT],
    /// The time before the first gap and after the last one since this was taken.
    gap: Option<(u64, u64)>,
}

impl Default for CpuReceived {
    fn default() -> Self {
        Self { highest: 0, time: 0, kinds: [0; EventKind::COUNT], gap: None }
    }
}

impl CpuReceived {
    /// Records in all.
    pub fn total(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Numbers up to the highest that no record had. Two programs that interleave may share a number and leave
    /// one out, and a record may come late by another ring: both even out, because this is a difference of
    /// sums.
    pub fn missing(&self) -> u64 {
        self.highest.saturating_sub(self.total())
    }

    /// Takes the times between which numbers were missing.
    pub fn take_gap(&mut self) -> Option<(u64, u64)> {
        self.gap.take()
    }
}

/// Counts what comes out of the rings.
#[derive(Clone, Debug, Default)]
pub struct Received {
    cpus: Vec<CpuReceived>,
}

impl Received {
    /// What somebody else must have received, if the kernel side's accounts are as `look` says and `waiting` is still
    /// in the rings.
    pub(super) fn before(look: &Look, waiting: &mut Received) -> Self {
        let waiting = waiting.cpus(look.cpus.len());
        let cpus = look.cpus.iter().zip(waiting).map(|(now, waiting)| {
            let mut cpu = CpuReceived::default();
            for ((came, kind), waits) in cpu.kinds.iter_mut().zip(&now.kinds).zip(waiting.kinds) {
                *came = kind.submitted.saturating_sub(waits);
            }
            let total = now.total();
            cpu.highest = cpu.total() + total.missing() + total.filtered;
            cpu
        });
        Self { cpus: cpus.collect() }
    }

    /// Counts one record. One of a kind or a CPU that does not exist is none that the kernel side counted: it is
    /// missed where it should be.
    pub fn add(&mut self, header: &Header) {
        let cpu = usize::from(header.cpu);
        let Some(kind) = EventKind::from_raw(header.kind).filter(|_| cpu < CPUS) else { return };
        if cpu >= self.cpus.len() {
            self.cpus.resize_with(cpu + 1, CpuReceived::default);
        }
        let cpu = &mut self.cpus[cpu];
        cpu.kinds[kind.index()] += 1;
        if header.seq > cpu.highest {
            if header.seq > cpu.highest + 1 {
                let from = cpu.gap.map_or(cpu.time, |(from, _)| from);
                cpu.gap = Some((from, header.time));
            }
            cpu.highest = header.seq;
            cpu.time = header.time;
        }
    }

    /// Records in all.
    pub fn total(&self) -> u64 {
        self.cpus.iter().map(CpuReceived::total).sum()
    }

    /// Counts one record, if it has a header.
    pub fn add_bytes(&mut self, record: &[u8]) {
        if let Some(header) = Header::read(record) {
            self.add(&header);
        }
    }

    /// Makes room for this many CPUs, so that each has a row.
    pub fn cpus(&mut self, count: usize) -> &mut [CpuReceived] {
        if count > self.cpus.len() {
            self.cpus.resize_with(count.min(CPUS), CpuReceived::default);
        }
        &mut self.cpus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cpu: u16, seq: u64, time: u64) -> Header {
        Header { kind: EventKind::Exec as u16, cpu, seq, time, ..Header::default() }
    }

    #[test]
    fn a_gap_has_its_times_and_late_or_shared_numbers_are_none() {
        let mut received = Received::default();
        for (seq, time) in [(1, 10), (2, 20), (4, 40), (3, 30)] {
            received.add(&header(1, seq, time));
        }
        assert_eq!(received.cpus(2)[1].missing(), 0);
        // 5 is nobody's, 6 is had twice.
        received.add(&header(1, 6, 60));
        received.add(&header(1, 6, 61));
        assert_eq!(received.cpus(2)[1].missing(), 0);
        received.add(&header(1, 9, 90));
        let cpu = &mut received.cpus(2)[1];
        assert_eq!((cpu.missing(), cpu.take_gap(), cpu.take_gap()), (2, Some((20, 90)), None));
        assert_eq!(received.cpus(2)[0].total(), 0);
    }

    #[test]
    fn what_cannot_be_is_not_counted() {
        let mut received = Received::default();
        received.add(&Header { kind: 9999, ..header(0, 1, 1) });
        received.add(&header(u16::MAX, 1, 1));
        assert_eq!((received.cpus(1).len(), received.cpus(1)[0].total()), (1, 0));
    }
}
