//! Where the daemon spends its time: `perf record` on the CPU clock while the rings are driven at a fixed rate.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::process::{self, Affinity};
use crate::bench::rate;
use crate::bench::report;
use crate::bench::rig::Rig;
use crate::live::child::Guarded;
use crate::live::daemon::Output;
use crate::project::{Project, find_program};
use crate::say;

/// Records a second meanwhile.
const RATE: f64 = 200_000.0;
/// Lines of the report.
const LINES: usize = 25;

/// Records, prints the costliest functions, and gives them.
pub(crate) fn measure(project: &Project, rig: &Rig, time: Duration, urgent: bool) -> anyhow::Result<Value> {
    let Some(perf) = find_program("perf") else {
        say::note("perf is not there");
        return Ok(Value::Null);
    };
    let Some(cpus) = process::two_cpus()? else { return Ok(Value::Null) };
    let mut raw = Vec::new();
    for events in ["none", "all"] {
        let _affinity = Affinity::only(cpus.0)?;
        let args = [&["--events", events, "--bench"], rig.unlimited()].concat();
        let mut daemon = rig.daemon(Output::Counted, &args)?;
        let container = rig.container(&["/bin/sleep", "600"])?;
        container.start()?;
        let about = (rate::key(&mut daemon, &container.id)?, container.process()?);
        process::pin(daemon.pid(), cpus.1)?;
        if urgent {
            process::hurry(daemon.pid())?;
            process::hurry(std::process::id())?;
        }
        let data = project.target.join(format!("bench/perf-{events}.data"));
        let mut command = Command::new(&perf);
        command.args([
            "record",
            "-q",
            "-e",
            "cpu-clock",
            "-F",
            "2000",
            "-g",
            "-p",
            &daemon.pid().to_string(),
        ]);
        command.arg("-o").arg(&data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut recorder = Guarded::spawn(&mut command, Signal::INT)?;
        rig.flood(&daemon, about, RATE, time * 3, urgent)?;
        ensure!(recorder.child.try_wait()?.is_none(), "perf record ended by itself");
        recorder.end()?;
        drop(container);
        daemon.stop()?;
        let told = Command::new(&perf)
            .args(["report", "--stdio", "-q", "--no-children", "-g", "none", "--percent-limit", "0.5", "-i"])
            .arg(&data)
            .stderr(Stdio::null())
            .output()
            .context("perf report")?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(LINES).collect();
        report::heading(&format!("The daemon's time at {}, --events {events}", report::thousands(RATE)));
        lines.iter().for_each(|line| say::result(format!("  {}", line.trim_end())));
        say::note(format!("perf report -i {}", data.display()));
        raw.push(json!({ "events": events, "functions": lines }));
    }
    Ok(raw.into())
}
