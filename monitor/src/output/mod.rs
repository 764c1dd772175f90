//! From a verdict to bytes, and from bytes to whoever reads them.
//!
//! [`record`] is the wire view, [`format`] turns it into lines, [`Emitter`] gives each line to the outboxes
//! that want it, and [`transport`] carries bytes only. The hot thread reaches as far as [`Outbox`].

mod accounts;
pub mod describe;
pub mod dns;
mod emitter;
pub mod errno;
pub mod escape;
pub mod fields;
pub mod format;
mod kinds;
pub mod line;
mod queue;
pub mod record;
pub mod schema;
pub mod summary;
mod time;
pub mod transport;

pub use accounts::{Accounts, ContainerCounts, Counts};
pub use emitter::{Demand, Emitter, Lane, LaneFormat, Sequence, loss_line};
pub use kinds::{Class, Kinds};
pub use queue::{Batch, Inbox, Limits, Mark, Outbox, Shed, queue};
pub use record::{
    Body, Change, Common, EngineStatus, Loss, Place, Posture, Record, SensorCoverage, Status, Subject,
};
pub use time::{Clock, Utc};

use monitor_common::event::flags;

/// Names of the header flags that are part of the output.
pub const FLAG_NAMES: &[(u16, &str)] = &[
    (flags::RUNTIME, "runtime"),
    (flags::COMPAT, "compat"),
    (flags::SCANNED, "scanned"),
    (flags::STALE, "stale"),
];

#[cfg(test)]
pub(crate) mod testing;
