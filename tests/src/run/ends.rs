//! Containers that end without a word: a cgroup that stays though no process is left in it, and containers that never had
//! one of their own. Each check has a daemon of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::host::Layout;
use crate::judge;
use crate::process::{self, Dialogue};
use crate::record::Record;
use crate::runtime::{Container, Env, Kind, Runtime, Spec, beside_version_1, without_cgroup};
use crate::scenario::{Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// How long an end may take to be found out: what the daemon waits, and the time that a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Containers that are run one after the other.
const ONE_AFTER_THE_OTHER: usize = 8;

/// Runs those that were asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone("end_in_a_cgroup_that_stays", rung, tally, |runtime| stage.cgroup_stays(rung, runtime))?;
    let name = "end_without_a_cgroup";
    if stage.flags.runtimes().contains(&Kind::Youki) {
        stage.alone_with(Kind::Youki, name, rung, tally, |_| match stage.env.host.layout {
            Layout::Hybrid => stage.without_cgroup(rung, beside_version_1),
            Layout::V1 | Layout::V2 => Ok(Some("its containers have a cgroup in this layout".to_owned())),
        })?;
    }
    if !stage.flags.runtimes().contains(&Kind::Crun) {
        return Ok(());
    }
    stage.alone_with(Kind::Crun, name, rung, tally, |_| stage.without_cgroup(rung, without_cgroup))?;
    let name = "mount_namespace_number_again";
    stage.alone_with(Kind::Crun, name, rung, tally, |_| stage.number_again(rung))
}

fn is_change(record: &Record, id: &str, change: &str) -> bool {
    record.class() == "container" && record.container_id() == Some(id) && record.change() == change
}

/// How often a container was said to be gone.
fn ends(store: &Store, id: &str) -> usize {
    store.all().iter().filter(|record| is_change(record, id, "gone")).count()
}

/// Gives what runs a container to its end.
type Run = fn(&Rc<Env>, &Spec<'_>) -> anyhow::Result<Command>;

/// A process of the host's, which ends with this.
struct Visitor(Child);

impl Visitor {
    fn start() -> anyhow::Result<Self> {
        Ok(Self(Command::new("sleep").arg("600").spawn().context("cannot start sleep")?))
    }

    fn enter(&self, cgroup: &Path) -> anyhow::Result<()> {
        fs::write(cgroup.join("cgroup.procs"), self.0.id().to_string())?;
        Ok(())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The only process of a cgroup of ours.
fn only_process(cgroup: &Path) -> anyhow::Result<Pid> {
    let procs = fs::read_to_string(cgroup.join("cgroup.procs"))?;
    let pid = procs.trim().parse().ok().and_then(Pid::from_raw);
    pid.with_context(|| format!("{} has processes {procs:?}", cgroup.display()))
}

impl Stage {
    fn wait_known(&self, store: &Store, id: &str) -> anyhow::Result<()> {
        let is_known = |r: &Record| r.class() == "container" && r.container_id() == Some(id);
        store.wait_for(self.limits.record, is_known)?.with_context(|| format!("{id} is not known"))?;
        Ok(())
    }

    /// A container whose processes are killed is gone though nobody removes its cgroup, and is back when a process enters
    /// that. One whose first process has ended is not gone as long as another lives, even a frozen one.
    fn cgroup_stays(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let daemon = match self.daemon_with(rung, &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        // With the host's process ids the end of the first process is not the end of the others.
        let setup = Setup { host_pid: true, ..Setup::default() };
        let mut start = || -> anyhow::Result<(Container, Pid)> {
            let container = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
            self.wait_known(store, &container.id)?;
            let first = only_process(&self.env.branch.home.join(&container.cgroup))?;
            Ok((container, first))
        };
        let ((left, left_first), (twin, twin_first)) = (start()?, start()?);
        let mut command = runtime.exec(&twin, &actor(&unique(), &["session".to_owned()]))?;
        let mut session = Dialogue::start(&mut command)?;
        session.lines_until(self.limits.command, |line| line == "session ready")?;
        let (cgroup, twin_cgroup) =
            (self.env.branch.home.join(&left.cgroup), self.env.branch.home.join(&twin.cgroup));
        let freezer = twin_cgroup.join("cgroup.freeze");
        kill_process(twin_first, Signal::KILL)?;
        if freezer.exists() {
            fs::write(&freezer, "1")?;
        }
        kill_process(left_first, Signal::KILL)?;
        let first_end = self.wait_end(store, &left.id, 0)?;
        ensure!(cgroup.exists(), "the cgroup was removed");
        // The twin was looked at as often.
        ensure!(ends(store, &twin.id) == 0, "a container with a process is gone");

        let visitor = Visitor::start()?;
        visitor.enter(&cgroup)?;
        drop(visitor);
        let seq = first_end.number("seq");
        let is_back = |r: &Record| is_change(r, &left.id, "created") && r.number("seq") > seq;
        let back = store.wait_for(self.limits.record, is_back)?.context("it does not come back")?;
        self.wait_end(store, &left.id, back.number("seq"))?;

        if freezer.exists() {
            fs::write(&freezer, "0")?;
        }
        ensure!(ends(store, &twin.id) == 0, "a container with a process is gone");
        drop(session);
        self.wait_end(store, &twin.id, 0)?;
        runtime.stop(&left)?;
        runtime.stop(&twin)?;
        let store = daemon.stop()?;
        let told = (ends(&store, &left.id), ends(&store, &twin.id));
        ensure!(told == (2, 1), "ends were told {told:?} times");
        Ok(None)
    }

    /// A container without a cgroup of its own is gone after its last process, and not before.
    fn without_cgroup(&self, rung: Rung, run: Run) -> anyhow::Result<Option<String>> {
        let daemon = match self.daemon_with(rung, &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        let setup = Setup::default();
        let start = || -> anyhow::Result<(String, Dialogue)> {
            let name = format!("bhs-{}", unique());
            let argv = actor(&unique(), &["session".to_owned()]);
            let spec = Spec { name: &name, setup: &setup, mounts: &[], argv: &argv };
            let mut session = Dialogue::start(&mut run(&self.env, &spec)?)?;
            session.lines_until(self.limits.command, |line| line == "session ready")?;
            self.wait_known(store, &name)?;
            Ok((name, session))
        };
        let ((ended, session), (twin, twin_session)) = (start()?, start()?);
        let is_twin = |r: &&Record| r.class() == "container" && r.container_id() == Some(twin.as_str());
        let of_twin = store.all().into_iter().find(|r| is_twin(&r)).context("it was known")?;
        ensure!(of_twin.value()["container"]["cgroup_id"].is_null(), "{}", of_twin.line());
        drop(session);
        self.wait_end(store, &ended, 0)?;
        ensure!(ends(store, &twin) == 0, "a container with a process is gone");
        drop(twin_session);
        self.wait_end(store, &twin, 0)?;
        let store = daemon.stop()?;
        let told = (ends(&store, &ended), ends(&store, &twin));
        ensure!(told == (1, 1), "ends were told {told:?} times");
        Ok(None)
    }

    /// Containers without a cgroup of their own, one after the other: the kernel gives the number of a mount namespace again
    /// as soon as that is gone. Each has its own records and its own end.
    fn number_again(&self, rung: Rung) -> anyhow::Result<Option<String>> {
        let daemon = match self.start_daemon(rung, &[], None, "exec,exit", &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        let setup = Setup::default();
        let (mut names, mut numbers) = (Vec::new(), BTreeSet::new());
        for _ in 0..ONE_AFTER_THE_OTHER {
            let (name, nonce) = (format!("bhs-{}", unique()), unique());
            let argv = actor(&nonce, &["marker".to_owned()]);
            let spec = Spec { name: &name, setup: &setup, mounts: &[], argv: &argv };
            process::run(&mut without_cgroup(&self.env, &spec)?, self.limits.command)?;
            let seen = store.wait_exec(&nonce, self.limits.record)?.context("no exec")?;
            store.wait_trace(&seen, self.limits.record)?.context("no end of the process")?;
            let mut records = store.all();
            records.retain(|r| r.process() == Some((seen.pid, seen.started.as_str())));
            let strange: Vec<&Record> =
                records.iter().filter(|r| r.container_id() != Some(name.as_str())).collect();
            ensure!(strange.is_empty(), "not of {name}:{}", judge::lines(strange.into_iter()));
            let exec = records.iter().find(|r| r.event() == "exec").context("no exec")?;
            numbers.insert(exec.number_at("/exec/exe_mnt_ns"));
            names.push(name);
        }
        for name in &names {
            self.wait_end(store, name, 0)?;
        }
        let store = daemon.stop()?;
        for name in &names {
            let told = ends(&store, name);
            ensure!(told == 1, "the end of {name} was told {told} times");
        }
        if numbers.len() == names.len() {
            return Ok(Some(format!("no number of a mount namespace came again in {}", names.len())));
        }
        Ok(None)
    }

    fn wait_end(&self, store: &Store, id: &str, after: u64) -> anyhow::Result<Record> {
        let is_end = |r: &Record| is_change(r, id, "gone") && r.number("seq") >= after;
        store.wait_for(PATIENCE, is_end)?.with_context(|| {
            let all = store.all();
            let about = all.iter().filter(|r| r.class() == "container");
            format!("no end of {id} among:{}", judge::lines(about))
        })
    }
}
