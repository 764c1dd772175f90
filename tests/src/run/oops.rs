//! A fault of the kernel in a task of a container: a real one, of a module whose first instruction is invalid. In guests only,
//! whose kernels nobody needs afterwards.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};
use rustix::fs::{Mode, OFlags, SeekFrom};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

const LOG: &str = "/dev/kmsg";

/// The name of the check.
const NAME: &str = "kernel_fault";
const RULE: &str = "D14-oops";
/// A module of the guest's kernel, and where the container has it.
const MODULE: &str = "/guest/dummy.ko";
const INSIDE: &str = "/modules/dummy.ko";
/// Names of processes that die by SIGSEGV: the kernel begins its line about that with the name, of 15 bytes at most. The
/// first is all of the line with which an oops begins, the others as much as there is room for.
const NAMES: [&str; 4] = ["Oops: 0000 [#1]", "kernel BUG at a", "CPU: 0 PID: 1 C", "WARNING: CPU: 0"];

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    if !stage.flags.in_vm {
        if stage.flags.wants(NAME) {
            tally.skip(&format!("{NAME}[{}]", rung.name()), "it breaks the kernel of the machine");
        }
        return Ok(());
    }
    stage.alone(NAME, rung, tally, |runtime| stage.oops(rung, runtime))
}

/// A name for a module that none has had since the boot: one that oopsed stays, and its name with it.
fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("m{:04}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Records of the kernel's log from a moment on.
struct Log(fs::File);

impl Log {
    fn open() -> anyhow::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = rustix::fs::open(LOG, flags, Mode::empty())?;
        rustix::fs::seek(&log, SeekFrom::End(0))?;
        Ok(Self(log.into()))
    }

    /// Those that there are by now.
    fn read(mut self) -> anyhow::Result<Vec<String>> {
        let mut records = Vec::new();
        let mut record = vec![0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(len) => records.push(String::from_utf8_lossy(&record[..len]).into_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(records),
                Err(error) => return Err(error).context("the kernel's log"),
            }
        }
    }
}

/// What a container and the host write into the log: as the kernel prints it, with the level of its worst lines.
fn forged() -> anyhow::Result<[String; 2]> {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let (release, version) = (read("osrelease")?, read("version")?);
    let number = version.split_whitespace().next().context("a kernel without a version")?;
    let task = format!("CPU: 0 PID: {} Comm: x Not tainted {} {number}", std::process::id(), release.trim());
    // Readers get a line when it has an end.
    Ok(["<0>Oops: 0000 [#1] SMP\n".to_owned(), format!("<0>{task}\n")])
}

/// A container that may load modules, and what the daemon says.
struct Scene<'a> {
    stage: &'a Stage,
    store: &'a Store,
    container: &'a Container,
}

impl Stage {
    fn oops(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        if !Path::new(MODULE).exists() {
            return Ok(Some("the kernel's package has no module to break".to_owned()));
        }
        let events = "exec,exit,kernel_fault,module";
        let daemon = match self.start_daemon(rung, &[], None, events, &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let folder = self.work.join("modules");
        fs::create_dir_all(&folder)?;
        fs::copy(MODULE, folder.join("dummy.ko"))?;
        let setup = self.book.setups.get("modules").context("no set-up `modules`")?;
        let container = Live::start_container(self, runtime, setup, &unique())?;
        let scene = Scene { stage: self, store: &daemon.store, container: &container };
        scene.twins(runtime).context("what is no fault of the kernel")?;
        scene.breaks(runtime, "break-module").context("a process")?;
        scene.breaks(runtime, "break-module-in-thread").context("a thread beside others")?;
        scene.breaks(runtime, "break-module-in-last-thread").context("the last thread of several")?;
        scene.on_host().context("a process of the host")?;
        scene.no_others()?;
        runtime.stop(&container)?;
        daemon.stop()?;
        Ok(None)
    }
}

impl Scene<'_> {
    /// Has the actor do something in the container.
    fn act(&self, runtime: &mut dyn Runtime, nonce: &str, words: &[&str]) -> anyhow::Result<()> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut command = runtime.exec(self.container, &actor(nonce, &words))?;
        let said = process::run(&mut command, self.stage.limits.command)?;
        ensure!(!said.is_empty() && said.lines().all(|line| line.ends_with("errno=0")), "{said}");
        Ok(())
    }

    /// The nearest that is none: processes that die by a fault of their own, with names like the kernel's words for one of
    /// its own; the same module as it was; and the kernel's words out of user space.
    fn twins(&self, runtime: &mut dyn Runtime) -> anyhow::Result<()> {
        let log = Log::open()?;
        let mut words: Vec<&str> =
            NAMES.into_iter().flat_map(|name| ["named", name, "fault-children", "1"]).collect();
        let name = fresh();
        words.extend(["load-module", INSIDE, &name]);
        let forged = forged()?;
        words.extend(forged.iter().flat_map(|line| ["write", LOG, line]));
        self.act(runtime, &unique(), &words)?;
        for line in &forged {
            fs::write(LOG, line)?;
        }
        let records = log.read()?;
        for name in NAMES {
            let is_it = |record: &String| {
                record.split_once(';').is_some_and(|(_, text)| {
                    text.strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with('[') && rest.contains("segfault"))
                })
            };
            ensure!(
                records.iter().any(is_it),
                "the kernel printed no line that begins with {name}: {records:?}"
            );
        }
        for line in &forged {
            let text = format!(";{}", line["<0>".len()..].trim_end());
            let found = records.iter().filter(|record| record.contains(&text)).count();
            ensure!(found == 2, "{found} of two in the log: {line}: {records:?}");
        }
        self.loaded(&name)
    }

    /// That the module was loaded is told, and that the container did it.
    fn loaded(&self, name: &str) -> anyhow::Result<()> {
        let event = self.store.wait_for(self.stage.limits.record, |record| {
            record.class() == "event"
                && record.event() == "module"
                && record.field("name") == name
                && record.field("op") == "load"
        })?;
        let event = event.with_context(|| format!("no event about {name}"))?;
        ensure!(event.container_id() == Some(self.container.id.as_str()), "{}", event.line());
        let found = self.store.wait_for(self.stage.limits.record, |record| {
            record.class() == "finding" && record.rule() == "D01" && record.result() == "succeeded"
        })?;
        let found = found.context("no finding that a module was loaded")?;
        let line = found.line();
        ensure!(found.severity() == "critical" && line.contains(name), "{line}");
        ensure!(found.container_id() == Some(self.container.id.as_str()), "not in the container: {line}");
        Ok(())
    }

    /// The fault is found, with its process and container.
    fn breaks(&self, runtime: &mut dyn Runtime, verb: &str) -> anyhow::Result<()> {
        let nonce = unique();
        self.act(runtime, &nonce, &[verb, INSIDE, &fresh()])?;
        let word = serde_json::Value::from(format!("--nonce={nonce}"));
        let is_it = |record: &Record| {
            record
                .value()
                .pointer("/process/argv")
                .and_then(|argv| argv.as_array())
                .is_some_and(|argv| argv.contains(&word))
        };
        let found = self.store.wait_for(self.stage.limits.record, |record| {
            record.class() == "finding" && record.rule() == RULE && is_it(record)
        })?;
        let found = found.with_context(|| format!("no finding:{}", self.faults()))?;
        let line = found.line();
        ensure!(found.container_id() == Some(self.container.id.as_str()), "not in the container: {line}");
        ensure!(found.severity() == "critical" && found.has_ancestors(), "{line}");
        ensure!(line.contains("invalid_opcode") && line.contains("init_module+0x"), "{line}");
        let event = self.store.wait_for(self.stage.limits.record, |record| {
            record.class() == "event" && record.event() == "kernel_fault" && is_it(record)
        })?;
        let event = event.context("no event")?;
        let text = |name| event.field(name).as_str().unwrap_or_default();
        ensure!(text("report") == "invalid_opcode" && text("comm") == "actor", "{}", event.line());
        ensure!(event.field("taints").to_string().contains("unsigned"), "{}", event.line());
        Ok(())
    }

    /// On the host it is an event, and no finding.
    fn on_host(&self) -> anyhow::Result<()> {
        let mut command = Command::new(self.stage.env.rootfs.join("actor"));
        command.args(["break-module", MODULE, &fresh()]);
        process::run(&mut command, self.stage.limits.command)?;
        let is_it = |record: &Record| {
            record.class() == "event" && record.event() == "kernel_fault" && !record.in_container()
        };
        let event = self.store.wait_for(self.stage.limits.record, is_it)?;
        ensure!(event.is_some(), "no event:{}", self.faults());
        Ok(())
    }

    /// The log is read in its order: what came before the last fault has been read.
    fn no_others(&self) -> anyhow::Result<()> {
        let findings = self.count(|record| record.class() == "finding" && record.rule() == RULE);
        let events = self.count(|record| record.class() == "event" && record.event() == "kernel_fault");
        ensure!((findings, events) == (3, 4), "{findings} findings, {events} events:{}", self.faults());
        Ok(())
    }

    fn count(&self, is_it: impl Fn(&Record) -> bool) -> usize {
        self.store.all().iter().filter(|record| is_it(record)).count()
    }

    fn faults(&self) -> String {
        let all = self.store.all();
        let is_it = |record: &&Record| record.event() == "kernel_fault" || record.rule() == RULE;
        judge::lines(all.iter().filter(is_it))
    }
}
