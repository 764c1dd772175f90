//! Going on with the accounts of kernel-side programs that an earlier daemon had read until it ended.

use monitor_common::event::EventKind;

use super::{Account, Cpu, Lost, Unnamed};
use crate::ingest::{Look, Received};

/// Losses that were reported, by [`EventKind::index`]: records that found a ring full, and records of containers
/// over their budget.
pub type Told = [(u64, u64); EventKind::COUNT];

/// None of them.
pub const NONE_TOLD: Told = [(0, 0); EventKind::COUNT];

impl Account {
    /// Takes the accounts over as `look` shows them, read while `waiting` was in the rings. What had come before is
    /// taken for received by the earlier daemon; what was lost and not in `told` is reported to `out`, as lost
    /// `since`. Gives what has been received, to go on counting from.
    pub fn resume(
        &mut self,
        look: &Look,
        waiting: &mut Received,
        told: &Told,
        since: (u64, u64),
        out: &mut Vec<Lost>,
    ) -> Received {
        let received = Received::before(look, waiting);
        self.cpus = look
            .cpus
            .iter()
            .map(|now| {
                let mut cpu = Cpu { last: *now, ..Cpu::default() };
                for (told, kind) in cpu.told.iter_mut().zip(&now.kinds) {
                    *told = kind.ring_full;
                }
                cpu
            })
            .collect();
        self.received = vec![[0; EventKind::COUNT]; look.cpus.len()];
        self.full = look.full;
        for (kind, (told_full, told_cut)) in EventKind::ALL.iter().zip(told) {
            let n = kind.index();
            let sum = |of: fn(&monitor_common::account::KindAccount) -> u64| -> u64 {
                look.cpus.iter().map(|cpu| of(&cpu.kinds[n])).sum()
            };
            let (full, cut) = (sum(|k| k.ring_full), sum(|k| k.over_budget));
            self.refused_told[n] = cut;
            for (over_budget, count) in
                [(false, full.saturating_sub(*told_full)), (true, cut.saturating_sub(*told_cut))]
            {
                if count > 0 {
                    out.push(Lost::Unnamed(Unnamed {
                        kind: *kind,
                        cpu: None,
                        over_budget,
                        count,
                        between: Some(since),
                    }));
                }
            }
        }
        received
    }

    /// The losses that have been reported.
    pub fn told(&self) -> Told {
        let mut told = NONE_TOLD;
        for (n, (full, cut)) in told.iter_mut().enumerate() {
            *full = self.cpus.iter().map(|cpu| cpu.told[n]).sum();
            *cut = self.refused_told[n];
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use monitor_common::account::{CpuAccount, KindAccount};
    use monitor_common::event::Header;

    use super::*;

    const FORK: usize = EventKind::Fork.index();

    fn look(attempted: u64, submitted: u64, ring_full: u64) -> Look {
        let mut cpu = CpuAccount { seq: attempted, ..CpuAccount::default() };
        cpu.kinds[FORK] = KindAccount { attempted, submitted, ring_full, ..KindAccount::default() };
        Look { cpus: vec![cpu], ..Look::default() }
    }

    #[test]
    fn what_waits_is_received_later_and_what_was_lost_meanwhile_is_told_once() {
        let fork = |seq| Header { kind: EventKind::Fork as u16, seq, time: seq, ..Header::default() };
        let mut waiting = Received::default();
        waiting.add(&fork(9));
        waiting.add(&fork(10));
        let mut told = NONE_TOLD;
        told[FORK].0 = 1;
        let (mut account, mut out) = (Account::default(), Vec::new());
        let mut received = account.resume(&look(10, 7, 3), &mut waiting, &told, (5, 6), &mut out);
        let [Lost::Unnamed(lost)] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!((lost.kind, lost.count, lost.between), (EventKind::Fork, 2, Some((5, 6))));
        assert_eq!(account.told()[FORK], (3, 0));
        // The two that waited come now, and one more.
        for seq in 9..12 {
            received.add(&fork(seq));
        }
        let mut last = look(11, 8, 3);
        last.last = true;
        out.clear();
        account.check(&last, &mut received, &mut out);
        assert_eq!(out, []);
        assert!(account.is_balanced());
    }
}
