//! What Bulkhead adds to a workload on each rung that this kernel allows: pairs of slices, and bare pairs beside them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bench::load::LoadKind;
use crate::bench::report;
use crate::bench::rig::{Place, Rig};
use crate::bench::slices::{self, Effort};
use crate::live::daemon::Output;
use crate::say;

/// A system call that no sensor is about.
const CALLS: [(Place, LoadKind); 2] =
    [(Place::Host, LoadKind::Getppid), (Place::Container, LoadKind::Getppid)];
/// A loop of fork, exec and exit.
const EXECS: [(Place, LoadKind); 2] = [(Place::Host, LoadKind::Exec), (Place::Container, LoadKind::Exec)];

/// A choice of `--rung` that gives sensors other rungs than the choices before it.
struct Choice {
    name: String,
    /// The rungs that its sensors got.
    rungs: BTreeSet<String>,
}

/// An unrelated system call, on each rung.
pub(crate) fn calls(rig: &Rig, effort: Effort) -> anyhow::Result<Value> {
    let choices = choices(rig)?;
    let noise = slices::measure(rig, &CALLS, effort, None)?;
    let mut raw = Vec::new();
    for choice in &choices {
        let rungs: Vec<&str> = choice.rungs.iter().map(String::as_str).collect();
        let title = format!("An unrelated system call, --rung {} ({})", choice.name, rungs.join(", "));
        let args = ["--rung", &choice.name];
        let pairs = slices::measure(rig, &CALLS, effort, Some(&args))?;
        report::pairs(&title, &CALLS, &pairs, &noise);
        raw.push(json!({ "choice": choice.name, "rungs": rungs, "pairs": slices::json(&CALLS, &pairs) }));
    }
    Ok(json!({ "rungs": raw, "bare": slices::json(&CALLS, &noise) }))
}

/// The loop of fork, exec and exit, as it is used: every event written.
pub(crate) fn execs(rig: &Rig, effort: Effort) -> anyhow::Result<Value> {
    let pairs = slices::measure(rig, &EXECS, effort, Some(&[]))?;
    let noise = slices::measure(rig, &EXECS, effort, None)?;
    report::pairs("fork + exec + exit, every event written", &EXECS, &pairs, &noise);
    Ok(json!({ "pairs": slices::json(&EXECS, &pairs), "bare": slices::json(&EXECS, &noise) }))
}

/// The choices of `--rung` that start and differ.
fn choices(rig: &Rig) -> anyhow::Result<Vec<Choice>> {
    let mut found: Vec<Choice> = Vec::new();
    for name in values(&rig.help()?, "--rung") {
        let daemon = match rig.daemon(Output::Here, &["--events", "none", "--rung", &name]) {
            Ok(daemon) => daemon,
            Err(error) => {
                say::note(format!("--rung {name} does not start here: {error:#}"));
                continue;
            }
        };
        let sensors = daemon.coverage["sensors"].as_array().cloned().unwrap_or_default();
        let rungs = sensors.iter().filter_map(|s| s["rung"].as_str()).map(str::to_owned).collect();
        rig.stop(daemon)?;
        if found.iter().any(|other| other.rungs == rungs) {
            say::note(format!("--rung {name} gives the same rungs as one before"));
        } else {
            found.push(Choice { name, rungs });
        }
    }
    Ok(found)
}

/// The values that a flag takes, as clap's help lists them: on one line in brackets, or a line each.
fn values(help: &str, flag: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once(flag) else { return Vec::new() };
    let section = rest.split("\n      --").next().unwrap_or(rest);
    if let Some((_, list)) = section.split_once("[possible values: ") {
        let list = list.split(']').next().unwrap_or_default();
        return list.split(',').map(|word| word.trim().to_owned()).collect();
    }
    let lines = section.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next());
    lines.map(|word| word.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_either_help() {
        let short = "      --rung <RUNG>\n          Highest [possible values: auto,\n  event]\n      --x <Y>  [possible values: z]\n";
        assert_eq!(values(short, "--rung"), ["auto", "event"]);
        let long = "      --rung <RUNG>\n          Highest\n\n          Possible values:\n          - auto:  The best\n          - event: Some\n\n      --x\n          - no: no\n";
        assert_eq!(values(long, "--rung"), ["auto", "event"]);
        assert_eq!(values(short, "--none"), [""; 0]);
    }
}
