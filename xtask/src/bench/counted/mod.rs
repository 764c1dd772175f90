//! What Bulkhead costs in instructions, on kernels that have every rung: emulated guests whose clock counts instructions.
//!
//! QEMU's `-icount shift=0` lets a nanosecond of the guest's time pass with each instruction of its one CPU
//! (`docs/devel/tcg-icount.rst` of QEMU), so that the loads' times are numbers of instructions. Nothing of the machine below
//! disturbs them. A CPU without fast string instructions is emulated, because each repetition of one counts. They say nothing of caches, branches and barriers: an instruction is not a nanosecond on a real CPU.

mod guest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bench::apps;
use crate::bench::load::LoadKind;
use crate::bench::report;
use crate::flags::GuestFile;
use crate::project::Project;
use crate::say;
use crate::vm;
pub(crate) use guest::run;

/// On an older one the verifier takes tens of billions of instructions, minutes of emulation.
const KERNELS: [&str; 2] = ["6.1", "6.12"];
/// What `--rung` is asked for, beside no daemon at all.
const RUNGS: [&str; 2] = ["auto", "tracepoint"];
/// How slices without a daemon are marked.
const NONE: &str = "none";

/// A line of the guest.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    /// A program under a load: how often it runs each time, and for how long each run.
    Program { load: String, rung: String, program: String, runs: f64, run: f64 },
    /// A daemon that is ready: instructions from its start, its programs, and what of them the verifier looked at.
    Start { rung: String, ready: f64, programs: u64, verified: u64, most: Vec<String> },
    /// A slice: instructions each, of everything on the CPU, and of the load with its children.
    Slice { load: String, rung: String, whole: f64, own: f64 },
}

/// Slices of a load by rung, in the order of time.
type Slices = BTreeMap<String, Vec<(f64, f64)>>;

/// What a guest told.
#[derive(Debug, Default)]
struct Told {
    /// In the order in which they came first.
    loads: Vec<(String, Slices)>,
    /// By load and rung.
    programs: Vec<(String, String, String, f64, f64)>,
    /// By rung.
    starts: Vec<String>,
}

/// Boots each kernel, prints, and gives the raw figures.
pub(crate) fn measure(project: &Project, bulkhead: &Path) -> anyhow::Result<Value> {
    if let Some(why) = vm::impossible() {
        say::result(format!("  skipped: {why}"));
        return Ok(json!({ "skipped": why }));
    }
    let mut files = files(project, bulkhead)?;
    let apps = apps::programs(project);
    files.extend(apps.iter().map(|path| GuestFile { host: path.clone(), guest: path.display().to_string() }));
    let apps = if apps.is_empty() { "" } else { " --apps" };
    let mut raw = BTreeMap::new();
    for kernel in KERNELS {
        let lines = vm::counted(project, kernel, &files, &command(&RUNGS, &[], apps))?;
        let told = Told::read(&lines)?;
        told.print(kernel);
        let lines = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        raw.insert(kernel, lines.collect::<Vec<Value>>());
    }
    Ok(json!(raw))
}

/// This program and the daemon, without their debugging sections: they lie in the guest's memory.
fn files(project: &Project, bulkhead: &Path) -> anyhow::Result<Vec<GuestFile>> {
    let own = std::env::current_exe().context("this program has no path")?;
    let folder = project.target.join("bench/guest");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let slim = |program: &Path, name: &str| -> anyhow::Result<GuestFile> {
        let host: PathBuf = folder.join(name);
        project.cmd("objcopy").arg("--strip-debug").args([program, &host]).run()?;
        Ok(GuestFile { host, guest: format!("/bin/{name}") })
    };
    Ok(vec![slim(&own, "xtask")?, slim(bulkhead, "bulkhead")?])
}

fn command(rungs: &[&str], loads: &[LoadKind], more: &str) -> String {
    let mut command = "/bin/xtask counted --bulkhead /bin/bulkhead".to_owned();
    for rung in rungs {
        command.push_str(&format!(" --rung {rung}"));
    }
    for load in loads {
        command.push_str(&format!(" --load {}", load.name()));
    }
    command + more
}

impl Told {
    fn read(lines: &[String]) -> anyhow::Result<Self> {
        let mut told = Self::default();
        for line in lines.iter().filter(|line| line.starts_with('{')) {
            match serde_json::from_str(line).with_context(|| format!("the guest printed: {line}"))? {
                Line::Program { load, rung, program, runs, run } => {
                    told.programs.push((load, rung, program, runs, run));
                }
                Line::Start { rung, ready, programs, verified, most } => told.starts.push(format!(
                    "{rung}: {:.1} billion to ready, {programs} programs, {verified} instructions verified ({}, …)",
                    ready / 1e9,
                    most.join(", ")
                )),
                Line::Slice { load, rung, whole, own } => {
                    let at = told.loads.iter().position(|(name, _)| *name == load).unwrap_or_else(|| {
                        told.loads.push((load, Slices::new()));
                        told.loads.len() - 1
                    });
                    told.loads[at].1.entry(rung).or_default().push((whole, own));
                }
            }
        }
        Ok(told)
    }

    fn print(&self, kernel: &str) {
        report::heading(&format!(
            "Instructions on kernel {kernel}, everything on the CPU, and the load's own"
        ));
        self.starts.iter().for_each(|start| say::result(format!("  {start}")));
        say::result(format!("  {:<18} {:>10} {:>8}  what Bulkhead adds", "load", "without", "A/A"));
        for (load, slices) in &self.loads {
            for (name, side) in [("all", (|s| s.0) as fn(&(f64, f64)) -> f64), ("own", |s| s.1)] {
                let of = |rung: &str| slices.get(rung).map(|all| all.iter().map(side).collect::<Vec<_>>());
                let bare = of(NONE).unwrap_or_default();
                let without = least(&bare);
                let spread = bare.iter().fold(0.0_f64, |most, one| most.max(one / without - 1.0));
                let added = RUNGS.iter().filter_map(|rung| {
                    let with = least(&of(rung)?);
                    let percent = (with / without - 1.0) * 100.0;
                    Some(format!("{rung} {:+.1} ({percent:+.2} %)", with - without))
                });
                say::result(format!(
                    "  {load:<14} {name} {without:>10.1} {:>6.2} %  {}",
                    spread * 100.0,
                    added.collect::<Vec<_>>().join(", "),
                ));
            }
            for rung in RUNGS {
                let programs = self.programs.iter().filter(|program| program.0 == *load && program.1 == rung);
                let programs: Vec<String> = programs
                    .filter(|program| program.3 > 0.05)
                    .map(|(_, _, name, runs, run)| format!("{name} {runs:.1} × {run:.0}"))
                    .collect();
                say::note(format!("{load}, {rung}: {}", programs.join(", ")));
            }
        }
    }
}

/// The slice in which nothing else ran: what disturbs can only add.
fn least(slices: &[f64]) -> f64 {
    slices.iter().copied().fold(f64::NAN, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_lines() {
        let lines = [
            r#"{"load":"host open","rung":"none","whole":100.0,"own":90.0}"#,
            r#"{"load":"host open","rung":"auto","program":"file_open","runs":1.0,"run":50.5}"#,
            "words of the guest",
            r#"{"load":"host open","rung":"none","whole":102.0,"own":90.0}"#,
        ];
        let told = Told::read(&lines.map(str::to_owned)).expect("well-formed");
        assert_eq!(told.loads.len(), 1);
        assert_eq!(told.loads[0].1["none"], [(100.0, 90.0), (102.0, 90.0)]);
        assert_eq!(told.programs.len(), 1);
        assert!(Told::read(&["{}".to_owned()]).is_err());
    }

    #[test]
    fn the_guests_command() {
        let command = command(&["auto"], &[LoadKind::Open], " --apps");
        assert_eq!(command, "/bin/xtask counted --bulkhead /bin/bulkhead --rung auto --load open --apps");
    }
}
