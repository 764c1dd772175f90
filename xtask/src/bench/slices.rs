//! Paired slices: the same loads with and without Bulkhead, in the order A B B A, and again without it on either
//! side, which shows the machine's own noise.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::load::{LoadKind, Run};
use crate::bench::machine::{Clocks, Disturbance};
use crate::bench::rig::{Place, Rig};
use crate::bench::stats::{self, Ratio};
use crate::live::daemon::{Daemon, Output};
use crate::live::stop;
use crate::say;

/// A load and where it runs.
pub(crate) type Loads = [(Place, LoadKind)];

/// A slice with more is dropped with its pair, in percent.
const STEAL: f64 = 1.0;
/// Disturbed pairs are measured again, until there are this many times as many pairs as asked for.
const TRIES: usize = 2;
/// How often another Bulkhead is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// One load in one slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) run: Run,
    pub(crate) disturbance: Disturbance,
    /// Somebody else's Bulkhead was attached.
    pub(crate) shared: bool,
}

/// A base slice and its partner, a sample a load.
pub(crate) struct Pair {
    base: Vec<Sample>,
    with: Vec<Sample>,
}

/// What pairs say about one load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    /// Median nanoseconds each by the clock, of the base and of its partner.
    pub(crate) wall: (f64, f64),
    pub(crate) wall_ratio: Ratio,
    /// Median nanoseconds each of CPU time.
    pub(crate) cpu: (f64, f64),
    pub(crate) cpu_ratio: Ratio,
    /// Pairs left out.
    pub(crate) dropped: usize,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Quiet pairs wanted.
    pub(crate) pairs: usize,
    /// Time of each load in each slice.
    pub(crate) time: Duration,
    /// How long another Bulkhead is waited for.
    pub(crate) patience: Duration,
}

/// Measures pairs of slices, two at a time, until there are enough quiet ones, or [`TRIES`] as many in all. `with`
/// has the daemon's arguments; without any daemon both sides are bare.
pub(crate) fn measure(
    rig: &Rig,
    loads: &Loads,
    effort: Effort,
    with: Option<&[&str]>,
) -> anyhow::Result<Vec<Pair>> {
    let mut done = Vec::new();
    loop {
        let quiet = done.iter().filter(|pair: &&Pair| pair.is_quiet()).count();
        let pairs = effort.pairs;
        if quiet >= pairs || done.len() >= TRIES * pairs {
            return Ok(done);
        }
        say::note(format!("{quiet} quiet pairs of {pairs}, {} in all", done.len()));
        wait_for_others(rig, effort.patience)?;
        let slice = |daemon: Option<&Daemon>| slice(rig, loads, daemon, effort.time);
        let first = slice(None)?;
        let daemon = with.map(|args| rig.daemon(Output::Nowhere, args)).transpose()?;
        let (second, third) = (slice(daemon.as_ref())?, slice(daemon.as_ref())?);
        if let Some(daemon) = daemon {
            rig.stop(daemon)?;
        }
        let last = slice(None)?;
        done.push(Pair { base: first, with: second });
        done.push(Pair { base: last, with: third });
    }
}

/// Another Bulkhead on the machine, somebody's test, would make the base no base.
pub(crate) fn wait_for_others(rig: &Rig, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    let mut said = false;
    while rig.is_shared(None)? && Instant::now() < deadline {
        if !said {
            say::note(format!("another Bulkhead is attached: waiting up to {} s", patience.as_secs()));
            said = true;
        }
        stop::pass(LOOK)?;
    }
    Ok(())
}

impl Pair {
    /// True if none of its samples is left out.
    fn is_quiet(&self) -> bool {
        self.base.iter().chain(&self.with).all(is_quiet)
    }
}

fn slice(rig: &Rig, loads: &Loads, daemon: Option<&Daemon>, time: Duration) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut shared = rig.is_shared(daemon)?;
    for (place, kind) in loads {
        let clocks = Clocks::read();
        let run = rig.load(*place, *kind, time)?;
        let disturbance = clocks.since();
        let after = rig.is_shared(daemon)?;
        samples.push(Sample { run, disturbance, shared: shared || after });
        shared = after;
    }
    Ok(samples)
}

/// What the pairs say about the load at this place of the list; `None` if none is left.
pub(crate) fn verdict(pairs: &[Pair], load: usize) -> Option<Verdict> {
    let all: Vec<(Sample, Sample)> =
        pairs.iter().filter_map(|pair| Some((*pair.base.get(load)?, *pair.with.get(load)?))).collect();
    let kept: Vec<(Run, Run)> = all
        .iter()
        .filter(|(base, with)| is_quiet(base) && is_quiet(with))
        .map(|(base, with)| (base.run, with.run))
        .collect();
    let of = |figure: fn(&Run) -> f64| -> Vec<(f64, f64)> {
        kept.iter().map(|(base, with)| (figure(base), figure(with))).collect()
    };
    let (wall, cpu) = (of(|run| run.wall_ns), of(|run| run.cpu_ns));
    Some(Verdict {
        wall: medians(&wall)?,
        wall_ratio: stats::ratio(&wall)?,
        cpu: medians(&cpu)?,
        cpu_ratio: stats::ratio(&cpu)?,
        dropped: all.len() - kept.len(),
    })
}

fn is_quiet(sample: &Sample) -> bool {
    sample.disturbance.steal <= STEAL && !sample.shared
}

fn medians(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (base, with): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some((stats::median(&base)?, stats::median(&with)?))
}

/// The median over all samples of the share of time in which a task waited for a CPU, in percent.
pub(crate) fn pressure(pairs: &[Pair]) -> f64 {
    let samples = pairs.iter().flat_map(|pair| pair.base.iter().chain(&pair.with));
    let all: Vec<f64> = samples.map(|sample| sample.disturbance.pressure).collect();
    stats::median(&all).unwrap_or(0.0)
}

/// Every sample.
pub(crate) fn json(loads: &Loads, pairs: &[Pair]) -> Value {
    let side = |samples: &[Sample]| -> Vec<Value> {
        let rows = samples.iter().zip(loads);
        rows.map(|(sample, (place, kind))| {
            json!({
                "place": place.name(), "load": kind.name(), "run": sample.run.json(),
                "steal_percent": sample.disturbance.steal,
                "cpu_pressure_percent": sample.disturbance.pressure,
                "another_bulkhead": sample.shared,
            })
        })
        .collect()
    };
    pairs.iter().map(|pair| json!({ "base": side(&pair.base), "partner": side(&pair.with) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_ns: f64, steal: f64, shared: bool) -> Vec<Sample> {
        let run = Run { count: 1.0, wall_ns, cpu_ns: wall_ns / 2.0, total: 1.0, late_ms: 0.0 };
        vec![Sample { run, disturbance: Disturbance { steal, pressure: 0.0 }, shared }]
    }

    #[test]
    fn disturbed_pairs_are_left_out() {
        let pairs = [
            Pair { base: sample(100.0, 0.0, false), with: sample(110.0, 1.0, false) },
            Pair { base: sample(100.0, 5.0, false), with: sample(900.0, 0.0, false) },
            Pair { base: sample(100.0, 0.0, false), with: sample(900.0, 0.0, true) },
        ];
        let verdict = verdict(&pairs, 0).expect("one pair is left");
        assert_eq!((verdict.dropped, verdict.wall, verdict.cpu), (2, (100.0, 110.0), (50.0, 55.0)));
        assert!((verdict.wall_ratio.median - 1.1).abs() < 1e-9);
        assert!(pairs[0].is_quiet() && !pairs[1].is_quiet() && !pairs[2].is_quiet());
        assert!(super::verdict(&pairs[1..], 0).is_none());
        assert!(super::verdict(&pairs, 1).is_none());
    }
}
