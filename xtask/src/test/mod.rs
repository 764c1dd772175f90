//! The verb `test`: everything that must hold, cheapest first, counted into one last line.

mod checks;
mod tally;

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crate::build;
use crate::flags::{SetupFlags, TestFlags};
use crate::project::Project;
use crate::say;
use crate::setup;
use crate::vm::{self, Boot, Matrix, Row};
use tally::{Tally, Verdict};

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &TestFlags) -> anyhow::Result<ExitCode> {
    let filter = flags.filter.as_deref();
    let mut tally = Tally::default();
    tally.check("setup", || {
        setup::run(project, &SetupFlags { no_vm: flags.fast, no_engines: false }).map(|_| Verdict::Passed)
    });
    if filter.is_none() {
        tally.check("format", || checks::format(project));
    }
    let object = tally.check("eBPF object", || {
        build::object(project, &setup::ebpf(project)?)?;
        Ok(Verdict::Passed)
    });
    if filter.is_none() {
        lints(project, &mut tally);
    }
    tally.check("unit tests", || checks::units(project, filter));
    if filter.is_none() {
        tally.check("fuzz targets", || checks::fuzz(project));
        tally.check("instructions a record", || checks::gates(project));
    }
    if !object {
        tally.check("scenarios", || Ok(Verdict::Skipped("the eBPF object does not build".to_owned())));
    }
    let matrix = if flags.fast {
        tally.check("kernel matrix", || Ok(Verdict::Skipped("--fast".to_owned())));
        None
    } else if object {
        guests(project, &mut tally, filter)
    } else {
        None
    };
    thread::scope(|scope| {
        // Guests keep the CPUs busy, and scenarios on this host mostly wait.
        let boots = matrix.as_ref().map(|matrix| boot(scope, matrix));
        if object {
            let words: Vec<&str> = filter.into_iter().collect();
            tally.check("scenarios on this host", || checks::scenarios(project, &words));
            if filter.is_none() {
                tally.check("mutations: every rule is needed", || checks::scenarios(project, &["--mutate"]));
            }
        }
        for (row, boot, took) in boots.into_iter().flatten() {
            let verdict = boot.map(|boot| checks::guest(&boot.lines, boot.failure));
            tally.count(&format!("kernel {row}"), verdict, took);
        }
    });
    Ok(if tally.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lints(project: &Project, tally: &mut Tally) {
    tally.check("clippy", || checks::clippy(project));
    tally.check("lints of the eBPF crate", || checks::ebpf_lints(project, &setup::ebpf(project)?));
    tally.check("licences, bans, sources", || checks::deny(project));
    tally.check("advisories", || checks::advisories(project));
    tally.check("unused dependencies", || checks::machete(project));
}

/// Builds what the guests run; `None` if there is nothing to boot.
fn guests(project: &Project, tally: &mut Tally, filter: Option<&str>) -> Option<Matrix> {
    if let Some(why) = vm::impossible() {
        tally.check("kernel matrix", || Ok(Verdict::Skipped(why.to_owned())));
        return None;
    }
    let mut prepared = None;
    tally.check("kernel matrix: programs for the guests", || {
        prepared = Some(Matrix::of_scenarios(project, filter)?);
        Ok(Verdict::Passed)
    });
    prepared
}

/// Boots row after row, and gives what became of each as it ends.
fn boot<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    matrix: &'env Matrix,
) -> Receiver<(&'env Row, anyhow::Result<Boot>, Duration)> {
    let rows = Arc::new(Mutex::new(matrix.rows.iter()));
    let (sender, ended) = channel();
    for _ in 0..guests_at_once() {
        let (sender, rows) = (sender.clone(), Arc::clone(&rows));
        scope.spawn(move || {
            let next = || rows.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(row) = next() {
                say::step(format!("── kernel {row}"));
                let start = Instant::now();
                let boot = Project::open().and_then(|project| matrix.boot(&project, row));
                // The receiver lives until every sender is gone.
                let _ = sender.send((row, boot, start.elapsed()));
            }
        });
    }
    ended
}

/// How many guests run at once: each keeps little more than one core busy, and has 2 GiB of memory.
fn guests_at_once() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(4)
}
