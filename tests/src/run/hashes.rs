//! `run --hash`: executables of containers are read once and named by what is in them, or it is said why not.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::host;
use crate::judge;
use crate::process::{self, Dialogue};
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "executables_are_hashed";
const BUSYBOX: &str = "/bin/busybox";
const COPY: &str = "/tmp/copy";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| stage.hashes(rung, runtime))
}

impl Stage {
    fn hashes(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let busybox = self.env.rootfs.join(BUSYBOX.trim_start_matches('/'));
        let size = |path: &std::path::Path| fs::metadata(path).map(|m| m.len());
        let (small, large) = (size(&busybox)?, size(&self.env.rootfs.join("actor"))?);
        // The limit lies between the two programs that there are.
        let limit = small.div_ceil(1 << 20);
        if large <= limit << 20 {
            return Ok(Some(format!("the actor is not larger than {limit} MiB")));
        }
        // The test's own hash is another program's work.
        let said = process::run(Command::new(&busybox).arg("sha256sum").arg(&busybox), self.limits.command)?;
        let want = said.split_whitespace().next().context("no hash")?;

        let words = [format!("--hash={limit}")];
        let daemon = match self.daemon_with(rung, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let setup = self.book.setups.get("plain").context("no set-up `plain`")?;
        let container = Live::start_container(self, runtime, setup, &unique())?;
        let store = &daemon.store;
        let run = |runtime: &mut dyn Runtime, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            process::output(&mut runtime.exec(&container, &words)?, self.limits.command)
        };

        run(runtime, &[BUSYBOX, "true"])?;
        let first = self.executable(store, &container, BUSYBOX)?;
        ensure!(
            (first.word("result"), first.word("sha256"), first.word("kind")) == ("hashed", want, "file")
                && first.number("size") == small,
            "{small} bytes with {want}, but {}",
            first.line()
        );
        // Again, three times, and then another file with the same contents.
        for _ in 0..3 {
            run(runtime, &[BUSYBOX, "true"])?;
        }
        run(runtime, &[BUSYBOX, "cp", BUSYBOX, COPY])?;
        run(runtime, &[COPY, "true"])?;
        let copy = self.executable(store, &container, COPY)?;
        ensure!(copy.word("sha256") == want && copy.number("ino") != first.number("ino"), "{}", copy.line());

        // What a program does after its file was read is told with the hash.
        run(runtime, &[BUSYBOX, "dmesg"])?;
        let is_finding = |record: &Record| {
            record.class() == "finding"
                && record.rule() == "D10"
                && record.container_id() == Some(container.id.as_str())
        };
        let finding = store.wait_for(self.limits.record, is_finding)?.context("no finding about the log")?;
        ensure!(finding.word("exe_sha256") == want, "{}", finding.line());

        let actor_file = self.executable(store, &container, "/actor")?;
        ensure!(
            actor_file.word("result") == "too_large"
                && actor_file.number("size") == large
                && !actor_file.has_text("sha256"),
            "{}",
            actor_file.line()
        );
        // What has no path any more is read as well; it waits, so that there is time for that.
        for (kind, act) in [
            ("memfd", ["exec-memfd-of", BUSYBOX, "cat"].as_slice()),
            ("deleted", ["exec-deleted-of", BUSYBOX, "/tmp/gone", "cat"].as_slice()),
        ] {
            let act: Vec<String> = act.iter().map(|&word| word.to_owned()).collect();
            let waiting = Dialogue::start(&mut runtime.exec(&container, &actor(&unique(), &act))?)?;
            let is_it = |record: &Record| is_about(record, &container) && record.word("kind") == kind;
            let record = store.wait_for(self.limits.record, is_it)?;
            drop(waiting);
            let record = record.with_context(|| format!("no record of the {kind} executable"))?;
            ensure!(
                (record.word("result"), record.word("sha256")) == ("hashed", want)
                    && record.number("size") == small,
                "{small} bytes with {want}, but {}",
                record.line()
            );
        }
        runtime.stop(&container)?;
        let records = daemon.stop()?.all();
        check_whole(&records, &container, first.number("files_read"), copy.number("files_read"))?;
        Ok(None)
    }

    fn executable(&self, store: &Store, container: &Container, exe: &str) -> anyhow::Result<Record> {
        let is_it = |record: &Record| is_about(record, container) && record.word("exe") == exe;
        store
            .wait_for(self.limits.record, is_it)?
            .with_context(|| format!("no record of the executable {exe}"))
    }
}

fn is_about(record: &Record, container: &Container) -> bool {
    record.class() == "executable" && record.container_id() == Some(container.id.as_str())
}

/// Each file has one record; between these two numbers of files that were read, nothing was read but what is said.
fn check_whole(records: &[Record], container: &Container, from: u64, to: u64) -> anyhow::Result<()> {
    let files: Vec<&Record> = records.iter().filter(|record| record.class() == "executable").collect();
    let (ours, others): (Vec<&Record>, Vec<&Record>) =
        files.into_iter().partition(|record| is_about(record, container));
    for exe in [BUSYBOX, COPY, "/actor"] {
        let times = ours.iter().filter(|r| r.word("exe") == exe && r.word("kind") == "file").count();
        ensure!(times == 1, "{times} records of {exe}:{}", judge::lines(ours.iter().copied()));
    }
    // On a machine with other people's containers their files are read as well.
    ensure!(!others.is_empty() || to == from + 1, "{} files were read instead of one", to - from);
    let lost: Vec<&Record> = records.iter().filter(|record| host::is_avoidable_loss(record)).collect();
    ensure!(lost.is_empty(), "lost:{}", judge::lines(lost.into_iter()));
    Ok(())
}
