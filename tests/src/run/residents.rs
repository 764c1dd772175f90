//! Containers of LXC and systemd-nspawn, which have no bundle and no engine's socket: the kernel, their cgroups and the
//! command that stays beside them say all that is known. Each check has a daemon of its own.

use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{actor, unique};
use crate::daemon::Started;
use crate::judge;
use crate::process::{self, Dialogue};
use crate::record::Record;
use crate::runtime::{Kind, Maker, Resident, Residents};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

/// Runs those that were asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    if !stage.flags.runtimes().contains(&Kind::Runc) {
        return Ok(());
    }
    for (maker, name) in [(Maker::Lxc, "lxc_is_known"), (Maker::Nspawn, "nspawn_is_known")] {
        let label = format!("{name}[{}]", rung.name());
        stage.alone_by((maker.name(), &label), name, rung, tally, || stage.resident(rung, maker))?;
    }
    Ok(())
}

/// A container with a session as its first program.
struct Live {
    container: Resident,
    nonce: String,
    session: Dialogue,
}

impl Stage {
    fn begin(&self, residents: &Residents, number: usize) -> anyhow::Result<Live> {
        let (name, nonce) = (format!("bhs-{}", unique()), unique());
        let mut container = residents.container(&name, &actor(&nonce, &["session".to_owned()]), number)?;
        let mut session = Dialogue::start(&mut container.command)?;
        session.lines_until(self.limits.command, |line| line == "session ready")?;
        Ok(Live { container, nonce, session })
    }

    /// Has the session run an act; gives its records.
    fn act_in(&self, live: &mut Live, store: &Store, words: &[&str]) -> anyhow::Result<Vec<Record>> {
        let nonce = unique();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        live.session.send(actor(&nonce, &words)[1..].join("\x1f").as_bytes())?;
        let (said, _) = live.session.lines_until(self.limits.command, |line| line.starts_with("done "))?;
        ensure!(said.join(" ").contains(" errno=0"), "{words:?}: {said:?}");
        self.trace_of(store, &nonce)
    }

    fn trace_of(&self, store: &Store, nonce: &str) -> anyhow::Result<Vec<Record>> {
        let seen = store.wait_exec(nonce, self.limits.record)?.context("no exec record of the act")?;
        let trace = store.wait_trace(&seen, self.limits.record)?.context("no exit record of the act")?;
        Ok(trace.records)
    }

    /// One container is older than the daemon, one younger: both are known by name, runtime and engine, with what confines
    /// them; what they do is judged against that, and neither their start nor whoever stays beside them gives a finding.
    fn resident(&self, rung: Rung, maker: Maker) -> anyhow::Result<Option<String>> {
        if let Some(why) = maker.missing(&self.env.host) {
            return Ok(Some(why));
        }
        let residents = Residents::open(Rc::clone(&self.env), maker);
        let older = self.begin(&residents, 0)?;
        let daemon = match self.start_daemon(rung, &[], None, "all", &["--no-engines".to_owned()])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let store = &daemon.store;
        let younger = self.begin(&residents, 1)?;

        // Its first program has the name already: what stays beside it was seen before.
        let seen =
            store.wait_exec(&younger.nonce, self.limits.record)?.context("no exec of the first program")?;
        let all = store.all();
        let first = all.get(seen.at).context("it was found")?;
        ensure!(
            first.container_id() == Some(younger.container.name.as_str())
                && first.container_status() == "resolved"
                && first.has_ancestors(),
            "the first program: {}",
            first.line()
        );
        let (mut acts, mut beside) = (BTreeSet::new(), BTreeSet::new());
        let mut lives = [older, younger];
        for live in &mut lives {
            self.is_known(&live.container, store, maker)?;
            beside.insert(live.container.cgroups()?.1);
            let quiet = self.act_in(live, store, &["setns-self", "uts", "marker"])?;
            let found: Vec<&Record> = quiet.iter().filter(|r| r.class() == "finding").collect();
            ensure!(found.is_empty(), "findings of the twin:{}", judge::lines(found.into_iter()));
            for (rule, words) in
                [("C01", ["setns-path", "/hostns/uts", "uts"]), ("I-7", ["mount-fs", "proc", "/mnt"])]
            {
                let records = self.act_in(live, store, &words)?;
                acts.extend(records.iter().filter_map(Record::process).map(|(pid, at)| (pid, at.to_owned())));
                let is_found = |r: &Record| {
                    r.rule() == rule
                        && r.result() == "succeeded"
                        && r.container_id() == Some(&live.container.name)
                };
                let found = records.iter().find(|r| is_found(r));
                let found =
                    found.with_context(|| format!("no {rule} among:{}", judge::lines(records.iter())))?;
                ensure!(rule != "C01" || found.is_compared(), "without the baseline: {}", found.line());
            }
        }
        let name = lives[1].container.name.clone();
        let nonce = unique();
        if let Some(mut command) = residents.attach(&name, &actor(&nonce, &["marker".to_owned()]))? {
            process::run(&mut command, self.limits.command)?;
            let joined = self.trace_of(store, &nonce)?;
            let strange: Vec<&Record> =
                joined.iter().filter(|r| r.container_id() != Some(name.as_str())).collect();
            ensure!(strange.is_empty(), "who joins is not in it:{}", judge::lines(strange.into_iter()));
        }
        self.is_in_posture(&lives, maker)?;

        let names: Vec<String> = lives.iter().map(|live| live.container.name.clone()).collect();
        for Live { container, session, .. } in lives {
            drop(session);
            container.ended()?;
            let is_end = |r: &Record| {
                r.class() == "container" && r.change() == "gone" && r.container_id() == Some(&container.name)
            };
            self.wait(store, "end", is_end)?;
        }
        let all = daemon.stop()?.all();
        let ours = |r: &&Record| r.container_id().is_some_and(|id| names.iter().any(|name| name == id));
        // systemd-nspawn starts programs with capabilities that others inherit, which is said.
        let is_start = |r: &Record| maker == Maker::Nspawn && r.rule() == "A16";
        let is_act = |r: &Record| r.process().is_some_and(|(pid, at)| acts.contains(&(pid, at.to_owned())));
        let findings = all.iter().filter(|r| r.class() == "finding" && !r.is_grant());
        let strange: Vec<&Record> = findings.filter(ours).filter(|r| !is_act(r) && !is_start(r)).collect();
        ensure!(strange.is_empty(), "findings of no act:{}", judge::lines(strange.into_iter()));
        let of_maker = |r: &&Record| {
            r.class() == "container" && r.container_text("engine") == Some(maker.identity()) && !ours(r)
                || beside.contains(&r.number_at("/container/cgroup_id"))
        };
        let strange: Vec<&Record> = all.iter().filter(of_maker).collect();
        ensure!(strange.is_empty(), "no container was made there:{}", judge::lines(strange.into_iter()));
        Ok(None)
    }

    /// Who it is, and what confines it.
    fn is_known(&self, container: &Resident, store: &Store, maker: Maker) -> anyhow::Result<()> {
        let (id, _) = container.cgroups()?;
        let is_its = |r: &Record| r.container_id() == Some(&container.name);
        let is_known =
            |r: &Record| r.class() == "container" && is_its(r) && r.container_status() == "resolved";
        let known = self.wait(store, "container", is_known)?;
        for (what, wanted) in
            [("name", container.name.as_str()), ("runtime", maker.identity()), ("engine", maker.identity())]
        {
            ensure!(known.container_text(what) == Some(wanted), "{what} is not {wanted}: {}", known.line());
        }
        ensure!(known.number_at("/container/cgroup_id") == id, "not cgroup {id}: {}", known.line());
        self.wait(store, "baseline", |r| is_its(r) && r.class() == "container" && r.change() == "entered")?;
        Ok(())
    }

    /// `bulkhead posture` has them all, and compares with nothing.
    fn is_in_posture(&self, lives: &[Live], maker: Maker) -> anyhow::Result<()> {
        for live in lives {
            let name = live.container.name.as_str();
            let said = self.ask(&["--container", name])?;
            ensure!(said.status.success(), "posture of {name}: {}", said.stderr.escape_ascii());
            let objects = super::posture::by_id(&said.stdout)?;
            let object = objects.get(name).with_context(|| format!("no {name}: {objects:?}"))?;
            ensure!(object["container"]["engine"] == maker.identity(), "{object:#}");
            let findings = object["findings"].as_array().context("no findings")?;
            let is_difference =
                |f: &&serde_json::Value| f["id"].as_str().is_some_and(|id| id.starts_with("X-"));
            let differences: Vec<_> = findings.iter().filter(is_difference).collect();
            ensure!(differences.is_empty(), "nothing was declared: {differences:#?}");
        }
        Ok(())
    }
}
