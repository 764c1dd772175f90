//! Containers that are there before the daemon is: what their processes did before it came is past, and what they do
//! with it afterwards is judged.

use anyhow::{Context as _, ensure};

use super::group::{Group, Live, actor, fill, unique};
use super::{Claims, Stage};
use crate::judge::{self, judge_answers};
use crate::process::Dialogue;
use crate::proof::Proved;
use crate::record::Record;
use crate::runtime::{self, Container, Kind, Runtime};
use crate::scenario::{Answer, Rung, Scenario, Where};
use crate::stop;
use crate::store::Store;
use crate::tally::Tally;

/// The runtime of these containers; what is older than the daemon does not differ by runtime.
const KIND: Kind = Kind::Runc;

/// Scenarios that wait for the daemon, each in a container of its own. The order is that in which things go.
pub(super) struct Older<'a> {
    waiting: Vec<(&'a Scenario, anyhow::Result<(Container, Dialogue)>)>,
    runtime: Box<dyn Runtime>,
}

impl<'a> Older<'a> {
    /// Starts those of `all` that want it; `None` if there are none for this machine.
    pub(super) fn start(stage: &'a Stage, rung: Rung, all: &[&'a Scenario]) -> anyhow::Result<Option<Self>> {
        let is_one = |scenario: &&&Scenario| {
            scenario.place == Where::Before && scenario.excluded(KIND, rung, stage.env.host.layout).is_none()
        };
        let scenarios: Vec<&Scenario> = all.iter().filter(is_one).copied().collect();
        if scenarios.is_empty() || !stage.flags.runtimes().contains(&KIND) {
            return Ok(None);
        }
        let Ok(runtime) = runtime::open(KIND, &stage.env)? else { return Ok(None) };
        let mut older = Self { waiting: Vec::new(), runtime };
        for scenario in scenarios {
            let started = older.begin(stage, scenario);
            stop::check()?;
            older.waiting.push((scenario, started));
        }
        Ok(Some(older))
    }

    /// A container with a process that has done the first part of the act.
    fn begin(&mut self, stage: &Stage, scenario: &Scenario) -> anyhow::Result<(Container, Dialogue)> {
        let setup = stage.book.setups.get(&scenario.setup).context("the book was checked")?;
        // As an engine would call it: what was started before is known by its cgroup's name.
        let at = self.waiting.len();
        let name = format!("{:032x}{at:032x}", std::process::id());
        let container = Live::start_container(stage, self.runtime.as_mut(), setup, &name)?;
        let own = format!("/cg/{}", container.cgroup);
        let action: Vec<String> =
            scenario.action.iter().map(|word| word.replace("{own_cgroup}", &own)).collect();
        let mut words = fill(stage, &action, &unique(), None)?;
        words.push("marker".to_owned());
        let mut process = Dialogue::start(&mut self.runtime.exec(&container, &actor(&unique(), &words))?)?;
        let (said, _) = process.lines_until(stage.limits.command, |line| line == "waiting")?;
        // An act that ends in an exec says nothing.
        if !said.is_empty() {
            judge_answers(&Answer::Errno(0), &said.join("\n")).context("before the daemon")?;
        }
        Ok((container, process))
    }

    /// Lets them go on before the daemon's eyes, and judges.
    pub(super) fn judge(
        mut self,
        stage: &Stage,
        rung: Rung,
        store: &Store,
        claims: &mut Claims,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        for (scenario, started) in std::mem::take(&mut self.waiting) {
            let result = started.and_then(|(container, process)| {
                claims.containers.insert(container.id.clone());
                self.go_on(stage, rung, store, scenario, (&container, process), claims)
            });
            stop::check()?;
            let mut group = Group {
                stage,
                kind: KIND,
                rung,
                store: Some(store),
                runtime: self.runtime.as_mut(),
                claims,
                tally,
            };
            group.take(scenario, result);
        }
        Ok(())
    }

    fn go_on(
        &mut self,
        stage: &Stage,
        rung: Rung,
        store: &Store,
        scenario: &Scenario,
        (container, mut process): (&Container, Dialogue),
        claims: &mut Claims,
    ) -> anyhow::Result<Proved> {
        let is_its = |record: &Record| record.container_id() == Some(container.id.as_str());
        // Until it is resolved its records have no id yet.
        let is_known = |record: &Record| record.class() == "container" && is_its(record);
        let known = store.wait_for(stage.limits.record, is_known)?;
        ensure!(known.is_some(), "the container was not resolved");
        process.send(b"go on")?;
        let (said, _) = process.lines_until(stage.limits.command, |line| line.contains(" verb=marker "))?;
        drop(process);
        let is_end = |record: &Record| is_its(record) && record.event() == "exit";
        let end = store.wait_for(stage.limits.record, is_end)?;
        let mut records = store.all();
        records.retain(is_its);
        claims.take(&records);
        ensure!(end.is_some(), "no exit record of the process:{}", judge::lines(records.iter()));
        let judged = judge::judge(scenario, rung, container, &records);
        if !said.is_empty() {
            judge_answers(&scenario.errno, &said.join("\n"))?;
        }
        self.runtime.stop(container)?;
        let is_gone =
            |record: &Record| record.class() == "container" && record.change() == "gone" && is_its(record);
        let gone = store.wait_for(stage.limits.end, is_gone)?;
        ensure!(
            judged.is_err() || gone.is_some(),
            "no record of the end of a container that is older than the daemon; {}",
            stage.env.branch.holders(&container.cgroup)
        );
        judged
    }
}
