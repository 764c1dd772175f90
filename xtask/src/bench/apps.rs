//! Servers under load in a monitored container: redis and nginx, each with its client in the same container, on the
//! loopback of its own network namespace.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::machine::{Clocks, Disturbance};
use crate::bench::report;
use crate::bench::rig::Rig;
use crate::bench::slices::{self, Effort};
use crate::bench::stats::{self, Ratio};
use crate::live::daemon::{Daemon, Output};
use crate::project::{Project, find_program};
use crate::say;
use crate::setup::{self, Need};

/// Requests of a redis slice, of each of two commands.
const REQUESTS: u32 = 60_000;
/// Of a slice in a guest that counts: a second of it is a billion instructions.
const COUNTED: Duration = Duration::from_millis(200);

/// A server with its client.
struct App {
    name: &'static str,
    /// Programs that it needs, and where they are in the container.
    programs: &'static [(&'static str, &'static str)],
    /// What the container's shell runs; `SECONDS` and `REQUESTS` are put in.
    script: &'static str,
    /// Requests a second, and how many there were, from what the client prints.
    read: fn(&str) -> Option<(f64, f64)>,
}

const APPS: [App; 2] = [
    App {
        name: "redis",
        programs: &[
            ("redis-server", "redis-server"),
            ("redis-benchmark", "redis-benchmark"),
            ("redis-cli", "redis-cli"),
        ],
        script: "/redis-server --save '' --appendonly no --bind 127.0.0.1 --port 6379 >/dev/null 2>&1 & server=$!\n\
            n=0; until /redis-cli ping >/dev/null 2>&1 || [ $n -gt 100 ]; do n=$((n+1)); sleep 0.05; done\n\
            echo asked: REQUESTS; /redis-benchmark --csv -c 20 -n REQUESTS -t set,get\n\
            echo cpu: $(cat /proc/$server/schedstat); kill $server; wait $server\n",
        read: redis,
    },
    App {
        name: "nginx",
        programs: &[("nginx", "nginx"), ("wrk", "wrk")],
        script: "mkdir -p /tmp/www; echo hello >/tmp/www/index.html; echo root:x:0: >/etc/group\n\
            echo 'user root root; daemon off; master_process off; pid /tmp/nginx.pid; error_log /dev/null; events {} http { \
            access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; \
            uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; server { listen 127.0.0.1:8080; root /tmp/www; } }' \
            >/tmp/nginx.conf\n\
            /nginx -e /dev/null -c /tmp/nginx.conf & server=$!\n\
            n=0; until /wrk -t1 -c1 -d1 http://127.0.0.1:8080/ >/dev/null 2>&1 || [ $n -gt 100 ]; do n=$((n+1)); sleep 0.05; done\n\
            /wrk -t1 -c20 -dSECONDS http://127.0.0.1:8080/\n\
            echo cpu: $(cat /proc/$server/schedstat); kill $server; wait $server\n",
        read: wrk,
    },
];

impl App {
    /// Its programs on this machine, and where they are in the container; `None` unless all are there.
    fn programs(&self) -> Option<Vec<(PathBuf, &'static str)>> {
        self.programs.iter().map(|(name, at)| Some((find_program(name)?, *at))).collect()
    }

    fn rig(&self, bulkhead: &Path, programs: &[(PathBuf, &str)]) -> anyhow::Result<Rig> {
        let programs: Vec<(&Path, &str)> = programs.iter().map(|(path, at)| (path.as_path(), *at)).collect();
        Rig::make(self.name, bulkhead, &programs)
    }
}

/// `"SET","81168.83",…` by line: requests of one command a second. The result is for the commands together; their number
/// is put in by whoever asked for them.
fn redis(printed: &str) -> Option<(f64, f64)> {
    let rates: Vec<f64> = printed
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.split("\",\"").nth(1)?.parse().ok())
        .collect();
    let seconds: f64 = rates.iter().map(|rate| 1.0 / rate).sum();
    let asked: f64 = printed.lines().find_map(|line| line.strip_prefix("asked: ")?.parse().ok())?;
    (!rates.is_empty()).then(|| (rates.len() as f64 / seconds, asked * rates.len() as f64))
}

/// `43569 requests in 1.05s, 9.97MB read` and `Requests/sec:  12345.67`
fn wrk(printed: &str) -> Option<(f64, f64)> {
    let lines = || printed.lines().map(str::trim);
    let rate = lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    let count = lines().find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    Some((rate, count))
}

/// Nanoseconds that the server ran, of `schedstat`.
fn server(printed: &str) -> Option<f64> {
    printed.lines().find_map(|line| line.strip_prefix("cpu: ")?.split(' ').next()?.parse().ok())
}

/// One slice.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Requests a second.
    rate: f64,
    /// Nanoseconds of the server's CPU time, by request.
    cpu: f64,
    disturbance: Disturbance,
}

/// Measures, prints, and gives the raw figures.
pub(crate) fn measure(project: &Project, bulkhead: &Path, effort: Effort) -> anyhow::Result<Value> {
    install(project);
    report::heading("Servers in a monitored container, requests a second (median of pairs, 95 % interval)");
    let mut raw = Vec::new();
    for app in &APPS {
        let Some(programs) = app.programs() else {
            let missing = app.programs.iter().find(|(name, _)| find_program(name).is_none());
            say::result(format!("  {}: skipped, {} is not there", app.name, missing.map_or("", |m| m.0)));
            raw.push(json!({ "app": app.name, "skipped": true }));
            continue;
        };
        let rig = app.rig(bulkhead, &programs)?;
        say::step(format!("{} with and without Bulkhead", app.name));
        let with = pairs(&rig, app, effort, true)?;
        let bare = pairs(&rig, app, effort, false)?;
        raw.push(print(app.name, &with, &bare));
    }
    Ok(raw.into())
}

/// What the servers and clients of those that can be measured here are.
pub(crate) fn programs(project: &Project) -> Vec<PathBuf> {
    install(project);
    APPS.iter().filter_map(App::programs).flatten().map(|(path, _)| path).collect()
}

/// Debian's packages install without starting anything, `policy-rc.d` sees to that; elsewhere they are not installed.
fn install(project: &Project) {
    if let Err(error) = setup::packages(project, Need::Bench) {
        say::note(format!("{error:#}"));
    }
}

/// Slices with a daemon on each rung between two without any, in a guest that counts: a line of JSON each.
pub(crate) fn counted(bulkhead: &Path, rungs: &[String]) -> anyhow::Result<()> {
    for app in &APPS {
        let Some(programs) = app.programs() else { continue };
        let rig = app.rig(bulkhead, &programs)?;
        let tell = |rung: &str| -> anyhow::Result<()> {
            let one = slice(&rig, app, COUNTED)?;
            say::result(json!({ "load": app.name, "rung": rung, "whole": 1e9 / one.rate, "own": one.cpu }));
            Ok(())
        };
        tell("none")?;
        for rung in rungs {
            let daemon = rig.daemon(Output::Nowhere, &["--events", "all", "--rung", rung])?;
            tell(rung)?;
            tell(rung)?;
            rig.stop(daemon)?;
        }
        tell("none")?;
    }
    Ok(())
}

/// Pairs of slices in the order A B B A.
fn pairs(rig: &Rig, app: &App, effort: Effort, bulkhead: bool) -> anyhow::Result<Vec<(Sample, Sample)>> {
    let mut done = Vec::new();
    while done.len() < effort.pairs {
        slices::wait_for_others(rig, effort.patience)?;
        let slice = || slice(rig, app, effort.time);
        let first = slice()?;
        let daemon: Option<Daemon> =
            bulkhead.then(|| rig.daemon(Output::Nowhere, &["--events", "all"])).transpose()?;
        let (second, third) = (slice()?, slice()?);
        if let Some(daemon) = daemon {
            rig.stop(daemon)?;
        }
        done.push((first, second));
        done.push((slice()?, third));
    }
    Ok(done)
}

fn slice(rig: &Rig, app: &App, time: Duration) -> anyhow::Result<Sample> {
    let seconds = time.as_secs().max(1).to_string();
    let requests = (f64::from(REQUESTS) * time.as_secs_f64()).max(2000.0);
    let script = app.script.replace("SECONDS", &seconds).replace("REQUESTS", &format!("{requests:.0}"));
    let container = rig.container(&["/bin/sh", "-c", &script])?;
    let clocks = Clocks::read();
    let lines = rig.lines(&mut container.run(false), time * 10)?;
    let disturbance = clocks.since();
    let printed = String::from_utf8_lossy(&lines.join(&b'\n')).into_owned();
    let said = || format!("{} printed: {printed}", app.name);
    let (rate, count) = (app.read)(&printed).with_context(said)?;
    let cpu = server(&printed).with_context(said)? / count;
    Ok(Sample { rate, cpu, disturbance })
}

/// Time of a request, and CPU time of the server for it, with over without.
fn slowdown(pairs: &[(Sample, Sample)]) -> [Option<Ratio>; 2] {
    let of = |figure: fn(&Sample) -> f64| {
        stats::ratio(&pairs.iter().map(|(base, with)| (figure(base), figure(with))).collect::<Vec<_>>())
    };
    [of(|sample| 1.0 / sample.rate), of(|sample| sample.cpu)]
}

fn print(name: &str, with: &[(Sample, Sample)], bare: &[(Sample, Sample)]) -> Value {
    let median = |side: fn(&(Sample, Sample)) -> f64| {
        stats::median(&with.iter().map(side).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let show = |ratio: Option<Ratio>| ratio.map_or("-".to_owned(), report::show);
    let ([time, cpu], [bare_time, bare_cpu]) = (slowdown(with), slowdown(bare));
    say::result(format!(
        "  {name:<6} requests a second {:>10.0} without {:>10.0} with; time {}, bare / bare {}",
        median(|pair| pair.0.rate),
        median(|pair| pair.1.rate),
        show(time),
        show(bare_time)
    ));
    say::result(format!(
        "  {:<6} server's CPU each  {:>10} without {:>10} with; ratio {}, bare / bare {}",
        "",
        report::nanos(median(|pair| pair.0.cpu)),
        report::nanos(median(|pair| pair.1.cpu)),
        show(cpu),
        show(bare_cpu)
    ));
    let side = |s: &Sample| {
        json!({
            "rate": s.rate, "server_cpu_ns": s.cpu, "steal_percent": s.disturbance.steal,
            "cpu_pressure_percent": s.disturbance.pressure,
        })
    };
    let all = |pairs: &[(Sample, Sample)]| -> Vec<Value> {
        pairs.iter().map(|(base, with)| json!({ "base": side(base), "partner": side(with) })).collect()
    };
    json!({ "app": name, "bulkhead": all(with), "bare": all(bare) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_words() {
        let printed = "asked: 500\n\"test\",\"rps\",\"avg\"\n\"SET\",\"50000.00\",\"0.1\"\n\"GET\",\"100000.00\",\"0.1\"\n";
        let (rate, count) = redis(printed).expect("two rates");
        assert!((rate - 66_666.666).abs() < 1.0 && count == 1000.0, "{rate} {count}");
        let printed = "  43569 requests in 1.05s, 9.97MB read\nRequests/sec:  12345.50\ncpu: 900 1 2\n";
        assert_eq!(wrk(printed), Some((12345.5, 43569.0)));
        assert_eq!(server(printed), Some(900.0));
        assert_eq!((redis("nothing"), wrk("nothing"), server("nothing")), (None, None, None));
    }

    #[test]
    fn a_lower_rate_is_a_longer_request() {
        let disturbance = Disturbance { steal: 0.0, pressure: 0.0 };
        let sample = |rate, cpu| Sample { rate, cpu, disturbance };
        let [time, cpu] = slowdown(&[(sample(100.0, 10.0), sample(80.0, 11.0))]);
        assert!((time.expect("a pair").median - 1.25).abs() < 1e-9);
        assert!((cpu.expect("a pair").median - 1.1).abs() < 1e-9);
    }
}
