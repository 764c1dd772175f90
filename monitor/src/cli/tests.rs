//! Walks the command line's definition.

use clap::{Command, CommandFactory};

use super::*;
use crate::output::Kinds;

fn walk(command: &Command, path: &str, each: &mut impl FnMut(&Command, &str)) {
    each(command, path);
    for verb in command.get_subcommands() {
        walk(verb, &format!("{path} {}", verb.get_name()), each);
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_has_an_example_and_every_flag_a_help() {
    walk(&Cli::command(), "bulkhead", &mut |command, path| {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let word = path.split(' ').next_back().unwrap();
        assert!(after.contains("Example") && after.contains(word), "{path} has no example");
        for argument in command.get_arguments() {
            let name = argument.get_id();
            assert!(argument.get_help().is_some(), "{path}: {name} has no help");
            let takes = argument.get_action().takes_values();
            assert!(!takes || argument.get_value_names().is_some(), "{path}: {name} has no value name");
        }
    });
}

#[test]
fn examples_parse() {
    let mut seen = 0;
    walk(&Cli::command(), "bulkhead", &mut |command, _| {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines().filter_map(|line| line.strip_prefix("  bulkhead ")) {
            for part in line.split(" && bulkhead ") {
                let words = part.split(" | ").next().unwrap().replace('\'', "");
                let args = std::iter::once("bulkhead").chain(words.split_whitespace());
                let cli = Cli::try_parse_from(args).unwrap_or_else(|e| panic!("{line}: {e}"));
                if let Verb::Tail(TailArgs { kind: Some(kind), .. }) = &cli.verb {
                    Kinds::parse(kind).unwrap();
                }
                if let Verb::Run(args) = &cli.verb {
                    args.kinds().unwrap();
                }
                seen += 1;
            }
        }
    });
    assert!(seen >= 8, "{seen}");
}

#[test]
fn exit_statuses() {
    let main = |args: &[&str]| main(args.iter().map(Into::into));
    for (args, want) in [
        (&["bulkhead", "--version"][..], Exit::Ok),
        (&["bulkhead", "dance"], Exit::Usage),
        (&["bulkhead", "tail", "--severity", "bad"], Exit::Usage),
        (&["bulkhead", "tail", "--kind", "nothing"], Exit::Usage),
        (&["bulkhead", "tail", "--socket", "/nonexistent/b.sock"], Exit::CannotStart),
        (&["bulkhead", "rules", "explain", "nothing"], Exit::Usage),
    ] {
        assert_eq!(format!("{:?}", main(args)), format!("{:?}", ExitCode::from(want)), "{args:?}");
    }
}
