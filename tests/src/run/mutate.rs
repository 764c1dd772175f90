//! The mutation check: a rule that can be switched off without a scenario failing is not tested.

use super::group::label;
use super::older::Older;
use super::{Claims, Stage};
use crate::daemon::Started;
use crate::runtime::Kind;
use crate::scenario::{Rung, Scenario};
use crate::tally::Tally;

/// The runtime that mutations are tried with.
const KIND: Kind = Kind::Runc;

/// Invariants that several rules check together, with those rules.
const INVARIANTS: [(&str, &[&str]); 2] = [("I-1", &["C01", "C06"]), ("I-2", &["C07", "C08"])];

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> anyhow::Result<()> {
    let mut mutations: Vec<(&str, Vec<&str>)> =
        stage.book.rules().into_iter().map(|rule| (rule, vec![rule])).collect();
    mutations.extend(INVARIANTS.map(|(id, rules)| (id, rules.to_vec())));
    for rung in stage.flags.rungs() {
        // Only what passes with every rule can show that one is missing.
        let all: Vec<&str> = mutations.iter().flat_map(|(_, rules)| rules).copied().collect();
        let baseline = match attempt(stage, rung, &[], &attacks(stage, rung, &all))? {
            Ok(tally) => tally,
            Err(why) => {
                tally.skip(&format!("mutations[{}]", rung.name()), &why);
                continue;
            }
        };
        for (id, rules) in &mutations {
            let name = format!("mutation[{id}/{}]", rung.name());
            let mut attacks = attacks(stage, rung, rules);
            if attacks.is_empty() {
                tally.skip(&name, "no scenario of this rule on this rung");
                continue;
            }
            attacks.retain(|scenario| baseline.has_passed(&label(&scenario.name, KIND, rung)));
            if attacks.is_empty() {
                tally.fail(&name, "no scenario of this rule passes with the rule on");
                continue;
            }
            let disabled: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
            let fails = |mutant: &Tally, scenario: &Scenario| {
                mutant.has_failed(&label(&scenario.name, KIND, rung), "missing finding")
            };
            match attempt(stage, rung, &disabled, &attacks)? {
                Ok(mutant) if attacks.iter().any(|scenario| fails(&mutant, scenario)) => tally.pass(&name),
                Ok(_) => {
                    let names: Vec<&str> = attacks.iter().map(|scenario| scenario.name.as_str()).collect();
                    tally.fail(&name, &format!("none of {} fails for a missing finding", names.join(", ")));
                }
                Err(why) => tally.skip(&name, &why),
            }
        }
    }
    Ok(())
}

/// The scenarios that expect one of these rules.
fn attacks<'a>(stage: &'a Stage, rung: Rung, rules: &[&str]) -> Vec<&'a Scenario> {
    let is_attack = |scenario: &&Scenario| {
        let expects = |rule: &str| scenario.expect.iter().any(|e| e.is_on(rung) && e.rule == rule);
        scenario.excluded(KIND, rung, stage.env.host.layout).is_none()
            && !scenario.is_unseen(rung)
            && rules.iter().any(|rule| expects(rule))
            && stage.flags.wants(&scenario.name)
    };
    stage.book.scenarios.iter().filter(is_attack).collect()
}

/// Runs them with some rules disabled; `Err` within `Ok` says why this machine cannot.
fn attempt(
    stage: &Stage,
    rung: Rung,
    disabled: &[String],
    scenarios: &[&Scenario],
) -> anyhow::Result<Result<Tally, String>> {
    let older = Older::start(stage, rung, scenarios)?;
    let daemon = match stage.daemon(rung, disabled)? {
        Started::Ready(daemon) => daemon,
        Started::Impossible(why) => return Ok(Err(why)),
    };
    let (mut inner, mut claims) = (Tally::silent(), Claims::default());
    if let Some(older) = older {
        older.judge(stage, rung, &daemon.store, &mut claims, &mut inner)?;
    }
    stage.runtime(KIND, rung, Some(&daemon.store), scenarios, &mut claims, &mut inner)?;
    daemon.stop()?;
    Ok(Ok(inner))
}
