//! Everything that touches BPF: type information, the probe table, loading, the rings, the maps. The only
//! module that knows aya.

mod accounts;
pub mod btf;
mod calls;
mod cgroup;
mod control;
mod loader;
mod log;
pub mod offsets;
pub mod probes;
mod rings;
mod selftest;

pub use accounts::Accounts;
pub use control::{Control, Unwanted};
pub use loader::{Kernel, LoadError, Loaded, LoaderOptions, MaxRung, SensorState, load};
pub use log::KernelLog;
pub use rings::Rings;
pub use selftest::{SelfTestError, Truth, verify};
