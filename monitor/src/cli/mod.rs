//! The command line: parses it, calls the verb, decides the exit status.

mod args;
mod rules;
pub mod term;

pub use args::{
    Cli, ColorChoice, DoctorArgs, OutputFormat, PostureArgs, PostureChoice, RulesArgs, RulesVerb, RunArgs,
    RungChoice, TailArgs, Verb,
};

pub use rules::find as find_rule;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::diag::{Code, Diagnostic, Exit};

/// Does what the command line says, and reports what went wrong on standard error.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; whether they could be written changes nothing.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    match dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(diagnostic) => {
            let color = term::colored(ColorChoice::Auto, io::stderr().is_terminal());
            // Nobody is left to be told if this fails.
            let _ = io::stderr().write_all(diagnostic.render_text(color).as_bytes());
            diagnostic.exit().into()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, Diagnostic> {
    match &cli.verb {
        Verb::Run(args) => crate::app::run(args),
        Verb::Tail(args) => crate::tail::run(args),
        Verb::Doctor(args) => crate::app::doctor(args),
        Verb::Posture(args) => crate::app::posture(args),
        Verb::Unpin { folder } => crate::app::unpin(folder),
        Verb::Rules(args) => rules::run(args),
        Verb::Canary { cgroups } => Ok(crate::app::canary::act(cgroups)),
    }
}

/// Writes all of `text` to standard output. That nobody reads it any more is no error.
///
/// # Errors
/// [`Code::CannotWrite`] for any other write error.
pub fn print(text: &str) -> Result<(), Diagnostic> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Diagnostic::new(Code::CannotWrite).note(error.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
