//! A map of the kernel side that is too small is told by its name, with the limit to raise, and the accounts balance all the
//! same.

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::Runtime;
use crate::scenario::Rung;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "full_maps";
/// The maps, which events are wanted, and what else the daemon is told so that they fill. That of budgets is filled by a
/// storm's check.
const MAPS: [(&str, &str, &[&str]); 6] = [
    ("TASKS", "none", &[]),
    ("CGROUPS", "none", &[]),
    ("CONTAINERS", "none", &[]),
    ("STORAGE", "none", &[]),
    // Each container of which something is not wanted takes one.
    ("FILTERED", "none", &[]),
    // Each container, kind of event, ring and CPU of which something was lost takes one: without budgets, rings run full.
    (LOSSES, "all", &["--budget", "0", "--critical-budget", "0"]),
];
const LOSSES: &str = "LOSSES";
/// Milliseconds of a storm while nobody reads, so that rings run full.
const STORM: &str = "5000";
/// How many entries each is given, and containers that are more.
const LIMIT: u64 = 4;
const CONTAINERS: usize = 6;

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    // Each start of a daemon takes an emulated machine half a minute, and all kernels have the same maps.
    let maps = if stage.flags.in_vm { &MAPS[..1] } else { &MAPS[..] };
    stage.alone(NAME, rung, tally, |runtime| {
        for (map, events, more) in maps {
            if let Some(why) =
                stage.full_map(rung, runtime, (map, events), more).with_context(|| (*map).to_owned())?
            {
                return Ok(Some(why));
            }
        }
        Ok(None)
    })
}

impl Stage {
    fn full_map(
        &self,
        rung: Rung,
        runtime: &mut dyn Runtime,
        (map, events): (&str, &str),
        more: &[&str],
    ) -> anyhow::Result<Option<String>> {
        let limit = format!("{map}={LIMIT}");
        let words: Vec<String> =
            ["--map-limit", &limit].iter().chain(more).map(|&word| word.to_owned()).collect();
        let daemon = match self.start_daemon(rung, &[], None, events, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let setup = self.book.setups.get("plain").context("no set-up `plain`")?;
        let mut live = Vec::new();
        for _ in 0..CONTAINERS {
            let container = Live::start_container(self, runtime, setup, &unique())?;
            // Kinds of events that no rule judges, and one that a rule does.
            let act =
                ["listen-tcp", "127.0.0.1", "45031", "open", "/etc/passwd", "syslog", "5"].map(str::to_owned);
            process::output(&mut runtime.exec(&container, &actor(&unique(), &act))?, self.limits.command)?;
            live.push(container);
        }
        if map == LOSSES {
            daemon.freeze();
            let act = ["storm", STORM].map(str::to_owned);
            let done = runtime.exec(&live[0], &actor(&unique(), &act));
            let done = done.and_then(|mut command| process::output(&mut command, self.limits.command));
            daemon.thaw();
            done?;
        }
        let is_told = |record: &Record| record.class() == "loss" && record.reason() == "map_full";
        let told =
            daemon.store.wait_for(self.limits.record, is_told)?.context("no word about the full map")?;
        for container in &live {
            runtime.stop(container)?;
        }
        let all = daemon.stop()?.all();
        let others: Vec<&Record> =
            all.iter().filter(|record| is_told(record) && record.word("map") != map).collect();
        ensure!(
            told.word("map") == map && told.number("limit") == LIMIT && told.number("count") > 0,
            "{}",
            told.line()
        );
        ensure!(others.is_empty(), "other maps are said to be full:{}", judge::lines(others.into_iter()));
        let accounts = all.iter().rfind(|record| record.status() == "accounts").context("no accounts")?;
        ensure!(accounts.is_true("balanced"), "not balanced: {}", accounts.line());
        Ok(None)
    }
}
