//! An engine that is killed while it starts a container, and then comes back together with the daemon.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};

use anyhow::{Context as _, ensure};

use super::Stage;
use super::engines::{engine_of, is_engine, is_update};
use super::group::{Live, actor, unique};
use crate::daemon::programs_go;
use crate::judge;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::{Rung, Setup};
use crate::tally::{Tally, say};

/// Runs it, if it was asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    // Docker's is the same engine below: in the conformance suite, which is for slow machines, one of them has to do.
    let wanted = |kind: &Kind| {
        stage.flags.runtimes().contains(kind) && !(stage.flags.conformance.is_some() && *kind == Kind::Docker)
    };
    for kind in [Kind::Containerd, Kind::Docker].into_iter().filter(wanted) {
        stage.alone_with(kind, "engine_killed", rung, tally, |runtime| stage.engine_killed(rung, runtime))?;
    }
    Ok(())
}

/// A client that waits for an engine; it ends with this.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    fn engine_killed(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let engine = engine_of(runtime)?;
        let ask = [format!("{}:{}", engine.kind, engine.socket.display())];
        let setup = Setup::default();
        let older = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        let daemon = match self.asking(rung, &ask)? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let is_up = |r: &Record| is_engine(r, &engine.socket) && r.has_text("version");
        let is_known = |r: &Record, of: &Container| is_update(r, of) && r.container_status() == "resolved";
        let up = self.wait(&daemon.store, "engine", is_up)?;
        self.wait(&daemon.store, "older container", |r| is_known(r, &older))?;

        // Killed as soon as the runtime has put its child into the container's cgroup.
        let (name, argv) = (format!("bhs-{}", unique()), actor(&unique(), &["wait".to_owned()]));
        let spec = Spec { name: &name, setup: &setup, mounts: &[], argv: &argv };
        let (young, mut command) = runtime.launch(&spec)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let client = Client(command.spawn().context("cannot start the client")?);
        let of_young =
            |r: &Record| r.class() == "container" && r.word("cgroup_path").ends_with(&young.cgroup);
        self.wait(&daemon.store, "new container", |r| of_young(r) && r.change() == "created")?;
        runtime.crash()?;
        let is_settled = |r: &Record| {
            let status = r.container_status();
            of_young(r)
                && (status == "resolved" || status == "unknown" && r.container_text("reason").is_some())
        };
        let settled = self.wait(&daemon.store, "end of waiting", is_settled)?;
        say(&format!("note: a container whose engine was killed is {}", settled.container_status()));
        let is_down = |r: &Record| {
            is_engine(r, &engine.socket) && r.has_text("reason") && r.number("seq") > up.number("seq")
        };
        self.wait(&daemon.store, "end of the engine", is_down)?;
        drop(client);

        // Both come back at once, and nobody was told of the other.
        programs_go(&daemon.kill()?)?;
        runtime.restart()?;
        let daemon = match self.asking(rung, &ask)? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        self.wait(&daemon.store, "engine after that", is_up)?;
        self.wait(&daemon.store, "older container after that", |r| is_known(r, &older))?;
        let last = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        self.wait(&daemon.store, "last container", |r| is_known(r, &last))?;
        let cgroup = fs::metadata(self.env.branch.home.join(&older.cgroup))?.ino();
        // Whether the one that was being started is there is the engine's to say; what is left of it goes with the runtime.
        for container in [&last, &older] {
            runtime.stop(container)?;
        }
        for container in [&older, &last] {
            let is_end = |r: &Record| is_update(r, container) && r.change() == "gone";
            self.wait(&daemon.store, "end", is_end)?;
        }
        let all = daemon.stop()?.all();
        let of_older = |r: &&Record| r.in_container() && r.number_at("/container/cgroup_id") == cgroup;
        let nameless: Vec<&Record> =
            all.iter().filter(of_older).filter(|r| r.container_id() != Some(older.id.as_str())).collect();
        ensure!(nameless.is_empty(), "records without a name:{}", judge::lines(nameless.into_iter()));
        Ok(None)
    }
}
