//! The thread that reads the kernel's log, where faults of the kernel are reported: no program at a hook sees all of them.
//! The log is the queue; what the kernel writes over before it was read is counted.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, SeekFrom, fstat, major, minor, seek};
use rustix::io::Errno;
use rustix::system::uname;

use super::hot::{Mailbox, Wake};
use super::spawn;
use crate::bpf::{DeadThreads, Loaded, probes};
use crate::diag::Diagnostic;
use crate::kmsg::{Fault, Line, Reports, Whose};

const LOG: &str = "/dev/kmsg";
/// Its number (kernel `Documentation/admin-guide/devices.txt`): container engines like to put other things in its place.
const DEVICE: (u32, u32) = (1, 11);
/// Bytes of a record at most (kernel `include/linux/printk.h`, `CONSOLE_EXT_LOG_MAX`; later fewer).
const RECORD: usize = 8192;
/// A report whose next line does not come within so long is told as it is.
const SILENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// Warnings that are told in one [`WINDOW`]: a container may be able to have the kernel warn as fast as it prints. An oops
/// ends its task.
const WARNINGS: u32 = 64;
const WINDOW: Duration = Duration::from_secs(1);

fn open_at_end() -> io::Result<File> {
    let log = rustix::fs::open(LOG, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let number = fstat(&log)?.st_rdev;
    if (major(number), minor(number)) != DEVICE {
        return Err(io::Error::other("is not the kernel's log"));
    }
    seek(&log, SeekFrom::End(0))?;
    Ok(log.into())
}

/// Opens the log at its end. If it cannot be read, the sensor is none, with the reason.
pub(super) fn open(loaded: &mut Loaded) -> Option<File> {
    match open_at_end() {
        Ok(log) => Some(log),
        Err(error) => {
            let state = loaded.sensors.iter_mut().find(|state| state.sensor.name == probes::KERNEL_LOG.name);
            if let Some(state) = state {
                state.rung = None;
                state.refused = vec![format!("log: {LOG}: {error}")];
            }
            None
        }
    }
}

/// Starts the thread. It ends with the process.
///
/// # Errors
/// No thread could be had.
pub(super) fn start(log: File, threads: DeadThreads, mailbox: Mailbox) -> Result<(), Diagnostic> {
    let kernel = uname();
    let reader = Reader {
        log,
        threads,
        mailbox,
        reports: Reports::new(kernel.release().to_bytes(), kernel.version().to_bytes()),
        next: None,
        window: Instant::now(),
        warnings: 0,
    };
    spawn("kmsg", move || reader.run()).map(drop)
}

struct Reader {
    log: File,
    threads: DeadThreads,
    mailbox: Mailbox,
    reports: Reports,
    /// Number of the record that comes next.
    next: Option<u64>,
    window: Instant,
    warnings: u32,
}

impl Reader {
    fn run(mut self) {
        let mut buffer = vec![0; RECORD];
        // Until the hot thread has ended, or the log can be read no more.
        while self.step(&mut buffer).is_some() {}
    }

    /// Reads one record, or waits for it.
    fn step(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.log.read(buffer).map_err(|error| Errno::from_io_error(&error)) {
            Ok(0) => None,
            Ok(length) => self.record(buffer.get(..length)?),
            Err(Some(Errno::AGAIN)) => self.wait(),
            // The records that came next are gone. The number of the one after them says how many that were.
            Err(Some(Errno::PIPE | Errno::INTR)) => Some(()),
            Err(_) => None,
        }
    }

    fn wait(&mut self) -> Option<()> {
        let limit = self.reports.is_waiting().then_some(&SILENCE);
        match poll(&mut [PollFd::new(&self.log, PollFlags::IN)], limit) {
            Ok(0) => self.reports.silence().into_iter().try_for_each(|fault| self.tell(fault)),
            Ok(_) | Err(Errno::INTR) => Some(()),
            Err(_) => None,
        }
    }

    fn record(&mut self, record: &[u8]) -> Option<()> {
        let Some(line) = Line::read(record) else { return Some(()) };
        let lost = self.next.map_or(0, |next| line.seq.saturating_sub(next));
        self.next = Some(line.seq + 1);
        if lost > 0 {
            self.reports.gap().into_iter().try_for_each(|fault| self.tell(fault))?;
            self.send(move |pipeline, now| pipeline.log_overwritten(now, lost))?;
        }
        let threads = &self.threads;
        match self.reports.line(&line, |tid| process_of(threads, tid)) {
            Some(fault) => self.tell(fault),
            None => Some(()),
        }
    }

    fn tell(&mut self, fault: Fault) -> Option<()> {
        if fault.is_warning() {
            if self.window.elapsed() >= WINDOW {
                (self.window, self.warnings) = (Instant::now(), 0);
            }
            self.warnings += 1;
            if self.warnings > WARNINGS {
                return self.send(|pipeline, _| pipeline.fault_over_budget());
            }
        }
        self.send(move |pipeline, now| pipeline.kernel_fault(now, fault))
    }

    /// Has something done on the hot thread; `None` if that has ended.
    fn send(&self, act: impl FnOnce(&mut crate::pipeline::Pipeline, u64) + Send + 'static) -> Option<()> {
        self.mailbox.send(Wake::Do(Box::new(act))).then_some(())
    }
}

/// The process of a thread. One that is gone was noted as it died; one that was not is its process's first thread, or no
/// container's.
fn process_of(threads: &DeadThreads, tid: u32) -> Option<Whose> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status"));
    let living = status.ok().and_then(|status| {
        status.lines().find_map(|line| line.strip_prefix("Tgid:")).and_then(|pid| pid.trim().parse().ok())
    });
    let pid = living.or_else(|| threads.process_of(tid, super::start::boot_now()))?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    Some(Whose { pid, started: stat.and_then(|stat| started(&stat)) })
}

/// Start of a process, nanoseconds since boot: the 22nd field, in ticks of 10 ms. The name, which may hold anything, ends at
/// the last bracket.
fn started(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    ticks.checked_mul(10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_odd_name_has_its_start() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        assert_eq!(started(&format!("7 (a) b) S) {}", fields.join(" "))), Some(220_000_000));
        assert_eq!(started("7 (a"), None);
        assert_eq!(started("7 (a) S 1"), None);
    }
}
