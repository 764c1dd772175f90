//! File systems in containers that never answer: whoever looks at such a container gives it up, says so, and goes on.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, unique};
use super::posture::by_id;
use crate::daemon::Started;
use crate::hang::Hanging;
use crate::host;
use crate::judge;
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::{Bind, Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "file_system_that_hangs";
/// What is said of a container that was given up.
const GIVEN_UP: &str = "did not answer";
/// How long `bulkhead posture` may take with one of them.
const SCAN: Duration = Duration::from_secs(30);

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| stage.hangs(rung, runtime))
}

/// A folder for a container, with one in it that hangs: the runtime mounts the first, and never looks at the second.
struct Trap {
    outer: PathBuf,
    hanging: Hanging,
}

impl Trap {
    fn set(outer: PathBuf) -> anyhow::Result<Result<Self, String>> {
        let inner = outer.join("inner");
        fs::create_dir_all(&inner)?;
        Ok(Hanging::mount(&inner)?.map(|hanging| Self { outer, hanging }))
    }
}

fn setup(trap: Option<(&Path, &str)>) -> Setup {
    let bind = |(host, at): (&Path, &str)| Bind { host: host.display().to_string(), at: at.to_owned() };
    Setup { seccomp: true, mounts: trap.map(bind).into_iter().collect(), ..Setup::default() }
}

fn is_posture(record: &Record, container: &Container) -> bool {
    record.class() == "posture" && record.container_id() == Some(container.id.as_str())
}

impl Stage {
    fn hangs(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        // An engine's socket of the host, which the container has only a hanging file system in place of.
        let folder = self.work.join("hangs");
        fs::create_dir_all(folder.join("engine/inner"))?;
        let socket = folder.join("engine/inner/engine.sock");
        let _engine = UnixListener::bind(&socket)?;
        let traps = (Trap::set(folder.join("engine"))?, Trap::set(folder.join("device"))?);
        let (mut engine, device) = match traps {
            (Ok(engine), Ok(device)) => (engine, device),
            (Err(why), _) | (_, Err(why)) => return Ok(Some(why)),
        };
        let mut words = vec!["--control-socket".to_owned(), socket.display().to_string()];
        for state in self.state_roots() {
            words.extend(["--state-root".to_owned(), state.display().to_string()]);
        }
        let daemon = match self.daemon_with(rung, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let mut start = |trap| -> anyhow::Result<Container> {
            Live::start_container(self, runtime, &setup(trap), &unique())
        };
        let stuck = start(Some((&engine.outer, "/engine")))?;
        // What needs no answer is not asked for: a folder among the devices is known by the list of mounts.
        let whole = start(Some((&device.outer, "/dev/box")))?;
        let plain = start(None)?;
        self.judge_unread(&daemon.store, &stuck)?;
        for container in [&whole, &plain] {
            self.judge_read(&daemon.store, container)?;
        }
        let is_counted = |r: &Record| r.reason() == "unanswered" && r.number("count") == 1;
        daemon.store.wait_for(self.limits.record, is_counted)?.context("it is not counted")?;
        // With one thread that still waits, and without: the end is the same.
        let store = daemon.stop().context("with a look that hangs")?;
        let is_lost = |r: &Record| host::is_avoidable_loss(r) && r.reason() != "unanswered";
        let lost: Vec<Record> = store.all().into_iter().filter(is_lost).collect();
        ensure!(lost.is_empty(), "lost:{}", judge::lines(lost.iter()));

        // One that starts when such containers are there.
        let daemon = match self.daemon_with(rung, &words)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        self.judge_read(&daemon.store, &plain)?;
        self.judge_unread(&daemon.store, &stuck)?;
        daemon.stop().context("the second daemon")?;

        let [stuck_id, plain_id] = [&stuck, &plain].map(|container| container.id.as_str());
        let begin = Instant::now();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.extend(["--container", stuck_id, "--container", plain_id]);
        let said = self.ask(&words)?;
        ensure!(
            said.status.success() && begin.elapsed() < SCAN,
            "{} after {:?}",
            said.status,
            begin.elapsed()
        );
        let objects = by_id(&said.stdout)?;
        let unread = |id: &str| objects.get(id).map(|o| o["unread"].as_str().unwrap_or_default().to_owned());
        ensure!(unread(stuck_id).is_some_and(|why| why.contains(GIVEN_UP)), "{objects:#?}");
        ensure!(unread(plain_id).is_some_and(|why| why.is_empty()), "{objects:#?}");
        let findings = objects[plain_id]["findings"].as_array().context("no findings")?;
        ensure!(findings.iter().any(|finding| finding["id"] == "G03"), "{findings:#?}");
        // What was not looked at does not pass.
        words.extend(["--fail-on", "critical"]);
        let status = self.ask(&words)?.status;
        ensure!(status.code() == Some(1), "--fail-on: {status}");

        engine.hanging.end();
        for container in [&stuck, &whole, &plain] {
            runtime.stop(container)?;
        }
        Ok(None)
    }

    fn judge_unread(&self, store: &Store, container: &Container) -> anyhow::Result<()> {
        let of_it = |r: &Record| is_posture(r, container);
        let told = store.wait_for(self.limits.record, of_it)?.context("nothing of the one that hangs")?;
        ensure!(told.word("unread").contains(GIVEN_UP), "not given up: {}", told.line());
        Ok(())
    }

    fn judge_read(&self, store: &Store, container: &Container) -> anyhow::Result<()> {
        let of_it = |r: &Record| is_posture(r, container);
        let told = store.wait_for(self.limits.record, of_it)?.context("nothing of one that answers")?;
        ensure!(!told.has_text("unread") && told.finds("G03"), "not read: {}", told.line());
        Ok(())
    }
}
