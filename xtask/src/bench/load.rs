//! The loads that are measured: this program again, as the hidden verb `load`, on the host or in a container.
//!
//! A load does one thing in batches, on one CPU, for a given time, and prints one JSON object. The first tenth of the
//! time is not counted.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
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
            Self::Getppid => "getppid",
            Self::Open => "open",
            Self::Connect => "connect",
        }
    }

    /// Times it is done between two looks at the clock: some milliseconds.
    fn batch(self) -> u32 {
        match self {
            Self::Exec => 10,
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
        })
    }

    /// As it is printed.
    pub(crate) fn json(self) -> Value {
        json!({ "count": self.count, "wall_ns": self.wall_ns, "cpu_ns": self.cpu_ns, "total": self.total })
    }
}

/// Runs the hidden verb.
pub(crate) fn run(flags: &LoadFlags) -> anyhow::Result<ExitCode> {
    pin()?;
    let time = Duration::from_millis(flags.millis);
    let run = match flags.what {
        LoadKind::Exec => {
            let program =
                ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
            let program = program.context("busybox is not there: run `cargo xtask setup`")?;
            measure(flags.what, time, || {
                let mut child = Command::new(program);
                child.arg("true").env_clear().stdin(Stdio::null()).status().map(drop)
            })?
        }
        LoadKind::Getppid => measure(flags.what, time, || {
            std::hint::black_box(rustix::process::getppid());
            Ok(())
        })?,
        LoadKind::Open => measure(flags.what, time, || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open("/etc/passwd", flags, Mode::empty()).map(drop).map_err(io::Error::from)
        })?,
        LoadKind::Connect => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            measure(flags.what, time, || {
                let near = TcpStream::connect(address)?;
                let far = listener.accept()?;
                drop((near, far));
                Ok(())
            })?
        }
    };
    say::result(run.json());
    Ok(ExitCode::SUCCESS)
}

fn measure(what: LoadKind, time: Duration, mut act: impl FnMut() -> io::Result<()>) -> anyhow::Result<Run> {
    let batch = what.batch();
    let mut total = 0_u64;
    let mut once = || -> anyhow::Result<f64> {
        let began = Instant::now();
        for _ in 0..batch {
            act().with_context(|| format!("the load {}", what.name()))?;
        }
        total += u64::from(batch);
        Ok(began.elapsed().as_nanos() as f64 / f64::from(batch))
    };
    let began = Instant::now();
    while began.elapsed() < time / 10 {
        once()?;
    }
    let (began, cpu) = (Instant::now(), cpu_ns());
    let mut batches = Vec::new();
    while batches.is_empty() || began.elapsed() < time * 9 / 10 {
        batches.push(once()?);
    }
    let count = f64::from(batch) * batches.len() as f64;
    let cpu_ns = (cpu_ns() - cpu) / count;
    Ok(Run { count, wall_ns: stats::median(&batches).unwrap_or(0.0), cpu_ns, total: total as f64 })
}

/// One CPU, the same for every run: the first that this process may use.
fn pin() -> anyhow::Result<()> {
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
    fn a_load_is_counted_and_comes_back_from_its_line() {
        let mut calls = 0_u64;
        let run = measure(LoadKind::Getppid, Duration::from_millis(20), || {
            calls += 1;
            Ok(())
        })
        .expect("the load cannot fail");
        assert_eq!(run.total, calls as f64);
        assert!(run.count <= run.total && run.count > 0.0);
        assert_eq!(Run::read(run.json().to_string().as_bytes()).expect("well-formed"), run);
        assert!(Run::read(b"{}").is_err());
    }
}
