//! Bulkhead's chores, one verb a file. This file only dispatches; `flags.rs` declares the command line.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its terminal"
)]

mod bench;
mod build;
mod coverage;
mod demo;
mod flags;
mod libraries;
mod live;
mod project;
mod run;
mod say;
mod setup;
mod strip;
mod test;
mod vm;

use std::process::ExitCode;

use clap::Parser as _;

use flags::{DemoFlags, Flags, Verb};
use project::Project;

fn main() -> ExitCode {
    match dispatch(&Flags::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(flags: &Flags) -> anyhow::Result<ExitCode> {
    // Runs inside containers, where there is no repository.
    match &flags.verb {
        Verb::Load(flags) => return bench::load(flags),
        Verb::Flood(flags) => return bench::flood(flags),
        Verb::Counted(flags) => return bench::counted(flags),
        _ => {}
    }
    let project = Project::open()?;
    match &flags.verb {
        Verb::Setup(flags) => setup::run(&project, flags),
        Verb::Build(flags) => build::run(&project, flags),
        Verb::Run(flags) => run::run(&project, flags),
        Verb::Test(flags) => test::run(&project, flags),
        Verb::Vm(flags) => vm::run(&project, flags),
        Verb::Coverage(flags) => coverage::run(&project, flags),
        Verb::Demo(DemoFlags {}) => demo::run(&project),
        Verb::Bench(flags) => bench::run(&project, flags),
        Verb::Load(flags) => bench::load(flags),
        Verb::Flood(flags) => bench::flood(flags),
        Verb::Counted(flags) => bench::counted(flags),
    }
}
