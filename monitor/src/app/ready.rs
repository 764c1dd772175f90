//! Proves that every attached sensor reports, and says so once.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use super::canary;
use super::hot::{Mailbox, Wake};
use crate::bpf::{Control, Loaded, SensorState};
use crate::diag::{Code, Diagnostic};
use crate::output::{SensorCoverage, Status};

/// How long the canaries may take. Natively it is milliseconds; an emulated machine needs seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(2);

/// Says what is covered, runs the canary, and says `ready` when all of it came back. `running` is the number
/// of containers that were found running.
///
/// # Errors
/// [`Code::CanaryNotSeen`] with the canaries that did not come back.
pub(super) fn prove(
    loaded: &Loaded,
    control: &mut Control,
    cgroups: &Path,
    mailbox: &Mailbox,
    running: usize,
) -> Result<(), Diagnostic> {
    mailbox.send(coverage(loaded.sensors.clone()));
    let wanted: Vec<&'static str> = loaded
        .sensors
        .iter()
        .filter(|s| s.rung.is_some())
        .flat_map(|s| s.sensor.canaries.iter().filter(|name| !s.left_out.contains(name)))
        .copied()
        .filter(|name| canary::is_possible(name))
        .collect();
    let mut child = canary::start(control, cgroups)?;
    let deadline = Instant::now() + DEADLINE;
    let missing = loop {
        let missing = missing(mailbox, &wanted)?;
        if missing.is_empty() || Instant::now() > deadline {
            break missing;
        }
        std::thread::sleep(INTERVAL);
    };
    // It has ended by itself, or it hangs and is our own to end.
    if child.try_wait().ok().flatten().is_none() && !missing.is_empty() {
        let _ = child.kill();
    }
    let _ = child.wait();
    if !missing.is_empty() {
        return Err(Diagnostic::new(Code::CanaryNotSeen).note(format!("not seen: {}", missing.join(", "))));
    }
    let attached = loaded.sensors.iter().filter(|s| s.rung.is_some()).count() as u32;
    let sensors = loaded.sensors.len() as u32;
    mailbox.send(Wake::Do(Box::new(move |pipeline, now| {
        pipeline.status(now, Status::Ready { attached, sensors, containers: running as u32 });
    })));
    Ok(())
}

/// The canaries that have not come back.
fn missing(mailbox: &Mailbox, wanted: &[&'static str]) -> Result<Vec<&'static str>, Diagnostic> {
    let (answer, asked) = sync_channel(1);
    let names = wanted.to_vec();
    mailbox.send(Wake::Do(Box::new(move |pipeline, _| {
        let missing: Vec<_> = names.into_iter().filter(|name| !pipeline.canary().has(name)).collect();
        // The asker waits for it.
        let _ = answer.send(missing);
    })));
    asked.recv().map_err(|_| Diagnostic::new(Code::NoResources).note("the hot thread has ended"))
}

/// Has it said which sensors see what.
pub(super) fn coverage(sensors: Vec<SensorState>) -> Wake {
    Wake::Do(Box::new(move |pipeline, now| {
        let rows: Vec<(String, Vec<&str>)> = sensors
            .iter()
            .map(|s| {
                let unseen = s.rung.map_or_else(|| vec![s.sensor.about], |rung| vec![rung.unseen]);
                (s.refused.join("; "), [unseen, s.left_out.clone()].concat())
            })
            .collect();
        let coverage: Vec<SensorCoverage<'_>> = sensors
            .iter()
            .zip(&rows)
            .map(|(s, (reason, unseen))| SensorCoverage {
                sensor: s.sensor.name,
                rung: s.rung.map(|r| r.level.name()),
                unseen,
                reason: if reason.is_empty() { None } else { Some(reason) },
            })
            .collect();
        pipeline.status(now, Status::Coverage { sensors: &coverage });
    }))
}
