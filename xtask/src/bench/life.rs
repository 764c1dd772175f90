//! The daemon's start, its end, and its idleness.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::process;
use crate::bench::programs::Account;
use crate::bench::rate;
use crate::bench::report;
use crate::bench::rig::Rig;
use crate::bench::stats;
use crate::live::daemon::Output;
use crate::live::stop;
use crate::say;

/// Starts and stops the daemon some times; milliseconds to its line `ready`, and from SIGINT to its end, everything
/// detached.
pub(crate) fn turns(rig: &Rig, starts: usize) -> anyhow::Result<Value> {
    let (mut ready, mut ended) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        let daemon = rig.daemon(Output::Here, &["--events", "none"])?;
        ready.push(daemon.ready_after.as_secs_f64() * 1e3);
        let began = Instant::now();
        daemon.stop()?;
        ended.push(began.elapsed().as_secs_f64() * 1e3);
    }
    report::heading("Start and end");
    for (what, millis) in [("start to `ready`", &ready), ("SIGINT to its end", &ended)] {
        let each: Vec<String> = millis.iter().map(|ms| format!("{ms:.0}")).collect();
        let median = stats::median(millis).unwrap_or(0.0);
        say::result(format!("  {what:<20} {median:>6.0} ms (median of {})", each.join(", ")));
    }
    Ok(json!({ "ready_ms": ready, "stop_ms": ended }))
}

/// Looks at an idle daemon for a while.
pub(crate) fn idle(rig: &Rig, time: Duration) -> anyhow::Result<Value> {
    let daemon = rig.daemon(Output::Nowhere, &[])?;
    rate::settle(&daemon)?;
    let (account, cpu) = (Account::of(daemon.pid())?, process::cpu_ns(daemon.pid())?);
    stop::pass(time)?;
    let cpu = process::cpu_ns(daemon.pid())? - cpu;
    let records = Account::of(daemon.pid())?.since(account).submitted;
    daemon.stop()?;
    let percent = 100.0 * cpu / time.as_nanos() as f64;
    report::heading("Idle");
    say::result(format!(
        "  {percent:.3} % of one CPU over {} s ({records:.0} records of others meanwhile)",
        time.as_secs()
    ));
    Ok(json!({ "cpu_percent": percent, "seconds": time.as_secs_f64(), "records": records }))
}
