//! The account of records: every attempt of the kernel side is received or known to be lost.

use monitor_common::counters::Counter;

/// The kernel side's counters, summed over the CPUs, in the order of [`Counter::ALL`].
pub type Counters = [u64; Counter::COUNT as usize];

/// What was lost since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which counter grew.
    pub counter: Counter,
    /// By how much.
    pub count: u64,
}

/// Compares the kernel's counters with those of the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    last: Counters,
    received: u64,
    lost: u64,
}

impl Account {
    /// Counts a record that arrived.
    pub fn receive(&mut self) {
        self.received += 1;
    }

    /// Records that arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Records known to be lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes in the kernel's counters; gives those that tell of a loss and have grown.
    pub fn look(&mut self, now: &Counters) -> impl Iterator<Item = Lost> + use<> {
        let mut grown = [0; Counter::COUNT as usize];
        for (slot, (now, last)) in grown.iter_mut().zip(now.iter().zip(&self.last)) {
            *slot = now.saturating_sub(*last);
        }
        self.last = *now;
        for counter in [Counter::BulkFull, Counter::CriticalFull] {
            self.lost += grown[counter as usize];
        }
        Counter::ALL
            .iter()
            .filter(|c| !matches!(c, Counter::Attempted | Counter::Submitted))
            .map(move |c| Lost { counter: *c, count: grown[*c as usize] })
            .filter(|lost| lost.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_of_losses_is_reported_and_each_once() {
        let mut account = Account::default();
        let mut counters = [0; Counter::COUNT as usize];
        counters[Counter::Attempted as usize] = 10;
        counters[Counter::Submitted as usize] = 8;
        counters[Counter::BulkFull as usize] = 2;
        let lost: Vec<_> = account.look(&counters).collect();
        assert_eq!(lost, [Lost { counter: Counter::BulkFull, count: 2 }]);
        assert_eq!(account.look(&counters).count(), 0);
        counters[Counter::TasksFull as usize] = 1;
        assert_eq!(account.look(&counters).next().unwrap().counter, Counter::TasksFull);
        assert_eq!(account.lost(), 2);
    }
}
