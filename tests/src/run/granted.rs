//! What the daemon says of containers as they start: what each was granted, and findings of what of it is critical. The
//! containers are those of the check `posture`, with the same verdicts.

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use super::posture::{self, Case};
use crate::daemon::Started;
use crate::judge;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::{Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "granted_at_start";
/// A check that the daemon is told to leave out.
const LEFT_OUT: &str = "G12";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    // Each start of a daemon takes an emulated machine half a minute.
    let wanted = |kind: &Kind| {
        posture::lacks_cases(stage, *kind).is_none() && (!stage.flags.in_vm || *kind == Kind::Runc)
    };
    for kind in stage.flags.runtimes().into_iter().filter(wanted) {
        stage.alone_with_devices(kind, NAME, rung, tally, |runtime| stage.granted(kind, rung, runtime))?;
    }
    Ok(())
}

impl Stage {
    fn granted(&self, kind: Kind, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        // One is there before the daemon is.
        let find = |name: &str| posture::cases_of(kind).into_iter().find(|case| case.name == name);
        let older = find("privileged").context("no such case")?;
        let before = Live::start_container(self, runtime, &older.setup, &unique())?;
        let mut words = vec!["--disable-rule".to_owned(), LEFT_OUT.to_owned()];
        for state in self.state_roots() {
            words.extend(["--state-root".to_owned(), state.display().to_string()]);
        }
        let daemon = match self.daemon_with(rung, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let mut live: Vec<(Case, Container)> = vec![(older, before)];
        for case in posture::cases_of(kind).into_iter().chain(posture::differences(kind)) {
            let container = Live::start_container(self, runtime, &case.setup, &unique())?;
            live.push((case, container));
        }
        for (at, (case, container)) in live.iter().enumerate() {
            // The first ran before the daemon: what is told of it may have been told by another one.
            self.judge_granted(kind, &daemon.store, case, container, at == 0).with_context(|| case.name)?;
        }
        // One that ends at once was looked at in time, or it is said that it was not.
        let (name, setup) = (format!("bhs-{}", unique()), Setup { seccomp: true, ..Setup::default() });
        let argv = actor(&unique(), &["marker".to_owned()]);
        let (short, _) = runtime.run_once(&Spec { name: &name, setup: &setup, mounts: &[], argv: &argv })?;
        // Of a user without root not even root is root.
        let shown = if kind == Kind::PodmanRootless { "G09" } else { "G03" };
        let of_short = |r: &Record| is_posture(r, &short);
        let seen = daemon.store.wait_for(self.limits.record, of_short)?.context("nothing of a short life")?;
        ensure!(
            seen.has_text("unread") != seen.finds(shown),
            "neither read nor said to be gone: {}",
            seen.line()
        );
        for (_, container) in &live {
            runtime.stop(container)?;
        }
        let store = daemon.stop()?;
        let lost = store.all().into_iter().filter(|r| r.reason() == "uninspected").count();
        ensure!(lost == 0, "{lost} losses of few containers");
        Ok(None)
    }

    fn judge_granted(
        &self,
        kind: Kind,
        store: &Store,
        case: &Case,
        container: &Container,
        is_older: bool,
    ) -> anyhow::Result<()> {
        let of_it = |r: &Record| is_posture(r, container);
        let Some(record) = store.wait_for(self.limits.record, of_it)? else {
            let all = store.all();
            let known = all.iter().filter(|r| r.class() == "container" || r.class() == "posture");
            anyhow::bail!("no posture record of {}:{}", container.id, judge::lines(known));
        };
        ensure!(!record.has_text("unread"), "not read: {}", record.line());
        posture::judge(case, kind, record.value())?;
        // Findings are written right behind their record.
        let is_marker = |r: &Record| r.number("seq") > record.number("seq");
        let critical: Vec<&str> =
            case.wanted.iter().filter(|(_, severity)| *severity == "critical").map(|(id, _)| *id).collect();
        let wanted: Vec<&str> = critical.into_iter().filter(|id| *id != LEFT_OUT).collect();
        for id in &wanted {
            let is_finding = |r: &Record| {
                is_marker(r)
                    && r.class() == "finding"
                    && r.rule() == *id
                    && r.container_id() == Some(container.id.as_str())
            };
            let finding = store.wait_for(self.limits.record, is_finding)?;
            let finding = finding.with_context(|| format!("no finding of {id}"))?;
            let flags = finding.value().pointer("/event/flags").and_then(|flags| flags.as_array());
            let is_scanned = flags.context("no flags")?.iter().any(|flag| flag == "scanned");
            ensure!(
                is_scanned == is_older
                    && finding.severity() == "critical"
                    && finding.evidence().contains(&"granted")
                    && finding.has_ancestors()
                    && finding.number_at("/process/pid") == record.number("pid")
                    && finding.value().pointer("/event/event").and_then(|e| e.as_str()) == Some("state"),
                "{}",
                finding.line()
            );
        }
        let all = store.all();
        let ours = |r: &&Record| r.is_grant() && r.container_id() == Some(container.id.as_str());
        // The run's own folder may lie where it matters.
        let beside: Vec<&Record> = all
            .iter()
            .filter(ours)
            .filter(|r| !wanted.contains(&r.rule()) && (r.rule() != "G05" || case.setup.mounts.is_empty()))
            .filter(|r| r.rule() != "G13" || !case.setup.privileged)
            .collect();
        ensure!(beside.is_empty(), "also found:{}", judge::lines(beside.into_iter()));
        Ok(())
    }
}

fn is_posture(record: &Record, container: &Container) -> bool {
    record.class() == "posture" && record.container_id() == Some(container.id.as_str())
}
