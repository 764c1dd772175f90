//! Every rule and its quiet twins, on records made by hand.

mod build;
mod cgroup;
mod crash;
mod cred;
mod dedup;
mod file;
mod kernel;
mod mask;
mod mount;
mod namespace;
mod network;
mod open;
mod outside;
mod positives;
mod program;
mod secure;
mod socket;
mod splice;
mod tracing;
mod whole;
