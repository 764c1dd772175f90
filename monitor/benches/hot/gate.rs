//! Instructions an event, by stage: `callgrind` counts them, which no noise of the machine disturbs.
//!
//! `cargo bench -p monitor --bench hot -- --gates` runs each stage once under valgrind and compares with
//! `limits.tsv`: stage and most instructions an event. Less than half of a limit fails, too: either nothing was
//! counted, or the limit guards nothing any more. Compilers differ a little, so limits leave a tenth of room.

use std::hint::black_box;
use std::process::{Command, ExitCode};

use monitor::container::{Container, ContainerKey, Registry};
use monitor::detect::{DetectConfig, Detector, RULES};
use monitor::ingest::Order;
use monitor::output::format::{Format, JsonFormat};
use monitor::output::{Body, Common, Record, Subject};
use monitor::process::{Process, ProcessKey, ProcessTable};
use monitor_common::event::EventRef;

use crate::records::{Maker, Recording};
use crate::rig::{CLOCK, identity};

/// Stages, each with the function that is counted.
type Stage = (&'static str, fn(&World) -> usize);
const STAGES: [Stage; 5] = [
    ("decode", decode),
    ("correlate", correlate),
    ("match", judge),
    ("match by ten rules", judge_by_ten),
    ("serialise", serialise),
];
/// What valgrind looks for in the names of functions.
const COUNTED: &str = "*counted_*";
const LIMITS: &str = include_str!("limits.tsv");
const CONTAINERS: u32 = 100;
const EVENTS: usize = 6000;

/// Runs every stage under valgrind.
pub(crate) fn all() -> ExitCode {
    let mut well = true;
    for (stage, _) in STAGES {
        let limit = LIMITS.lines().filter_map(|line| line.split_once('\t')).find(|(name, _)| *name == stage);
        let Some(limit) = limit.and_then(|(_, limit)| limit.trim().parse::<u64>().ok()) else {
            println!("{stage}: no limit in limits.tsv");
            well = false;
            continue;
        };
        match count(stage) {
            Ok(each) => {
                let word = match each {
                    _ if each > limit => "TOO MANY",
                    _ if each < limit / 2 => "TOO FEW: nothing was counted, or the limit is out of date",
                    _ => "ok",
                };
                well &= word == "ok";
                println!("{stage}: {each} instructions an event, limit {limit}: {word}");
            }
            Err(why) => {
                println!("{stage}: {why}");
                well = false;
            }
        }
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Instructions an event of one stage.
fn count(stage: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(program)
        .args(["--stage", stage])
        .output()
        .map_err(|e| format!("valgrind: {e} (cargo xtask setup installs it)"))?;
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("valgrind: {}: {log}", output.status));
    }
    let events: u64 = out.trim().parse().map_err(|_| format!("said {out:?} instead of a number"))?;
    let line = log.lines().find_map(|line| line.split_once("Collected :"));
    let collected: u64 =
        line.and_then(|(_, n)| n.trim().parse().ok()).ok_or_else(|| format!("no count in {log}"))?;
    Ok(collected / events.max(1))
}

/// Runs one stage and says how many events went through it.
pub(crate) fn one(stage: &str) -> ExitCode {
    let Some((_, run)) = STAGES.iter().find(|(name, _)| *name == stage) else { return ExitCode::FAILURE };
    println!("{}", run(&World::new()));
    ExitCode::SUCCESS
}

/// What the stages work on.
struct World {
    before: Vec<Vec<u8>>,
    counted: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut maker = Maker::new(CONTAINERS);
        let mut before = in_order(&maker.start());
        before.extend(in_order(&maker.run(EVENTS)));
        Self { before, counted: in_order(&maker.run(EVENTS)) }
    }

    /// The tables after so many of the records.
    fn tables(&self, counted_too: bool) -> Tables {
        let mut tables = Tables::default();
        let more = self.counted.iter().filter(|_| counted_too);
        tables.follow(&events(self.before.iter().chain(more)));
        for n in 0..CONTAINERS {
            tables.containers.update(identity(n));
        }
        tables
    }
}

fn in_order(recording: &Recording) -> Vec<Vec<u8>> {
    let mut order = Order::new();
    recording.rounds().for_each(|(records, _)| records.for_each(|record| order.push(record)));
    let mut out = Vec::new();
    order.release(u64::MAX, |record| out.push(record.to_vec()));
    out
}

fn events<'a>(records: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<EventRef<'a>> {
    records.into_iter().filter_map(|record| EventRef::decode(record).ok()).collect()
}

struct Tables {
    processes: ProcessTable,
    containers: Registry,
}

impl Default for Tables {
    fn default() -> Self {
        Self { processes: ProcessTable::default(), containers: Registry::new(CLOCK.boot_to_epoch_ns) }
    }
}

impl Tables {
    fn follow(&mut self, events: &[EventRef<'_>]) {
        for event in events {
            self.processes.apply(event);
            black_box(self.containers.apply(event, &self.processes));
        }
    }

    fn container(&self, event: &EventRef<'_>) -> Option<&Container> {
        self.containers.get(ContainerKey(event.header.container))
    }

    fn process(&self, event: &EventRef<'_>) -> Option<&Process> {
        self.processes.get_key(ProcessKey { pid: event.header.pid, started: event.header.started })
    }
}

fn decode(world: &World) -> usize {
    counted_decode(&world.counted)
}

#[inline(never)]
fn counted_decode(records: &[Vec<u8>]) -> usize {
    records.iter().filter(|record| black_box(EventRef::decode(record)).is_ok()).count()
}

fn correlate(world: &World) -> usize {
    counted_correlate(&mut world.tables(false), &events(&world.counted))
}

#[inline(never)]
fn counted_correlate(tables: &mut Tables, events: &[EventRef<'_>]) -> usize {
    tables.follow(events);
    events.iter().filter(|event| tables.container(event).is_some() && tables.process(event).is_some()).count()
}

/// An event with what is known about it.
type Known<'a> = (EventRef<'a>, Option<&'a Container>, Option<&'a Process>);

fn judge(world: &World) -> usize {
    judge_by(world, RULES.len())
}

/// A record is given to the checks of its family, however many other rules there are: ten rules cost what all do.
fn judge_by_ten(world: &World) -> usize {
    judge_by(world, 10)
}

fn judge_by(world: &World, rules: usize) -> usize {
    let tables = world.tables(true);
    let known = |records| -> Vec<Known<'_>> {
        let events = events(records).into_iter();
        events.map(|event| (event, tables.container(&event), tables.process(&event))).collect()
    };
    let disabled = RULES.iter().skip(rules).map(|rule| rule.id.to_owned()).collect();
    let mut detector = Detector::new(DetectConfig { disabled, ..DetectConfig::default() });
    for (event, container, process) in known(&world.before) {
        detector.on_event(&event, container, process, &tables.processes, &mut Vec::new());
    }
    counted_judge(&mut detector, &known(&world.counted), &tables.processes)
}

#[inline(never)]
fn counted_judge(detector: &mut Detector, known: &[Known<'_>], processes: &ProcessTable) -> usize {
    let mut found = Vec::new();
    for (event, container, process) in known {
        detector.on_event(event, *container, *process, processes, &mut found);
    }
    // No rule may match: what is counted is the way of an event that nobody minds.
    if found.is_empty() { known.len() } else { 0 }
}

fn serialise(world: &World) -> usize {
    let tables = world.tables(true);
    let events = events(&world.counted);
    let ancestors: Vec<Vec<&Process>> =
        events.iter().map(|event| tables.processes.ancestors(event.header.pid).collect()).collect();
    let lines: Vec<Record<'_>> = events
        .iter()
        .zip(&ancestors)
        .map(|(event, ancestors)| {
            let (container, process) = (tables.container(event), tables.process(event));
            let subject = Subject { container, process, ancestors };
            let common = Common { time: event.header.time, seq: event.header.seq, node: "node-1" };
            Record { common, body: Body::Event { subject, event } }
        })
        .collect();
    let mut format = JsonFormat::new(CLOCK);
    let mut out = Vec::with_capacity(1 << 20);
    lines.iter().for_each(|line| {
        out.clear();
        format.encode(line, &mut out);
    });
    counted_serialise(&mut format, &lines, &mut out)
}

#[inline(never)]
fn counted_serialise(format: &mut JsonFormat, lines: &[Record<'_>], out: &mut Vec<u8>) -> usize {
    for line in lines {
        out.clear();
        format.encode(line, out);
        black_box(&mut *out);
    }
    lines.len()
}
