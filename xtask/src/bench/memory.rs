//! Memory with many containers, and whether an event costs more among many than alone.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::bench::bpf::{ProgramInfo, Statistics};
use crate::bench::load::LoadKind;
use crate::bench::process::{self, Memory};
use crate::bench::programs::{self, Account};
use crate::bench::rate;
use crate::bench::report;
use crate::bench::rig::{Place, Rig};
use crate::live::daemon::{Daemon, Output};
use crate::live::oci::Container;
use crate::live::stop;
use crate::say;

/// Containers at each look.
const LEVELS: [usize; 4] = [0, 1, 100, 1000];
/// And when it must be quick.
const FEW: [usize; 3] = [0, 1, 20];
/// Runtimes at work at once.
const AT_ONCE: usize = 4;
/// No more containers are started after this long.
const LIMIT: Duration = Duration::from_secs(400);
/// Records a second for the daemon's part of an event's cost.
const RATE: f64 = 100_000.0;

/// One look.
struct Level {
    containers: usize,
    memory: Memory,
    maps_kib: f64,
    /// BPF nanoseconds of a run, in one more container: of the programs for an exec and for a fork, and of the one that
    /// sees a file opened.
    exec: f64,
    fork: f64,
    open: f64,
    /// Nanoseconds of the daemon's CPU time for a record, events as JSON.
    record: f64,
}

/// Measures, prints, and gives the raw figures.
pub(crate) fn measure(rig: &Rig, time: Duration, quick: bool) -> anyhow::Result<Value> {
    let levels: &[usize] = if quick { &FEW } else { &LEVELS };
    let args = [&["--events", "all", "--bench"], rig.unlimited()].concat();
    let mut daemon = rig.daemon(Output::Counted, &args)?;
    let began = Instant::now();
    let mut containers: Vec<Container<'_>> = Vec::new();
    let mut found = Vec::new();
    for level in levels {
        start(rig, &mut daemon, &mut containers, *level, began + LIMIT)?;
        say::note(format!("{} containers after {} s", containers.len(), began.elapsed().as_secs()));
        found.push(look(rig, &mut daemon, containers.len(), time)?);
        if containers.len() < *level {
            say::note(format!("no more than that within {} s", LIMIT.as_secs()));
            break;
        }
    }
    drop(containers);
    rate::settle(&daemon)?;
    let after = Memory::of(daemon.pid())?;
    daemon.stop()?;
    print(&found, after);
    let level = |l: &Level| {
        json!({
            "containers": l.containers, "rss_kib": l.memory.rss, "pss_kib": l.memory.pss, "maps_kib": l.maps_kib,
            "exec_bpf_ns": l.exec, "fork_bpf_ns": l.fork, "open_bpf_ns": l.open, "record_cpu_ns": l.record,
        })
    };
    Ok(json!({
        "levels": found.iter().map(level).collect::<Vec<_>>(),
        "after": { "rss_kib": after.rss, "pss_kib": after.pss },
    }))
}

/// Starts containers until there are so many, or the time is over, and waits until the daemon knows each.
fn start<'a>(
    rig: &'a Rig,
    daemon: &mut Daemon,
    containers: &mut Vec<Container<'a>>,
    wanted: usize,
    deadline: Instant,
) -> anyhow::Result<()> {
    let mut unknown = BTreeSet::new();
    while containers.len() < wanted && Instant::now() < deadline {
        stop::check()?;
        let mut running: Vec<Child> = Vec::new();
        for _ in 0..AT_ONCE.min(wanted - containers.len()) {
            let container = rig.container(&["/bin/sleep", "3600"])?;
            let mut command = container.run(true);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            running.push(command.spawn().context("cannot start the runtime")?);
            unknown.insert(container.id.clone());
            containers.push(container);
        }
        for mut child in running {
            ensure!(child.wait()?.success(), "the runtime cannot start a container");
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    daemon.wait_for(Duration::from_secs(60), "container", |record| {
        let container = &record["container"];
        if record["type"] == "container" && container["status"] == "resolved" && record["change"] != "created"
        {
            unknown.remove(container["id"].as_str().unwrap_or_default());
        }
        unknown.is_empty()
    })?;
    Ok(())
}

fn look(rig: &Rig, daemon: &mut Daemon, containers: usize, time: Duration) -> anyhow::Result<Level> {
    rate::settle(daemon)?;
    let memory = Memory::of(daemon.pid())?;
    let maps_kib = process::map_bytes(daemon.pid())? / 1024.0;
    let statistics = Statistics::on()?;
    let (exec, fork) = {
        let programs = under(rig, daemon, LoadKind::Exec, time)?;
        (a_run(&programs, "process_exec"), a_run(&programs, "process_fork"))
    };
    let open = costliest(&under(rig, daemon, LoadKind::Open, time)?);
    drop(statistics);
    let container = rig.container(&["/bin/sleep", "600"])?;
    container.start()?;
    let about = (rate::key(daemon, &container.id)?, container.process()?);
    rate::settle(daemon)?;
    let (account, cpu) = (Account::of(daemon.pid())?, process::cpu_ns(daemon.pid())?);
    rig.flood(daemon, about, RATE, time, false)?;
    rate::settle(daemon)?;
    let cpu = process::cpu_ns(daemon.pid())? - cpu;
    let record = cpu / Account::of(daemon.pid())?.since(account).submitted.max(1.0);
    Ok(Level { containers, memory, maps_kib, exec, fork, open, record })
}

/// What the daemon's programs do under a load in one more container. Others on the machine are in it, which is why it is
/// looked at by the run.
fn under(rig: &Rig, daemon: &Daemon, load: LoadKind, time: Duration) -> anyhow::Result<Vec<ProgramInfo>> {
    let before = programs::of(daemon.pid())?;
    rig.load(Place::Container, load, time)?;
    Ok(programs::difference(&before, &programs::of(daemon.pid())?))
}

/// Nanoseconds of a run of a program; not a number if it did not run.
fn a_run(programs: &[ProgramInfo], name: &str) -> f64 {
    programs.iter().find(|program| program.name == name).map_or(f64::NAN, |p| p.time / p.runs)
}

/// Nanoseconds of a run of the program that took most time.
fn costliest(programs: &[ProgramInfo]) -> f64 {
    programs.first().map_or(f64::NAN, |program| program.time / program.runs)
}

fn print(found: &[Level], after: Memory) {
    let mib = |kib: f64| kib / 1024.0;
    report::heading("Memory, and the cost of an event, by containers");
    say::result(format!(
        "  {:>10} {:>9} {:>9} {:>9}   {:>8} {:>8} {:>8}   {:>8}",
        "containers", "resident", "prop.", "BPF maps", "exec", "fork", "open", "record"
    ));
    for l in found {
        say::result(format!(
            "  {:>10} {:>5.1} MiB {:>5.1} MiB {:>5.1} MiB   {:>5.0} ns {:>5.0} ns {:>5.0} ns   {:>5.0} ns",
            l.containers,
            mib(l.memory.rss),
            mib(l.memory.pss),
            mib(l.maps_kib),
            l.exec,
            l.fork,
            l.open,
            l.record
        ));
    }
    say::result(format!(
        "  after them {:>5.1} MiB {:>5.1} MiB   (BPF time of a run, with the statistics' own; record: CPU time of the daemon, as JSON)",
        mib(after.rss),
        mib(after.pss)
    ));
}
