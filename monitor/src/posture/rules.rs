//! The checks as rules of findings: the daemon reports what a container was granted as it reports what it does.

use std::sync::LazyLock;

use super::check::{CHECKS, Check};
use super::judge::{Finding, Item};
use crate::detect::{self, Evidence, Outcome, RuleInfo, Value};

/// Items of one check that are named in a finding; the `posture` record has all.
const MAX_ITEMS: usize = 16;

static RULES: LazyLock<Vec<RuleInfo>> = LazyLock::new(|| CHECKS.iter().map(info).collect());

fn info(check: &Check) -> RuleInfo {
    RuleInfo {
        id: check.id,
        title: check.title,
        severity: check.severity,
        behaviours: check.rows,
        attack: &[],
        invariant: None,
        what: check.what,
        benign: check.change,
    }
}

/// The checks as rules, in their order. `benign` says what to change.
pub fn rules() -> &'static [RuleInfo] {
    &RULES
}

/// The check of that id as a rule, whatever its case.
pub fn find_rule(id: &str) -> Option<&'static RuleInfo> {
    rules().iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// What a check found, as a finding of the daemon.
pub fn finding(found: &Finding) -> Option<detect::Finding> {
    let mut evidence: Vec<Evidence> = found.items.iter().take(MAX_ITEMS).map(fact).collect();
    if found.items.len() > MAX_ITEMS {
        let more = u64::try_from(found.items.len() - MAX_ITEMS).unwrap_or(u64::MAX);
        evidence.push(Evidence { name: "more", declared: None, observed: Value::Number(more) });
    }
    Some(detect::Finding {
        rule: find_rule(found.check.id)?,
        severity: found.severity,
        outcome: Outcome::Succeeded,
        evidence,
    })
}

fn fact(item: &Item) -> Evidence {
    Evidence {
        name: "granted",
        declared: item.declared.clone().map(Value::Text),
        observed: Value::Text(format!("{}: {} ({})", item.what, item.observed, item.source)),
    }
}
