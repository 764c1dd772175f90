//! The loads that are measured: this program again, as the hidden verb `load`, on the host or in a container.
//!
//! A load does one thing on one CPU and prints one JSON object: as fast as it can for a given time, in batches, the first
//! tenth of the time not counted; or a given number of times at a given rate, the next when its time has come, whether
//! or not the one before was late.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use rustix::fs::{Mode, OFlags};
use rustix::thread::CpuSet;
use serde_json::{Value, json};

use crate::bench::stats;
use crate::flags::LoadFlags;
use crate::say;

/// What a load does over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadKind {
    /// A child is made, executes a static program that ends at once, and is waited for
    Exec,
    /// A child is made, ends at once, and is waited for
    Fork,
    /// A system call that no sensor is about
    Getppid,
    /// A file of the container's own is opened and closed
    Open,
    /// A connection over loopback, accepted and closed
    Connect,
}

impl LoadKind {
    /// Its name on a command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Getppid => "getppid",
            Self::Open => "open",
            Self::Connect => "connect",
        }
    }

    /// Times it is done between two looks at the clock: some milliseconds.
    fn batch(self) -> u32 {
        match self {
            Self::Exec => 10,
            Self::Fork => 20,
            Self::Getppid => 20_000,
            Self::Open => 2_000,
            Self::Connect => 100,
        }
    }
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    /// How often it was done, warm-up left out.
    pub(crate) count: f64,
    /// Nanoseconds each by the clock: the median of the batches, so that a neighbour's burst does not count.
    pub(crate) wall_ns: f64,
    /// Nanoseconds each of CPU time, children included.
    pub(crate) cpu_ns: f64,
    /// How often it was done, warm-up included: what sensors saw.
    pub(crate) total: f64,
    /// Of a load at a rate: milliseconds that the last one ended after its time.
    pub(crate) late_ms: f64,
}

impl Run {
    /// From the object that a load prints.
    pub(crate) fn read(line: &[u8]) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_slice(line).context("a load printed no JSON")?;
        let number = |name: &str| value[name].as_f64().with_context(|| format!("a load gave no {name}"));
        Ok(Self {
            count: number("count")?,
            wall_ns: number("wall_ns")?,
            cpu_ns: number("cpu_ns")?,
            total: number("total")?,
            late_ms: number("late_ms")?,
        })
    }

    /// As it is printed.
    pub(crate) fn json(self) -> Value {
        json!({
            "count": self.count, "wall_ns": self.wall_ns, "cpu_ns": self.cpu_ns, "total": self.total,
            "late_ms": self.late_ms,
        })
    }
}

/// Runs the hidden verb.
pub(crate) fn run(flags: &LoadFlags) -> anyhow::Result<ExitCode> {
    pin()?;
    let run = match flags.what {
        LoadKind::Exec => {
            let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
            let busybox = busybox.into_iter().find(|path| path.exists());
            let program = busybox.context("busybox is not there: run `cargo xtask setup`")?;
            measure(flags, || {
                let mut child = Command::new(&program);
                child.arg("true").env_clear().stdin(Stdio::null()).status().map(drop)
            })?
        }
        LoadKind::Fork => measure(flags, fork)?,
        LoadKind::Getppid => measure(flags, || {
            std::hint::black_box(rustix::process::getppid());
            Ok(())
        })?,
        LoadKind::Open => measure(flags, || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            // As the C library does it: `openat`, not the older `open`.
            let file = rustix::fs::openat(rustix::fs::CWD, "/etc/passwd", flags, Mode::empty());
            file.map(drop).map_err(io::Error::from)
        })?,
        LoadKind::Connect => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            measure(flags, || {
                let near = TcpStream::connect(address)?;
                let far = listener.accept()?;
                // A reset instead of TIME_WAIT: ports must not run out.
                rustix::net::sockopt::set_socket_linger(&near, Some(Duration::ZERO))?;
                drop((near, far));
                Ok(())
            })?
        }
    };
    say::result(run.json());
    Ok(ExitCode::SUCCESS)
}

/// Makes a child that ends at once.
#[expect(unsafe_code, reason = "fork(2)")]
fn fork() -> io::Result<()> {
    // SAFETY: this process has one thread, and the child calls nothing but `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: never returns.
        unsafe { libc::_exit(0) };
    }
    let child = rustix::process::Pid::from_raw(child).ok_or_else(io::Error::last_os_error)?;
    rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
    Ok(())
}

fn measure(flags: &LoadFlags, act: impl FnMut() -> io::Result<()>) -> anyhow::Result<Run> {
    let run = match (flags.count, flags.rate) {
        (Some(count), Some(rate)) => paced(count, rate, act),
        _ => batches(flags.what.batch(), Duration::from_millis(flags.millis), act),
    };
    run.with_context(|| format!("the load {}", flags.what.name()))
}

/// As fast as it goes, for a time.
fn batches(batch: u32, time: Duration, mut act: impl FnMut() -> io::Result<()>) -> anyhow::Result<Run> {
    let mut total = 0_u64;
    let mut once = || -> anyhow::Result<f64> {
        let began = Instant::now();
        for _ in 0..batch {
            act()?;
        }
        total += u64::from(batch);
        Ok(began.elapsed().as_nanos() as f64 / f64::from(batch))
    };
    let began = Instant::now();
    while began.elapsed() < time / 10 {
        once()?;
    }
    let (began, cpu) = (Instant::now(), cpu_ns());
    let mut each = Vec::new();
    while each.is_empty() || began.elapsed() < time * 9 / 10 {
        each.push(once()?);
    }
    let count = f64::from(batch) * each.len() as f64;
    let cpu_ns = (cpu_ns() - cpu) / count;
    let wall_ns = stats::median(&each).unwrap_or(0.0);
    Ok(Run { count, wall_ns, cpu_ns, total: total as f64, late_ms: 0.0 })
}

/// So many times at a rate a second, an open loop.
fn paced(count: u32, rate: f64, mut act: impl FnMut() -> io::Result<()>) -> anyhow::Result<Run> {
    let (began, cpu) = (Instant::now(), cpu_ns());
    let mut each = Vec::with_capacity(count as usize);
    for number in 0..count {
        let due = began + Duration::from_secs_f64(f64::from(number) / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        act()?;
        each.push(start.elapsed().as_nanos() as f64);
    }
    let late = began.elapsed().as_secs_f64() - f64::from(count) / rate;
    let count = f64::from(count);
    let cpu_ns = (cpu_ns() - cpu) / count;
    let wall_ns = stats::median(&each).unwrap_or(0.0);
    Ok(Run { count, wall_ns, cpu_ns, total: count, late_ms: late.max(0.0) * 1e3 })
}

/// One CPU, the same for every run: the first that this process may use.
pub(crate) fn pin() -> anyhow::Result<()> {
    let allowed = rustix::thread::sched_getaffinity(None).context("sched_getaffinity")?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).context("no CPU is allowed")?;
    let mut one = CpuSet::new();
    one.set(first);
    rustix::thread::sched_setaffinity(None, &one).context("sched_setaffinity")
}

/// CPU time of this process and of its children that have ended.
#[expect(unsafe_code, reason = "getrusage(2)")]
fn cpu_ns() -> f64 {
    let of = |who| {
        // SAFETY: all zeroes is a valid `struct rusage`, plain numbers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the struct outlives the call, which cannot fail for these two.
        unsafe { libc::getrusage(who, &mut usage) };
        let time = |t: libc::timeval| t.tv_sec as f64 * 1e9 + t.tv_usec as f64 * 1e3;
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    of(libc::RUSAGE_SELF) + of(libc::RUSAGE_CHILDREN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_counted() {
        let mut calls = 0_u64;
        let run = batches(10, Duration::from_millis(20), || {
            calls += 1;
            Ok(())
        });
        let run = run.expect("the load cannot fail");
        assert_eq!(run.total, calls as f64);
        assert!(run.count <= run.total && run.count > 0.0);
    }

    #[test]
    fn a_run_comes_back_from_its_line() {
        let run = Run { count: 90.0, wall_ns: 2.5, cpu_ns: 14.25, total: 100.0, late_ms: 0.5 };
        assert_eq!(Run::read(run.json().to_string().as_bytes()).expect("well-formed"), run);
        assert!(Run::read(b"{}").is_err());
    }

    #[test]
    fn a_paced_load_is_done_as_often_as_asked() {
        let mut calls = 0;
        let run = paced(50, 1e6, || {
            calls += 1;
            Ok(())
        });
        assert_eq!((run.expect("the load cannot fail").total, calls), (50.0, 50));
        assert!(paced(3, 1e6, || Err(io::Error::other("no"))).is_err());
    }
}
