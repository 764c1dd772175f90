//! The account of records: every attempt of the kernel side is received, or known to be lost, cut or left out.
//!
//! A look at the kernel's numbers is not taken at one instant, and programs run on meanwhile. So inequalities
//! are checked that hold whatever runs: what was attempted at one look has an outcome at the next; what was
//! submitted before a look has come out of the rings after the drain that follows it. What fails [`STRIKES`]
//! times in a row is reported, once. At the last look, when nothing writes any more, equality is checked.

use monitor_common::account::{CpuAccount, KindAccount};
use monitor_common::counters::Counter;
use monitor_common::event::EventKind;

use super::look::{Look, Named};
use super::received::{CpuReceived, Received};

/// Looks in a row at which a check must fail. A container whose CPU time is rationed may be stopped within a
/// program for a second.
const STRIKES: u8 = 10;

/// What an account says about one CPU or one kind, or about everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What the kernel side counted.
    pub kernel: KindAccount,
    /// Records that came out of the rings.
    pub received: u64,
}

/// Something to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Records of one container and kind.
    Named(Named),
    /// Records whose container is not known.
    Unnamed(Unnamed),
    /// Entries that found a map full.
    MapFull {
        /// Which map.
        counter: Counter,
        /// How many entries it holds.
        limit: u32,
        /// How many found no room.
        count: u64,
    },
    /// Runs of a program that the kernel skipped.
    Skipped {
        /// Its name.
        program: String,
        /// How many runs.
        count: u64,
    },
    /// Records that no account explains: a fault of Bulkhead, or of memory.
    Unaccounted {
        /// The kind; `None` for a gap in the CPU's numbers.
        kind: Option<EventKind>,
        /// The CPU.
        cpu: u16,
        /// How many.
        count: u64,
    },
}

/// Lost records whose container is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Their kind.
    pub kind: EventKind,
    /// Their CPU, if it is known.
    pub cpu: Option<u16>,
    /// True if a container was over its budget, false if a ring was full.
    pub over_budget: bool,
    /// How many.
    pub count: u64,
    /// Between these times, if that is known, nanoseconds since boot.
    pub between: Option<(u64, u64)>,
}

/// What is remembered of one CPU.
#[derive(Clone, Debug)]
struct Cpu {
    last: CpuAccount,
    /// Losses that were reported with their container or without.
    told: [u64; EventKind::COUNT],
    /// The smallest number of losses without container at the last look.
    unnamed: [u64; EventKind::COUNT],
    strikes: [u8; EventKind::COUNT],
    /// Records that were reported as unaccounted, so that they are not again.
    forgiven: [u64; EventKind::COUNT],
    missing: u64,
    number_strikes: u8,
    number_forgiven: u64,
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            last: CpuAccount::default(),
            told: [0; EventKind::COUNT],
            unnamed: [0; EventKind::COUNT],
            strikes: [0; EventKind::COUNT],
            forgiven: [0; EventKind::COUNT],
            missing: 0,
            number_strikes: 0,
            number_forgiven: 0,
        }
    }
}

/// Checks the accounts at each look.
#[derive(Clone, Debug)]
pub struct Account {
    cpus: Vec<Cpu>,
    received: Vec<[u64; EventKind::COUNT]>,
    full: [u64; Counter::COUNT as usize],
    refused_told: [u64; EventKind::COUNT],
    refused_unnamed: [u64; EventKind::COUNT],
    skipped: u64,
    unaccounted: u64,
    settled: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            cpus: Vec::new(),
            received: Vec::new(),
            full: [0; Counter::COUNT as usize],
            refused_told: [0; EventKind::COUNT],
            refused_unnamed: [0; EventKind::COUNT],
            skipped: 0,
            unaccounted: 0,
            settled: false,
        }
    }
}

impl Account {
    /// Takes in a look, once everything that was submitted before it has been drained; reports to `out`.
    pub fn check(&mut self, look: &Look, received: &mut Received, out: &mut Vec<Lost>) {
        let count = look.cpus.len();
        self.cpus.resize_with(count.max(self.cpus.len()), Cpu::default);
        self.received.resize(count.max(self.received.len()), [0; EventKind::COUNT]);
        for named in &look.named {
            out.push(Lost::Named(*named));
            let told = match named.cpu.and_then(|cpu| self.cpus.get_mut(usize::from(cpu))) {
                Some(cpu) if !named.over_budget => &mut cpu.told,
                _ => &mut self.refused_told,
            };
            told[named.kind.index()] += named.count;
        }
        self.settled = true;
        let rows = received.cpus(count);
        for (number, (now, came)) in look.cpus.iter().zip(rows).enumerate() {
            self.received[number] = came.kinds;
            let between = came.take_gap();
            let cpu = &mut self.cpus[number];
            cpu.full(now, number as u16, look.last, between, out);
            let unaccounted = cpu.kinds(now, came, number as u16, look.last, out)
                + cpu.numbers(now, came, number as u16, look.last, out);
            self.unaccounted += unaccounted;
            self.settled &= unaccounted == 0 && now.total().attempted == now.total().settled();
            cpu.last = *now;
            cpu.missing = came.missing();
        }
        self.refused(look.last, out);
        for ((counter, last), limit) in Counter::ALL.iter().zip(&mut self.full).zip(look.limits) {
            let now = look.full[*counter as usize];
            let count = now.saturating_sub(*last);
            *last = now;
            if count > 0 {
                out.push(Lost::MapFull { counter: *counter, limit, count });
            }
        }
        for (program, count) in &look.skipped {
            self.skipped += count;
            out.push(Lost::Skipped { program: program.clone(), count: *count });
        }
    }

    /// Cut records that no container was named for.
    fn refused(&mut self, last: bool, out: &mut Vec<Lost>) {
        for kind in EventKind::ALL {
            let n = kind.index();
            let now: u64 = self.cpus.iter().map(|cpu| cpu.last.kinds[n].over_budget).sum();
            let unnamed = now.saturating_sub(self.refused_told[n]);
            let count = if last { unnamed } else { unnamed.min(self.refused_unnamed[n]) };
            if count > 0 {
                out.push(Lost::Unnamed(Unnamed {
                    kind: *kind,
                    cpu: None,
                    over_budget: true,
                    count,
                    between: None,
                }));
                self.refused_told[n] += count;
            }
            self.refused_unnamed[n] = unnamed - count;
        }
    }

    /// Everything together, at the last look.
    pub fn total(&self) -> Row {
        let mut total = Row::default();
        for (_, row) in self.cpus() {
            total.kernel.add(&row.kernel);
            total.received += row.received;
        }
        total
    }

    /// Each CPU that has attempted anything.
    pub fn cpus(&self) -> impl Iterator<Item = (u16, Row)> + '_ {
        let rows = self.cpus.iter().zip(&self.received).enumerate();
        rows.map(|(n, (cpu, came))| (n as u16, Row { kernel: cpu.last.total(), received: came.iter().sum() }))
            .filter(|(_, row)| row.kernel.attempted > 0)
    }

    /// Each kind that has been attempted.
    pub fn kinds(&self) -> impl Iterator<Item = (EventKind, Row)> + '_ {
        EventKind::ALL.iter().filter_map(|kind| {
            let mut row = Row::default();
            for (cpu, came) in self.cpus.iter().zip(&self.received) {
                row.kernel.add(&cpu.last.kinds[kind.index()]);
                row.received += came[kind.index()];
            }
            (row.kernel.attempted > 0).then_some((*kind, row))
        })
    }

    /// Records that somebody wanted and nobody got, runs that were skipped included.
    pub fn lost(&self) -> u64 {
        self.total().kernel.missing() + self.skipped + self.unaccounted
    }

    /// Runs of programs that the kernel skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Records that no account explains.
    pub fn unaccounted(&self) -> u64 {
        self.unaccounted
    }

    /// True if at the last look every attempt had its outcome and every check held.
    pub fn is_balanced(&self) -> bool {
        self.settled
    }

    /// True if what was submitted before the look has been received.
    pub fn has_arrived(&self, look: &Look, received: &mut Received) -> bool {
        let rows = received.cpus(look.cpus.len());
        look.cpus
            .iter()
            .zip(rows)
            .all(|(now, came)| now.kinds.iter().zip(came.kinds).all(|(kind, came)| kind.submitted <= came))
    }
}

impl Cpu {
    /// Records that found a ring full and that no container was named for.
    fn full(
        &mut self,
        now: &CpuAccount,
        cpu: u16,
        last: bool,
        between: Option<(u64, u64)>,
        out: &mut Vec<Lost>,
    ) {
        for kind in EventKind::ALL {
            let n = kind.index();
            let unnamed = now.kinds[n].ring_full.saturating_sub(self.told[n]);
            // The name is counted a moment later than the loss: only what stays without is told without.
            let count = if last { unnamed } else { unnamed.min(self.unnamed[n]) };
            if count > 0 {
                out.push(Lost::Unnamed(Unnamed {
                    kind: *kind,
                    cpu: Some(cpu),
                    over_budget: false,
                    count,
                    between,
                }));
                self.told[n] += count;
            }
            self.unnamed[n] = unnamed - count;
        }
    }

    /// Each kind: attempts have outcomes, and what was submitted has come.
    fn kinds(
        &mut self,
        now: &CpuAccount,
        came: &CpuReceived,
        cpu: u16,
        last: bool,
        out: &mut Vec<Lost>,
    ) -> u64 {
        let mut all = 0;
        for kind in EventKind::ALL {
            let n = kind.index();
            let (k, before) = (&now.kinds[n], &self.last.kinds[n]);
            let quiet = last || k.attempted == before.attempted;
            let open = if quiet {
                k.attempted.abs_diff(k.settled())
            } else {
                before.attempted.saturating_sub(k.settled()).max(before.settled().saturating_sub(k.attempted))
            };
            let wrong = open
                + if last {
                    k.submitted.abs_diff(came.kinds[n])
                } else {
                    // Drained after the look: what the kernel had submitted is there, and more may be.
                    k.submitted.saturating_sub(came.kinds[n])
                };
            let count = strike(wrong, last, &mut self.strikes[n], &mut self.forgiven[n]);
            if count > 0 {
                out.push(Lost::Unaccounted { kind: Some(*kind), cpu, count });
                all += count;
            }
        }
        all
    }

    /// The numbers: as many as attempts, and every gap is explained.
    fn numbers(
        &mut self,
        now: &CpuAccount,
        came: &CpuReceived,
        cpu: u16,
        last: bool,
        out: &mut Vec<Lost>,
    ) -> u64 {
        let total = now.total();
        let explained = total.missing() + total.filtered;
        let wrong = if last {
            now.seq.abs_diff(total.attempted) + came.missing().saturating_sub(explained)
        } else {
            let before = self.last.total();
            let numbers =
                self.last.seq.saturating_sub(total.attempted).max(before.attempted.saturating_sub(now.seq));
            // What was missing at the last look is lost by now, or has come.
            numbers + self.missing.min(came.missing()).saturating_sub(explained)
        };
        let count = strike(wrong, last, &mut self.number_strikes, &mut self.number_forgiven);
        if count > 0 {
            out.push(Lost::Unaccounted { kind: None, cpu, count });
        }
        count
    }
}

/// How many are to be reported now: what is wrong beyond what was forgiven, if it has been so for long enough.
fn strike(wrong: u64, last: bool, strikes: &mut u8, forgiven: &mut u64) -> u64 {
    let new = wrong.saturating_sub(*forgiven);
    if new == 0 {
        *strikes = 0;
        return 0;
    }
    *strikes += 1;
    if *strikes < STRIKES && !last {
        return 0;
    }
    *strikes = 0;
    *forgiven += new;
    new
}

mod resume;
#[cfg(test)]
mod tests;

pub use resume::{NONE_TOLD, Told};
