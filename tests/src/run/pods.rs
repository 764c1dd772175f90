//! Pods of every class of service, made over CRI: who they are is in every record, by what files say and by what the
//! engine adds, across a restart of the engine.

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{actor, fill, unique};
use crate::daemon::Started;
use crate::host::{self, Layout};
use crate::judge;
use crate::process::{self, Dialogue};
use crate::record::Record;
use crate::runtime::cri::{CONTAINER_NAME, Cri, Driver, IMAGE, PODS, Pod, Qos};
use crate::runtime::{Runtime, Spec};
use crate::scenario::Rung;
use crate::store::Store;
use crate::systemd;
use crate::tally::Tally;

/// The names of the check, by who places pods.
const NAMES: [(&str, Driver); 2] =
    [("pods_are_named", Driver::Cgroupfs), ("pods_of_systemd", Driver::Systemd)];
/// What the daemon is told that one socket speaks.
const ENGINES: [&str; 2] = ["cri", "containerd"];

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    for (name, driver) in NAMES {
        stage.alone_with_pods(name, rung, tally, || match lacks(stage, driver) {
            Some(why) => Ok(Some(why)),
            None => Pods::run(stage, rung, driver),
        })?;
    }
    Ok(())
}

/// Why that driver is not to be had here, if it is not.
fn lacks(stage: &Stage, driver: Driver) -> Option<String> {
    if driver == Driver::Cgroupfs {
        return None;
    }
    let missing = systemd::PROGRAMS.iter().find(|program| host::program(program, None).is_none());
    match missing {
        Some(program) => Some(format!("{program} is not installed")),
        None if stage.env.host.layout == Layout::V1 => {
            Some("systemd is given cgroups of version 2".to_owned())
        }
        None => None,
    }
}

struct Pods<'a> {
    stage: &'a Stage,
    driver: Driver,
    cri: Cri,
    /// Digest of the image, as the engine has it.
    digest: String,
}

impl<'a> Pods<'a> {
    fn run(stage: &'a Stage, rung: Rung, driver: Driver) -> anyhow::Result<Option<String>> {
        let cri = Cri::open(stage.env.clone(), driver)?;
        let digest = cri.image_digest()?;
        let mut pods = Self { stage, driver, cri, digest };
        let older = pods.make(Qos::Guaranteed)?;
        let socket = pods.cri.socket();
        let engines = ENGINES.map(|kind| format!("--engine={kind}:{}", socket.display()));
        let mut words = vec!["--no-engines".to_owned()];
        words.extend(engines);
        let daemon = match stage.daemon_with(rung, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        pods.check(store, &older).context("a pod that is older than the daemon")?;
        for qos in [Qos::Burstable, Qos::BestEffort] {
            let pod = pods.make(qos)?;
            pods.check(store, &pod).with_context(|| format!("{qos:?}"))?;
        }
        pods.outside(store)?;
        pods.frozen(store, &older)?;
        pods.restart(store)?;
        let late = pods.make(Qos::BestEffort)?;
        pods.check(store, &late).context("a pod that is made after the engine's restart")?;
        let records = daemon.stop()?.all();
        let wrong: Vec<&Record> = records
            .iter()
            .filter(|record| {
                record.class() == "loss" || record.has_items("mismatches") && ours(record, &pods.cri)
            })
            .collect();
        ensure!(wrong.is_empty(), "lost or contradicted:{}", judge::lines(wrong.into_iter()));
        Ok(None)
    }

    /// A file of the machine's, as it is reached from a container that sees all processes that its engine sees.
    fn outside_file(&self, name: &str) -> String {
        let process = match self.driver {
            Driver::Cgroupfs => "{host_process}",
            Driver::Systemd => "1",
        };
        format!("/proc/{process}/root/etc/{name}")
    }

    fn make(&mut self, qos: Qos) -> anyhow::Result<Pod> {
        let setup = self.stage.book.setups.get("host_pid").context("no set-up `host_pid`")?;
        let argv = actor(&unique(), &["wait".to_owned()]);
        let name = format!("bhs-{}", unique());
        self.cri.pod(&Spec { name: &name, setup, mounts: &[], argv: &argv }, qos)
    }

    /// The container, a finding in it, and the container that holds the pod.
    fn check(&mut self, store: &Store, pod: &Pod) -> anyhow::Result<()> {
        let limit = self.stage.limits.record;
        let is_whole = |record: &Record| {
            record.class() == "container"
                && record.container_id() == Some(&pod.container.id)
                && record.pod("attempt") == 2
                && record.container_text("image_digest").is_some()
        };
        let whole = store.wait_for(limit, is_whole)?;
        let whole = whole.with_context(|| format!("no whole record of {}", pod.container.id))?;
        self.names(&whole, pod)?;

        let words = fill(self.stage, &["open".to_owned(), self.outside_file("passwd")], &unique(), None)?;
        let mut act = Runtime::exec(&mut self.cri, &pod.container, &actor(&unique(), &words))?;
        process::run(&mut act, self.stage.limits.command)?;
        let is_finding = |record: &Record| {
            record.class() == "finding"
                && record.rule() == "I-4"
                && record.container_id() == Some(&pod.container.id)
        };
        let finding = store.wait_for(limit, is_finding)?.context("no finding")?;
        self.names(&finding, pod)?;

        let is_sandbox = |record: &Record| {
            record.class() == "container"
                && record.container_id() == Some(&pod.sandbox)
                && record.pod("labels")["app"] == "scenario"
        };
        let sandbox = store.wait_for(limit, is_sandbox)?.context("no record of the sandbox")?;
        ensure!(
            sandbox.container_text("name") == Some(&pod.name)
                && sandbox.pod("uid").as_str() == Some(&pod.uid),
            "the sandbox: {}",
            sandbox.line()
        );
        Ok(())
    }

    fn names(&self, record: &Record, pod: &Pod) -> anyhow::Result<()> {
        let texts = [
            ("status", "resolved"),
            ("engine", "kubernetes"),
            ("runtime", "runc"),
            ("name", CONTAINER_NAME),
            ("image", IMAGE),
            ("image_digest", &self.digest),
        ];
        for (name, want) in texts {
            let got = record.container_text(name);
            ensure!(got == Some(want), "{name} is {got:?}, not {want}: {}", record.line());
        }
        let texts = [
            ("name", pod.name.as_str()),
            ("namespace", PODS),
            ("uid", &pod.uid),
            ("sandbox", &pod.sandbox),
            ("qos", pod.qos.kubernetes()),
        ];
        for (name, want) in texts {
            let got = record.pod(name).as_str();
            ensure!(got == Some(want), "the pod's {name} is {got:?}, not {want}: {}", record.line());
        }
        ensure!(
            record.pod("attempt") == 2
                && record.pod("labels")["app"] == "scenario"
                && (record.class() == "finding"
                    || record.word_in("pod_annotations", "scenarios.example/owner") == "tests"),
            "attempt, labels or annotations: {}",
            record.line()
        );
        Ok(())
    }

    /// The twin: a container of the same engine that is in no pod.
    fn outside(&mut self, store: &Store) -> anyhow::Result<()> {
        let name = format!("bhs-{}", unique());
        let mut command = self.cri.ctr("other");
        command.args(["run", "--detach", "--null-io"]);
        match self.driver {
            Driver::Cgroupfs => {
                command.args(["--cgroup", &format!("/{}/{name}", self.stage.env.branch.name)]);
            }
            Driver::Systemd => {
                command.args(["--runc-systemd-cgroup", "--cgroup", &format!("system.slice:ctr:{name}")]);
            }
        }
        command.arg("--runc-binary").arg(self.stage.env.runc_for_engines()?);
        command.arg("--rootfs").arg(&self.stage.env.rootfs);
        command.arg(&name).args(actor(&unique(), &["wait".to_owned()]));
        let limit = self.stage.limits.command;
        process::run(&mut command, limit)?;
        let is_it = |record: &Record| {
            record.class() == "container"
                && record.container_id() == Some(&name)
                && record.container_status() == "resolved"
        };
        let record = store.wait_for(self.stage.limits.record, is_it)?;
        for words in [&["tasks", "delete", "--force"][..], &["containers", "delete"]] {
            process::run(self.cri.ctr("other").args(words).arg(&name), limit)?;
        }
        let record = record.context("no record of the container outside")?;
        ensure!(
            record.container_text("engine") == Some("containerd") && record.pod("name").is_null(),
            "it is in no pod: {}",
            record.line()
        );
        Ok(())
    }

    /// The engine takes questions and answers none: a finding is neither late nor without its names.
    fn frozen(&mut self, store: &Store, pod: &Pod) -> anyhow::Result<()> {
        let nonce = unique();
        let act = ["wait-for-line".to_owned(), "open".to_owned(), self.outside_file("group")];
        let words = fill(self.stage, &act, &nonce, None)?;
        let mut command = Runtime::exec(&mut self.cri, &pod.container, &actor(&nonce, &words))?;
        let mut waiting = Dialogue::start(&mut command)?;
        waiting.lines_until(self.stage.limits.command, |line| line == "waiting")?;
        let is_new = |record: &Record| {
            record.rule() == "I-4"
                && record.container_id() == Some(&pod.container.id)
                && record.brief().contains("/etc/group")
        };
        let frozen = self.cri.freeze()?;
        waiting.send(b"go on")?;
        let finding = store.wait_for(self.stage.limits.record, is_new)?;
        drop(frozen);
        self.names(&finding.context("no finding while the engine is frozen")?, pod)
    }

    /// The engine goes and comes again; the daemon says both.
    fn restart(&mut self, store: &Store) -> anyhow::Result<()> {
        let told = |after: u64, is_up: bool| -> anyhow::Result<()> {
            for engine in ENGINES {
                let is_it = |record: &Record| {
                    record.status() == "engine"
                        && record.word("engine") == engine
                        && record.has_text("version") == is_up
                        && record.number("seq") > after
                };
                let found = store.wait_for(self.stage.limits.record, is_it)?;
                ensure!(found.is_some(), "{engine}: the daemon does not say that it is up: {is_up}");
            }
            Ok(())
        };
        let last = || store.all().last().map_or(0, |record| record.number("seq"));
        told(0, true)?;
        let before = last();
        self.cri.end_daemon()?;
        told(before, false)?;
        let before = last();
        self.cri.start_daemon()?;
        told(before, true)
    }
}

fn ours(record: &Record, cri: &Cri) -> bool {
    record.container_id().is_some_and(|id| cri.is_ours(id))
}
