//! Reads the kernel side's accounts: records by CPU and kind, losses by container, full maps, skipped runs.

use std::collections::HashMap as Table;
use std::os::fd::{AsRawFd, OwnedFd};

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use aya_obj::generated::{bpf_attr, bpf_prog_info};
use monitor_common::account::{Budget, BudgetKey, CpuAccount, LossEntry, LossKey};
use monitor_common::counters::Counter;
use monitor_common::event::EventKind;
use monitor_common::twice;

use super::control::pod;
use super::maps::Maps;
use crate::ingest::{Look, Named};

pod!(BudgetKeyPod(BudgetKey), BudgetPod(Budget), LossKeyPod(LossKey), LossPod(LossEntry));

/// `BPF_OBJ_GET_INFO_BY_FD`, kernel `include/uapi/linux/bpf.h`.
const GET_INFO: libc::c_long = 15;
/// A bucket or a loss that has not changed for this long is taken out of its map, nanoseconds.
const IDLE: u64 = 60_000_000_000;
/// Looks between two tidyings.
const TIDY: u32 = 30;
/// Looks from one reading of what nobody wanted by container to the next, and readings after which an entry that has
/// not grown is taken out.
const FILTERED_EVERY: u32 = 10;
const FILTERED_IDLE: u32 = 6;

/// A program whose skipped runs are watched.
#[derive(Debug)]
struct Watched {
    name: String,
    fd: OwnedFd,
    missed: u64,
}

/// What was last read of an entry that only grows.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    count: u64,
    last: u64,
}

/// What was last read of a container's records that nobody wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Filtered {
    count: u64,
    /// Readings since it has grown.
    idle: u32,
}

/// Reads the accounts.
pub struct Accounts {
    accounts: PerCpuArray<MapData, [u64; CpuAccount::WORDS]>,
    counters: PerCpuArray<MapData, u64>,
    /// Runs that second programs took over from first ones that were held.
    taken_over: PerCpuArray<MapData, u64>,
    budgets: HashMap<MapData, BudgetKeyPod, BudgetPod>,
    losses: HashMap<MapData, LossKeyPod, LossPod>,
    filtered: HashMap<MapData, u64, u64>,
    limits: [u32; Counter::COUNT as usize],
    programs: Vec<Watched>,
    budgets_seen: Table<BudgetKey, Seen>,
    losses_seen: Table<LossKey, Seen>,
    filtered_seen: Table<u64, Filtered>,
    /// Records that nobody wanted, when they were last read by container.
    unwanted: u64,
    /// Losses at the last look.
    missing: u64,
    /// How many more times the maps are read though no loss is new: names come a moment later.
    again: u32,
    looks: u32,
    /// True if what nobody wanted is read at the next look in any case.
    filtered_due: bool,
}

impl Accounts {
    /// Takes the maps out of the loaded object. The maps of [`Counter::ALL`] must still be there.
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        let limits = limits(maps)?;
        Ok(Self {
            accounts: maps.take("ACCOUNTS")?,
            counters: maps.take("COUNTERS")?,
            taken_over: maps.take("TAKEN_OVER")?,
            budgets: maps.take("BUDGETS")?,
            losses: maps.take("LOSSES")?,
            filtered: maps.take("FILTERED")?,
            limits,
            programs: Vec::new(),
            budgets_seen: Table::new(),
            losses_seen: Table::new(),
            filtered_seen: Table::new(),
            unwanted: 0,
            missing: 0,
            again: 0,
            looks: 0,
            filtered_due: false,
        })
    }

    /// Watches the skipped runs of these programs.
    pub(super) fn watch(&mut self, programs: impl Iterator<Item = (String, OwnedFd)>) {
        // A second program that is skipped has hidden nothing by that: the first was not, or is counted.
        let is_second = |name: &str| name.strip_suffix("_2").is_some_and(|n| twice::PROGRAMS.contains(&n));
        let programs = programs.filter(|(name, _)| !is_second(name));
        self.programs = programs.map(|(name, fd)| Watched { name, fd, missed: 0 }).collect();
    }

    /// Looks at everything. `now` is in nanoseconds since boot.
    ///
    /// # Errors
    /// The kernel refused a read.
    pub fn look(&mut self, now: u64) -> Result<Look, String> {
        let failed = |e: aya::maps::MapError| format!("accounts: {e}");
        let values = self.accounts.get(&0, 0).map_err(failed)?;
        let cpus: Vec<CpuAccount> = values.iter().map(CpuAccount::from_words).collect();
        let mut full = [0; Counter::COUNT as usize];
        for (counter, sum) in Counter::ALL.iter().zip(&mut full) {
            *sum = self.counters.get(&(*counter as u32), 0).map_err(failed)?.iter().sum();
        }
        let missing = cpus.iter().map(|cpu| cpu.total().missing()).sum();
        if missing != self.missing {
            self.missing = missing;
            self.again = 2;
        }
        self.looks += 1;
        let tidy = self.looks.is_multiple_of(TIDY);
        let mut named = Vec::new();
        if self.again > 0 || tidy {
            self.again = self.again.saturating_sub(1);
            self.read_budgets(now, tidy, &mut named)?;
            self.read_losses(now, tidy, &mut named)?;
        }
        let unwanted = cpus.iter().map(|cpu| cpu.total().filtered).sum();
        let is_due = std::mem::take(&mut self.filtered_due) || self.looks % FILTERED_EVERY == 1;
        let filtered = if is_due { self.read_filtered(unwanted)? } else { Vec::new() };
        let skipped = self.skipped();
        Ok(Look { cpus, full, limits: self.limits, named, filtered, skipped, last: false })
    }

    /// Looks when nothing writes any more: waits until every attempt has its outcome.
    ///
    /// # Errors
    /// The kernel refused a read.
    pub fn last_look(&mut self, now: u64) -> Result<Look, String> {
        // A program that was interrupted as it was detached finishes within this many milliseconds, or hangs.
        const TRIES: u32 = 200;
        self.again = 1;
        self.filtered_due = true;
        let mut look = self.look(now)?;
        for _ in 0..TRIES {
            if look.cpus.iter().all(|cpu| cpu.total().attempted == cpu.total().settled()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            self.again = 1;
            self.filtered_due = true;
            let next = self.look(now)?;
            let before = std::mem::replace(&mut look, next);
            look.named.extend(before.named);
            look.skipped.extend(before.skipped);
            look.filtered.extend(before.filtered);
        }
        look.last = true;
        Ok(look)
    }

    fn read_budgets(&mut self, now: u64, tidy: bool, named: &mut Vec<Named>) -> Result<(), String> {
        // Collected first: an entry that is taken out while the map is walked would end the walk.
        let entries: Result<Vec<_>, _> = self.budgets.iter().collect();
        for (key, budget) in entries.map_err(|e| format!("map BUDGETS: {e}"))? {
            let (key, budget) = (key.0, budget.0);
            if budget.refused > 0 {
                let seen = self.budgets_seen.entry(key).or_default();
                let kind = EventKind::ALL.get(key.kind as usize);
                if let (Some((count, first)), Some(kind)) =
                    (grown(seen, budget.refused, budget.first, budget.last), kind)
                {
                    named.push(Named {
                        container: key.container,
                        kind: *kind,
                        cpu: None,
                        critical: key.critical != 0,
                        over_budget: true,
                        count,
                        first,
                        last: budget.last,
                    });
                }
            }
            if tidy && now.saturating_sub(budget.full_at.max(budget.last)) > IDLE {
                // Whoever comes next finds a full bucket, as this one is.
                let _ = self.budgets.remove(&BudgetKeyPod(key));
                self.budgets_seen.remove(&key);
            }
        }
        Ok(())
    }

    fn read_losses(&mut self, now: u64, tidy: bool, named: &mut Vec<Named>) -> Result<(), String> {
        let entries: Result<Vec<_>, _> = self.losses.iter().collect();
        for (key, entry) in entries.map_err(|e| format!("map LOSSES: {e}"))? {
            let (key, entry) = (key.0, entry.0);
            let seen = self.losses_seen.entry(key).or_default();
            let kind = EventKind::ALL.get(usize::from(key.kind));
            if let (Some((count, first)), Some(kind)) =
                (grown(seen, entry.count, entry.first, entry.last), kind)
            {
                named.push(Named {
                    container: key.container,
                    kind: *kind,
                    cpu: Some(key.cpu),
                    critical: key.critical != 0,
                    over_budget: false,
                    count,
                    first,
                    last: entry.last,
                });
            }
            if tidy && now.saturating_sub(entry.last) > IDLE {
                let _ = self.losses.remove(&LossKeyPod(key));
                self.losses_seen.remove(&key);
            }
        }
        Ok(())
    }

    /// How many more records nobody wanted, by container; `unwanted` is how many in all.
    fn read_filtered(&mut self, unwanted: u64) -> Result<Vec<(u64, u64)>, String> {
        if unwanted == std::mem::replace(&mut self.unwanted, unwanted) && self.filtered_seen.is_empty() {
            return Ok(Vec::new());
        }
        let mut grown = Vec::new();
        let entries: Result<Vec<_>, _> = self.filtered.iter().collect();
        for (container, count) in entries.map_err(|e| format!("map FILTERED: {e}"))? {
            let seen = self.filtered_seen.entry(container).or_default();
            match count.checked_sub(seen.count) {
                Some(new) if new > 0 => {
                    grown.push((container, new));
                    *seen = Filtered { count, idle: 0 };
                }
                _ => seen.idle += 1,
            }
            if seen.idle > FILTERED_IDLE {
                let _ = self.filtered.remove(&container);
                self.filtered_seen.remove(&container);
            }
        }
        Ok(grown)
    }

    fn skipped(&mut self) -> Vec<(String, u64)> {
        let mut grown = Vec::new();
        for program in &mut self.programs {
            // A program that cannot be asked has not been skipped as far as anybody can tell.
            let mut now = recursion_misses(&program.fd).unwrap_or(program.missed);
            if let Some(number) = twice::PROGRAMS.iter().position(|name| *name == program.name) {
                let taken = self.taken_over.get(&(number as u32), 0);
                now = now.saturating_sub(taken.map_or(0, |cpus| cpus.iter().sum()));
            }
            if now > program.missed {
                grown.push((program.name.clone(), now - program.missed));
                program.missed = now;
            }
        }
        grown
    }
}

/// How many entries the maps hold that may be full, in the order of [`Counter::ALL`].
fn limits(maps: &Maps) -> Result<[u32; Counter::COUNT as usize], String> {
    let mut limits = [0; Counter::COUNT as usize];
    for (counter, limit) in Counter::ALL.iter().zip(&mut limits) {
        let name = counter.map();
        let Map::HashMap(data) = maps.get(name)? else {
            return Err(format!("map {name} is of another type"));
        };
        *limit = data.info().map_err(|e| format!("map {name}: {e}"))?.max_entries();
    }
    Ok(limits)
}

/// How much a count has grown, and when the first of those was: after the last one seen.
fn grown(seen: &mut Seen, count: u64, first: u64, last: u64) -> Option<(u64, u64)> {
    let new = count.checked_sub(seen.count).filter(|new| *new > 0)?;
    let first = first.max(seen.last);
    *seen = Seen { count, last };
    Some((new, first))
}

/// Runs of a program that the kernel skipped because it was running on that CPU already; 0 before 5.12, which
/// does not count them.
#[expect(unsafe_code, reason = "a system call without wrapper")]
fn recursion_misses(program: &OwnedFd) -> std::io::Result<u64> {
    // SAFETY: both are plain numbers, of which zeros are a value.
    let (mut info, mut attr) =
        unsafe { (std::mem::zeroed::<bpf_prog_info>(), std::mem::zeroed::<bpf_attr>()) };
    attr.info.bpf_fd = program.as_raw_fd().cast_unsigned();
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    attr.info.info = (&raw mut info) as u64;
    // SAFETY: `attr` tells the kernel the place and the size of `info`, and both live until the call returns.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, GET_INFO, &raw mut attr, size_of::<bpf_attr>()) };
    if ret < 0 { Err(std::io::Error::last_os_error()) } else { Ok(info.recursion_misses) }
}
