//! The accounts on their way out: losses by container, and the accounts as a whole.

use monitor_common::event::EventKind;

use super::Pipeline;
use crate::bpf::probes::sensor_of;
use crate::container::ContainerKey;
use crate::detect::Detector;
use crate::ingest::{Look, Lost, Received, Row, Told};
use crate::output::record::loss_reason;
use crate::output::{Accounts, Body, ContainerCounts, Counts, Loss, Place, Status};
use crate::process::ProcessTable;

/// Containers in one record of accounts.
const CONTAINERS: usize = 256;
/// How long what was submitted before a look may take to come out of the rings, nanoseconds: a record that is
/// being written holds up what lies behind it in its ring.
const PATIENCE: u64 = 5_000_000_000;

/// A look that waits for what was submitted before it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    look: Option<Box<Look>>,
    since: u64,
}

impl Pipeline {
    /// Takes in what the edge read of the kernel side's accounts. It is checked after the next drain.
    pub fn looked(&mut self, time: u64, look: Box<Look>) {
        // Two looks at once: only a hot thread that stood still is given that. What the first one names counts.
        let held = self.pending.look.take();
        if held.is_none() {
            self.pending.since = time;
        }
        let mut look = look;
        if let Some(held) = held {
            look.named.splice(0..0, held.named);
            look.skipped.splice(0..0, held.skipped);
            look.filtered.splice(0..0, held.filtered);
        }
        self.pending.look = Some(look);
    }

    /// Checks the accounts if there was a look before the last drain. To be called after each drain. True if it did.
    pub fn check_accounts(&mut self, time: u64, received: &mut Received) -> bool {
        let Some(look) = self.pending.look.take() else { return false };
        let patient = !look.last && time.saturating_sub(self.pending.since) < PATIENCE;
        if patient && !self.account.has_arrived(&look, received) {
            self.pending.look = Some(look);
            return false;
        }
        let mut lost = std::mem::take(&mut self.lost);
        self.account.check(&look, received, &mut lost);
        for (container, count) in &look.filtered {
            if let Some(tally) = self.containers.tally(ContainerKey(*container)) {
                tally.filtered += count;
            }
        }
        for lost in lost.drain(..) {
            self.report(time, &lost);
        }
        self.lost = lost;
        true
    }

    /// Goes on where a daemon left off at `alive` (nanoseconds since boot), as `look` shows the accounts while
    /// `waiting` was in the rings; `told` are the losses that it had reported. Gives what counts as received.
    pub fn resume(
        &mut self,
        time: u64,
        alive: u64,
        look: &Look,
        waiting: &mut Received,
        told: &Told,
    ) -> Received {
        let records: u64 = waiting.total();
        let gap = time.saturating_sub(alive);
        self.status(time, Status::Resumed { since: alive, gap, waiting: records });
        let mut lost = Vec::new();
        let received = self.account.resume(look, waiting, told, (alive, time), &mut lost);
        for lost in &lost {
            self.report(time, lost);
        }
        received
    }

    /// The losses that have been reported.
    pub fn told(&self) -> Told {
        self.account.told()
    }

    fn report(&mut self, time: u64, lost: &Lost) {
        let of =
            |kind: EventKind| Loss { sensor: sensor_of(kind.name()), event: Some(kind), ..Loss::default() };
        let full_or_cut = |cut: bool| if cut { loss_reason::OVER_BUDGET } else { loss_reason::RING_FULL };
        let loss = match lost {
            Lost::Named(named) => {
                let key = ContainerKey(named.container);
                if let Some(tally) = self.containers.tally(key) {
                    let lost = if named.over_budget { &mut tally.over_budget } else { &mut tally.ring_full };
                    *lost += named.count;
                }
                let place = match self.containers.get(key) {
                    Some(container) => Place::Container(container),
                    None if key.is_host() => Place::Host,
                    None => Place::Unknown,
                };
                Loss {
                    reason: full_or_cut(named.over_budget),
                    count: named.count,
                    ring: Some(if named.critical { "critical" } else { "bulk" }),
                    cpu: named.cpu,
                    place,
                    between: Some((named.first, named.last)),
                    ..of(named.kind)
                }
            }
            Lost::Unnamed(lost) => Loss {
                reason: full_or_cut(lost.over_budget),
                count: lost.count,
                cpu: lost.cpu,
                between: lost.between,
                ..of(lost.kind)
            },
            Lost::MapFull { counter, limit, count } => Loss {
                reason: loss_reason::MAP_FULL,
                count: *count,
                map: Some((counter.map(), *limit)),
                ..Loss::default()
            },
            Lost::Skipped { program, count } => Loss {
                reason: loss_reason::SKIPPED_RUN,
                count: *count,
                program: Some(program),
                ..Loss::default()
            },
            Lost::Unaccounted { kind: Some(kind), cpu, count } => {
                Loss { reason: loss_reason::UNACCOUNTED, count: *count, cpu: Some(*cpu), ..of(*kind) }
            }
            Lost::Unaccounted { kind: None, cpu, count } => {
                Loss { reason: loss_reason::SEQUENCE_GAP, count: *count, cpu: Some(*cpu), ..Loss::default() }
            }
        };
        self.emitter.emit(time, Body::Loss(loss));
    }

    /// Says what became of every record.
    pub fn accounts(&mut self, time: u64) {
        self.count_run();
        self.tell_engines(time);
        let counts = |row: Row| Counts {
            attempted: row.kernel.attempted,
            submitted: row.kernel.submitted,
            received: row.received,
            ring_full: row.kernel.ring_full,
            over_budget: row.kernel.over_budget,
            filtered: row.kernel.filtered,
        };
        let account = &self.account;
        let events: Vec<_> =
            account.kinds().map(|(kind, row)| (kind, sensor_of(kind.name()), counts(row))).collect();
        let cpus: Vec<_> = account.cpus().map(|(cpu, row)| (cpu, counts(row))).collect();
        let mut containers: Vec<_> = self
            .containers
            .accounts()
            .map(|(container, tally)| ContainerCounts {
                container,
                received: tally.received,
                ring_full: tally.ring_full,
                over_budget: tally.over_budget,
                filtered: tally.filtered,
            })
            .collect();
        containers.sort_by_key(|c| std::cmp::Reverse((c.ring_full + c.over_budget, c.received)));
        let left_out = containers.len().saturating_sub(CONTAINERS);
        containers.truncate(CONTAINERS);
        let body = Accounts {
            total: counts(account.total()),
            skipped_runs: account.skipped(),
            unaccounted: account.unaccounted(),
            balanced: account.is_balanced(),
            events: &events,
            cpus: &cpus,
            containers: &containers,
            containers_left_out: left_out as u64,
        };
        self.emitter.emit(time, Body::Status(Status::Accounts(body)));
    }

    /// Counts a record under its container. Records of one container come in runs: its entry is looked up once
    /// a run.
    pub(super) fn count(&mut self, key: ContainerKey) {
        if key != self.run.0 {
            self.count_run();
            self.run.0 = key;
        }
        self.run.1 += 1;
    }

    pub(super) fn count_run(&mut self) {
        let count = std::mem::take(&mut self.run.1);
        if let Some(tally) = self.containers.tally(self.run.0) {
            tally.received += count;
        }
    }

    /// The kinds of events that nobody wants now, by [`EventKind::index`]: no rule judges them, no table follows
    /// them, no sink writes them.
    pub fn unwanted(&self) -> u64 {
        let nobody = |kind: EventKind| {
            !Detector::judges(kind) && !ProcessTable::follows(kind) && !self.emitter.wants_event(kind)
        };
        EventKind::ALL.iter().filter(|kind| nobody(**kind)).fold(0, |bits, kind| bits | 1 << kind.index())
    }
}
