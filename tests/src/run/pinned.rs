//! `run --pin`: the daemon is killed, a container breaks out while nobody looks, and the next daemon says so, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::group::{Live, actor, unique};
use super::{Claims, Stage};
use crate::daemon::{Started, programs_go};
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
pub(super) const NAME: &str = "pinned_daemon_is_killed";

/// A BPF file system of the run's own; gone when it goes.
struct PinFs(PathBuf);

impl PinFs {
    fn make(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        mount("bpf", &folder, "bpf", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
            .with_context(|| format!("cannot mount a BPF file system at {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for PinFs {
    fn drop(&mut self) {
        // Takes every pin with it.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, claims: &mut Claims, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| stage.pinned(rung, runtime, claims))
}

impl Stage {
    /// `Some` with the reason why this machine cannot have that rung.
    fn pinned(
        &self,
        rung: Rung,
        runtime: &mut dyn Runtime,
        claims: &mut Claims,
    ) -> anyhow::Result<Option<String>> {
        let files = PinFs::make(self.work.join(format!("pins-{}", rung.name())))?;
        let folder = files.0.join("bulkhead");
        let start = || match self.daemon_pinned(rung, &folder)? {
            Started::Ready(daemon) => Ok(Ok(daemon)),
            Started::Impossible(why) => Ok::<_, anyhow::Error>(Err(why)),
        };
        let first = match start()? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let setup = self.book.setups.get("admin").context("no set-up `admin`")?;
        // As an engine would call it, so that it is known by its cgroup's name as well.
        let container = Live::start_container(self, runtime, setup, &format!("{:064x}", std::process::id()))?;
        claims.containers.insert(container.id.clone());
        let act = |runtime: &mut dyn Runtime, at: &str| {
            let words = ["mount-fs", "proc", at].map(str::to_owned);
            let mut command = runtime.exec(&container, &actor(&unique(), &words))?;
            process::output(&mut command, self.limits.command)
        };
        act(runtime, "/mnt/one")?;
        self.finding(&first.store, &container, "/mnt/one")?;
        let programs = first.kill()?;
        let killed = Instant::now();

        act(runtime, "/mnt/two")?;
        let second = start()?.map_err(anyhow::Error::msg)?;
        // The gap begins when the first daemon last said that it is there, which it does every second.
        let longest = u64::try_from((killed.elapsed() + Duration::from_secs(5)).as_nanos())?;
        act(runtime, "/mnt/three")?;
        self.finding(&second.store, &container, "/mnt/three")?;
        let gap = self.finding(&second.store, &container, "/mnt/two")?;
        runtime.stop(&container)?;
        let store = second.stop_pinned()?;
        let records = store.all();
        claims.take(&records);
        let count = |at: &str| records.iter().filter(|record| is_about(record, &container, at)).count();
        ensure!(
            (count("/mnt/one"), count("/mnt/two"), count("/mnt/three")) == (0, 1, 1),
            "each finding once, and by the daemon that was there:{}",
            judge::lines(records.iter().filter(|record| record.class() == "finding"))
        );
        // Its bundle lies in the run's own folder, where nothing finds it by the id alone.
        ensure!(!gap.line().contains(r#""status":"pending""#), "not looked up yet: {}", gap.line());
        let is = |status: &str, what: &str| {
            records.iter().any(|record| record.status() == status && record.line().contains(what))
        };
        let gaps: Vec<u64> =
            records.iter().filter(|r| r.status() == "resumed").map(|r| r.number_at("/gap_ns")).collect();
        ensure!(
            matches!(gaps[..], [gap] if (1..longest).contains(&gap)),
            "nobody looked for {gaps:?} ns, and {longest} passed until it was ready"
        );
        ensure!(
            is("accounts", "\"balanced\":true"),
            "the accounts do not balance:{}",
            judge::lines(records.iter().filter(|r| r.status() == "accounts"))
        );
        self.unpin(&folder)?;
        programs_go(&programs)?;
        ensure!(!folder.exists(), "{} is still there", folder.display());
        Ok(None)
    }

    /// Waits for the finding about a mount at this place.
    fn finding(&self, store: &Store, container: &Container, at: &str) -> anyhow::Result<Record> {
        let found = store.wait_for(self.limits.record, |record| is_about(record, container, at))?;
        found.with_context(|| format!("no finding about {at}:{}", judge::lines(store.all().iter())))
    }

    fn unpin(&self, folder: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(&self.flags.bulkhead);
        process::run(command.arg("unpin").arg(folder), self.limits.command).map(drop)
    }
}

fn is_about(record: &Record, container: &Container, at: &str) -> bool {
    record.class() == "finding"
        && record.rule() == "I-7"
        && record.container_id() == Some(container.id.as_str())
        && record.field("target").as_str() == Some(at)
}
