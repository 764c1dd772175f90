//! D14: processes that are killed by faults, one after the other; D14-oops: faults of the kernel itself.

use monitor_common::event::{Exit, KernelFault, fault_report};

use super::context::{Context, Sink, compared, observed, push_bytes};
use super::memory::Memory;
use super::rules::Rule;
use super::types::{Outcome, Severity, Value};

/// Deaths that make a burst.
const DEATHS: usize = 16;
/// Within so long, nanoseconds.
const WINDOW: u64 = 10_000_000_000;

/// Signals of faults (man 7 signal), which have the same numbers everywhere that Bulkhead runs.
const SIGILL: u32 = 4;
const SIGBUS: u32 = 7;
const SIGSEGV: u32 = 11;

/// The signal that ended the process, 0 for none: the low 7 bits of its status.
fn signal(e: &Exit) -> u32 {
    e.code & 0x7f
}

/// True if a fault, or somebody who sent its signal, ended the process.
pub(super) fn is_fault(e: &Exit) -> bool {
    matches!(signal(e), SIGILL | SIGBUS | SIGSEGV)
}

/// When the last deaths were; a burst is complete with the one that comes next.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    times: [u64; DEATHS - 1],
    next: usize,
}

impl Deaths {
    /// Adds a death; how long the burst took that it completes, after which all are forgotten.
    pub(super) fn add(&mut self, time: u64) -> Option<u64> {
        let oldest = std::mem::replace(&mut self.times[self.next], time);
        self.next = (self.next + 1) % self.times.len();
        let took = time.saturating_sub(oldest);
        if oldest == 0 || took > WINDOW {
            return None;
        }
        *self = Self::default();
        Some(took)
    }
}

pub(super) fn check(cx: &Context<'_>, e: &Exit, memory: &mut Memory, sink: &mut Sink<'_>) {
    let Some(took) = memory.note_death(cx.key(), cx.ev.header.time) else { return };
    sink.report(Rule::D14, Severity::Notice, Outcome::Attempted, || {
        let name = match signal(e) {
            SIGILL => "SIGILL",
            SIGBUS => "SIGBUS",
            _ => "SIGSEGV",
        };
        vec![
            compared("deaths", Value::Number(DEATHS as u64 - 1), Value::Number(DEATHS as u64)),
            observed("milliseconds", Value::Number(took / 1_000_000)),
            observed("last_signal", Value::Word(name)),
        ]
    });
}

/// What the kernel reported, in the words of its event.
fn report(fault: &KernelFault) -> &'static str {
    let known = fault_report::NAMES.iter().find(|(report, _)| *report == u64::from(fault.report));
    known.map_or("unknown", |(_, name)| name)
}

pub(super) fn check_kernel(cx: &Context<'_>, fault: &KernelFault, sink: &mut Sink<'_>) {
    let severity = match fault.report {
        fault_report::WARNING | fault_report::UBSAN => Severity::Notice,
        _ if fault.interrupt != 0 => Severity::Warning,
        _ => Severity::Critical,
    };
    // The act behind it is not seen, nor whether it had its effect.
    sink.report(Rule::D14Oops, severity, Outcome::Attempted, || {
        let mut evidence = vec![observed("report", Value::Word(report(fault)))];
        push_bytes(&mut evidence, "function", cx.ev.string(1).bytes);
        push_bytes(&mut evidence, "place", cx.ev.string(2).bytes);
        evidence
    });
}
