//! The verb `bench`: what Bulkhead costs on this host, measured in one run and never asserted.
//!
//! `docs/performance.md` says how each figure comes about and how far it can be trusted. The daemon is a black box here:
//! what it does is told by its output, by `/proc`, and by the kernel's statistics of BPF programs.

mod apps;
mod bpf;
mod bytecode;
mod counted;
mod flood;
mod kernel;
mod life;
mod load;
mod machine;
mod memory;
mod noops;
mod peers;
mod process;
mod profile;
mod programs;
mod rate;
mod report;
mod rig;
mod rungs;
mod slices;
mod stats;
mod unit;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::build;
use crate::flags::{BenchFlags, BuildFlags};
use crate::live::{self, stop};
use crate::project::Project;
use crate::say;
use crate::setup::{self, Need};
pub(crate) use counted::run as counted;
pub(crate) use flood::run as flood;
pub(crate) use load::{LoadKind, run as load};
use machine::{Clocks, Machine};
use rig::Rig;
use slices::Effort;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// The unit R0: reserve and submit 8 bytes
    Unit,
    /// What an unrelated system call costs more, on each rung
    Getppid,
    /// What a loop of fork, exec and exit costs more
    Exec,
    /// BPF time of each program by kind of event
    Kernel,
    /// The highest rate of records without a loss, and the CPU time of a record
    Rate,
    /// What redis and nginx lose under load
    Apps,
    /// Memory and the cost of an event with many containers
    Memory,
    /// Time to ready, and to the end
    Turns,
    /// CPU time of an idle daemon
    Idle,
    /// Other tools under the same load
    Peers,
    /// Where the daemon spends its time
    Profile,
    /// Instructions of loads on every rung, in emulated guests
    Instructions,
}

impl Measurement {
    /// Without anything said: all but those that have a flag.
    const USUAL: [Self; 9] = [
        Self::Unit,
        Self::Kernel,
        Self::Rate,
        Self::Turns,
        Self::Idle,
        Self::Getppid,
        Self::Exec,
        Self::Apps,
        Self::Memory,
    ];

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What the flags ask for.
    fn wanted(flags: &BenchFlags) -> Vec<Self> {
        let mut wanted = flags.what.clone();
        for (asked, what) in [(flags.peers, Self::Peers), (flags.profile, Self::Profile)] {
            if asked && !wanted.contains(&what) {
                wanted.push(what);
            }
        }
        if wanted.is_empty() { Self::USUAL.to_vec() } else { wanted }
    }
}

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &BenchFlags) -> anyhow::Result<ExitCode> {
    if !live::is_root("bench") {
        return Ok(ExitCode::from(3));
    }
    let seconds = flags.seconds.unwrap_or(if flags.quick { 0.2 } else { 1.0 });
    let pairs = flags.pairs.unwrap_or(if flags.quick { 2 } else { 6 });
    ensure!((0.05..=600.0).contains(&seconds), "--seconds must be between 0.05 and 600");
    ensure!(pairs > 0, "--pairs must be at least 1");
    if flags.json {
        say::results_aside();
    }
    setup::packages(project, Need::Containers)?;
    let bulkhead = match &flags.bulkhead {
        Some(path) => fs::canonicalize(path).with_context(|| format!("no daemon at {}", path.display()))?,
        None => {
            build::run(project, &BuildFlags { release: true })?;
            project.target.join("release/bulkhead")
        }
    };
    let folder = project.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    stop::listen();
    let effort = Effort {
        pairs,
        time: Duration::from_secs_f64(seconds),
        patience: Duration::from_secs(if flags.quick { 0 } else { 120 }),
    };
    let bench = Bench { project, bulkhead, effort, quick: flags.quick, urgent: flags.urgent };
    let mut raw = bench.all(&Measurement::wanted(flags))?;
    raw["urgent"] = flags.urgent.into();
    if flags.json {
        println!("{raw:#}");
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let path = folder.join(format!("{}.json", now.as_secs()));
    fs::write(&path, format!("{raw:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    say::step(format!("raw figures: {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// What every measurement is told.
struct Bench<'a> {
    project: &'a Project,
    bulkhead: PathBuf,
    effort: Effort,
    quick: bool,
    urgent: bool,
}

impl Bench<'_> {
    /// Takes the measurements one after the other; what was disturbed is said of each.
    fn all(&self, wanted: &[Measurement]) -> anyhow::Result<Value> {
        let machine = Machine::read(self.project);
        machine.lines().iter().for_each(say::result);
        let rig = Rig::make("bench", &self.bulkhead, &[])?;
        let mut raw = Map::new();
        raw.insert("machine".to_owned(), machine.json());
        raw.insert("seconds".to_owned(), self.effort.time.as_secs_f64().into());
        let whole = Clocks::read();
        for what in wanted {
            say::step(what.name());
            let clocks = Clocks::read();
            let found = self.one(&rig, *what).with_context(|| what.name())?;
            let disturbance = clocks.since();
            say::result(format!("  disturbance: {disturbance}"));
            raw.insert(
                what.name(),
                json!({
                    "found": found, "steal_percent": disturbance.steal,
                    "cpu_pressure_percent": disturbance.pressure,
                }),
            );
        }
        let disturbance = whole.since();
        raw.insert("steal_percent".to_owned(), disturbance.steal.into());
        raw.insert("cpu_pressure_percent".to_owned(), disturbance.pressure.into());
        say::result("");
        say::result(format!("whole run: {disturbance}"));
        Ok(raw.into())
    }

    fn one(&self, rig: &Rig, what: Measurement) -> anyhow::Result<Value> {
        let time = self.effort.time;
        match what {
            Measurement::Unit => {
                let unit = unit::Unit::measure()?;
                unit.print();
                Ok(unit.json())
            }
            Measurement::Getppid => rungs::calls(rig, self.effort),
            Measurement::Exec => rungs::execs(rig, self.effort),
            Measurement::Kernel => kernel::measure(rig, time),
            Measurement::Rate => rate::measure(rig, time, self.urgent),
            Measurement::Apps => apps::measure(self.project, &self.bulkhead, self.effort),
            Measurement::Memory => memory::measure(rig, time, self.quick),
            Measurement::Turns => life::turns(rig, if self.quick { 2 } else { 7 }),
            Measurement::Idle => life::idle(rig, time * 20),
            Measurement::Peers => peers::measure(rig, self.quick, self.effort.patience),
            Measurement::Profile => profile::measure(self.project, rig, time, self.urgent),
            Measurement::Instructions => counted::measure(self.project, &self.bulkhead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured() {
        let flags = BenchFlags {
            what: Vec::new(),
            peers: false,
            profile: false,
            quick: true,
            urgent: false,
            seconds: None,
            pairs: None,
            json: false,
            bulkhead: None,
        };
        assert_eq!(Measurement::wanted(&flags), Measurement::USUAL);
        let peers = BenchFlags { peers: true, ..flags.clone() };
        assert_eq!(Measurement::wanted(&peers), [Measurement::Peers]);
        let both = BenchFlags { what: vec![Measurement::Idle, Measurement::Peers], ..peers };
        assert_eq!(Measurement::wanted(&both), [Measurement::Idle, Measurement::Peers]);
        for what in Measurement::USUAL {
            assert!(!what.name().is_empty());
        }
    }
}
