//! What engines add to what the files say; and that an engine which hangs, lies or is not there keeps nobody waiting. Each
//! check has a daemon of its own, which asks no other engine than those of the check.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::{Daemon, Started};
use crate::host::Layout;
use crate::judge;
use crate::liar::{self, Fault};
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Engine, Kind, Runtime, Spec};
use crate::scenario::{Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// What a runtime says that may open no device.
const NO_DEVICE: &str = "error reopening /dev/null inside container: open /dev/null: operation not permitted";

/// Runs those that were asked for.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    if stage.flags.runtimes().contains(&Kind::Docker) {
        let docker = Kind::Docker;
        stage.alone_with(docker, "engine_names", rung, tally, |runtime| stage.engine_names(rung, runtime))?;
        stage.alone_with(docker, "engine_swarm", rung, tally, |runtime| stage.engine_swarm(rung, runtime))?;
        stage
            .alone_with(docker, "engine_faults", rung, tally, |runtime| stage.engine_faults(rung, runtime))?;
    }
    for podman in [Kind::Podman, Kind::PodmanRootless] {
        if !stage.flags.runtimes().contains(&podman) {
            continue;
        }
        stage.alone_with(podman, "engine_names", rung, tally, |runtime| stage.engine_names(rung, runtime))?;
        stage.alone_with(podman, "engine_pods", rung, tally, |runtime| stage.engine_pods(rung, runtime))?;
    }
    stage.alone("engine_unknown", rung, tally, |runtime| stage.engine_unknown(rung, runtime))
}

pub(super) fn engine_of(runtime: &dyn Runtime) -> anyhow::Result<Engine> {
    runtime.engine().context("no engine")
}

/// A record that says what is known of a container.
pub(super) fn is_update(record: &Record, container: &Container) -> bool {
    record.class() == "container" && record.container_id() == Some(container.id.as_str())
}

/// True if the engine's own knowledge is in it.
fn is_named(record: &Record) -> bool {
    record.container_text("image_id").is_some_and(|id| id.starts_with("sha256:"))
}

pub(super) fn is_engine(record: &Record, socket: &std::path::Path) -> bool {
    record.class() == "status"
        && record.status() == "engine"
        && record.word("socket") == socket.display().to_string()
}

impl Stage {
    /// A daemon that asks these engines alone.
    pub(super) fn asking(&self, rung: Rung, engines: &[String]) -> anyhow::Result<Result<Daemon, String>> {
        let mut words = vec!["--no-engines".to_owned()];
        words.extend(engines.iter().flat_map(|engine| ["--engine".to_owned(), engine.clone()]));
        Ok(match self.start_daemon(rung, &[], None, "exec", &words)? {
            Started::Ready(daemon) => Ok(*daemon),
            Started::Impossible(why) => Err(why),
        })
    }

    pub(super) fn wait(
        &self,
        store: &Store,
        what: &str,
        wanted: impl Fn(&Record) -> bool,
    ) -> anyhow::Result<Record> {
        // It may be an end.
        let found = store.wait_for(self.limits.end, wanted)?;
        found.with_context(|| {
            let all = store.all();
            let known = all.iter().filter(|r| r.class() == "container" || r.status() == "engine");
            format!("no {what} among:{}", judge::lines(known))
        })
    }

    fn engine_names(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let engine = engine_of(runtime)?;
        let labels = ["com.docker.compose.project=shop", "com.docker.compose.service=front", "tier=web"];
        let setup = Setup { labels: labels.map(str::to_owned).to_vec(), ..Setup::default() };
        let older = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        let daemon = match self.asking(rung, &[format!("{}:{}", engine.kind, engine.socket.display())])? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let is_up = |r: &Record| is_engine(r, &engine.socket) && r.has_text("version");
        self.wait(&daemon.store, "engine", is_up)?;
        let younger = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        for container in [&older, &younger] {
            let found = self.wait(&daemon.store, "name", |r| is_update(r, container) && is_named(r))?;
            let at = |pointer: &str| found.value().pointer(pointer).and_then(|value| value.as_str());
            ensure!(
                found.container_status() == "resolved"
                    && found.container_text("name") == Some(container.name.as_str())
                    && found.container_text("image") == Some(engine.image)
                    && found.container_text("engine") == Some(engine.kind)
                    && at("/container/compose/project") == Some("shop")
                    && at("/container/compose/service") == Some("front")
                    && at("/container/labels/tier") == Some("web"),
                "{}",
                found.line()
            );
        }
        let name = format!("bhs-{}", unique());
        process::run(engine_of(runtime)?.client.args(["rename", &younger.id, &name]), self.limits.command)?;
        let is_renamed =
            |r: &Record| is_update(r, &younger) && r.container_text("name") == Some(name.as_str());
        let renamed = self.wait(&daemon.store, "new name", is_renamed)?;
        ensure!(renamed.change() == "updated" && is_named(&renamed), "{}", renamed.line());
        for container in [older, younger] {
            runtime.stop(&container)?;
        }
        // It goes away and comes back, and is asked again.
        runtime.restart()?;
        let down =
            self.wait(&daemon.store, "end", |r| is_engine(r, &engine.socket) && r.has_text("reason"))?;
        let again =
            self.wait(&daemon.store, "return", |r| is_up(r) && r.number("seq") > down.number("seq"))?;
        let last = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        let found = self.wait(&daemon.store, "name after that", |r| is_update(r, &last) && is_named(r))?;
        ensure!(found.number("seq") > again.number("seq"), "{}", found.line());
        runtime.stop(&last)?;
        let all = daemon.stop()?.all();
        let told = all.iter().rfind(|r| is_engine(r, &engine.socket)).context("no numbers at the end")?;
        // Whom it told of by itself, as it does of all that it lists, it need not be asked about.
        ensure!(told.number("asked") >= 1 && told.number("answered") >= 3, "{}", told.line());
        // An engine in an emulated machine may be slower than the daemon is patient.
        let in_time = self.flags.in_vm || told.number("timed_out") == 0;
        ensure!(told.number("mismatched") == 0 && in_time, "{}", told.line());
        let strange: Vec<&Record> = all.iter().filter(|r| contradicted(r)).collect();
        ensure!(strange.is_empty(), "an honest engine is contradicted:{}", judge::lines(strange.into_iter()));
        Ok(None)
    }

    fn engine_swarm(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let engine = engine_of(runtime)?;
        let client = |words: &[&str]| {
            let mut client = engine_of(runtime)?.client;
            process::run(client.args(words), self.limits.command)
        };
        client(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?;
        let daemon = match self.asking(rung, &[format!("{}:{}", engine.kind, engine.socket.display())])? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let name = format!("bhs-{}", unique());
        let act = actor(&unique(), &["wait".to_owned()]);
        let mut words = vec!["service", "create", "--detach", "--no-resolve-image", "--network", "host"];
        words.extend(["--container-label", "com.docker.stack.namespace=shop", "--name", &name, engine.image]);
        words.extend(act.iter().map(String::as_str));
        client(&words)?;
        let at = |r: &Record, key: &str| {
            let value = r.value().pointer(&format!("/container/swarm/{key}"));
            value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        let is_task = |r: &Record| r.class() == "container" && is_named(r) && at(r, "service") == name;
        let limit = self.limits.command;
        let found = daemon.store.wait_for(limit, is_task)?.context("no task of the service")?;
        for key in ["service_id", "task_id", "node_id"] {
            ensure!(!at(&found, key).is_empty(), "no {key}: {}", found.line());
        }
        ensure!(at(&found, "task").starts_with(&format!("{name}.1.")), "{}", found.line());
        ensure!(at(&found, "stack") == "shop", "{}", found.line());
        let node = client(&["node", "ls", "--format", "{{.Hostname}}"])?;
        ensure!(at(&found, "node") == node.trim(), "node {node}: {}", found.line());
        client(&["service", "rm", &name])?;
        // Its container goes by and by.
        let id = found.container_id().unwrap_or_default().to_owned();
        let is_gone = |r: &Record| r.change() == "gone" && r.container_id() == Some(id.as_str());
        daemon.store.wait_for(limit, is_gone)?.context("the task does not end")?;
        client(&["swarm", "leave", "--force"])?;
        daemon.stop()?;
        Ok(None)
    }

    fn engine_pods(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let engine = engine_of(runtime)?;
        let daemon = match self.asking(rung, &[format!("{}:{}", engine.kind, engine.socket.display())])? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let client = |words: &[&str]| {
            let mut client = engine_of(runtime)?.client;
            process::run(client.args(words), self.limits.command)
        };
        let (pod, name) = (format!("bhs-{}", unique()), format!("bhs-{}", unique()));
        let branch = engine.parent.clone();
        let infra = "/bin/busybox sleep 600";
        let made = ["pod", "create", "--name", &pod, "--network", "none", "--cgroup-parent", &branch];
        let made = made.iter().copied().chain(["--infra-image", engine.image, "--infra-command", infra]);
        let id = client(&made.collect::<Vec<_>>())?;
        let result = (|| {
            let act = ["/bin/busybox", "sleep", "600"];
            let words = ["run", "--detach", "--pod", &pod, "--name", &name, engine.image];
            client(&words.into_iter().chain(act).collect::<Vec<_>>())?;
            let at = |r: &Record, key: &str| {
                let value = r.value().pointer(&format!("/container/pod/{key}"));
                value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
            };
            let of_pod = |r: &Record| r.class() == "container" && is_named(r) && at(r, "name") == pod;
            let is_member = |r: &Record| of_pod(r) && r.container_text("name") == Some(name.as_str());
            let member = self.wait(&daemon.store, "container of the pod", is_member)?;
            ensure!(at(&member, "uid") == id.trim(), "pod {id}: {}", member.line());
            let is_infra = |r: &Record| {
                of_pod(r) && r.container_text("name").is_some_and(|name| name.ends_with("-infra"))
            };
            self.wait(&daemon.store, "infra container", is_infra)
        })();
        client(&["pod", "rm", "--force", "--time", "0", &pod])?;
        daemon.stop()?;
        match result {
            Ok(_) => {}
            // Of Podman 4.3, which gives a pod's cgroup a program that allows no device.
            Err(error) if self.env.host.layout == Layout::V2 && format!("{error:#}").contains(NO_DEVICE) => {
                return Ok(Some(format!("this Podman cannot start pods with cgroup v2: {NO_DEVICE}")));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    fn engine_faults(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let mut engines = Vec::new();
        for fault in Fault::ALL {
            engines.push(format!("docker:{}", liar::start(fault, &self.env.work)?.display()));
        }
        let daemon = match self.asking(rung, &engines)? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let setup = Setup { labels: vec!["tier=web".to_owned()], privileged: true, ..Setup::default() };
        let began = Instant::now();
        let container = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        // Whatever engines do, the finding is there, with what the files say.
        let of_it = |r: &Record| r.container_id() == Some(container.id.as_str());
        let finding = self.wait(&daemon.store, "finding", |r| of_it(r) && r.rule() == "G01")?;
        ensure!(began.elapsed() < self.limits.record, "it took {:?}", began.elapsed());
        let label = |r: &Record, name: &str| {
            r.value().pointer("/container/labels").and_then(|labels| labels.get(name)).is_some()
        };
        let is_true = |r: &Record| {
            r.container_text("name") == Some(container.name.as_str())
                && label(r, "tier")
                && !label(r, liar::LABEL)
        };
        ensure!(is_true(&finding), "{}", finding.line());
        for fault in Fault::ALL {
            let socket = self.env.work.join(format!("{}.sock", fault.name()));
            let is_said = |r: &Record| {
                is_engine(r, &socket)
                    && fault.reason().map_or(r.has_text("version"), |why| r.word("reason").contains(why))
            };
            self.wait(&daemon.store, fault.name(), is_said)?;
        }
        // The lie is found out, told, and not taken.
        let liar = self.env.work.join("liar.sock").display().to_string();
        let told = self.wait(&daemon.store, "mismatch", |r| is_update(r, &container) && contradicted(r))?;
        let mismatch = &told.value()["mismatches"][0];
        ensure!(
            is_true(&told)
                && mismatch["what"] == "pid"
                && mismatch["engine"].as_str().is_some_and(|engine| engine.contains(&liar))
                && mismatch["said"]
                    .as_str()
                    .is_some_and(|said| said.contains(&std::process::id().to_string())),
            "{}",
            told.line()
        );
        let finding = self.wait(&daemon.store, "X-engine", |r| of_it(r) && r.rule() == "X-engine")?;
        ensure!(finding.severity() == "critical" && is_true(&finding), "{}", finding.line());
        runtime.stop(&container)?;
        let all = daemon.stop()?.all();
        // Its id is told at once, before any file is read: such a record has no name yet, true or false.
        let is_unread = |r: &Record| {
            r.container_status() == "pending"
                && r.container_text("name").is_none()
                && r.value()
                    .pointer("/container/labels")
                    .is_some_and(|labels| *labels == serde_json::json!({}))
        };
        let lies = all.iter().filter(|r| of_it(r) && !is_true(r) && !is_unread(r)).collect::<Vec<_>>();
        ensure!(lies.is_empty(), "records that believe the lie:{}", judge::lines(lies.into_iter()));
        // An engine that stays away is not spoken of again and again.
        for fault in Fault::ALL.into_iter().filter(|fault| fault.reason().is_some()) {
            let socket = self.env.work.join(format!("{}.sock", fault.name()));
            let times = all.iter().filter(|r| is_engine(r, &socket)).count();
            ensure!(times <= 3, "{times} records of the engine that is {}", fault.name());
        }
        Ok(None)
    }

    /// A container that no file names: it waits for the engines, as long as is said, and for no longer.
    fn engine_unknown(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let faults = [Fault::Silent, Fault::Deaf];
        let mut engines = Vec::new();
        for fault in faults {
            engines.push(format!("docker:{}", liar::start(fault, &self.env.work)?.display()));
        }
        // It is older than the daemon, its configuration is gone, and where its runtime keeps its state nobody says.
        let setup = Setup { unbundled: true, ..Setup::default() };
        let name = format!("bhs-{}", unique());
        let argv =
            ["/bin/busybox", "sh", "-c", "while :; do /bin/busybox sleep 0.1; done"].map(str::to_owned);
        let container = runtime.start(&Spec { name: &name, setup: &setup, mounts: &[], argv: &argv })?;
        let began = Instant::now();
        let daemon = match self.asking(rung, &engines)? {
            Ok(daemon) => daemon,
            Err(why) => return Ok(Some(why)),
        };
        let of_it =
            |r: &Record| r.class() == "container" && r.word("cgroup_path").ends_with(&container.cgroup);
        let is_unknown = |r: &Record| of_it(r) && r.container_status() == "unknown";
        let last = self.wait(&daemon.store, "end of waiting", is_unknown)?;
        let took = began.elapsed();
        ensure!(self.flags.in_vm || took < self.limits.ready, "it took {took:?}");
        let reason = last.container_text("reason").unwrap_or_default();
        for fault in faults {
            let why = fault.reason().unwrap_or_default();
            ensure!(reason.contains(fault.name()) && reason.contains(why), "{}", last.line());
        }
        // Nothing of what it did meanwhile was held back.
        let cgroup = last.number_at("/container/cgroup_id");
        let waited = |r: &&Record| {
            r.event() == "exec"
                && r.number_at("/container/cgroup_id") == cgroup
                && r.container_status() == "pending"
                && r.number("seq") < last.number("seq")
        };
        let waited = daemon.store.all().iter().filter(waited).count();
        ensure!(waited >= 3, "{waited} execs while it was pending, and then: {}", last.line());
        runtime.stop(&container)?;
        daemon.stop()?;
        Ok(None)
    }
}

/// True for a record of a container about which an engine says what is not so.
fn contradicted(record: &Record) -> bool {
    record.value()["mismatches"].as_array().is_some_and(|list| !list.is_empty())
}
