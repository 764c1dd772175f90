//! `scenarios`: runs the scenarios, prints a line each and the count. See `--help`.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use integration_tests::flags::{Flags, HELP};
use integration_tests::{run, shim, tally};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == shim::WORD) {
        // Returns only if it fails.
        return complain(shim::become_runtime(&words[1..]), 1);
    }
    let words = words.into_iter().map(|word| word.to_string_lossy().into_owned());
    let flags = match Flags::read(words) {
        Ok(flags) if flags.help => {
            tally::say(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(flags) => flags,
        Err(error) => return complain(Err(error), 2),
    };
    match run::run(flags) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(Err(error), 1),
    }
}

fn complain(result: anyhow::Result<()>, status: u8) -> ExitCode {
    if let Err(error) = result {
        let _ = writeln!(std::io::stderr(), "scenarios: {error:#}");
    }
    ExitCode::from(status)
}
