//! Crowds: many containers, many cgroups, a daemon that comes back. Whoever it was, their records name them, and everybody
//! is accounted for in the end. Each has a daemon of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use super::storm::balanced;
use crate::daemon::{Daemon, Started, programs_go};
use crate::judge;
use crate::process::{self, Dialogue};
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::{Rung, Setup};
use crate::tally::{Tally, say};

/// Containers that live for a moment, and how many are started at once; in an emulated machine fewer.
const LIVES: (usize, usize) = (1000, 8);
const AT_ONCE: usize = 4;
/// Cgroups that are made and removed, and how many there are at a time.
const CGROUPS: (usize, usize) = (10_000, 500);
const LIVING_CGROUPS: usize = 64;
/// What the daemon may grow by meanwhile, KiB.
const GROWTH: u64 = 16 << 10;
/// How long the last records may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs those that were asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone("crowd_of_lives", rung, tally, |runtime| stage.lives(rung, runtime))?;
    stage.alone("crowd_of_cgroups", rung, tally, |runtime| stage.cgroups(rung, runtime))?;
    stage.alone("restart_with_containers", rung, tally, |runtime| stage.restart(rung, runtime))?;
    stage.alone("bundle_removed_early", rung, tally, |runtime| stage.without_bundle(rung, runtime))?;
    // What is read then is the runtime's own files, which are of another form.
    if !stage.flags.runtimes().contains(&Kind::Youki) {
        return Ok(());
    }
    let (name, kind) = ("restart_with_containers", Kind::Youki);
    stage.alone_with(kind, name, rung, tally, |runtime| stage.restart(rung, runtime))?;
    let name = "bundle_removed_early";
    stage.alone_with(kind, name, rung, tally, |runtime| stage.without_bundle(rung, runtime))
}

/// What is known of a container by its cgroup.
#[derive(Debug, Default)]
struct Known {
    id: Option<String>,
    status: String,
    reason: String,
}

impl Known {
    fn of(record: &Record) -> Self {
        Self {
            id: record.container_id().map(str::to_owned),
            status: record.container_status().to_owned(),
            reason: record.container_text("reason").unwrap_or_default().to_owned(),
        }
    }

    /// True if nothing is left open.
    fn is_settled(&self) -> bool {
        self.status == "resolved" || (self.status == "unknown" && !self.reason.is_empty())
    }
}

/// The last word about each container, by its cgroup.
fn known(records: &[Record]) -> BTreeMap<u64, Known> {
    let told = records.iter().filter(|record| record.class() == "container");
    told.map(|record| (record.number_at("/container/cgroup_id"), Known::of(record))).collect()
}

impl Stage {
    fn crowd_daemon(&self, rung: Rung, events: &str) -> anyhow::Result<Result<Box<Daemon>, String>> {
        let state = |root: PathBuf| ["--state-root".to_owned(), root.display().to_string()];
        let words: Vec<String> = self.state_roots().into_iter().flat_map(state).collect();
        match self.start_daemon(rung, &[], None, events, &words)? {
            Started::Ready(daemon) => Ok(Ok(daemon)),
            Started::Impossible(why) => Ok(Err(why)),
        }
    }

    fn cgroup_of(&self, container: &Container) -> PathBuf {
        self.env.branch.home.join(&container.cgroup)
    }

    /// Containers that live for a moment, as many and as fast as the machine starts them: each exec names its container
    /// in full, or a record that follows does, and nobody's identity is left open.
    fn lives(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let count = if self.flags.in_vm { LIVES.1 } else { LIVES.0 };
        let (setup, run) = (Setup::default(), unique());
        let mut commands = VecDeque::new();
        let mut ids = BTreeSet::new();
        for n in 0..count {
            let name = format!("bhs-{run}-{n:04}");
            let argv = actor(&unique(), &["marker".to_owned()]);
            let (container, command) =
                runtime.launch(&Spec { name: &name, setup: &setup, mounts: &[], argv: &argv })?;
            ids.insert(container.id);
            commands.push_back(command);
        }
        let daemon = match self.crowd_daemon(rung, "exec,exit")? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let begin = Instant::now();
        run_all(commands, self.limits.command)?;
        let took = begin.elapsed();
        let deadline = Instant::now() + PATIENCE;
        for id in &ids {
            let is_settled = |r: &Record| {
                r.class() == "container" && r.container_id() == Some(id) && Known::of(r).is_settled()
            };
            daemon.store.wait_for(deadline.saturating_duration_since(Instant::now()), is_settled)?;
        }
        let store = daemon.stop()?;
        let accounts = balanced(&store)?;
        let records = store.all();
        let known = known(&records);
        let named: BTreeMap<&str, &Known> =
            known.values().filter_map(|known| Some((known.id.as_deref()?, known))).collect();
        let open: Vec<&String> =
            ids.iter().filter(|id| !named.get(id.as_str()).is_some_and(|k| k.is_settled())).collect();
        // What is lost is counted; what is not counted must be there.
        let lost = ["ring_full", "over_budget"].iter().map(|name| accounts.number(name)).sum::<u64>();
        let missing = usize::try_from(lost)?;
        ensure!(open.len() <= missing, "{} of {count} are not settled, {lost} lost: {open:?}", open.len());
        let (mut at_once, mut later, mut nameless) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for exec in records.iter().filter(|r| r.event() == "exec" && r.class() == "event" && r.in_container())
        {
            let by_update = || known.get(&exec.number_at("/container/cgroup_id"))?.id.as_deref();
            match (exec.container_id(), by_update()) {
                (Some(id), _) => _ = at_once.insert(id.to_owned()),
                (None, Some(id)) => _ = later.insert(id.to_owned()),
                // Other people's containers on this machine are theirs: they execute no actor of ours.
                (None, None) if !self.flags.in_vm && !exec.line().contains("/actor") => {}
                (None, None) => nameless.push(exec),
            }
        }
        ensure!(nameless.is_empty(), "nobody's execs:{}", judge::lines(nameless.into_iter()));
        ensure!(later.is_empty() || missing > 0, "execs without an id, nothing lost: {later:?}");
        let unseen = ids.iter().filter(|id| !at_once.contains(*id) && !later.contains(*id)).count();
        ensure!(unseen <= missing, "no exec of {unseen} of {count} containers, {lost} records lost");
        let lives = lifetimes(&records, &ids);
        let within = lives.iter().filter(|life| **life < Duration::from_millis(50)).count();
        let resolved = ids.iter().filter(|id| named.get(id.as_str()).is_some_and(|k| k.status == "resolved"));
        say(&format!(
            "note: {count} containers in {took:.1?}: {} named by their first exec, {} by an update; {} resolved; {within} \
             of {} lived under 50 ms, median {:?}; {lost} records lost",
            ids.intersection(&at_once).count(),
            ids.iter().filter(|id| !at_once.contains(*id) && later.contains(*id)).count(),
            resolved.count(),
            lives.len(),
            lives.get(lives.len() / 2).copied().unwrap_or_default(),
        ));
        Ok(None)
    }

    /// Cgroups come and go by the thousand, in a container's own and beside it: memory is bounded, every record has its
    /// outcome, and a break-out after it is found.
    fn cgroups(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let daemon = match self.crowd_daemon(rung, "none")? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let (container, mut session) = self.session(runtime)?;
        let is_known = |r: &Record| r.class() == "container" && r.container_id() == Some(&container.id);
        ensure!(daemon.store.wait_for(self.limits.record, is_known)?.is_some(), "the container is not known");
        let pid = daemon.store.daemon().context("a daemon has a process")?;
        let count = if self.flags.in_vm { CGROUPS.1 } else { CGROUPS.0 };
        let places = [self.env.branch.home.clone(), self.cgroup_of(&container)];
        let mut living: VecDeque<PathBuf> = VecDeque::new();
        let (begin, before) = (Instant::now(), resident(pid)?);
        for (n, place) in (0..count).zip(places.iter().cycle()) {
            let at = place.join(format!("crowd-{n}"));
            fs::create_dir(&at)?;
            living.push_back(at);
            if living.len() > LIVING_CGROUPS
                && let Some(oldest) = living.pop_front()
            {
                fs::remove_dir(oldest)?;
            }
        }
        living.iter().try_for_each(fs::remove_dir)?;
        let took = begin.elapsed();
        // After all that, at its end: what came before has been seen.
        let mut act = |words: &[&str]| -> anyhow::Result<()> {
            session.send(words.join("\x1f").as_bytes())?;
            session.lines_until(self.limits.command, |line| line.starts_with("done ")).map(drop)
        };
        act(&["canaries", "3", "1", "/hostns/uts"])?;
        let is_found = |r: &Record| r.rule() == "C01" && r.container_id() == Some(&container.id);
        let found = daemon.store.wait_for(self.limits.record, is_found)?;
        ensure!(found.is_some(), "no finding after {count} cgroups");
        let grown = resident(pid)?.saturating_sub(before);
        drop(session);
        runtime.stop(&container)?;
        let store = daemon.stop()?;
        let accounts = balanced(&store)?;
        let full = store.all().iter().filter(|r| r.reason() == "map_full").count();
        ensure!(full == 0, "a map is full");
        ensure!(grown <= GROWTH, "the daemon grew by {grown} KiB");
        say(&format!(
            "note: {count} cgroups in {took:.1?}: the daemon grew by {grown} KiB; {} records attempted, {} cut",
            accounts.number("attempted"),
            accounts.number("over_budget"),
        ));
        Ok(None)
    }

    fn session(&self, runtime: &mut dyn Runtime) -> anyhow::Result<(Container, Dialogue)> {
        let setup = self.book.setups.get("admin").context("the book has this set-up")?;
        let container = Live::start_container(self, runtime, setup, &format!("bhs-{}", unique()))?;
        let mut command = runtime.exec(&container, &actor(&unique(), &["session".to_owned()]))?;
        let mut session = Dialogue::start(&mut command)?;
        session.lines_until(self.limits.command, |line| line == "session ready")?;
        Ok((container, session))
    }

    /// The daemon is killed and comes back while a container is busy: each of them names it from its first record on.
    fn restart(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let (container, mut session) = self.session(runtime)?;
        let cgroup = fs::metadata(self.cgroup_of(&container))?.ino();
        // Longer than two daemons take to start, and one to leave the kernel; they end with the container.
        let (count, pause) = if self.flags.in_vm { ("3000", "200") } else { ("600", "50") };
        session.send(["canaries", count, pause, "/hostns/uts"].join("\x1f").as_bytes())?;
        for is_last in [false, true] {
            let daemon = match self.crowd_daemon(rung, "all")? {
                Ok(daemon) => daemon,
                Err(why) => return Ok(Some(why)),
            };
            let store = daemon.store.clone();
            let is_found = |r: &Record| r.rule() == "C01" && r.container_id() == Some(&container.id);
            let found = store.wait_for(self.limits.record, is_found)?;
            ensure!(found.is_some(), "no finding in the container that runs");
            if is_last {
                drop(daemon.stop()?);
            } else {
                programs_go(&daemon.kill()?)?;
            }
            let all = store.all();
            let of_it =
                |r: &&Record| r.in_container() && r.number_at("/container/cgroup_id") & !(1 << 63) == cgroup;
            let nameless = |r: &&Record| r.container_id() != Some(container.id.as_str());
            let (ours, others): (usize, Vec<&Record>) =
                (all.iter().filter(of_it).count(), all.iter().filter(of_it).filter(nameless).collect());
            ensure!(ours > 0, "no record of the container's cgroup {cgroup}");
            ensure!(others.is_empty(), "of {ours} records not named:{}", judge::lines(others.into_iter()));
        }
        drop(session);
        runtime.stop(&container)?;
        Ok(None)
    }

    /// The bundle goes as soon as the runtime has read it: the container is known, or it is said why not.
    fn without_bundle(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let daemon = match self.crowd_daemon(rung, "exec,exit")? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let setup = Setup { unbundled: true, ..Setup::default() };
        let (name, argv) = (format!("bhs-{}", unique()), actor(&unique(), &["marker".to_owned()]));
        let spec = Spec { name: &name, setup: &setup, mounts: &[], argv: &argv };
        let (container, _) = runtime.run_once(&spec)?;
        let is_settled = |r: &Record| {
            r.class() == "container"
                && r.container_id() == Some(container.id.as_str())
                && Known::of(r).is_settled()
        };
        let settled = daemon.store.wait_for(self.limits.record, is_settled)?;
        let store = daemon.stop()?;
        let all = store.all();
        let about = all.iter().filter(|r| r.class() == "container");
        let settled = settled.with_context(|| format!("left open:{}", judge::lines(about)))?;
        say(&format!("note: without its bundle a container is {}", settled.container_status()));
        Ok(None)
    }
}

/// Runs commands to their ends, some at a time. Each must succeed.
fn run_all(commands: VecDeque<Command>, limit: Duration) -> anyhow::Result<()> {
    let waiting = Mutex::new(commands);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || -> anyhow::Result<()> {
        while let Some(mut command) = next() {
            process::run(&mut command, limit)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| match worker.join() {
            Ok(end) => end,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // All of them are waited for, whichever failed.
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

/// From the exec of each container's program to its end, the shortest first.
fn lifetimes(records: &[Record], ids: &BTreeSet<String>) -> Vec<Duration> {
    let is_ours = |r: &&Record| {
        let argv = r.argv();
        r.container_id().is_none_or(|id| ids.contains(id)) && argv.first() == Some(&"/actor")
    };
    let key = |r: &Record| r.process().map(|(pid, started)| (pid, started.to_owned()));
    let begins: BTreeMap<_, _> = records
        .iter()
        .filter(|r| r.class() == "event" && r.event() == "exec")
        .filter(is_ours)
        .filter_map(|r| Some((key(r)?, r.time()?)))
        .collect();
    let ends = records.iter().filter(|r| r.class() == "event" && r.event() == "exit");
    let mut lives: Vec<Duration> =
        ends.filter_map(|r| r.time()?.duration_since(*begins.get(&key(r)?)?).ok()).collect();
    lives.sort();
    lives
}

/// Memory of a process that is in RAM, KiB.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
