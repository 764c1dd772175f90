//! The generator that drives the rings at a stated rate: this program again, as the hidden verb `flood`.
//!
//! It runs the daemon's own program `flood`, which writes up to 64 records by the way of every other record, when their
//! time has come, whether or not the daemon keeps up: an open loop. What became of each is told by the kernel side's
//! accounts.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bench::bpf;
use crate::bench::load;
use crate::bench::process;
use crate::flags::FloodFlags;
use crate::say;

/// Records of one run of the program: `MOST` of `monitor-ebpf/src/hooks/flood.rs`.
const BATCH: u64 = 64;
/// What a flood came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flood {
    /// Records asked for.
    pub(crate) asked: f64,
    /// Seconds from the first batch to the end of the last.
    pub(crate) seconds: f64,
    /// Nanoseconds a record inside the kernel, as the generator's clock sees it.
    pub(crate) ns_each: f64,
}

impl Flood {
    /// From the object that the generator prints.
    pub(crate) fn read(line: &[u8]) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_slice(line).context("a flood printed no JSON")?;
        let number = |name: &str| value[name].as_f64().with_context(|| format!("a flood gave no {name}"));
        Ok(Self { asked: number("asked")?, seconds: number("seconds")?, ns_each: number("ns_each")? })
    }

    fn json(self) -> Value {
        json!({ "asked": self.asked, "seconds": self.seconds, "ns_each": self.ns_each })
    }

    /// Records a second that were really asked for.
    pub(crate) fn rate(self) -> f64 {
        self.asked / self.seconds
    }
}

/// Runs the hidden verb.
pub(crate) fn run(flags: &FloodFlags) -> anyhow::Result<ExitCode> {
    load::pin()?;
    if flags.urgent {
        process::hurry(std::process::id())?;
    }
    let program = match flags.descriptor {
        Some(fd) => inherited(fd),
        None => bpf::program(flags.program.context("--program or --descriptor is needed")?)
            .context("the daemon's program is gone")?,
    };
    let subject = [flags.container, u64::from(flags.process), u64::from(flags.process)];
    let found = flood(flags.rate, Duration::from_millis(flags.millis), |records| {
        let arguments = [records, subject[0], subject[1], subject[2]];
        bpf::run(&program, &arguments).context("BPF_PROG_TEST_RUN")
    })?;
    say::result(found.json());
    Ok(ExitCode::SUCCESS)
}

#[expect(unsafe_code, reason = "a descriptor from a number")]
fn inherited(fd: i32) -> OwnedFd {
    // SAFETY: whoever started this process left it open for this, and nothing else uses it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn flood(
    rate: f64,
    time: Duration,
    mut batch: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Flood> {
    let all = (rate * time.as_secs_f64()) as u64;
    let (mut asked, mut inside) = (0_u64, Duration::ZERO);
    let began = Instant::now();
    while asked < all {
        let due = Duration::from_secs_f64(asked as f64 / rate);
        // Sleeping wakes some 60 µs late, and what is late comes at once: the mean rate holds, and whoever reads the
        // daemon's output on this CPU gets its turn.
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let records = BATCH.min(all - asked);
        let start = Instant::now();
        batch(records)?;
        inside += start.elapsed();
        asked += records;
    }
    let seconds = began.elapsed().as_secs_f64();
    let ns_each = inside.as_nanos() as f64 / (asked as f64).max(1.0);
    Ok(Flood { asked: asked as f64, seconds, ns_each })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_asked_for_once() {
        let mut batches = Vec::new();
        let found = flood(100_000.0, Duration::from_millis(2), |records| {
            batches.push(records);
            Ok(())
        });
        let found = found.expect("it cannot fail");
        assert_eq!(batches, [64, 64, 64, 8]);
        assert_eq!(found.asked, 200.0);
        assert!(found.rate() <= 100_000.0 * 1.5, "the first batch is at once, the others in their time");
        let found = Flood { asked: 200.0, seconds: 0.5, ns_each: 1.25 };
        assert_eq!(Flood::read(found.json().to_string().as_bytes()).expect("well-formed"), found);
    }
}
