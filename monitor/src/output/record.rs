//! The wire view: what a line of output is made of, borrowed from the data of the hot thread.
//!
//! Formats read these types and nothing else, so that the inner types may change without the contract.

use monitor_common::event::{EventKind, EventRef};

use super::accounts::Accounts;
use super::kinds::Class;
use super::queue::Shed;
use crate::container::Container;
use crate::detect::{Finding, Severity};
use crate::posture;
use crate::process::{Hashed, Process};

/// One line of output.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What every line has.
    pub common: Common<'a>,
    /// What it says.
    pub body: Body<'a>,
}

/// What every line has.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// When, nanoseconds since boot (`CLOCK_BOOTTIME`).
    pub time: u64,
    /// Number of the line; grows by one with each record that is written anywhere.
    pub seq: u64,
    /// Name of this machine.
    pub node: &'a str,
}

/// What a line says.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Something happened.
    Event {
        /// Who did it.
        subject: Subject<'a>,
        /// What.
        event: &'a EventRef<'a>,
    },
    /// A rule matched.
    Finding {
        /// Who did it.
        subject: Subject<'a>,
        /// The record that triggered it.
        event: &'a EventRef<'a>,
        /// Which rule, and the proof.
        finding: &'a Finding,
        /// How often it was seen.
        count: u64,
        /// SHA-256 of the process's executable, if it is known by now.
        exe_sha256: Option<[u8; 32]>,
        /// When first, nanoseconds since boot.
        first_seen: u64,
        /// When last, nanoseconds since boot.
        last_seen: u64,
    },
    /// A container came, changed or went.
    Container {
        /// The container as it is now.
        container: &'a Container,
        /// What changed.
        change: Change,
    },
    /// The contents of an executable became known, or why they cannot.
    Executable {
        /// The container that executed it; `None` if it is gone.
        container: Option<&'a Container>,
        /// What was found out.
        hashed: &'a Hashed,
    },
    /// What a container was granted.
    Posture {
        /// The container as it is now.
        container: &'a Container,
        /// What was found out.
        posture: Posture<'a>,
    },
    /// Records were lost.
    Loss(Loss<'a>),
    /// The daemon says how it is.
    Status(Status<'a>),
}

/// Who acted: the task of the event, in its container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Its container; `None` for the host.
    pub container: Option<&'a Container>,
    /// Its process; `None` if it is not known, then the line has what the record's header says.
    pub process: Option<&'a Process>,
    /// Its ancestors, parent first.
    pub ancestors: &'a [&'a Process],
}

/// What a container was granted, or why it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Posture<'a> {
    /// First process of the container.
    pub pid: u32,
    /// Path of the OCI configuration, if it was found.
    pub config: Option<&'a str>,
    /// Why the container could not be looked at; there are no findings then.
    pub unread: Option<&'a str>,
    /// What is to be said of it, the worst first.
    pub findings: &'a [posture::Finding],
    /// Everything that it was granted; empty unless that was asked for.
    pub grants: &'a [posture::Grant],
}

impl Posture<'_> {
    /// The worst severity of its findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// What changed about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its cgroup was made: set-up begins.
    Created,
    /// Its first program starts: the baseline is taken.
    Entered,
    /// Its identity became known, or changed.
    Updated,
    /// Its cgroup was removed, or it has had no process for a while.
    Gone,
}

impl Change {
    /// Every change.
    pub const ALL: &'static [Self] = &[Self::Created, Self::Entered, Self::Updated, Self::Gone];

    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Entered => "entered",
            Self::Updated => "updated",
            Self::Gone => "gone",
        }
    }
}

/// Where something was lost.
#[derive(Clone, Copy, Debug, Default)]
pub enum Place<'a> {
    /// It cannot be said.
    #[default]
    Unknown,
    /// On the host.
    Host,
    /// In this container.
    Container(&'a Container),
}

/// Records that were lost, or left out under load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss<'a> {
    /// Why: one of [`loss_reason`].
    pub reason: &'a str,
    /// How many.
    pub count: u64,
    /// Of which sensor, if it is known.
    pub sensor: Option<&'a str>,
    /// Of which kind of event, if it is known.
    pub event: Option<EventKind>,
    /// Of which ring, if it was one.
    pub ring: Option<&'a str>,
    /// On the way to which sink, if it was one.
    pub sink: Option<&'a str>,
    /// Of which CPU, if it is known.
    pub cpu: Option<u16>,
    /// The kernel map that was full, and how many entries it holds.
    pub map: Option<(&'a str, u32)>,
    /// The program that the kernel did not run.
    pub program: Option<&'a str>,
    /// When the first and the last was lost, nanoseconds since boot, if it is known.
    pub between: Option<(u64, u64)>,
    /// Where.
    pub place: Place<'a>,
    /// How many of each type of record, if it is known.
    pub by_type: Option<&'a Shed>,
}

/// Values of [`Loss::reason`].
pub mod loss_reason {
    /// A kernel ring was full.
    pub const RING_FULL: &str = "ring_full";
    /// Numbers are missing in a CPU's sequence, and no other account explains it.
    pub const SEQUENCE_GAP: &str = "sequence_gap";
    /// The accounts of one kind on one CPU do not balance.
    pub const UNACCOUNTED: &str = "unaccounted";
    /// The kernel did not run a program, because it was running on that CPU already.
    pub const SKIPPED_RUN: &str = "skipped_run";
    /// A container was over its budget: its records of one kind were counted and not sent.
    pub const OVER_BUDGET: &str = "over_budget";
    /// A kernel map was full.
    pub const MAP_FULL: &str = "map_full";
    /// A record was shorter than its header.
    pub const SHORT_RECORD: &str = "short_record";
    /// A record's length was beyond its slot, or shorter than its fields.
    pub const BAD_LENGTH: &str = "bad_length";
    /// A record was of a kind that does not exist.
    pub const UNKNOWN_KIND: &str = "unknown_kind";
    /// A record's strings reached beyond its end, or did not fill it.
    pub const BAD_STRINGS: &str = "bad_strings";
    /// Pieces of an exec's strings were dropped, because the record that they belong to did not come.
    pub const UNJOINED: &str = "unjoined";
    /// Executables were not hashed, because too many waited.
    pub const UNHASHED: &str = "unhashed";
    /// Containers were not looked at, because too many waited: there is no `posture` record of them.
    pub const UNINSPECTED: &str = "uninspected";
    /// Looks at containers' files were given up, or not begun, because file systems did not answer.
    pub const UNANSWERED: &str = "unanswered";
    /// The kernel wrote over records of its log before they were read.
    pub const LOG_OVERWRITTEN: &str = "log_overwritten";
    /// A sink could not keep up.
    pub const SINK_FULL: &str = "sink_full";
    /// This reader of the socket did not keep up.
    pub const SLOW_READER: &str = "slow_reader";
    /// Every reason.
    pub const ALL: &[&str] = &[
        RING_FULL,
        SEQUENCE_GAP,
        UNACCOUNTED,
        SKIPPED_RUN,
        OVER_BUDGET,
        MAP_FULL,
        SHORT_RECORD,
        BAD_LENGTH,
        UNKNOWN_KIND,
        BAD_STRINGS,
        UNJOINED,
        UNHASHED,
        UNINSPECTED,
        UNANSWERED,
        LOG_OVERWRITTEN,
        SINK_FULL,
        SLOW_READER,
    ];
}

/// What one sensor sees.
#[derive(Clone, Copy, Debug)]
pub struct SensorCoverage<'a> {
    /// The sensor.
    pub sensor: &'a str,
    /// The rung it got; `None` if it could not be attached.
    pub rung: Option<&'a str>,
    /// What is not seen because of that.
    pub unseen: &'a [&'a str],
    /// Why it did not get a higher rung, or none.
    pub reason: Option<&'a str>,
}

/// How an engine is that is asked about containers.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStatus<'a> {
    /// Its kind.
    pub engine: &'a str,
    /// Its socket.
    pub socket: &'a str,
    /// Its version; `None` if it is not connected.
    pub version: Option<&'a str>,
    /// Containers that ran when it was connected.
    pub containers: Option<u64>,
    /// Why it is not connected.
    pub reason: Option<&'a str>,
    /// Questions.
    pub asked: u64,
    /// Answers, asked for or not.
    pub answered: u64,
    /// Questions and attempts to connect that were not answered in time.
    pub timed_out: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those for which there was no connection, or it broke.
    pub unreachable: u64,
    /// Answers that were no such thing, or too large.
    pub garbled: u64,
    /// Answers that the kernel or files contradicted.
    pub mismatched: u64,
}

impl EngineStatus<'_> {
    /// The names of its numbers in output, in the order of [`Self::numbers`].
    pub const NUMBERS: [&'static str; 7] =
        ["asked", "answered", "timed_out", "refused", "unreachable", "garbled", "mismatched"];

    /// Its numbers.
    pub fn numbers(&self) -> [u64; 7] {
        let Self { asked, answered, timed_out, refused, unreachable, garbled, mismatched, .. } = *self;
        [asked, answered, timed_out, refused, unreachable, garbled, mismatched]
    }
}

/// How the daemon is.
#[derive(Clone, Copy, Debug)]
pub enum Status<'a> {
    /// It begins.
    Starting {
        /// Version of Bulkhead.
        version: &'a str,
        /// Release of the kernel (`uname -r`).
        kernel: &'a str,
    },
    /// The programs that an earlier daemon pinned were taken over: nothing was lost but what a `loss` record says.
    Resumed {
        /// When that daemon last looked at the rings, nanoseconds since boot.
        since: u64,
        /// How long nobody looked, nanoseconds.
        gap: u64,
        /// Records that waited.
        waiting: u64,
    },
    /// Which sensors see what; said again where one ends.
    Coverage {
        /// Every sensor of the probe table.
        sensors: &'a [SensorCoverage<'a>],
    },
    /// Every attached sensor has passed its canary.
    Ready {
        /// Sensors attached.
        attached: u32,
        /// Sensors of the probe table.
        sensors: u32,
        /// Containers that were running already.
        containers: u32,
    },
    /// An engine came or went, or what was asked of it, with the accounts.
    Engine(EngineStatus<'a>),
    /// What became of every record.
    Accounts(Accounts<'a>),
    /// It ends.
    Stopping {
        /// Why.
        reason: &'a str,
        /// Records received from the kernel.
        received: u64,
        /// Findings reported.
        findings: u64,
        /// Records lost.
        lost: u64,
    },
}

impl Status<'_> {
    /// The names of the statuses, in the order in which they come.
    pub const NAMES: &'static [&'static str] =
        &["starting", "resumed", "coverage", "ready", "engine", "accounts", "stopping"];

    /// Its place in [`Self::NAMES`].
    pub const fn slot(&self) -> u8 {
        match self {
            Self::Starting { .. } => 0,
            Self::Resumed { .. } => 1,
            Self::Coverage { .. } => 2,
            Self::Ready { .. } => 3,
            Self::Engine(_) => 4,
            Self::Accounts(_) => 5,
            Self::Stopping { .. } => 6,
        }
    }

    /// The name in output.
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.slot() as usize]
    }
}

impl Body<'_> {
    /// The type of the line.
    pub const fn class(&self) -> Class {
        match self {
            Self::Event { .. } => Class::Event,
            Self::Finding { .. } => Class::Finding,
            Self::Container { .. } => Class::Container,
            Self::Executable { .. } => Class::Executable,
            Self::Posture { .. } => Class::Posture,
            Self::Loss(_) => Class::Loss,
            Self::Status(_) => Class::Status,
        }
    }

    /// The kind of event, if it is one.
    pub const fn event_kind(&self) -> Option<EventKind> {
        match self {
            Self::Event { event, .. } => Some(event.kind),
            _ => None,
        }
    }
}
