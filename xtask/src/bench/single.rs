//! What is measured with Bulkhead running and nothing to compare: BPF time, the daemon's time an event, memory, the
//! start, and idleness.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::load::LoadKind;
use crate::bench::process::{self, Memory};
use crate::bench::programs::{self, Program, Statistics};
use crate::bench::rig::{Place, Rig};
use crate::bench::stats;
use crate::live::daemon::{Daemon, Output};
use crate::live::stop;
use crate::say;

/// Containers of the memory figure.
const CONTAINERS: usize = 50;
/// Starts of the daemon.
const STARTS: usize = 5;
/// How long idleness is looked at.
const IDLE: Duration = Duration::from_secs(10);
/// Longer than the daemon's timer: when it uses no more in this time than when idle, its backlog is gone.
const SETTLE: Duration = Duration::from_millis(100);
/// CPU time in [`SETTLE`] that is idleness, in nanoseconds.
const QUIET: f64 = 2e6;
/// Places in `monitor-common`'s `KindAccount`.
const ATTEMPTED: usize = 0;
const SUBMITTED: usize = 1;

/// BPF time under one load.
pub(crate) struct Kernel {
    pub(crate) load: LoadKind,
    pub(crate) programs: Vec<Program>,
    /// Nanoseconds of BPF for each time the load was done.
    pub(crate) each: f64,
}

/// Nanoseconds of each program, load by load, in a container.
pub(crate) fn kernel(rig: &mut Rig, time: Duration) -> anyhow::Result<Vec<Kernel>> {
    let daemon = rig.daemon(Output::Nowhere, &[])?;
    let _statistics = Statistics::on()?;
    rig.names = programs::of(daemon.pid())?.into_iter().map(|program| program.name).collect();
    let mut found = Vec::new();
    for load in [LoadKind::Exec, LoadKind::Open, LoadKind::Connect] {
        let before = programs::of(daemon.pid())?;
        let run = rig.load(Place::Container, load, time)?;
        let programs = programs::difference(&before, &programs::of(daemon.pid())?);
        let all: f64 = programs.iter().map(|program| program.time).sum();
        found.push(Kernel { load, programs, each: all / run.total });
    }
    rig.stop(daemon)?;
    Ok(found)
}

/// The daemon's own time under an exec flood.
pub(crate) struct User {
    /// What it does with records.
    pub(crate) mode: &'static str,
    pub(crate) records: f64,
    pub(crate) lost: f64,
    pub(crate) ns_each: f64,
}

/// CPU time of the daemon over the records that the kernel side submitted, in two modes.
pub(crate) fn user(rig: &Rig, time: Duration) -> anyhow::Result<Vec<User>> {
    let modes = [("every event as JSON to /dev/null", "all"), ("findings only", "none")];
    let mut found = Vec::new();
    for (mode, events) in modes {
        let daemon = rig.daemon(Output::Nowhere, &["--events", events])?;
        settle(&daemon)?;
        let (counted, cpu) = (programs::counters(daemon.pid())?, process::cpu_ns(daemon.pid())?);
        rig.load(Place::Container, LoadKind::Exec, time)?;
        settle(&daemon)?;
        let cpu = process::cpu_ns(daemon.pid())? - cpu;
        let now = programs::counters(daemon.pid())?;
        let grown = |at: usize| now.get(at).zip(counted.get(at)).map(|(now, old)| now - old);
        let records = grown(SUBMITTED).context("no counter of submitted records")?;
        let lost = grown(ATTEMPTED).context("no counter of attempted records")? - records;
        found.push(User { mode, records, lost, ns_each: cpu / records.max(1.0) });
        daemon.stop()?;
    }
    Ok(found)
}

/// Lets the daemon finish what is in its rings.
fn settle(daemon: &Daemon) -> anyhow::Result<()> {
    for _ in 0..50 {
        let before = process::cpu_ns(daemon.pid())?;
        stop::pass(SETTLE)?;
        if process::cpu_ns(daemon.pid())? - before < QUIET {
            break;
        }
    }
    Ok(())
}

/// Memory at three moments, in KiB, and of BPF maps.
pub(crate) struct Footprint {
    pub(crate) ready: Memory,
    pub(crate) full: Memory,
    pub(crate) after: Memory,
    pub(crate) maps_kib: f64,
}

/// Memory when ready, with containers, and after they are gone.
pub(crate) fn memory(rig: &Rig) -> anyhow::Result<Footprint> {
    let mut daemon = rig.daemon(Output::Here, &["--events", "all"])?;
    let ready = Memory::of(daemon.pid())?;
    let mut containers = Vec::new();
    for number in 0..CONTAINERS {
        if number % 10 == 0 {
            say::note(format!("{number} of {CONTAINERS} containers"));
        }
        let container = rig.container(&["/bin/sleep", "600"])?;
        container.start()?;
        resolved(&mut daemon, &container.id)?;
        containers.push(container);
        stop::check()?;
    }
    let full = Memory::of(daemon.pid())?;
    let maps_kib = programs::map_bytes(daemon.pid())? / 1024.0;
    for container in containers {
        let id = container.id.clone();
        drop(container);
        daemon.wait_for(Duration::from_secs(10), "end of a container", |record| {
            record["type"] == "container" && record["change"] == "gone" && record["container"]["id"] == id
        })?;
    }
    let after = Memory::of(daemon.pid())?;
    daemon.stop()?;
    Ok(Footprint { ready, full, after, maps_kib })
}

/// Waits until the daemon knows who a container is and has seen it enter.
fn resolved(daemon: &mut Daemon, id: &str) -> anyhow::Result<()> {
    let (mut entered, mut known) = (false, false);
    daemon.wait_for(Duration::from_secs(10), "container", |record| {
        if record["type"] == "container" && record["container"]["id"] == id {
            known |= record["container"]["status"] == "resolved";
            entered |= record["change"] == "entered";
        }
        entered && known
    })?;
    Ok(())
}

/// How long the daemon takes to come and to go, in milliseconds, each time.
#[derive(Default)]
pub(crate) struct Turns {
    /// From its start to its line `ready`.
    pub(crate) ready: Vec<f64>,
    /// From SIGINT to its end, everything detached.
    pub(crate) stop: Vec<f64>,
}

/// Starts and stops the daemon some times.
pub(crate) fn turns(rig: &Rig) -> anyhow::Result<Turns> {
    let mut turns = Turns::default();
    for _ in 0..STARTS {
        let daemon = rig.daemon(Output::Here, &["--events", "none"])?;
        turns.ready.push(daemon.ready_after.as_secs_f64() * 1e3);
        let began = Instant::now();
        daemon.stop()?;
        turns.stop.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(turns)
}

/// The daemon with nothing to do of ours.
pub(crate) struct Idle {
    /// Of one CPU.
    pub(crate) percent: f64,
    /// Records of other people's containers in that time.
    pub(crate) records: f64,
}

/// Looks at an idle daemon for a while.
pub(crate) fn idle(rig: &Rig) -> anyhow::Result<Idle> {
    let daemon = rig.daemon(Output::Nowhere, &[])?;
    settle(&daemon)?;
    let submitted = |daemon: &Daemon| -> anyhow::Result<f64> {
        Ok(programs::counters(daemon.pid())?.get(SUBMITTED).copied().unwrap_or(0.0))
    };
    let (records, cpu) = (submitted(&daemon)?, process::cpu_ns(daemon.pid())?);
    stop::pass(IDLE)?;
    let cpu = process::cpu_ns(daemon.pid())? - cpu;
    let records = submitted(&daemon)? - records;
    daemon.stop()?;
    Ok(Idle { percent: 100.0 * cpu / IDLE.as_nanos() as f64, records })
}

/// Everything of this file that goes to the raw file.
pub(crate) fn json(
    kernel: &[Kernel],
    user: &[User],
    memory: &Footprint,
    turns: &Turns,
    idle: &Idle,
) -> Value {
    let program = |p: &Program| json!({ "name": p.name, "type": p.kind, "runs": p.runs, "time_ns": p.time });
    let programs = |k: &Kernel| -> Vec<Value> { k.programs.iter().map(program).collect() };
    let kib = |m: &Memory| json!({ "rss_kib": m.rss, "pss_kib": m.pss });
    let kernel = kernel
        .iter()
        .map(|k| json!({ "load": k.load.name(), "bpf_ns_each": k.each, "programs": programs(k) }));
    let user = user
        .iter()
        .map(|u| json!({ "mode": u.mode, "records": u.records, "lost": u.lost, "cpu_ns_each": u.ns_each }));
    json!({
        "kernel": kernel.collect::<Vec<_>>(),
        "user": user.collect::<Vec<_>>(),
        "memory": {
            "ready": kib(&memory.ready), "containers": CONTAINERS, "full": kib(&memory.full),
            "after": kib(&memory.after), "bpf_maps_kib": memory.maps_kib,
        },
        "ready_ms": turns.ready, "ready_ms_median": stats::median(&turns.ready),
        "stop_ms": turns.stop, "stop_ms_median": stats::median(&turns.stop),
        "idle": { "cpu_percent": idle.percent, "seconds": IDLE.as_secs(), "records": idle.records },
    })
}
