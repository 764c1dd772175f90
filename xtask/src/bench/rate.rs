//! The highest rate of records without a loss, on one CPU for the daemon, and what a record costs there.
//!
//! The rate is raised by a quarter at a time until records are lost in three tries in a row, in the kernel's rings or in
//! the daemon's queue of lines, or until the generator cannot follow. Then the highest rate without a loss is held for longer.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::bench::flood::Flood;
use crate::bench::process::{self, Affinity};
use crate::bench::programs::Account;
use crate::bench::report;
use crate::bench::rig::Rig;
use crate::live::daemon::{Daemon, Output, is_status};
use crate::live::stop;
use crate::say;

/// From here, in records a second, by so much, to here.
const FIRST: f64 = 50_000.0;
const STEP: f64 = 1.25;
const LAST: f64 = 4e6;
/// A rate is given up after so many tries in a row that lost something: one may be the machine's own hiccup.
const TRIES: usize = 3;
/// The generator follows if it reaches this part of the rate.
const FOLLOWS: f64 = 0.97;
/// How much longer the highest rate is held.
const HELD: u32 = 5;
/// Longer than the daemon's timer: when it uses no more in this time than when idle, its backlog is gone.
const SETTLE: Duration = Duration::from_millis(100);
/// CPU time in [`SETTLE`] that is idleness, in nanoseconds.
const QUIET: f64 = 2e6;

/// What the daemon does with records.
const MODES: [(&str, &[&str]); 2] =
    [("no output", &["--events", "none"]), ("every event as JSON", &["--events", "all"])];

/// One rate, held for a time.
#[derive(Debug, Clone, Copy)]
struct Step {
    rate: f64,
    flood: Flood,
    account: Account,
    /// Events that came out, and that were expected to.
    written: f64,
    expected: f64,
    /// CPU time of the daemon, by record.
    ns_each: f64,
}

impl Step {
    fn lost(&self) -> f64 {
        self.account.ring_full + self.account.over_budget + (self.expected - self.written).max(0.0)
    }

    fn is_good(&self) -> bool {
        self.lost() == 0.0 && self.follows()
    }

    fn follows(&self) -> bool {
        self.flood.rate() >= FOLLOWS * self.rate
    }

    fn json(&self) -> Value {
        json!({
            "rate": self.rate, "reached": self.flood.rate(), "asked": self.flood.asked,
            "submitted": self.account.submitted, "ring_full": self.account.ring_full,
            "over_budget": self.account.over_budget, "filtered": self.account.filtered,
            "written": self.written, "cpu_ns_each": self.ns_each, "generator_ns_each": self.flood.ns_each,
        })
    }
}

/// What one mode came to.
struct Search {
    mode: &'static str,
    steps: Vec<Step>,
    /// The highest rate, held.
    held: Option<Step>,
    /// The account at the end, and what the daemon says it received and lost.
    account: Account,
    received: f64,
    lost: f64,
}

/// Measures, prints, and gives the raw figures.
pub(crate) fn measure(rig: &Rig, time: Duration, urgent: bool) -> anyhow::Result<Value> {
    let Some(cpus) = process::two_cpus()? else {
        say::note("one CPU only: nothing is left for the generator");
        return Ok(Value::Null);
    };
    report::heading(
        "Records a second without a loss, the daemon on one CPU (records of 116 bytes, open loop)",
    );
    let mut raw = Vec::new();
    for (mode, args) in MODES {
        let found = search(rig, (mode, args), cpus, time, urgent)?;
        print(&found);
        raw.push(json!({
            "mode": found.mode, "steps": found.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "held": found.held.as_ref().map(Step::json), "attempted": found.account.attempted,
            "submitted": found.account.submitted, "unaccounted": found.account.unaccounted(),
            "received": found.received, "lost": found.lost,
        }));
    }
    Ok(raw.into())
}

fn search(
    rig: &Rig,
    (mode, args): (&'static str, &[&str]),
    cpus: (usize, usize),
    time: Duration,
    urgent: bool,
) -> anyhow::Result<Search> {
    let _affinity = Affinity::only(cpus.0)?;
    let mut daemon = rig.daemon(Output::Counted, &[args, rig.unlimited(), &["--bench"]].concat())?;
    let container = rig.container(&["/bin/sleep", "600"])?;
    container.start()?;
    let about = (key(&mut daemon, &container.id)?, container.process()?);
    process::pin(daemon.pid(), cpus.1)?;
    if urgent {
        process::hurry(daemon.pid())?;
        process::hurry(std::process::id())?;
    }
    let json = args.contains(&"all");
    let step = |rate, time| step(rig, &daemon, about, rate, time, json, urgent);
    let (mut steps, mut rate) = (Vec::new(), FIRST);
    while rate <= LAST {
        let step = step(rate, time)?;
        steps.push(step);
        let tries = steps.iter().rev().take_while(|step| !step.is_good()).count();
        if tries == TRIES {
            break;
        }
        if tries == 0 {
            rate *= STEP;
        }
    }
    let mut held = None;
    for best in steps.iter().rev().filter(|step| step.is_good()).take(3) {
        let step = step(best.rate, time * HELD)?;
        held = Some(step);
        if step.is_good() {
            break;
        }
    }
    drop(container);
    settle(&daemon)?;
    let account = Account::of(daemon.pid())?;
    let rest = daemon.stop()?;
    let end = rest.iter().find(|record| is_status(record, "stopping")).context("no record `stopping`")?;
    let number = |name: &str| end[name].as_f64().unwrap_or(f64::NAN);
    let (received, lost) = (number("received"), number("lost"));
    Ok(Search { mode, steps, held: held.filter(Step::is_good), account, received, lost })
}

/// The key by which the kernel side knows a container, once the daemon has seen it enter.
pub(crate) fn key(daemon: &mut Daemon, id: &str) -> anyhow::Result<u64> {
    let (_, record) = daemon.wait_for(Duration::from_secs(10), "container", |record| {
        record["type"] == "container" && record["change"] == "entered" && record["container"]["id"] == id
    })?;
    let key = record["container"]["cgroup_id"].as_u64().context("a container without a cgroup")?;
    ensure!(key != 0, "a container without a cgroup");
    Ok(key)
}

fn step(
    rig: &Rig,
    daemon: &Daemon,
    about: (u64, u32),
    rate: f64,
    time: Duration,
    json: bool,
    urgent: bool,
) -> anyhow::Result<Step> {
    settle(daemon)?;
    let (account, written) = (Account::of(daemon.pid())?, daemon.events());
    let cpu = process::cpu_ns(daemon.pid())?;
    let flood = rig.flood(daemon, about, rate, time, urgent)?;
    settle(daemon)?;
    let cpu = process::cpu_ns(daemon.pid())? - cpu;
    let account = Account::of(daemon.pid())?.since(account);
    let written = (daemon.events() - written) as f64;
    let expected = if json { account.submitted } else { 0.0 };
    let ns_each = cpu / account.submitted.max(1.0);
    Ok(Step { rate, flood, account, written, expected, ns_each })
}

/// Lets the daemon finish what is in its rings.
pub(crate) fn settle(daemon: &Daemon) -> anyhow::Result<()> {
    for _ in 0..50 {
        let before = process::cpu_ns(daemon.pid())?;
        stop::pass(SETTLE)?;
        if process::cpu_ns(daemon.pid())? - before < QUIET {
            break;
        }
    }
    Ok(())
}

fn print(found: &Search) {
    let best = found.held.as_ref();
    let rate = best.map_or("none".to_owned(), |step| report::thousands(step.flood.rate()));
    let bound = match found.steps.last() {
        Some(step) if !step.follows() => "then the generator could not follow",
        Some(step) if step.lost() > 0.0 => "then records were lost",
        _ => "as far as was tried",
    };
    say::result(format!("  {}: {rate} held, {bound}", found.mode));
    for step in &found.steps {
        say::result(format!(
            "    {:>9} asked {:>9} reached {:>9.0} lost {:>7.0} ns of the daemon's CPU each",
            report::thousands(step.rate),
            report::thousands(step.flood.rate()),
            step.lost(),
            step.ns_each
        ));
    }
    if let Some(step) = best {
        say::result(format!("    held: {:.0} records, {:.0} ns each", step.flood.asked, step.ns_each));
    }
    let Account { attempted, submitted, ring_full, over_budget, filtered } = found.account;
    say::result(format!(
        "    accounts: attempted {attempted:.0} = submitted {submitted:.0} + ring full {ring_full:.0} + over budget \
         {over_budget:.0} + filtered {filtered:.0} ({:.0} unaccounted); received {:.0}, known as lost {:.0}",
        found.account.unaccounted(),
        found.received,
        found.lost
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_good_without_any_loss_and_with_a_generator_that_follows() {
        let flood = Flood { asked: 1000.0, seconds: 1.0, ns_each: 1.0 };
        let account = Account { attempted: 1000.0, submitted: 1000.0, ..Account::default() };
        let good = Step { rate: 1000.0, flood, account, written: 1000.0, expected: 1000.0, ns_each: 1.0 };
        assert!(good.is_good());
        assert!(!Step { written: 999.0, ..good }.is_good(), "a line was shed");
        assert!(!Step { account: Account { ring_full: 1.0, ..account }, ..good }.is_good());
        assert!(!Step { rate: 1100.0, ..good }.is_good(), "the generator did not follow");
    }
}
