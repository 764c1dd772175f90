//! The verb `bench`: what Bulkhead costs on this host, measured in one run and never asserted.
//!
//! `docs/performance.md` says how each figure comes about and how far it can be trusted.

mod load;
mod machine;
mod process;
mod programs;
mod report;
mod rig;
mod single;
mod slices;
mod stats;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::build;
use crate::flags::{BenchFlags, BuildFlags};
use crate::live::{self, stop};
use crate::project::Project;
use crate::say;
use crate::setup::{self, Need};
pub(crate) use load::{LoadKind, run as load};
use machine::{Clocks, Machine};
use rig::Rig;

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &BenchFlags) -> anyhow::Result<ExitCode> {
    if !live::is_root("bench") {
        return Ok(ExitCode::from(3));
    }
    ensure!((0.05..=600.0).contains(&flags.seconds), "--seconds must be between 0.05 and 600");
    ensure!(flags.pairs > 0, "--pairs must be at least 1");
    setup::packages(project, Need::Containers)?;
    build::run(project, &BuildFlags { release: true })?;
    stop::listen();
    let machine = Machine::read(project);
    let raw = measure(project, flags, &machine)?;
    if flags.json {
        let folder = project.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let path = folder.join(format!("{}.json", now.as_secs()));
        fs::write(&path, format!("{raw:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        say::step(format!("raw figures: {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(project: &Project, flags: &BenchFlags, machine: &Machine) -> anyhow::Result<Value> {
    let time = Duration::from_secs_f64(flags.seconds);
    let clocks = Clocks::read();
    let mut rig = Rig::make(&project.target.join("release/bulkhead"))?;
    say::step("BPF time by program");
    let kernel = single::kernel(&mut rig, time)?;
    say::step("slices with and without Bulkhead");
    let bulkhead = slices::measure(&rig, flags.pairs, time, true)?;
    say::step("slices without it on either side");
    let noise = slices::measure(&rig, flags.pairs, time, false)?;
    say::step("the daemon's time a record");
    let user = single::user(&rig, time * 3)?;
    say::step("memory");
    let memory = single::memory(&rig)?;
    say::step("start and stop");
    let turns = single::turns(&rig)?;
    say::step("idle");
    let idle = single::idle(&rig)?;
    let whole = clocks.since();

    machine.lines().iter().for_each(say::result);
    say::result(format!(
        "whole run    steal {:.2} %, some task waited for a CPU in {:.0} % of the time",
        whole.steal, whole.pressure
    ));
    report::kernel(&kernel);
    report::pairs(&bulkhead, &noise);
    report::daemon(&user, &memory, &turns, &idle);
    Ok(json!({
        "machine": machine.json(),
        "seconds": flags.seconds,
        "steal_percent": whole.steal,
        "cpu_pressure_percent": whole.pressure,
        "bulkhead": slices::json(&bulkhead),
        "bare": slices::json(&noise),
        "daemon": single::json(&kernel, &user, &memory, &turns, &idle),
    }))
}
