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
use super::start::boot_now;
use super::{ready, spawn};
use crate::bpf::{DeadThreads, Loaded, SensorState, probes};
use crate::container;
use crate::diag::Diagnostic;
use crate::kmsg::{Clock, Fault, Line, Living, Reports, Whose, owner};
use crate::pipeline::Pipeline;

const LOG: &str = "/dev/kmsg";
/// Its number (kernel `Documentation/admin-guide/devices.txt`): container engines like to put other things in its place.
const DEVICE: (u32, u32) = (1, 11);
/// Bytes of a record at most (kernel `include/linux/printk.h`, `CONSOLE_EXT_LOG_MAX`; later fewer).
const RECORD: usize = 8192;
/// Warnings that are told in one [`WINDOW`], and what was written over once: a container may be able to have the kernel warn as fast as it prints. An oops
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
    open_at_end().map_err(|error| switch_off(&mut loaded.sensors, &error)).ok()
}

fn switch_off(sensors: &mut [SensorState], error: &io::Error) {
    if let Some(state) = sensors.iter_mut().find(|state| state.sensor.name == probes::KERNEL_LOG.name) {
        state.rung = None;
        state.refused = vec![format!("log: {LOG}: {error}")];
    }
}

/// Starts the thread. It ends with the process, or when the log can be read no more: then it says of these sensors that the log
/// is none.
///
/// # Errors
/// No thread could be had.
pub(super) fn start(
    log: File,
    threads: DeadThreads,
    sensors: Vec<SensorState>,
    mailbox: Mailbox,
) -> Result<(), Diagnostic> {
    let reader = Reader::new(log, mailbox, move |tid, printed| process_of(&threads, tid, printed));
    spawn("kmsg", move || {
        super::come_last();
        reader.run(sensors);
    })
    .map(drop)
}

/// Why no more is read.
enum End {
    /// The hot thread has ended.
    Stopped,
    Broken(io::Error),
}

struct Reader<W> {
    log: File,
    mailbox: Mailbox,
    /// The process of a thread at a time.
    whose: W,
    reports: Reports,
    clock: Clock,
    /// Number of the record that comes next.
    next: Option<u64>,
    /// Records that were written over, and when they may be told, nanoseconds since boot.
    lost: u64,
    tell_lost: u64,
    window: Instant,
    warnings: u32,
}

impl<W: FnMut(u32, u64) -> Option<Whose>> Reader<W> {
    fn new(log: File, mailbox: Mailbox, whose: W) -> Self {
        let kernel = uname();
        Self {
            log,
            mailbox,
            whose,
            reports: Reports::new(kernel.release().to_bytes(), kernel.version().to_bytes()),
            clock: Clock::default(),
            next: None,
            lost: 0,
            tell_lost: 0,
            window: Instant::now(),
            warnings: 0,
        }
    }

    fn run(mut self, mut sensors: Vec<SensorState>) {
        let mut buffer = vec![0; RECORD];
        let end = loop {
            if let Err(end) = self.step(&mut buffer) {
                break end;
            }
        };
        if let End::Broken(error) = end {
            for fault in self.reports.gap() {
                let _ = self.tell(fault);
            }
            let _ = self.tell_lost(u64::MAX);
            switch_off(&mut sensors, &error);
            self.mailbox.send(ready::coverage(sensors));
        }
    }

    /// Reads one record, or waits for it.
    fn step(&mut self, buffer: &mut [u8]) -> Result<(), End> {
        let now = boot_now();
        for fault in self.reports.silence(now) {
            self.tell(fault)?;
        }
        self.tell_lost(now)?;
        match self.log.read(buffer) {
            Ok(0) => Err(End::Broken(io::Error::other("it has an end"))),
            Ok(length) => self.record(buffer.get(..length).unwrap_or_default()),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => self.wait(),
                // The records that came next are gone. The number of the one after them says how many that were.
                Some(Errno::PIPE | Errno::INTR) => Ok(()),
                _ => Err(End::Broken(error)),
            },
        }
    }

    fn wait(&mut self) -> Result<(), End> {
        self.clock.caught_up();
        let lost = (self.lost > 0).then_some(self.tell_lost);
        let limit = self.reports.due().into_iter().chain(lost).min().map(|due| {
            let left = Duration::from_nanos(due.saturating_sub(boot_now()));
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut [PollFd::new(&self.log, PollFlags::IN)], limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(End::Broken(error.into())),
        }
    }

    fn record(&mut self, record: &[u8]) -> Result<(), End> {
        let Some(line) = Line::read(record) else { return Ok(()) };
        let now = boot_now();
        let lost = self.next.map_or(0, |next| line.seq.saturating_sub(next));
        self.next = Some(line.seq + 1);
        if lost > 0 {
            for fault in self.reports.gap() {
                self.tell(fault)?;
            }
            self.lost += lost;
        }
        let printed = self.clock.printed(line.stamp, now);
        let whose = &mut self.whose;
        match self.reports.line(&line, printed, |tid| whose(tid, printed)) {
            Some(fault) => self.tell(fault),
            None => Ok(()),
        }
    }

    fn tell(&mut self, fault: Fault) -> Result<(), End> {
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

    /// Tells of what was written over, once in a [`WINDOW`].
    fn tell_lost(&mut self, now: u64) -> Result<(), End> {
        if self.lost == 0 || now < self.tell_lost {
            return Ok(());
        }
        let lost = std::mem::take(&mut self.lost);
        self.tell_lost = now.saturating_add(WINDOW.as_nanos() as u64);
        self.send(move |pipeline, now| pipeline.log_overwritten(now, lost))
    }

    /// Has something done on the hot thread.
    fn send(&self, act: impl FnOnce(&mut Pipeline, u64) + Send + 'static) -> Result<(), End> {
        self.mailbox.send(Wake::Do(Box::new(act))).then_some(()).ok_or(End::Stopped)
    }
}

/// The process of a thread that a line names which was `printed` then, nanoseconds since boot. One that is gone was noted as it
/// died; one that was not is its process's first thread, or no container's.
fn process_of(threads: &DeadThreads, tid: u32, printed: u64) -> Option<Whose> {
    let living = container::thread(tid).map(|(pid, started)| Living { pid, started });
    let pid = owner(threads.get(tid), living, printed)?;
    Some(Whose { pid, started: container::started(pid).filter(|started| *started <= printed) })
}

#[cfg(test)]
mod tests;
