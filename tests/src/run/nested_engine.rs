//! An engine inside a container: its containers are part of that one, as long as the daemon runs and after it was started
//! again. Records of their processes carry the outer one's identity, and no container is told of beside it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use super::Stage;
use super::engines::engine_of;
use super::group::{actor, unique};
use crate::daemon::Started;
use crate::host::{self, Layout};
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Kind, Runtime, Spec};
use crate::scenario::{Rung, Setup};
use crate::stop;
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check with each engine.
const NAMES: &[(&str, &Inner)] =
    &[("nested_docker", &DOCKER), ("nested_podman", &PODMAN), ("nested_systemd", &SYSTEMD)];
/// Engines whose containers have another engine in them.
const OUTER: &[Kind] = &[Kind::Docker, Kind::Podman];

/// Programs and libraries of the host; in a guest the engines are on a disk of their own, and linked to.
const HOST: &[&str] = &["/usr", "/lib", "/lib64", "/guest/engines"];

/// Its own cgroup is to have no process where it hands controllers down: cgroups(7), "no internal processes".
const LEAF: &str = "
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    /bin/busybox mkdir -p /sys/fs/cgroup/init
    for pid in $(/bin/busybox cat /sys/fs/cgroup/cgroup.procs); do
        echo $pid > /sys/fs/cgroup/init/cgroup.procs || :
    done
fi
";

/// An engine as it is run in a container.
struct Inner {
    program: &'static str,
    /// What the outer container's first process becomes; `{runtime}` is the OCI runtime.
    first: &'static str,
    /// Its client, without a verb.
    client: &'static str,
}

const DOCKER: Inner = Inner {
    program: "dockerd",
    first: "dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver vfs --add-runtime ours={runtime} \
            --default-runtime ours > /engine.log 2>&1
            /bin/busybox sleep 600",
    client: "docker",
};

/// As in a node made of a container: systemd, with the engine as one of its services. Nothing of the machine is its to set.
const SYSTEMD: Inner = Inner {
    program: "systemd",
    first: "/bin/busybox mount -t tmpfs tmpfs /run
            /bin/busybox mount --bind /proc/sys /proc/sys
            /bin/busybox mount -o remount,bind,ro /proc/sys
            /bin/busybox mkdir -p /etc/systemd/system
            echo 0123456789abcdef0123456789abcdef > /etc/machine-id
            printf '[Unit]\\nDefaultDependencies=no\\nWants=engine.service\\n' > /etc/systemd/system/default.target
            printf '[Unit]\\nDefaultDependencies=no\\n[Service]\\nDelegate=yes\\nPrivateMounts=yes\\nExecStart=/bin/busybox sh /engine\\n' \
                > /etc/systemd/system/engine.service
            echo 'exec dockerd --iptables=false --ip6tables=false --bridge=none --ip-forward=false --storage-driver vfs \
                --add-runtime ours={runtime} --default-runtime ours > /engine.log 2>&1' > /engine
            exec /usr/bin/setpriv --bounding-set=-sys_time,-sys_boot,-sys_module \
                /usr/bin/env container=oci /usr/lib/systemd/systemd --log-target=null",
    client: "docker",
};

const PODMAN: Inner = Inner {
    program: "podman",
    first: "/bin/busybox mkdir -p /etc/containers /var/tmp
            echo '{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}' > /etc/containers/policy.json
            while :; do /bin/busybox sleep 1; done",
    client: "podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime {runtime}",
};

/// Runs it with each pair of engines.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    // What is inside starts slowly in an emulated machine, and differs little between engines.
    let outer = if stage.flags.in_vm { &OUTER[..1] } else { OUTER };
    for kind in outer.iter().filter(|kind| stage.flags.runtimes().contains(kind)) {
        for (name, inner) in NAMES {
            stage
                .alone_with(*kind, name, rung, tally, |runtime| stage.nested_engine(rung, inner, runtime))?;
        }
    }
    Ok(())
}

/// The outer container, with an engine that is ready.
struct Outer<'a> {
    stage: &'a Stage,
    container: Container,
    client: String,
}

impl Outer<'_> {
    /// Runs a line of shell in it.
    fn shell(&self, runtime: &mut dyn Runtime, line: &str) -> anyhow::Result<String> {
        let words = ["/bin/busybox", "sh", "-c", line].map(str::to_owned);
        process::run(&mut runtime.exec(&self.container, &words)?, self.stage.limits.command)
    }

    /// Runs the inner engine's client in it.
    fn client(&self, runtime: &mut dyn Runtime, line: &str) -> anyhow::Result<String> {
        self.shell(runtime, &format!("{} {line}", self.client)).with_context(|| {
            self.shell(runtime, "/bin/busybox tail -n 20 /engine.log || :").unwrap_or_default()
        })
    }

    fn wait_ready(&self, runtime: &mut dyn Runtime) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.stage.limits.ready;
        loop {
            match self.client(runtime, "version") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error.context("the inner engine")),
                Err(_) => stop::check()?,
            }
        }
    }

    /// All records of the inner container's process that has this nonce, after its end. The client's has it in its
    /// arguments as well.
    fn records_of(&self, store: &Store, nonce: &str) -> anyhow::Result<Vec<Record>> {
        let nonce = format!("--nonce={nonce}");
        let is_exec = |r: &Record| r.event() == "exec" && r.argv().starts_with(&["/actor", &nonce]);
        let exec = self.stage.wait(store, "exec in the inner one", is_exec)?;
        let is_end = |r: &Record| r.event() == "exit" && r.process() == exec.process();
        self.stage.wait(store, "end of the inner one", is_end)?;
        let mut all = store.all();
        all.retain(|r| r.process() == exec.process());
        Ok(all)
    }

    /// Every record of that process is the outer container's, and says who that is, from its exec on.
    fn judge(&self, store: &Store, nonce: &str) -> anyhow::Result<Vec<Record>> {
        let records = self.records_of(store, nonce)?;
        let is_its = |r: &Record| {
            r.container_id() == Some(self.container.id.as_str())
                && r.container_text("name") == Some(self.container.name.as_str())
        };
        let strange: Vec<&Record> = records.iter().filter(|r| !is_its(r)).collect();
        ensure!(
            records.iter().any(|r| r.event() == "exec") && strange.is_empty(),
            "records without the outer one's identity, of {}:{}",
            records.len(),
            judge::lines(strange.into_iter())
        );
        Ok(records)
    }
}

impl Stage {
    /// What the outer container needs of the host to run the engine, and what that needs to run ours.
    fn lent_engine(&self) -> anyhow::Result<Vec<(String, String)>> {
        let work = self.env.work.display().to_string();
        let own = std::env::current_exe()?.display().to_string();
        let mut lent = vec![(work.clone(), work), (own.clone(), format!("{own}:ro"))];
        let host = HOST.iter().filter(|path| Path::new(path).exists());
        lent.extend(host.map(|path| ((*path).to_owned(), format!("{path}:ro"))));
        // An engine in a container finds the cgroups of version 2 in pure version 2 alone; in a hybrid layout inner containers have
        // one of their own if that hierarchy is lent to the outer one. What is around it is the machine's, and systemd would
        // make folders there.
        if self.env.host.layout == Layout::Hybrid {
            let v2 = self.env.host.hierarchies.iter().filter(|hierarchy| hierarchy.v2);
            lent.extend(v2.map(|v2| (v2.at.display().to_string(), v2.at.display().to_string())));
        }
        Ok(lent)
    }

    fn nested_engine(
        &self,
        rung: Rung,
        inner: &Inner,
        runtime: &mut dyn Runtime,
    ) -> anyhow::Result<Option<String>> {
        if host::program(inner.program, None).is_none_or(|path| !path.starts_with("/usr")) {
            return Ok(Some(format!("no {} below /usr to be lent to a container", inner.program)));
        }
        let engine = engine_of(runtime)?;
        let socket = format!("{}:{}", engine.kind, engine.socket.display());
        let engines = ["--no-engines", "--engine", &socket].map(str::to_owned);
        let asking = || self.start_daemon(rung, &[], None, "exec,exit", &engines);
        let daemon = match asking()? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let oci = self.env.runc_for_engines()?.display().to_string();
        let argv = ["/bin/busybox", "sh", "-c", &format!("{LEAF}{}", inner.first.replace("{runtime}", &oci))];
        let argv = argv.map(str::to_owned);
        let (setup, mounts) = (Setup { privileged: true, ..Setup::default() }, self.lent_engine()?);
        let name = format!("bhs-{}", unique());
        let container = runtime.start(&Spec { name: &name, setup: &setup, mounts: &mounts, argv: &argv })?;
        let outer = Outer { stage: self, container, client: inner.client.replace("{runtime}", &oci) };
        outer.wait_ready(runtime)?;
        outer.client(runtime, &format!("import {} inner", self.env.work.join("rootfs.tar").display()))?;

        let own = match self.env.host.layout {
            Layout::Hybrid => {
                outer.shell(runtime, "/bin/busybox sed -n 's/^0::/--cgroup-parent /p' /proc/self/cgroup")?
            }
            Layout::V1 | Layout::V2 => String::new(),
        };
        let options = format!("--network none {}", own.trim());

        // A container that breaks out of itself, and one that stays.
        let run = |nonce: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            actor(nonce, &words).join(" ")
        };
        let nonce = unique();
        let act = run(&nonce, &["mount-fs", "proc", "/mnt/inner"]);
        outer.client(
            runtime,
            &format!("run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined {options} inner {act}"),
        )?;
        let wait = run(&unique(), &["wait"]);
        let id = outer.client(runtime, &format!("run --detach --name stays {options} inner {wait}"))?;
        let id = id.trim().to_owned();
        ensure!(id.len() == 64, "the inner container's id: {id:?}");
        let records = outer.judge(&daemon.store, &nonce)?;
        let found = records.iter().find(|r| r.rule() == "I-7");
        let found = found.with_context(|| format!("no finding:{}", judge::lines(records.iter())))?;
        ensure!(found.result() == "succeeded", "{}", found.line());
        let first = daemon.stop()?;
        self.no_other(&first, &outer.container, &id)?;

        // Started again it finds both, and they are one.
        let daemon = match asking()? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => bail!("the second time: {why}"),
        };
        let is_known = |r: &Record| {
            r.class() == "container"
                && r.container_id() == Some(outer.container.id.as_str())
                && r.container_status() == "resolved"
        };
        let known = self.wait(&daemon.store, "outer container", is_known)?;
        ensure!(known.container_text("runtime") == Some("runc"), "{}", known.line());
        let nonce = unique();
        let again = run(&nonce, &["marker"]);
        outer.client(runtime, &format!("exec stays {again}"))?;
        outer.judge(&daemon.store, &nonce)?;
        runtime.stop(&outer.container)?;
        let is_gone = |r: &Record| {
            r.class() == "container"
                && r.change() == "gone"
                && r.container_id() == Some(outer.container.id.as_str())
        };
        self.wait(&daemon.store, "end", is_gone)?;
        let second = daemon.stop()?;
        self.no_other(&second, &outer.container, &id)?;
        Ok(None)
    }

    /// No container inside is told of beside the outer one.
    fn no_other(&self, store: &Store, outer: &Container, inner: &str) -> anyhow::Result<()> {
        let ours = format!("/{}", self.env.branch.name);
        let all = store.all();
        let is_other = |r: &&Record| {
            let path = r.word("cgroup_path");
            r.class() == "container"
                && r.container_id() != Some(outer.id.as_str())
                && (r.container_id() == Some(inner) || path.contains(inner) || path.contains(&ours))
        };
        let others: Vec<&Record> = all.iter().filter(is_other).collect();
        ensure!(
            others.is_empty(),
            "containers in the container are told of as ones of the host:{}",
            judge::lines(others.into_iter())
        );
        Ok(())
    }
}
