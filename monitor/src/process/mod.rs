//! The processes of containers, and their ancestors: fed by records, bounded, without I/O.

mod executable;
mod order;
mod program;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod types;

pub use executable::{Executable, Hashed, Outcome};
pub use program::{Program, Shared};
pub use table::{Ancestors, MAX_ANCESTORS, ProcessTable};
pub use text::{MAX_ARGS, MAX_ARGV_BYTES, append_path};
pub use types::{Process, ProcessKey, TICK_NS};
