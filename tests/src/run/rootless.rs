//! Containers of a user to whom no cgroup was given: all stay in the cgroup that he is in, with his engine.

use anyhow::{Context as _, ensure};

use super::Stage;
use super::engines::is_update;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::host::Layout;
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, open_without_cgroups};
use crate::scenario::{Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "rootless_without_a_cgroup";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    let kind = Kind::PodmanRootless;
    if !stage.flags.runtimes().contains(&kind) {
        return Ok(());
    }
    let label = super::group::label(NAME, kind, rung);
    stage.alone_by((kind.name(), &label), NAME, rung, tally, || {
        if stage.env.host.layout != Layout::Hybrid {
            return Ok(Some("with version 2 alone such a user can start no container".to_owned()));
        }
        match open_without_cgroups(&stage.env)? {
            Ok(mut runtime) => stage.in_the_callers(rung, runtime.as_mut()),
            Err(why) => Ok(Some(why)),
        }
    })
}

impl Stage {
    fn in_the_callers(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let setup = Setup { caps: vec!["CAP_SYS_ADMIN".to_owned()], ..Setup::default() };
        let older = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        let daemon = match self.start_daemon(rung, &[], None, "exec,exit", &["--no-engines".to_owned()])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        let younger = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        for container in [&older, &younger] {
            self.is_known_by_name(store, container)?;
            // What gets out of the walls is found, and told of the right one; what does not is quiet.
            for (words, wanted) in [(&["unshare", "uts"][..], Some("C03")), (&["marker"], None)] {
                let found = self.act_by(store, runtime, container, words)?;
                let rules: Vec<&str> = found.iter().map(Record::rule).collect();
                ensure!(rules == Vec::from_iter(wanted), "{words:?} gave{}", judge::lines(found.iter()));
            }
        }
        runtime.stop(&older)?;
        let gone = |container: &Container| {
            let id = container.id.clone();
            move |r: &Record| r.change() == "gone" && r.container_id() == Some(id.as_str())
        };
        self.wait(store, "end", gone(&older))?;
        ensure!(!store.all().iter().any(gone(&younger)), "a container that lives is gone");
        self.act_by(store, runtime, &younger, &["marker"]).context("after its neighbour's end")?;
        runtime.stop(&younger)?;
        let records = daemon.stop()?.all();
        let strange: Vec<&Record> = records
            .iter()
            .filter(|r| r.container_id().is_some_and(|id| id != older.id && id != younger.id))
            .filter(|r| r.word("cgroup_path").contains("rootless"))
            .collect();
        ensure!(strange.is_empty(), "of no container of his:{}", judge::lines(strange.into_iter()));
        Ok(None)
    }

    fn is_known_by_name(&self, store: &Store, container: &Container) -> anyhow::Result<()> {
        let is_known = |r: &Record| is_update(r, container) && r.container_status() == "resolved";
        let known = self.wait(store, "container", is_known)?;
        let texts = [
            ("runtime", "runc"),
            ("engine", "podman"),
            ("name", container.name.as_str()),
            ("image", "localhost/bulkhead-scenarios:latest"),
        ];
        for (name, wanted) in texts {
            ensure!(known.container_text(name) == Some(wanted), "{name} is not {wanted}: {}", known.line());
        }
        ensure!(known.value()["container"]["cgroup_id"].is_null(), "it has a cgroup: {}", known.line());
        Ok(())
    }

    /// The findings about a program that the engine starts in the container.
    fn act_by(
        &self,
        store: &Store,
        runtime: &mut dyn Runtime,
        container: &Container,
        words: &[&str],
    ) -> anyhow::Result<Vec<Record>> {
        let nonce = unique();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        process::run(&mut runtime.exec(container, &actor(&nonce, &words))?, self.limits.command)?;
        let seen = store.wait_exec(&nonce, self.limits.record)?.context("no exec")?;
        let trace = store.wait_trace(&seen, self.limits.record)?.context("no end of the process")?;
        for record in &trace.records {
            ensure!(
                record.container_id() == Some(container.id.as_str()),
                "not of {}: {}",
                container.id,
                record.line()
            );
        }
        ensure!(trace.records.iter().any(|r| r.has_ancestor("conmon")), "no conmon above it");
        Ok(trace.records.into_iter().filter(|record| record.class() == "finding").collect())
    }
}
