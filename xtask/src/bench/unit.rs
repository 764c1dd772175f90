//! The unit of measure: what the kernel takes to reserve and submit a record of 8 bytes on this machine, waking nobody.
//!
//! A program of the bench does it 512 times a run in a ring of its own, which is emptied by moving the reader's
//! position; the same loop with nothing in it is subtracted.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::bench::bpf::{self, Statistics};
use crate::bench::bytecode;
use crate::bench::stats;
use crate::say;

/// Submissions of one run; `bytecode`'s loops are verified round by round.
const ROUNDS: i32 = 512;
/// Bytes of the ring; a run takes 8 KiB.
const RING: u32 = 64 * 1024;
/// Runs of one sample, and samples, of which the median counts.
const RUNS: usize = 200;
const SAMPLES: usize = 15;

/// The first two pages of a ring as a reader sees them, kernel `kernel/bpf/ringbuf.c`.
struct Positions {
    consumer: *mut libc::c_void,
    producer: *mut libc::c_void,
    page: usize,
}

impl Positions {
    #[expect(unsafe_code, reason = "mmap(2)")]
    fn of(ring: &OwnedFd) -> anyhow::Result<Self> {
        let page = page_size()?;
        let map = |access, at: usize| {
            // SAFETY: a new mapping of a descriptor that is open; nothing else is touched.
            let got = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    page,
                    access,
                    libc::MAP_SHARED,
                    ring.as_raw_fd(),
                    at as libc::off_t,
                )
            };
            if got == libc::MAP_FAILED { bail!("mmap: {}", std::io::Error::last_os_error()) } else { Ok(got) }
        };
        let consumer = map(libc::PROT_READ | libc::PROT_WRITE, 0)?;
        Ok(Self { consumer, producer: map(libc::PROT_READ, page)?, page })
    }

    /// Empties the ring; gives the bytes that were in it.
    #[expect(unsafe_code, reason = "memory shared with the kernel")]
    fn empty(&self) -> u64 {
        // SAFETY: both pages stay mapped as long as this lives, and begin with an aligned position.
        let (consumer, producer) = unsafe {
            (AtomicU64::from_ptr(self.consumer.cast()), &*self.producer.cast_const().cast::<AtomicU64>())
        };
        let end = producer.load(Ordering::Acquire);
        end - consumer.swap(end, Ordering::AcqRel)
    }
}

impl Drop for Positions {
    #[expect(unsafe_code, reason = "munmap(2)")]
    fn drop(&mut self) {
        for page in [self.consumer, self.producer] {
            // SAFETY: mapped by `of`, and nothing points into it any more.
            unsafe { libc::munmap(page, self.page) };
        }
    }
}

#[expect(unsafe_code, reason = "sysconf(3)")]
fn page_size() -> anyhow::Result<usize> {
    // SAFETY: no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).context("sysconf")
}

/// The unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    /// Nanoseconds of one reservation and submission: median, lowest and highest sample.
    pub(crate) ns: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Nanoseconds that the statistics add to a run, with the way into the program.
    pub(crate) entry: f64,
}

impl Unit {
    /// Measures it.
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let ring = bpf::ring(RING)?;
        let positions = Positions::of(&ring)?;
        let load = |code: &[u64]| bpf::load(bpf::PROG_RAW_TRACEPOINT, 0, code);
        let submits = load(&bytecode::submits(ring.as_raw_fd(), ROUNDS))?;
        let (rounds, noop) = (load(&bytecode::rounds(ROUNDS))?, load(&bytecode::noop(0))?);
        let _statistics = Statistics::on()?;
        let mut samples = Vec::new();
        let mut entries = Vec::new();
        for _ in 0..SAMPLES {
            let entry = each(&noop, || Ok(()))?;
            let empty = each(&rounds, || Ok(()))?;
            let full = each(&submits, || {
                // A header of 8 bytes is before each record.
                let (got, wanted) = (positions.empty(), ROUNDS as u64 * 16);
                if got == wanted { Ok(()) } else { bail!("{got} bytes in the ring, not {wanted}") }
            })?;
            samples.push((full - empty) / f64::from(ROUNDS));
            entries.push(entry);
        }
        samples.sort_by(f64::total_cmp);
        let (low, high) = samples.first().zip(samples.last()).context("no sample")?;
        let ns = stats::median(&samples).context("no sample")?;
        Ok(Self { ns, low: *low, high: *high, entry: stats::median(&entries).context("no sample")? })
    }

    /// A line for people.
    pub(crate) fn print(self) {
        say::result(format!(
            "R0, reserve and submit 8 bytes, nobody woken: {:.1} ns ({:.1} to {:.1}); a program that does nothing: {:.1} ns",
            self.ns, self.low, self.high, self.entry
        ));
    }

    /// For the raw file.
    pub(crate) fn json(self) -> Value {
        json!({ "ns": self.ns, "low": self.low, "high": self.high, "noop_ns": self.entry, "samples": SAMPLES })
    }
}

/// Mean nanoseconds of a run, by the kernel's statistics.
fn each(program: &OwnedFd, mut between: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = bpf::program_info(program)?;
    for _ in 0..RUNS {
        bpf::run(program, &[0]).context("BPF_PROG_TEST_RUN")?;
        between()?;
    }
    let after = bpf::program_info(program)?;
    Ok((after.time - before.time) / (after.runs - before.runs))
}
