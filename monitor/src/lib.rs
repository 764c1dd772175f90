//! Bulkhead's user side, as a library: the daemon, the tests, the fuzz targets and the benches link the same
//! code. `docs/architecture.md` draws how a record travels through it.

pub mod app;
pub mod bounded;
pub mod bpf;
pub mod cli;
pub mod container;
pub mod detect;
pub mod diag;
pub mod dns;
pub mod engine;
pub mod ingest;
pub mod kmsg;
pub mod output;
pub mod pipeline;
pub mod posture;
pub mod process;
pub mod tail;
