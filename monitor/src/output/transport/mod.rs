//! The ways out. A transport sees batches of whole lines, never a record.

pub mod clients;
pub mod socket;
pub mod stdout;
