//! One runtime: its containers one after the other, each with the scenarios that share its set-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};

use super::{Claims, Stage};
use crate::fixture;
use crate::judge::{self, judge_answers};
use crate::process::{self, Dialogue};
use crate::proof::Proved;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::{Answer, Rung, Scenario, Setup, Where};
use crate::stop;
use crate::store::Store;
use crate::tally::Tally;

/// Numbers for names that are used once.
static NEXT: AtomicU32 = AtomicU32::new(1);

pub(super) fn unique() -> String {
    format!("{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A scenario's name in results.
pub(super) fn label(name: &str, kind: Kind, rung: Rung) -> String {
    format!("{name}[{}/{}]", kind.name(), rung.name())
}

pub(super) struct Group<'a> {
    pub(super) stage: &'a Stage,
    pub(super) kind: Kind,
    pub(super) rung: Rung,
    pub(super) store: Option<&'a Store>,
    pub(super) runtime: &'a mut dyn Runtime,
    pub(super) claims: &'a mut Claims,
    pub(super) tally: &'a mut Tally,
}

/// A container with a session in it.
pub(super) struct Live {
    container: Container,
    session: Dialogue,
    /// Second in which it was started.
    started: u64,
}

impl Live {
    /// A container whose first program waits for its end.
    pub(super) fn start_container(
        stage: &Stage,
        runtime: &mut dyn Runtime,
        setup: &Setup,
        name: &str,
    ) -> anyhow::Result<Container> {
        let mounts = mounts(stage, setup);
        let argv = actor(&unique(), &["wait".to_owned()]);
        runtime.start(&Spec { name, setup, mounts: &mounts, argv: &argv })
    }
}

/// Bind mounts with the run's folder in them.
fn mounts(stage: &Stage, setup: &Setup) -> Vec<(String, String)> {
    let work = stage.env.work.display().to_string();
    let disk = stage.fixture.disk.as_ref().map(|disk| disk.path.display().to_string()).unwrap_or_default();
    let fill = |text: &str| text.replace("{work}", &work).replace("{disk}", &disk);
    setup.mounts.iter().map(|bind| (fill(&bind.host), bind.at.clone())).collect()
}

impl Group<'_> {
    fn label(&self, name: &str) -> String {
        label(name, self.kind, self.rung)
    }

    pub(super) fn run(&mut self, scenarios: &[&Scenario]) -> anyhow::Result<()> {
        let mut by_setup: BTreeMap<&str, Vec<&Scenario>> = BTreeMap::new();
        for scenario in scenarios.iter().filter(|scenario| scenario.place != Where::Before) {
            let lacks = self.setup(&scenario.setup)?.needs_disk() && self.stage.fixture.disk.is_none();
            let excluded = scenario.excluded(self.kind, self.rung, self.stage.env.host.layout);
            match excluded.or_else(|| lacks.then(|| "this machine cannot make a loop device".to_owned())) {
                Some(why) => self.tally.skip(&self.label(&scenario.name), &why),
                None => by_setup.entry(&scenario.setup).or_default().push(scenario),
            }
        }
        for (setup, scenarios) in by_setup {
            let (alone, shared): (Vec<_>, Vec<_>) =
                scenarios.into_iter().partition(|scenario| scenario.place == Where::Entry);
            for scenario in alone {
                let result = self.entry(scenario);
                stop::check()?;
                self.take(scenario, result);
            }
            if !shared.is_empty() {
                self.shared(setup, &shared)?;
            }
        }
        Ok(())
    }

    /// Counts a scenario, and says what it proved.
    pub(super) fn take(&mut self, scenario: &Scenario, result: anyhow::Result<Proved>) {
        // Acts alone prove nothing, and no more do mutations.
        if self.store.is_some() && !self.tally.is_silent() {
            let ledger = &self.stage.ledger;
            ledger.scenario(self.rung, self.kind, &scenario.name, result.as_ref().ok());
        }
        self.tally.take(&self.label(&scenario.name), &result.map(drop));
    }

    /// Says whether a container was known as it should, from its start to its end.
    fn lived(&self, name: &str, passed: bool) {
        if self.store.is_some() && !self.tally.is_silent() {
            self.stage.ledger.check(Some(self.rung), self.kind.name(), name, passed);
        }
    }

    /// Puts the daemon's process id in the place of `{daemon}`; without a daemon the placeholder stays, and fails.
    fn with_daemon(&self, words: &[String]) -> Vec<String> {
        let Some(daemon) = self.store.and_then(Store::daemon) else { return words.to_vec() };
        words.iter().map(|word| word.replace("{daemon}", &daemon.to_string())).collect()
    }

    fn setup(&self, name: &str) -> anyhow::Result<&Setup> {
        self.stage.book.setups.get(name).context("the book was checked")
    }

    /// A scenario that is a container's own first program.
    fn entry(&mut self, scenario: &Scenario) -> anyhow::Result<Proved> {
        ensure!(scenario.prepare.is_empty(), "a first program has nothing before it");
        let setup = self.setup(&scenario.setup)?.clone();
        let mounts = mounts(self.stage, &setup);
        let (name, nonce) = (format!("bhs-{}", unique()), unique());
        let argv = actor(&nonce, &fill(self.stage, &self.with_daemon(&scenario.action), &nonce, None)?);
        let spec = Spec { name: &name, setup: &setup, mounts: &mounts, argv: &argv };
        let (container, said) = self.runtime.run_once(&spec)?;
        self.claims.containers.insert(container.id.clone());
        judge_answers(&scenario.errno, &said)?;
        self.judge(scenario, &container, &nonce)
    }

    /// A container that several scenarios act in, from its start to its end.
    fn shared(&mut self, setup_name: &str, scenarios: &[&Scenario]) -> anyhow::Result<()> {
        let name = format!("life_of_{setup_name}");
        let label = self.label(&name);
        let mut live = match self.start(setup_name) {
            Ok(live) => live,
            Err(error) => {
                stop::check()?;
                self.lived(&name, false);
                self.tally.fail(&label, &format!("{error:#}"));
                for scenario in scenarios {
                    self.tally.fail(&self.label(&scenario.name), "no container to act in");
                }
                return Ok(());
            }
        };
        for scenario in scenarios {
            let result = self.act(scenario, &mut live);
            stop::check()?;
            self.take(scenario, result);
        }
        let result = self.end(live);
        stop::check()?;
        self.lived(&name, result.is_ok());
        self.tally.take(&label, &result);
        Ok(())
    }

    fn start(&mut self, setup_name: &str) -> anyhow::Result<Live> {
        let setup = self.setup(setup_name)?.clone();
        let container =
            Live::start_container(self.stage, self.runtime, &setup, &format!("bhs-{}", unique()))?;
        self.claims.containers.insert(container.id.clone());
        let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut command = self.runtime.exec(&container, &actor(&unique(), &["session".to_owned()]))?;
        let mut session = Dialogue::start(&mut command)?;
        session.lines_until(self.stage.limits.command, |line| line == "session ready")?;
        Ok(Live { container, session, started })
    }

    fn act(&mut self, scenario: &Scenario, live: &mut Live) -> anyhow::Result<Proved> {
        let nonce = unique();
        for words in &scenario.prepare {
            let own = unique();
            let said =
                self.perform(Where::Session, live, &own, &fill(self.stage, words, &nonce, Some(live))?)?;
            judge_answers(&Answer::Errno(0), &said).context("preparing")?;
            if let Some(trace) = self.trace(&own)? {
                self.claims.take(&trace);
            }
        }
        let words = fill(self.stage, &self.with_daemon(&scenario.action), &nonce, Some(live))?;
        let said = self.perform(scenario.place, live, &nonce, &words)?;
        // What the daemon says comes first: it explains an answer that is not the wanted one.
        let judged = self.judge(scenario, &live.container, &nonce);
        judge_answers(&scenario.errno, &said)?;
        judged
    }

    /// Runs the actor in the container; gives what it wrote.
    fn perform(
        &mut self,
        place: Where,
        live: &mut Live,
        nonce: &str,
        words: &[String],
    ) -> anyhow::Result<String> {
        let argv = actor(nonce, words);
        if place == Where::Exec {
            let mut command = self.runtime.exec(&live.container, &argv)?;
            let output = process::output(&mut command, self.stage.limits.command)?;
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        live.session.send(argv[1..].join("\x1f").as_bytes())?;
        let (lines, _) =
            live.session.lines_until(self.stage.limits.command, |line| line.starts_with("done "))?;
        Ok(lines.join("\n"))
    }

    /// Every record of the process with this nonce, once it has ended; `None` without a daemon.
    fn trace(&self, nonce: &str) -> anyhow::Result<Option<Vec<Record>>> {
        let Some(store) = self.store else { return Ok(None) };
        let limit = self.stage.limits.record;
        let Some(seen) = store.wait_exec(nonce, limit)? else { bail!("no exec record of the act") };
        let Some(trace) = store.wait_trace(&seen, limit)? else {
            bail!("no exit record of process {}", seen.pid)
        };
        Ok(Some(trace.records))
    }

    fn judge(&mut self, scenario: &Scenario, container: &Container, nonce: &str) -> anyhow::Result<Proved> {
        match self.trace(nonce)? {
            None => Ok(Proved::new()),
            Some(records) => {
                self.claims.take(&records);
                judge::judge(scenario, self.rung, container, &records)
            }
        }
    }

    /// Stops the container; what the daemon knew of it, and that nothing but scenarios gave findings.
    fn end(&mut self, live: Live) -> anyhow::Result<()> {
        let Live { container, session, .. } = live;
        let known = self.identity(&container);
        // A runtime may leave a cgroup that still holds a process of the host's namespace.
        drop(session);
        self.runtime.stop(&container)?;
        known?;
        let Some(store) = self.store else { return Ok(()) };
        let is_end = |r: &Record| {
            r.class() == "container"
                && r.change() == "gone"
                && r.container_id() == Some(container.id.as_str())
        };
        ensure!(
            store.wait_for(self.stage.limits.end, is_end)?.is_some(),
            "no record of the container's end; {}",
            self.stage.env.branch.holders(&container.cgroup)
        );
        let records = store.all();
        let mut unclaimed = self.claims.unclaimed(&records);
        unclaimed.retain(|record| record.container_id() == Some(container.id.as_str()));
        ensure!(
            unclaimed.is_empty(),
            "findings of processes that no scenario ran:{}",
            judge::lines(unclaimed.into_iter())
        );
        Ok(())
    }

    /// The daemon knows the container by its full id, its runtime and its engine.
    fn identity(&self, container: &Container) -> anyhow::Result<()> {
        let Some(store) = self.store else { return Ok(()) };
        let is_known = |r: &Record| {
            r.class() == "container"
                && r.container_status() == "resolved"
                && r.container_id() == Some(container.id.as_str())
        };
        let Some(record) = store.wait_for(self.stage.limits.record, is_known)? else {
            let all = store.all();
            let known = all.iter().filter(|record| record.class() == "container");
            bail!("container {} is not known by its id:{}", container.id, judge::lines(known));
        };
        let (runtime, engine) = self.kind.identity();
        for (name, wanted) in [("runtime", runtime), ("engine", engine)] {
            let found = record.container_text(name);
            ensure!(found == Some(wanted), "{name} is {found:?}, not {wanted}: {}", record.line());
        }
        Ok(())
    }
}

pub(super) fn actor(nonce: &str, words: &[String]) -> Vec<String> {
    let mut argv = vec!["/actor".to_owned(), format!("--nonce={nonce}")];
    argv.extend_from_slice(words);
    argv
}

/// Puts values in the place of placeholders.
pub(super) fn fill(
    stage: &Stage,
    words: &[String],
    nonce: &str,
    live: Option<&Live>,
) -> anyhow::Result<Vec<String>> {
    let host_process = stage.fixture.host_process().to_string();
    let work = stage.env.work.display().to_string();
    let mut filled = Vec::new();
    for word in words {
        let mut word = word.replace("{nonce}", nonce).replace("{host_process}", &host_process);
        word = word.replace("{work}", &work);
        word = word.replace("{abstract_socket}", &fixture::abstract_socket());
        if let Some(live) = live {
            word = word.replace("{own_cgroup}", &format!("/cg/{}", live.container.cgroup));
            word = word.replace("{after}", &live.started.to_string());
        }
        ensure!(!word.contains('{'), "unknown placeholder in {word}");
        filled.push(word);
    }
    Ok(filled)
}
