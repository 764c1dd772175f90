//! `bulkhead posture` beside real containers: each is granted something, and that is what must be said of it. No daemon
//! runs.

mod cases;
mod differences;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde_json::Value;

use super::Stage;
use super::group::{Live, label, unique};
use crate::daemon::Prepare;
use crate::fixture::{SHARED, on_host};
use crate::host::Layout;
use crate::process;
use crate::runtime::{self, Container, Kind, Runtime};
use crate::scenario::Rung;
use crate::stop;
use crate::tally::Tally;
pub(super) use cases::{Case, cases_of, judge, lacks_cases};
use cases::{LAYERS, shared_with_host};
pub(super) use differences::differences;

/// The name of the check.
const NAME: &str = "posture";
/// Its name with few cases, and those: the conformance suite asks whether what differs between engines and cgroup layouts
/// is read well, and there every container is one of an emulated machine.
pub(super) const NAME_OF_FEW: &str = "posture_of_few";
const FEW: [&str; 3] = ["plain", "privileged", "host pid and ptrace"];

/// Runs it, but for the conformance suite, in which each engine is started once and then runs [`few`] too.
pub(super) fn run(stage: &Stage, tally: &mut Tally) -> anyhow::Result<()> {
    if !stage.flags.wants(NAME) || stage.flags.conformance.is_some() {
        return Ok(());
    }
    for kind in stage.flags.runtimes() {
        let name = format!("{NAME}[{}]", kind.name());
        if let Some(why) = lacks_cases(stage, kind) {
            tally.skip(&name, why);
            continue;
        }
        let mut runtime = match runtime::open_with_devices(kind, &stage.env)? {
            Ok(runtime) => runtime,
            Err(why) => {
                tally.skip(&name, &why);
                continue;
            }
        };
        let result = stage.posture(kind, runtime.as_mut(), cases_of(kind));
        stop::check()?;
        stage.ledger.check(None, kind.name(), NAME, result.is_ok());
        tally.take(&name, &result);
    }
    Ok(())
}

/// The conformance suite's few cases, beside its daemon.
pub(super) fn few(
    stage: &Stage,
    kind: Kind,
    rung: Rung,
    runtime: &mut dyn Runtime,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    if !stage.flags.wants(NAME_OF_FEW) {
        return Ok(());
    }
    if let Some(why) = lacks_cases(stage, kind) {
        tally.skip(&label(NAME_OF_FEW, kind, rung), why);
        return Ok(());
    }
    let mut cases = cases_of(kind);
    cases.retain(|case| FEW.contains(&case.name));
    let result = stage.posture(kind, runtime, cases);
    stop::check()?;
    stage.ledger.check(Some(rung), kind.name(), NAME_OF_FEW, result.is_ok());
    tally.take(&label(NAME_OF_FEW, kind, rung), &result);
    Ok(())
}

impl Stage {
    fn posture(&self, kind: Kind, runtime: &mut dyn Runtime, cases: Vec<Case>) -> anyhow::Result<()> {
        let mut cases = cases;
        if self.flags.in_vm && self.flags.conformance.is_none() && matches!(kind, Kind::Runc | Kind::Crun) {
            self.share_with_host()?;
            cases.push(shared_with_host());
        }
        let mut live: Vec<(Case, Container)> = Vec::new();
        let run = unique();
        for (at, case) in cases.into_iter().enumerate() {
            // Of one length, because a pattern may be a part of a name.
            let name = format!("{run}-posture-{at:02}");
            let container = Live::start_container(self, runtime, &case.setup, &name)?;
            live.push((case, container));
        }
        let ids: Vec<&str> = live.iter().map(|(_, container)| container.id.as_str()).collect();
        let patterns: Vec<&str> = ids.iter().flat_map(|id| ["--container", id]).collect();
        let said = self.ask(&patterns)?;
        ensure!(said.status.success(), "posture ended with {}", said.status);
        let objects = by_id(&said.stdout)?;
        ensure!(objects.len() == live.len(), "{} containers, {} objects", live.len(), objects.len());
        for (case, container) in &live {
            let object = objects.get(&container.id).context("a container is missing")?;
            judge(case, kind, object).with_context(|| format!("{}: {object:#}", case.name))?;
            let (runtime, engine) = kind.identity();
            let who = (&object["container"]["runtime"], &object["container"]["engine"]);
            ensure!(who == (&runtime.into(), &engine.into()), "{who:?} is not {runtime} of {engine}");
            if kind == Kind::Runc {
                // All have one image, and one of them is privileged.
                let findings = object["findings"].as_array().context("no findings")?;
                let shares = findings.iter().any(|finding| finding["id"] == LAYERS);
                ensure!(shares, "{}: no word of the privileged container", case.name);
            }
        }
        if kind == Kind::Runc && self.flags.conformance.is_none() {
            self.ends(&live)?;
        }
        for (_, container) in &live {
            runtime.stop(container)?;
        }
        let gone = self.ask(&["--container", ids[0]])?;
        ensure!(gone.status.code() == Some(2), "a container that is gone: {}", gone.status);
        let words = String::from_utf8_lossy(&gone.stderr).into_owned();
        ensure!(words.contains("BH0023"), "a container that is gone: {words}");
        Ok(())
    }

    /// Puts the shared mount where it is in the host's mount namespace too: only where the host is a guest.
    fn share_with_host(&self) -> anyhow::Result<()> {
        let folder = self.work.join(SHARED);
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, &folder, clone).context("cannot clone the shared mount")?;
        let (mounts, at) = (Arc::clone(&self.mounts), CString::new(folder.as_os_str().as_bytes())?);
        // Any program does; its mount namespace is what counts.
        let mut command = Command::new(self.env.rootfs.join("actor"));
        let attach = Prepare::new(move || {
            mounts.enter()?;
            move_mount(&tree, c"", CWD, at.as_c_str(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            Ok(())
        });
        attach.before(&mut command);
        process::run(command.arg("marker"), self.limits.command).map(drop)
    }

    /// Exit statuses, and everything that was granted.
    fn ends(&self, live: &[(Case, Container)]) -> anyhow::Result<()> {
        let id = |name: &str| {
            let found = live.iter().find(|(case, _)| case.name == name);
            found.map(|(_, container)| container.id.clone()).context("no such case")
        };
        let (plain, privileged) = (id("plain")?, id("privileged")?);
        for (container, least, status) in
            [(&plain, "critical", 0), (&privileged, "critical", 1), (&plain, "info", 1)]
        {
            let said = self.ask(&["--container", container, "--fail-on", least])?;
            ensure!(said.status.code() == Some(status), "--fail-on {least}: {}", said.status);
        }
        let said = self.ask(&["--explain", &privileged])?;
        let objects = by_id(&said.stdout)?;
        let grants = objects.get(&privileged).and_then(|o| o["grants"].as_array()).context("no grants")?;
        let verdict = |kind: &str, name: &str| {
            let one = grants.iter().find(|grant| grant["kind"] == kind && grant["name"] == name);
            one.and_then(|grant| grant["verdict"].as_str()).unwrap_or("not there").to_owned()
        };
        for (kind, name, wanted) in [
            ("capability", "CAP_SYS_ADMIN", "critical"),
            ("capability", "CAP_KILL", "ok"),
            ("namespace", "pid namespace", "ok"),
            ("confinement", "seccomp", "warning"),
            ("mount", "/dev/shm", "ok"),
            ("device", "/dev/null char 1:3", "ok"),
        ] {
            let got = verdict(kind, name);
            ensure!(got == wanted, "{kind} {name} is {got} and not {wanted}: {grants:#?}");
        }
        let in_reach = id("engine's sockets in a folder")?;
        let said = self.ask(&["--explain", &in_reach])?;
        let objects = by_id(&said.stdout)?;
        let grants = objects.get(&in_reach).and_then(|o| o["grants"].as_array()).context("no grants")?;
        let sockets = grants.iter().filter(|grant| grant["kind"] == "socket");
        let sockets: BTreeMap<_, _> =
            sockets.map(|grant| (grant["name"].as_str(), grant["verdict"].as_str())).collect();
        let wanted = ["/ctl/docker.sock", "/ctl/harmless"].map(|path| (Some(path), Some("critical")));
        ensure!(sockets == BTreeMap::from(wanted), "sockets in reach: {sockets:?}");
        // Who decides on devices: lines of a file on version 1, a program on version 2.
        let said = self.ask(&["--explain", &plain])?;
        let objects = by_id(&said.stdout)?;
        let grants = objects.get(&plain).and_then(|o| o["grants"].as_array()).context("no grants")?;
        let rules = grants.iter().find(|grant| grant["name"] == "rules for devices");
        let observed = rules.and_then(|grant| grant["observed"].as_str()).unwrap_or_default();
        let wanted = match self.env.host.layout {
            Layout::V2 => observed == "a program",
            Layout::V1 | Layout::Hybrid => observed.ends_with(" lines of devices.list"),
        };
        ensure!(wanted, "rules for devices: {observed:?}");
        Ok(())
    }

    /// Where the runtimes of this run keep their state: not where those of the host do.
    pub(super) fn state_roots(&self) -> Vec<PathBuf> {
        let docker = self.env.work.join("docker/run");
        let of_docker = fs::read_dir(docker).into_iter().flatten().flatten();
        let of_docker = of_docker.map(|entry| entry.path().join("moby")).filter(|path| path.is_dir());
        let direct = ["runc/state", "crun/state", "youki/state"].map(|state| self.env.work.join(state));
        direct.into_iter().chain(of_docker).collect()
    }

    pub(super) fn ask(&self, words: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.flags.bulkhead);
        command.args(["posture", "--format", "json"]);
        for state in self.state_roots() {
            command.arg("--state-root").arg(state);
        }
        command.arg("--control-socket").arg(&self.fixture.control_socket).args(words);
        on_host(&mut command, &self.mounts);
        process::output(&mut command, self.limits.command)
    }
}

pub(super) fn by_id(lines: &[u8]) -> anyhow::Result<BTreeMap<String, Value>> {
    let text = std::str::from_utf8(lines)?;
    let mut objects = BTreeMap::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).context("a line is no JSON")?;
        let id = object["container"]["id"].as_str().context("no id")?.to_owned();
        objects.insert(id, object);
    }
    Ok(objects)
}
