//! From the rings to records in order: time order across the rings, and an account of what is missing.
//!
//! Knows no container, no rule, no file and no clock: the caller says what time it is.

mod account;
mod arguments;
mod look;
mod order;
mod received;

pub use account::{Account, Lost, NONE_TOLD, Row, Told, Unnamed};
pub use arguments::{Arguments, Environment};
pub use look::{Look, Named};
pub use order::Order;
pub use received::Received;
