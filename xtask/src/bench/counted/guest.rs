//! The side in the guest: loads with and without a daemon, on each rung, a line of JSON for each figure.
//!
//! The guest has one CPU whose clock counts instructions, so that every time here is a number of instructions, the
//! kernel's and BPF programs' included. What nothing disturbs needs few slices: without a daemon at the beginning and at
//! the end, and two with one daemon between them.

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::bench::apps;
use crate::bench::bpf::Statistics;
use crate::bench::kernel::LOADS;
use crate::bench::load::LoadKind;
use crate::bench::programs;
use crate::bench::rig::{Place, Rig};
use crate::flags::CountedFlags;
use crate::live::daemon::{Daemon, Output};
use crate::live::stop;
use crate::say;

/// Of each load: tens of millions of instructions.
const TIME: Duration = Duration::from_millis(100);
/// A load is the same as before within this share when nothing of the boot goes on any more.
const SETTLED: f64 = 0.0005;
/// Programs that are named as those that the verifier looks at longest.
const MOST: usize = 12;
/// Programs that run so seldom, by the runtime or somebody else, are not the load's.
const SELDOM: f64 = 0.01;
/// How often that is looked at.
const TRIES: usize = 200;

/// Runs the hidden verb.
pub(crate) fn run(flags: &CountedFlags) -> anyhow::Result<ExitCode> {
    stop::listen();
    let rig = Rig::make("counted", Path::new(&flags.bulkhead), &[])?;
    if flags.starts {
        for rung in &flags.rung {
            let daemon = rig.daemon(Output::Nowhere, &["--rung", rung])?;
            start(&daemon, rung)?;
            rig.stop(daemon)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    settle(&rig)?;
    slice(&rig, &flags.load, "none")?;
    for rung in &flags.rung {
        let daemon = rig.daemon(Output::Nowhere, &["--rung", rung])?;
        start(&daemon, rung)?;
        slice(&rig, &flags.load, rung)?;
        slice(&rig, &flags.load, rung)?;
        runs(&rig, &flags.load, &daemon, rung)?;
        rig.stop(daemon)?;
    }
    slice(&rig, &flags.load, "none")?;
    if flags.apps {
        apps::counted(Path::new(&flags.bulkhead), &flags.rung)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until the boot is over: until then everything takes more, by something that differs.
fn settle(rig: &Rig) -> anyhow::Result<()> {
    let mut before = 0.0;
    for _ in 0..TRIES {
        let now = rig.load(Place::Host, LoadKind::Getppid, TIME)?.wall_ns;
        if (now - before).abs() < SETTLED * now {
            return Ok(());
        }
        before = now;
    }
    anyhow::bail!("the guest does not come to rest");
}

fn loads(wanted: &[LoadKind]) -> impl Iterator<Item = (Place, LoadKind)> {
    LOADS.into_iter().filter(|(_, load)| wanted.is_empty() || wanted.contains(load))
}

fn slice(rig: &Rig, wanted: &[LoadKind], rung: &str) -> anyhow::Result<()> {
    for (place, load) in loads(wanted) {
        let run = rig.load(place, load, TIME)?;
        let name = format!("{} {}", place.name(), load.name());
        say::result(json!({ "load": name, "rung": rung, "whole": run.wall_ns, "own": run.cpu_ns }));
    }
    Ok(())
}

/// What starting took, and what the verifier looked at.
fn start(daemon: &Daemon, rung: &str) -> anyhow::Result<()> {
    let mut programs = programs::of(daemon.pid())?;
    programs.sort_by_key(|program| Reverse(program.verified));
    let most: Vec<String> =
        programs.iter().take(MOST).map(|program| format!("{} {}", program.name, program.verified)).collect();
    let verified: u64 = programs.iter().map(|program| u64::from(program.verified)).sum();
    let ready = daemon.ready_after.as_nanos() as f64;
    say::result(
        json!({ "rung": rung, "ready": ready, "programs": programs.len(), "verified": verified, "most": most }),
    );
    Ok(())
}

/// How often which program runs each time. The kernel's statistics have a price, so no figure is taken meanwhile.
fn runs(rig: &Rig, wanted: &[LoadKind], daemon: &Daemon, rung: &str) -> anyhow::Result<()> {
    let _statistics = Statistics::on()?;
    for (place, load) in loads(wanted) {
        let before = programs::of(daemon.pid())?;
        let times = rig.load(place, load, TIME)?.total;
        ensure!(times > 0.0, "the load {} did nothing", load.name());
        let name = format!("{} {}", place.name(), load.name());
        let after = programs::of(daemon.pid())?;
        let grown = programs::difference(&before, &after);
        for program in grown.iter().filter(|program| program.runs / times > SELDOM) {
            say::result(json!({
                "load": name, "rung": rung, "program": program.name, "runs": program.runs / times,
                "run": program.time / program.runs.max(1.0),
            }));
        }
    }
    Ok(())
}
