//! Storms: what a flood costs, and that the accounts balance after it. Each has a daemon of its own.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{actor, unique};
use crate::daemon::{Daemon, Started};
use crate::judge;
use crate::process::Dialogue;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::{Tally, say};

/// Break-outs in each container, fewer than a rule reports one by one in a minute, and the time between them.
const CANARIES: usize = 80;
const PAUSE: &str = "100";
/// How long a storm lasts: longer than the canaries do.
const STORM: &str = "10000";
/// How long the reader is stopped, in a storm that begins before and ends after it.
const STOPPED: Duration = Duration::from_secs(10);
const LONG_STORM: &str = "14000";
/// Where the set-up has a namespace of the host.
const FOREIGN: &str = "/hostns/uts";

type Test = fn(&Stage, Rung) -> anyhow::Result<Option<String>>;

/// Name, and what it does; it says why if this machine cannot.
const TESTS: [(&str, Test); 4] = [
    ("storm_flood", flood),
    ("storm_stopped_reader", stopped_reader),
    ("storm_full_map", full_map),
    ("accounts_by_container", by_container),
];
/// Those that flood, by the clock.
const FLOODS: [&str; 2] = ["storm_flood", "storm_stopped_reader"];

/// Runs those that were asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    // They are made with it.
    if !stage.flags.runtimes().contains(&Kind::Runc) {
        return Ok(());
    }
    for (name, test) in TESTS.into_iter().filter(|(name, _)| stage.flags.wants(name)) {
        let label = super::group::label(name, Kind::Runc, rung);
        if stage.flags.in_vm && FLOODS.contains(&name) {
            // Seen on 5.10: 7,000 records in ten seconds, where the budget of a kind is 20,000 a second.
            tally.skip(&label, "an emulated machine is too slow for a flood");
            continue;
        }
        if let Some(why) = stage.flags.leaves_out_own_daemons(rung) {
            tally.skip(&label, why);
            continue;
        }
        let result = test(stage, rung);
        if !matches!(result, Ok(Some(_))) {
            stage.ledger.check(Some(rung), Kind::Runc.name(), name, result.is_ok());
        }
        tally.settle(&label, result)?;
    }
    Ok(())
}

/// A daemon and a runtime. Fields go in this order: containers before the daemon.
struct Rig<'a> {
    stage: &'a Stage,
    runtime: Box<dyn Runtime>,
    daemon: Daemon,
}

/// A container with a session in it, through which it is told what to do.
struct Place {
    session: Dialogue,
    container: Container,
}

impl<'a> Rig<'a> {
    fn make(stage: &'a Stage, rung: Rung, words: &[&str]) -> anyhow::Result<Result<Self, String>> {
        let runtime = match crate::runtime::open(Kind::Runc, &stage.env)? {
            Ok(runtime) => runtime,
            Err(why) => return Ok(Err(why)),
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match stage.daemon_with(rung, &words)? {
            Started::Ready(daemon) => Ok(Ok(Self { stage, runtime, daemon: *daemon })),
            Started::Impossible(why) => Ok(Err(why)),
        }
    }

    fn place(&mut self) -> anyhow::Result<Place> {
        let setup = self.stage.book.setups.get("admin").context("the book has this set-up")?;
        let work = self.stage.env.work.display().to_string();
        let mounts: Vec<(String, String)> =
            setup.mounts.iter().map(|bind| (bind.host.replace("{work}", &work), bind.at.clone())).collect();
        let name = format!("bhs-{}", unique());
        let argv = actor(&unique(), &["wait".to_owned()]);
        let container = self.runtime.start(&Spec { name: &name, setup, mounts: &mounts, argv: &argv })?;
        // Records before that name the container by its cgroup only.
        let known = |r: &Record| {
            r.container_status() == "resolved" && r.container_id() == Some(container.id.as_str())
        };
        let seen = self.daemon.store.wait_for(self.stage.limits.record, known)?;
        ensure!(seen.is_some(), "the daemon does not know container {}", container.id);
        let mut command = self.runtime.exec(&container, &actor(&unique(), &["session".to_owned()]))?;
        let mut session = Dialogue::start(&mut command)?;
        session.lines_until(self.stage.limits.command, |line| line == "session ready")?;
        Ok(Place { session, container })
    }

    fn wait_done(&self, place: &mut Place) -> anyhow::Result<()> {
        place.session.lines_until(self.stage.limits.command, |line| line.starts_with("done ")).map(drop)
    }

    /// Ends everything; the daemon's records.
    fn end(mut self, places: Vec<Place>) -> anyhow::Result<Store> {
        for place in places {
            drop(place.session);
            self.runtime.stop(&place.container)?;
        }
        drop(self.runtime);
        self.daemon.stop()
    }
}

fn send(place: &mut Place, words: &[&str]) -> anyhow::Result<()> {
    place.session.send(words.join("\x1f").as_bytes())
}

/// A container floods; break-outs in it and in its neighbour are all found and in time, the neighbour loses
/// nothing, and what was cut is told.
fn flood(stage: &Stage, rung: Rung) -> anyhow::Result<Option<String>> {
    // Less than the usual: a busy machine may not flood by that.
    let mut rig = match Rig::make(stage, rung, &["--budget", "1000,2000"])? {
        Ok(rig) => rig,
        Err(why) => return Ok(Some(why)),
    };
    let (mut flooder, mut within, mut neighbour) = (rig.place()?, rig.place()?, rig.place()?);
    // A second session of the flooding container: break-outs and flood are of one container.
    let mut command = rig.runtime.exec(&flooder.container, &actor(&unique(), &["session".to_owned()]))?;
    let mut beside = Dialogue::start(&mut command)?;
    beside.lines_until(stage.limits.command, |line| line == "session ready")?;
    std::mem::swap(&mut beside, &mut within.session);
    let count = CANARIES.to_string();
    let canaries = ["canaries", count.as_str(), PAUSE, FOREIGN];
    send(&mut flooder, &["storm", STORM])?;
    send(&mut within, &canaries)?;
    send(&mut neighbour, &canaries)?;
    for place in [&mut within, &mut neighbour, &mut flooder] {
        rig.wait_done(place)?;
    }
    std::mem::swap(&mut beside, &mut within.session);
    drop(beside);
    let ids = [flooder.container.id.clone(), neighbour.container.id.clone()];
    let store = rig.end(vec![flooder, within, neighbour])?;
    let accounts = balanced(&store)?;
    for id in &ids {
        let found = store.all().iter().filter(|r| is_canary(r, id)).count();
        ensure!(found == CANARIES, "{found} of {CANARIES} break-outs of container {id} found");
    }
    let of = |id: &str| accounts.container_account(id).context("the accounts lack a container");
    let (flooded, quiet) = (of(&ids[0])?, of(&ids[1])?);
    ensure!(flooded.over_budget > 0, "the flood was not cut: {}", accounts.line());
    ensure!(
        (quiet.ring_full, quiet.over_budget) == (0, 0),
        "the neighbour lost records: {}",
        accounts.line()
    );
    let mut delays: Vec<Duration> = store.delays(|r| ids.iter().any(|id| is_canary(r, id)));
    delays.sort();
    let (median, late) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    say(&format!(
        "note: flood: {} attempted, {} received, {} cut, {} ring full; break-out to line {median:?} median, {late:?} p99",
        accounts.number("attempted"),
        accounts.number("received"),
        accounts.number("over_budget"),
        accounts.number("ring_full"),
    ));
    Ok(None)
}

fn is_canary(record: &Record, container: &str) -> bool {
    record.class() == "finding" && record.rule() == "C01" && record.container_id() == Some(container)
}

/// Our reader is stopped for ten seconds in a storm; every record that was lost then is told with its container.
fn stopped_reader(stage: &Stage, rung: Rung) -> anyhow::Result<Option<String>> {
    // No budgets: the rings must run full.
    let words = ["--budget", "0", "--critical-budget", "0"];
    let mut rig = match Rig::make(stage, rung, &words)? {
        Ok(rig) => rig,
        Err(why) => return Ok(Some(why)),
    };
    let mut place = rig.place()?;
    send(&mut place, &["storm", LONG_STORM])?;
    rig.daemon.freeze();
    // The time is what is tested.
    thread::sleep(STOPPED);
    rig.daemon.thaw();
    rig.wait_done(&mut place)?;
    let id = place.container.id.clone();
    let store = rig.end(vec![place])?;
    let accounts = balanced(&store)?;
    let full = accounts.number("ring_full");
    ensure!(full > 0, "no ring was full: {}", accounts.line());
    let all = store.all();
    let unnamed: Vec<&Record> = all
        .iter()
        .filter(|r| r.class() == "loss" && r.reason() == "ring_full")
        .filter(|r| {
            !(r.has("event") && r.has("cpu") && r.has("ring") && r.has("first") && r.has("container"))
        })
        .collect();
    ensure!(
        unnamed.is_empty(),
        "losses without event, CPU, ring, time or container:{}",
        judge::lines(unnamed.into_iter())
    );
    let ours: u64 = all
        .iter()
        .filter(|r| r.class() == "loss" && r.reason() == "ring_full" && r.container_id() == Some(id.as_str()))
        .map(|r| r.number("count"))
        .sum();
    say(&format!(
        "note: stopped reader: {} attempted, {full} ring full, {ours} of them the storm's",
        accounts.number("attempted")
    ));
    ensure!(ours > 0, "no loss names the container");
    Ok(None)
}

/// A map that is too small is told by its name, with the limit to raise, and nothing is lost by it.
fn full_map(stage: &Stage, rung: Rung) -> anyhow::Result<Option<String>> {
    let mut rig = match Rig::make(stage, rung, &["--map-limit", "BUDGETS=4"])? {
        Ok(rig) => rig,
        Err(why) => return Ok(Some(why)),
    };
    let mut place = rig.place()?;
    send(&mut place, &["canaries", "3", "1", FOREIGN, "connect-tcp", "127.0.0.1", "1"])?;
    rig.wait_done(&mut place)?;
    let id = place.container.id.clone();
    let store = rig.end(vec![place])?;
    balanced(&store)?;
    let all = store.all();
    let full = |r: &&Record| r.class() == "loss" && r.reason() == "map_full";
    let told = all.iter().find(full).context("no word about the full map")?;
    ensure!(told.word("map") == "BUDGETS" && told.number("limit") == 4, "{}", told.line());
    let found = all.iter().filter(|r| is_canary(r, &id)).count();
    ensure!(found == 3, "{found} of 3 break-outs found");
    Ok(None)
}

/// What nobody wants to read is counted by container, too.
fn by_container(stage: &Stage, rung: Rung) -> anyhow::Result<Option<String>> {
    let mut rig = match Rig::make(stage, rung, &[])? {
        Ok(rig) => rig,
        Err(why) => return Ok(Some(why)),
    };
    // Two sockets: a bind and a listen each, which no rule judges, and one that is connected.
    let acts: [&[&str]; 3] = [
        &["listen-tcp", "127.0.0.1", "45021"],
        &["listen-tcp", "127.0.0.1", "45022"],
        &["connect-tcp", "127.0.0.1", "1"],
    ];
    let (mut busy, mut quiet) = (rig.place()?, rig.place()?);
    for act in acts {
        send(&mut busy, act)?;
        rig.wait_done(&mut busy)?;
    }
    send(&mut quiet, acts[2])?;
    rig.wait_done(&mut quiet)?;
    let ids = [busy.container.id.clone(), quiet.container.id.clone()];
    let accounts = balanced(&rig.end(vec![busy, quiet])?)?;
    let of = |id: &str| accounts.container_account(id).context("the accounts lack a container");
    let both = [of(&ids[0])?, of(&ids[1])?];
    for account in both {
        let outcomes = account.received + account.ring_full + account.over_budget + account.filtered;
        ensure!(account.received > 0 && account.attempted == outcomes, "{account:?}");
    }
    // Whatever else the runtime makes as it enters a container, it makes in both.
    ensure!(both[0].filtered == both[1].filtered + 4, "not 4 more are filtered: {both:?}");
    ensure!(
        ["process", "mount"].iter().all(|s| accounts.line().contains(&format!(r#""sensor":"{s}""#))),
        "no account of sensors: {}",
        accounts.line()
    );
    Ok(None)
}

/// The last accounts, which must balance, and agree with the losses that were told.
pub(super) fn balanced(store: &Store) -> anyhow::Result<Record> {
    let all = store.all();
    let accounts = all.iter().rfind(|r| r.status() == "accounts").context("no accounts at the end")?;
    let n = |name: &str| accounts.number(name);
    ensure!(accounts.is_true("balanced") && n("unaccounted") == 0, "not balanced: {}", accounts.line());
    ensure!(n("submitted") == n("received"), "received is not submitted: {}", accounts.line());
    let outcomes = n("submitted") + n("ring_full") + n("over_budget") + n("filtered");
    ensure!(n("attempted") == outcomes, "attempts without outcome: {}", accounts.line());
    for reason in ["ring_full", "over_budget"] {
        let told: u64 = all
            .iter()
            .filter(|r| r.class() == "loss" && r.reason() == reason)
            .map(|r| r.number("count"))
            .sum();
        ensure!(told == n(reason), "{told} of {} {reason} were told", n(reason));
    }
    Ok(accounts.clone())
}
