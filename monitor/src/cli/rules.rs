//! `bulkhead rules`: what is checked.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{OutputFormat, RulesArgs, RulesVerb};
use crate::detect::{RULES, RuleInfo};
use crate::diag::{Code, Diagnostic, Exit};
use crate::posture;

pub(super) fn run(args: &RulesArgs) -> Result<Exit, Diagnostic> {
    let text = match &args.verb {
        RulesVerb::List { format: OutputFormat::Text } => list(),
        RulesVerb::List { format: OutputFormat::Json } => {
            all().map(|rule| format!("{}\n", to_json(rule))).collect()
        }
        RulesVerb::Explain { id, format } => {
            let rule = find(id)?;
            match format {
                OutputFormat::Text => explain(rule),
                OutputFormat::Json => format!("{}\n", to_json(rule)),
            }
        }
    };
    super::print(&text)?;
    Ok(Exit::Ok)
}

/// Every rule: what containers do, then what they were granted.
fn all() -> impl Iterator<Item = &'static RuleInfo> {
    RULES.iter().chain(posture::rules())
}

/// The rule of that id, whatever its case.
///
/// # Errors
/// [`Code::UnknownRule`], with the ids that there are.
pub fn find(id: &str) -> Result<&'static RuleInfo, Diagnostic> {
    all().find(|rule| rule.id.eq_ignore_ascii_case(id)).ok_or_else(|| {
        let ids: Vec<&str> = all().map(|rule| rule.id).collect();
        Diagnostic::titled(Code::UnknownRule, format!("there is no rule `{id}`"))
            .help(format!("rules are: {}", ids.join(", ")))
    })
}

fn list() -> String {
    let id_width = all().map(|rule| rule.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for rule in all() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:id_width$}  {:8}  {}", rule.id, rule.severity.name(), rule.title);
    }
    text
}

fn explain(rule: &RuleInfo) -> String {
    let mut text = format!("{}: {}\n\nSeverity: {}\n", rule.id, rule.title, rule.severity.name());
    for (name, values) in [("Behaviours", rule.behaviours), ("ATT&CK", rule.attack)] {
        if !values.is_empty() {
            let _ = writeln!(text, "{name}: {}", values.join(", "));
        }
    }
    if let Some(invariant) = rule.invariant {
        let _ = writeln!(text, "Invariant: {invariant}");
    }
    let is_grant = posture::find_rule(rule.id).is_some();
    let then = if is_grant { "What to change" } else { "When it is benign" };
    let _ = writeln!(text, "\nWhat it means\n{}\n\n{then}\n{}", rule.what, rule.benign);
    text
}

fn to_json(rule: &RuleInfo) -> Value {
    json!({
        "id": rule.id, "title": rule.title, "severity": rule.severity.name(), "behaviours": rule.behaviours,
        "attack": rule.attack, "invariant": rule.invariant, "what": rule.what, "benign": rule.benign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_listed_and_explained() {
        let listed = list();
        for rule in all() {
            assert!(listed.lines().any(|line| line.starts_with(rule.id) && line.ends_with(rule.title)));
            let text = explain(find(&rule.id.to_lowercase()).unwrap());
            assert!(text.contains(rule.what) && text.contains(rule.benign), "{text}");
        }
        assert_eq!(find("nothing").unwrap_err().exit(), Exit::Usage);
    }
}
