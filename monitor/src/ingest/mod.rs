//! From the rings to records in order: time order across the rings, and an account of what is missing.
//!
//! Knows no container, no rule, no file and no clock: the caller says what time it is.

mod account;
mod order;

pub use account::{Account, Counters, Lost};
pub use order::Order;
