//! Bytes in a ring that are no record: counted by what is wrong with them, and reported once a round.

use monitor_common::event::DecodeError;

use crate::output::record::loss_reason;

/// What can be wrong, in the order of the counts.
const REASONS: [&str; 4] =
    [loss_reason::SHORT_RECORD, loss_reason::BAD_LENGTH, loss_reason::UNKNOWN_KIND, loss_reason::BAD_STRINGS];

/// The counts since they were reported last.
#[derive(Debug, Default)]
pub(super) struct Bad([u64; REASONS.len()]);

impl Bad {
    /// Counts one.
    pub(super) fn add(&mut self, error: DecodeError) {
        let at = match error {
            DecodeError::ShortHeader => 0,
            DecodeError::BadLength => 1,
            DecodeError::UnknownKind(_) => 2,
            DecodeError::BadTail => 3,
        };
        self.0[at] += 1;
    }

    /// Counts records that were shorter than a header.
    pub(super) fn add_short(&mut self, count: u64) {
        self.0[0] += count;
    }

    /// Takes the counts that are not 0, each with its reason.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let counts = std::mem::take(&mut self.0);
        REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}
