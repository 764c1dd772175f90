//! Bulkhead beside what one would run instead, on the same machine, in the same run: the tool's CPU time, what it slows
//! the workload by, and how much of what happened it saw.
//!
//! The workload runs in a container, at a rate that does not depend on how fast the tool is. The tools that watch the
//! whole machine see more than it; only lines about it are counted.

mod tool;

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::load::{LoadKind, Run};
use crate::bench::machine::Clocks;
use crate::bench::report;
use crate::bench::rig::{Place, Rig};
use crate::bench::slices;
use crate::bench::stats;
use crate::live::stop;
use crate::say;
use tool::{Running, Tool};

/// A workload of so many, at a rate a second.
struct Work {
    load: LoadKind,
    count: u32,
    rate: f64,
}

const WORKS: [Work; 3] = [
    Work { load: LoadKind::Exec, count: 5_000, rate: 1_000.0 },
    Work { load: LoadKind::Connect, count: 20_000, rate: 10_000.0 },
    Work { load: LoadKind::Open, count: 20_000, rate: 20_000.0 },
];

/// One run of the workload with a tool.
struct Sample {
    run: Run,
    /// CPU time of the tool, nanoseconds.
    cpu: f64,
    /// Lines about the workload; `None` if it is not meant to report it.
    seen: Option<f64>,
}

/// Measures, prints, and gives the raw figures.
pub(crate) fn measure(rig: &Rig, quick: bool, patience: Duration) -> anyhow::Result<Value> {
    let mut raw = Vec::new();
    for work in &WORKS {
        let count = if quick { work.count / 5 } else { work.count };
        report::heading(&format!(
            "{count} × {} in a container, {:.0} a second (medians; with a tool over without, in pairs)",
            work.load.name(),
            work.rate
        ));
        say::result(format!(
            "  {:<18} {:>11} {:>10} {:>24} {:>24} {:>14}",
            "", "tool's CPU", "by event", "workload's time", "workload's CPU", "seen"
        ));
        for tool in tool::ALL {
            stop::check()?;
            slices::wait_for_others(rig, patience)?;
            let clocks = Clocks::read();
            match pairs(rig, tool, work, count, if quick { 1 } else { 2 }) {
                Ok(Ok((bare, with))) => {
                    print(tool.name, count, &bare, &with);
                    raw.push(json(tool.name, work, count, (&bare, &with), clocks));
                }
                Ok(Err(why)) => {
                    say::result(format!("  {:<18} skipped: {why}", tool.name));
                    raw.push(json!({ "tool": tool.name, "load": work.load.name(), "skipped": why }));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(raw.into())
}

type Sides = (Vec<Run>, Vec<Sample>);

/// Runs without and with the tool in the order A B B A, so often; or says why the tool is left out.
fn pairs(
    rig: &Rig,
    tool: &Tool,
    work: &Work,
    count: u32,
    rounds: usize,
) -> anyhow::Result<Result<Sides, String>> {
    let (mut bare, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(rig.paced(Place::Container, work.load, count, work.rate)?);
        for _ in 0..2 {
            match sample(rig, tool, work, count)? {
                Ok(sample) => with.push(sample),
                Err(why) => return Ok(Err(why)),
            }
        }
        bare.push(rig.paced(Place::Container, work.load, count, work.rate)?);
    }
    Ok(Ok((bare, with)))
}

fn sample(rig: &Rig, tool: &Tool, work: &Work, count: u32) -> anyhow::Result<Result<Sample, String>> {
    let mut running = match Running::start(rig, tool, work.load)? {
        Ok(running) => running,
        Err(why) => return Ok(Err(why)),
    };
    let before = running.cpu_ns()?;
    let run = rig.paced(Place::Container, work.load, count, work.rate)?;
    running.settle()?;
    let cpu = running.cpu_ns()? - before;
    Ok(Ok(Sample { run, cpu, seen: running.finish(rig)? }))
}

/// Medians of the workload's time and CPU time, without and with.
fn ratios(bare: &[Run], with: &[Sample]) -> [Option<(f64, f64)>; 2] {
    let of = |figure: fn(&Run) -> f64| {
        let bare: Vec<f64> = bare.iter().map(figure).collect();
        let with: Vec<f64> = with.iter().map(|sample| figure(&sample.run)).collect();
        stats::median(&bare).zip(stats::median(&with))
    };
    [of(|run| run.wall_ns), of(|run| run.cpu_ns)]
}

fn print(name: &str, count: u32, bare: &[Run], with: &[Sample]) {
    let cpu = stats::median(&with.iter().map(|sample| sample.cpu).collect::<Vec<_>>()).unwrap_or(0.0);
    let seen: Vec<f64> = with.iter().filter_map(|sample| sample.seen).collect();
    let seen = stats::median(&seen).map_or("-".to_owned(), |seen| format!("{seen:.0} of {count}"));
    let ratio = |pair: Option<(f64, f64)>| {
        pair.map_or("-".to_owned(), |(bare, with)| format!("{} × {:.3}", report::nanos(bare), with / bare))
    };
    let [wall, work] = ratios(bare, with);
    say::result(format!(
        "  {name:<18} {:>8.1} ms {:>10} {:>24} {:>24} {seen:>14}",
        cpu / 1e6,
        report::nanos(cpu / f64::from(count)),
        ratio(wall),
        ratio(work),
    ));
}

fn json(name: &str, work: &Work, count: u32, sides: (&[Run], &[Sample]), clocks: Clocks) -> Value {
    let disturbance = clocks.since();
    let sample = |s: &Sample| json!({ "run": s.run.json(), "tool_cpu_ns": s.cpu, "seen": s.seen });
    json!({
        "tool": name, "load": work.load.name(), "count": count, "rate": work.rate,
        "bare": sides.0.iter().map(|run| run.json()).collect::<Vec<_>>(),
        "with": sides.1.iter().map(sample).collect::<Vec<_>>(),
        "steal_percent": disturbance.steal, "cpu_pressure_percent": disturbance.pressure,
    })
}
