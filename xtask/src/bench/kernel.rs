//! BPF time: what each program takes for each kind of event, by the kernel's statistics, less what a program that does
//! nothing takes on the same hook.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::bpf::{ProgramInfo, Statistics};
use crate::bench::load::LoadKind;
use crate::bench::noops::{Looks, Noops};
use crate::bench::programs::{self, Account};
use crate::bench::report;
use crate::bench::rig::{Place, Rig};
use crate::live::daemon::{Daemon, Output};
use crate::live::stop;
use crate::say;

/// What is done, and where: the host's are filtered out by their task, `getppid` by its number, `open` by its file.
pub(crate) const LOADS: [(Place, LoadKind); 8] = [
    (Place::Container, LoadKind::Exec),
    (Place::Container, LoadKind::Fork),
    (Place::Container, LoadKind::Connect),
    (Place::Container, LoadKind::Open),
    (Place::Container, LoadKind::Getppid),
    (Place::Host, LoadKind::Exec),
    (Place::Host, LoadKind::Open),
    (Place::Host, LoadKind::Getppid),
];
/// Records a second that a container's task writes for the figure of one record: the ring stays far from full.
const RECORDS: f64 = 20_000.0;

/// One program under one load.
#[derive(Debug, Clone)]
struct Row {
    program: ProgramInfo,
    hook: String,
    /// Nanoseconds of a run of a noop on the same hook.
    noop: Option<f64>,
}

impl Row {
    /// Nanoseconds of a run.
    fn gross(&self) -> f64 {
        self.program.time / self.program.runs.max(1.0)
    }

    /// The same without the noop's.
    fn net(&self) -> f64 {
        (self.gross() - self.noop.unwrap_or(0.0)).max(0.0)
    }
}

/// All programs under one load.
#[derive(Debug, Clone)]
struct Found {
    place: Place,
    load: LoadKind,
    /// How often it was done.
    times: f64,
    rows: Vec<Row>,
}

impl Found {
    /// Nanoseconds each time, noops subtracted.
    fn net(&self) -> f64 {
        self.rows.iter().map(|row| row.net() * row.program.runs).sum::<f64>() / self.times
    }

    /// The same with them.
    fn gross(&self) -> f64 {
        self.rows.iter().map(|row| row.program.time).sum::<f64>() / self.times
    }
}

/// Measures, prints, and gives the raw figures.
pub(crate) fn measure(rig: &Rig, time: Duration) -> anyhow::Result<Value> {
    let daemon = rig.daemon(Output::Nowhere, &[rig.unlimited(), &["--bench"]].concat())?;
    let noops = Noops::beside(&programs::ids(daemon.pid())?)?;
    let _statistics = Statistics::on()?;
    let mut found = Vec::new();
    for (place, load) in LOADS {
        let quiet = others(&daemon, time)?;
        let (before, looks, began) = (programs::of(daemon.pid())?, noops.look()?, Instant::now());
        let run = rig.load(place, load, time)?;
        let (now, then) = (programs::of(daemon.pid())?, noops.look()?);
        let grown = programs::difference(&before, &now);
        let grown = without(&grown, &quiet, began.elapsed().as_secs_f64() / time.as_secs_f64());
        found.push(Found { place, load, times: run.total, rows: rows(&grown, &noops, (&looks, &then)) });
    }
    let record = record(rig, &daemon, time)?;
    rig.stop(daemon)?;
    print(&found, record);
    Ok(json(&found, record))
}

/// What the programs do for everybody else on the machine, who makes system calls too.
fn others(daemon: &Daemon, time: Duration) -> anyhow::Result<Vec<ProgramInfo>> {
    let before = programs::of(daemon.pid())?;
    stop::pass(time)?;
    Ok(programs::difference(&before, &programs::of(daemon.pid())?))
}

/// The rest after what others cause in so many times the time.
fn without(grown: &[ProgramInfo], others: &[ProgramInfo], times: f64) -> Vec<ProgramInfo> {
    let rest = grown.iter().filter_map(|program| {
        let other = others.iter().find(|other| other.id == program.id);
        let (time, runs) = other.map_or((0.0, 0.0), |other| (other.time * times, other.runs * times));
        let rest = ProgramInfo { time: program.time - time, runs: program.runs - runs, ..program.clone() };
        (rest.runs > 0.0 && rest.time > 0.0).then_some(rest)
    });
    rest.collect()
}

fn rows(programs: &[ProgramInfo], noops: &Noops, looks: (&Looks, &Looks)) -> Vec<Row> {
    let row = |program: &ProgramInfo| Row {
        program: program.clone(),
        hook: noops.hook_name(program),
        noop: noops.ns(program, looks.0, looks.1),
    };
    programs.iter().map(row).collect()
}

/// Nanoseconds of a record of 72 bytes about a container's task, from the filter to the submission.
fn record(rig: &Rig, daemon: &Daemon, time: Duration) -> anyhow::Result<(f64, f64)> {
    let (account, before) = (Account::of(daemon.pid())?, programs::named(daemon.pid(), "flood")?);
    let flood = rig.own_flood(daemon, RECORDS, time)?;
    let after = programs::named(daemon.pid(), "flood")?;
    let submitted = Account::of(daemon.pid())?.since(account).submitted;
    Ok(((after.time - before.time) / flood.asked, submitted / flood.asked))
}

fn print(found: &[Found], record: (f64, f64)) {
    report::heading("BPF time by the kernel's statistics, and without what a noop takes on the same hook");
    for one in found {
        say::result(format!(
            "  {} {}: {:.0} ns of BPF each, {:.0} net",
            one.place.name(),
            one.load.name(),
            one.gross(),
            one.net()
        ));
        // The container's own start is in the counts; what comes to nothing is left to the raw file.
        let all = one.gross() * one.times;
        for row in one.rows.iter().filter(|row| row.program.time >= all / 100.0) {
            let noop = row.noop.map_or("-".to_owned(), |ns| format!("{ns:.0}"));
            say::result(format!(
                "    {:<18} {:<22} {:>7.2} runs each {:>7.0} ns a run {:>5} noop {:>7.0} net",
                row.program.name,
                row.hook,
                row.program.runs / one.times,
                row.gross(),
                noop,
                row.net()
            ));
        }
    }
    say::result(format!(
        "  a record of 72 bytes, filter to submission: {:.0} ns ({:.1} % submitted)",
        record.0,
        100.0 * record.1
    ));
}

fn json(found: &[Found], record: (f64, f64)) -> Value {
    let row = |row: &Row| {
        json!({
            "program": row.program.name, "hook": row.hook, "runs": row.program.runs,
            "time_ns": row.program.time, "missed": row.program.missed, "verified": row.program.verified,
            "noop_ns": row.noop, "net_ns": row.net(),
        })
    };
    let one = |one: &Found| {
        json!({
            "place": one.place.name(), "load": one.load.name(), "times": one.times,
            "ns_each": one.gross(), "net_ns_each": one.net(),
            "programs": one.rows.iter().map(row).collect::<Vec<_>>(),
        })
    };
    json!({
        "loads": found.iter().map(one).collect::<Vec<_>>(),
        "record_ns": record.0, "record_submitted": record.1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_cause_is_left_out() {
        let program = |id, time, runs| ProgramInfo {
            id,
            kind: 17,
            name: String::new(),
            time,
            runs,
            missed: 0.0,
            verified: 0,
        };
        let grown = [program(1, 1000.0, 10.0), program(2, 50.0, 5.0), program(3, 70.0, 7.0)];
        let others = [program(1, 200.0, 2.0), program(2, 60.0, 6.0)];
        let rest: Vec<(u32, f64, f64)> =
            without(&grown, &others, 2.0).iter().map(|p| (p.id, p.time, p.runs)).collect();
        assert_eq!(rest, [(1, 600.0, 6.0), (3, 70.0, 7.0)]);
    }

    #[test]
    fn noops_are_subtracted_by_run() {
        let program = |name: &str, time: f64, runs: f64| ProgramInfo {
            id: 1,
            kind: 17,
            name: name.to_owned(),
            time,
            runs,
            missed: 0.0,
            verified: 0,
        };
        let row = |program: ProgramInfo, noop| Row { program, hook: String::new(), noop };
        let rows = vec![
            row(program("a", 1000.0, 10.0), Some(20.0)),
            row(program("b", 300.0, 5.0), None),
            row(program("c", 10.0, 1.0), Some(15.0)),
        ];
        let found = Found { place: Place::Host, load: LoadKind::Exec, times: 10.0, rows };
        assert_eq!((found.gross(), found.net()), (131.0, 110.0));
    }
}
