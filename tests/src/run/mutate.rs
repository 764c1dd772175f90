//! The mutation check: a rule that can be switched off without a scenario failing is not tested.

use super::{Claims, Stage};
use crate::daemon::Started;
use crate::runtime::Kind;
use crate::scenario::Scenario;
use crate::tally::Tally;

/// Invariants that several rules check together, with those rules.
const INVARIANTS: [(&str, &[&str]); 2] = [("I-1", &["C01", "C06"]), ("I-2", &["C07", "C08"])];

pub(super) fn run(stage: &Stage, tally: &mut Tally) -> anyhow::Result<()> {
    let mut mutations: Vec<(&str, Vec<&str>)> =
        stage.book.rules().into_iter().map(|rule| (rule, vec![rule])).collect();
    mutations.extend(INVARIANTS.map(|(id, rules)| (id, rules.to_vec())));
    for (id, rules) in mutations {
        for rung in stage.flags.rungs() {
            let name = format!("mutation[{id}/{}]", rung.name());
            let is_attack = |scenario: &&Scenario| {
                scenario.excluded(Kind::Runc, rung, stage.env.host.layout).is_none()
                    && scenario.expect.iter().any(|e| rules.contains(&e.rule.as_str()))
                    && stage.flags.wants(&scenario.name)
            };
            let attacks: Vec<&Scenario> = stage.book.scenarios.iter().filter(is_attack).collect();
            if attacks.is_empty() {
                tally.skip(&name, "no scenario of this rule on this rung");
                continue;
            }
            let daemon = match stage.daemon(rung, &[id.to_owned()])? {
                Started::Ready(daemon) => daemon,
                Started::Impossible(why) => {
                    tally.skip(&name, &why);
                    continue;
                }
            };
            let mut inner = Tally::silent();
            let (store, mut claims) = (&daemon.store, Claims::default());
            stage.runtime(Kind::Runc, rung, Some(store), &attacks, &mut claims, &mut inner)?;
            daemon.stop()?;
            let missed = inner.failures("missing finding");
            if missed > 0 {
                tally.pass(&name);
            } else {
                let names: Vec<&str> = attacks.iter().map(|scenario| scenario.name.as_str()).collect();
                tally.fail(&name, &format!("none of {} fails for a missing finding", names.join(", ")));
            }
        }
    }
    Ok(())
}
