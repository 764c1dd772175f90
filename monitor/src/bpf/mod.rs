//! Everything that touches BPF: type information, the probe table, loading, the rings, the maps. The only
//! module that knows aya.

mod accounts;
mod ahead;
mod attach;
pub mod btf;
mod calls;
mod cgroup;
mod control;
mod daemon;
mod dead_threads;
mod flood;
mod kfunc;
mod link;
mod loader;
mod log;
mod maps;
mod needs;
pub mod offsets;
mod pins;
mod preempt;
pub mod probes;
mod resume;
mod ring;
mod rings;
mod selftest;
#[cfg(test)]
mod stack;

pub use accounts::Accounts;
pub use control::{Control, Unwanted};
pub use daemon::Daemon;
pub use dead_threads::DeadThreads;
pub use loader::{Kernel, LoadError, Loaded, LoaderOptions, MaxRung, SensorState, load};
pub use log::KernelLog;
pub use pins::{PinError, Pins};
pub use resume::Resumed;
pub use rings::Rings;
pub use selftest::{SelfTestError, Truth, verify};
