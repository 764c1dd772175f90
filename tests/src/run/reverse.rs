//! What the host does with a container: a process of the host, or a helper that the kernel starts, runs a file of the
//! container; a process of the host is put into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, unique};
use crate::daemon::Started;
use crate::judge;
use crate::process::{self, Service};
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check, and of the part that not every machine can have.
const NAME: &str = "host_reaches_into_a_container";
const HELPER: &str = "kernel_helper_is_a_file_of_a_container";
const BUSYBOX: &str = "bin/busybox";
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    if !stage.flags.in_vm && stage.flags.wants(NAME) {
        tally.skip(&format!("{HELPER}[{}]", rung.name()), "it changes the core_pattern of the machine");
    }
    stage.alone(NAME, rung, tally, |runtime| stage.reverse(rung, runtime))
}

/// A container, its first process, and what the daemon says.
struct Scene<'a> {
    stage: &'a Stage,
    store: &'a Store,
    container: &'a Container,
    pid: u64,
    /// A program of the host: the same file as the container's, by a path of the host.
    program: PathBuf,
}

impl Stage {
    fn reverse(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let daemon = match self.start_daemon(rung, &[], None, "exec,host_exec,cgroup", &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let setup = self.book.setups.get("plain").context("no set-up `plain`")?;
        let container = Live::start_container(self, runtime, setup, &unique())?;
        let is_entry = |record: &Record| {
            record.container_id() == Some(container.id.as_str())
                && record.event() == "exec"
                && record.field("transition").as_str() == Some("entry")
        };
        let entry =
            daemon.store.wait_for(self.limits.record, is_entry)?.context("no exec of the first program")?;
        let (pid, _) = entry.process().context("the exec has no process")?;
        let program = self.env.rootfs.join(BUSYBOX);
        let scene = Scene { stage: self, store: &daemon.store, container: &container, pid, program };
        scene.runs().context("a process of the host runs a file of the container")?;
        scene.enters().context("a process of the host is put into the container")?;
        if self.flags.in_vm {
            scene.helper().context("the kernel's helper is a file of the container")?;
        }
        runtime.stop(&container)?;
        daemon.stop()?;
        Ok(None)
    }
}

impl Scene<'_> {
    fn inside(&self) -> String {
        format!("/proc/{}/root/{BUSYBOX}", self.pid)
    }

    fn finding(&self, rule: &str, is_it: impl Fn(&Record) -> bool) -> anyhow::Result<()> {
        let id = Some(self.container.id.as_str());
        let found = self.store.wait_for(self.stage.limits.record, |record| {
            record.class() == "finding"
                && record.rule() == rule
                && record.container_id() == id
                && is_it(record)
        })?;
        let found = found.with_context(|| format!("no finding {rule}:{}", self.findings()))?;
        ensure!(found.is_compared(), "no fact with a declared value: {}", found.line());
        Ok(())
    }

    fn findings(&self) -> String {
        judge::lines(self.store.all().iter().filter(|record| record.class() == "finding"))
    }

    /// I-12, and its twin: a program of the host is no event at all, though it is the same file.
    fn runs(&self) -> anyhow::Result<()> {
        let (twin, nonce) = (unique(), unique());
        let limit = self.stage.limits.command;
        process::run(Command::new(&self.program).args(["true", &twin]), limit)?;
        process::run(Command::new(self.inside()).args(["true", &nonce]), limit)?;
        self.finding("I-12", |record| record.argv().contains(&nonce.as_str()))?;
        let said: Vec<Record> = self.store.all();
        let of_twin = said.iter().filter(|record| record.line().contains(&twin));
        ensure!(of_twin.clone().count() == 0, "the host's own program:{}", judge::lines(of_twin));
        Ok(())
    }

    /// C10, and its twin: a process that is put into a cgroup of no container.
    fn enters(&self) -> anyhow::Result<()> {
        let own = self.stage.env.branch.home.join(&self.container.cgroup);
        let outside = self.stage.env.branch.outside();
        let start = |n: u32| {
            let log = self.stage.work.join(format!("sleep-{n}.log"));
            Service::start(Command::new(&self.program).args(["sleep", "1000"]), &log)
        };
        let (twin, moved) = (start(1)?, start(2)?);
        put(&twin, &outside)?;
        put(&moved, &own)?;
        let is_about = |record: &Record, service: &Service| {
            record.field("task_pid").as_u64() == Some(u64::from(service.pid()))
        };
        self.finding("C10", |record| is_about(record, &moved))?;
        let said = self.store.all();
        let of_twin = said.iter().filter(|r| r.class() == "finding" && is_about(r, &twin));
        ensure!(of_twin.clone().count() == 0, "outside of containers:{}", judge::lines(of_twin));
        Ok(())
    }

    /// I-13, and its twin: a helper that is a program of the host is an event and no finding. Only where nobody else
    /// lives: both are set as the core_pattern of the machine.
    fn helper(&self) -> anyhow::Result<()> {
        let _pattern = CorePattern::keep()?;
        let (twin, nonce) = (unique(), unique());
        let crash = |helper: &str, nonce: &str| {
            fs::write(CORE_PATTERN, format!("|{helper} true {nonce}"))?;
            let mut command = Command::new(&self.program);
            process::output(command.args(["sh", "-c", "kill -SEGV $$"]), self.stage.limits.command)
        };
        crash(&self.program.display().to_string(), &twin)?;
        let is_twin =
            |record: &Record| record.event() == "host_exec" && record.argv().contains(&twin.as_str());
        let event =
            self.store.wait_for(self.stage.limits.record, is_twin)?.context("no event of the helper")?;
        ensure!(event.field("helper").as_u64() == Some(1), "{}", event.line());
        crash(&self.inside(), &nonce)?;
        self.finding("I-13", |record| record.argv().contains(&nonce.as_str()))?;
        let said = self.store.all();
        let of_twin = said.iter().filter(|r| r.class() == "finding" && r.line().contains(&twin));
        ensure!(of_twin.clone().count() == 0, "a helper of the host:{}", judge::lines(of_twin));
        Ok(())
    }
}

/// Moves a process.
fn put(service: &Service, cgroup: &Path) -> anyhow::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), service.pid().to_string())
        .with_context(|| format!("cannot move a process to {}", cgroup.display()))
}

/// The machine's core_pattern, put back when this goes.
struct CorePattern(String);

impl CorePattern {
    fn keep() -> anyhow::Result<Self> {
        Ok(Self(fs::read_to_string(CORE_PATTERN)?))
    }
}

impl Drop for CorePattern {
    fn drop(&mut self) {
        let _ = fs::write(CORE_PATTERN, &self.0);
    }
}
