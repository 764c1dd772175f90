//! The wire formats: a record becomes bytes. No format can fail, reads a clock or does I/O.

pub mod json;
pub mod text;

pub use json::JsonFormat;
pub use text::TextFormat;

use super::record::Record;

/// One wire format. Total: hostile bytes are escaped, over-long values are cut and marked.
pub trait Format {
    /// Appends exactly one line, its newline included.
    fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>);
}

#[cfg(test)]
mod tests;
