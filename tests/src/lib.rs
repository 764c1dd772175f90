//! Scenarios against real containers: what the runner is made of.
//!
//! Data ([`scenario`]) says what is done in which container and what the daemon must say about it; [`runtime`]
//! starts containers; [`daemon`] starts Bulkhead and [`store`] keeps what it writes; [`judge`] compares. Nothing
//! sleeps to wait for something: every wait is for a record, a line or an end of a process, with a deadline.

pub mod apiserver;
pub mod bundle;
pub mod cgroups;
pub mod daemon;
pub mod fixture;
pub mod flags;
pub mod hang;
pub mod host;
pub mod judge;
pub mod liar;
pub mod process;
pub mod proof;
pub mod record;
pub mod rootfs;
pub mod run;
pub mod runtime;
pub mod scenario;
pub mod shim;
pub mod stop;
pub mod store;
pub mod systemd;
pub mod tally;
