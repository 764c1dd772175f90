//! Every rule and its quiet twins, on records made by hand.

mod build;
mod cgroup;
mod cred;
mod dedup;
mod file;
mod mount;
mod namespace;
mod outside;
mod positives;
mod program;
mod socket;
mod whole;
