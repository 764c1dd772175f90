//! A systemd of our own, for what places containers in its slices and scopes: the first process of a PID namespace, with a
//! cgroup of the runner's branch as the root of its own. It is no container: to the machine it is what any process is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal};

use crate::cgroups::{self, Branch};
use crate::process::{self, Service};

/// The programs of the machine that this takes.
pub const PROGRAMS: [&str; 5] = ["systemd", "systemctl", "setpriv", "unshare", "nsenter"];
/// The one service it has.
const UNIT: &str = "engine.service";
/// Its cgroup below the branch.
pub const CGROUP: &str = "node";

/// Joins the cgroup, and dies with the runner: unshare(1) itself lets SIGTERM wait.
const ENTER: &str = "echo $$ > '@CGROUP@/cgroup.procs'
exec setpriv --pdeathsig KILL unshare --cgroup --mount --pid --fork --kill-child sh '@FOLDER@/first.sh'
";

/// What it sees of the machine is not the machine's: its own /run and /proc, cgroups from its own on, no unit but ours, and
/// nothing to set.
const FIRST: &str = "set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/systemd
mkdir -p /etc/systemd/system
cp '@FOLDER@/default.target' '@FOLDER@/@UNIT@' /etc/systemd/system
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec setpriv --bounding-set=-sys_time,-sys_boot,-sys_module \
    env container=oci /usr/lib/systemd/systemd --log-target=console
";

const TARGET: &str = "[Unit]\nDefaultDependencies=no\nWants=@UNIT@\n";

/// As engines' own units are: what they started stays when they go.
const SERVICE: &str = "[Unit]
DefaultDependencies=no
[Service]
Delegate=yes
KillMode=process
StandardOutput=append:@FOLDER@/engine.log
StandardError=inherit
ExecStart=@COMMAND@
";

/// Ended, with everything in it, when this goes.
#[derive(Debug)]
pub struct Systemd {
    service: Option<Service>,
    /// Of its first process, as the machine has it.
    pid: u32,
    cgroup: PathBuf,
    limit: Duration,
}

impl Systemd {
    /// Starts it in this folder, with a command line as its service.
    ///
    /// # Errors
    /// It does not start the service within `limit`.
    pub fn start(branch: &Branch, folder: &Path, service: &str, limit: Duration) -> anyhow::Result<Self> {
        let cgroup = branch.home.join(CGROUP);
        fs::create_dir(&cgroup).context("cannot make a cgroup for systemd")?;
        fs::create_dir_all(folder)?;
        let fill = |text: &str| {
            text.replace("@FOLDER@", &folder.display().to_string())
                .replace("@CGROUP@", &cgroup.display().to_string())
                .replace("@UNIT@", UNIT)
                .replace("@COMMAND@", service)
        };
        for (name, text) in [("first.sh", FIRST), ("default.target", TARGET), (UNIT, SERVICE)] {
            fs::write(folder.join(name), fill(text))?;
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(fill(ENTER));
        let mut started = Service::start(&mut command, &folder.join("systemd.log"))?;
        let mut pid = None;
        let scope = cgroup.join("init.scope");
        started.wait_until(limit, || {
            pid = processes(&scope).first().copied();
            pid.is_some()
        })?;
        let pid = pid.context("systemd has no process")?;
        // It can hand controllers down only from a cgroup without a process.
        fs::write(branch.outside().join("cgroup.procs"), started.pid().to_string())?;
        let mut systemd = Self { service: Some(started), pid, cgroup, limit };
        let service = systemd.cgroup.join("system.slice").join(UNIT);
        systemd.wait_until(|| !processes(&service).is_empty())?;
        Ok(systemd)
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// systemd ends before that, or the time is over.
    pub fn wait_until(&mut self, ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        self.service.as_mut().context("systemd was ended")?.wait_until(self.limit, ready)
    }

    /// The service's main process, as the machine numbers it.
    ///
    /// # Errors
    /// It does not run.
    pub fn main(&self) -> anyhow::Result<Pid> {
        let said = self.control(&["show", "--property=MainPID", "--value", UNIT])?;
        let inner = said.trim();
        let is_it = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            ids.is_some_and(|ids| ids.split_whitespace().last() == Some(inner))
        };
        let found = processes(&self.cgroup.join("system.slice").join(UNIT)).into_iter().find(is_it);
        let pid = found.with_context(|| format!("no process {inner} in the service's cgroup"))?;
        Pid::from_raw(i32::try_from(pid)?).context("no process id")
    }

    /// Ends the service.
    ///
    /// # Errors
    /// systemd says so.
    pub fn stop_service(&self) -> anyhow::Result<()> {
        self.control(&["stop", UNIT]).map(drop)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// systemd says so.
    pub fn start_service(&self) -> anyhow::Result<()> {
        self.control(&["start", UNIT])?;
        let state = self.control(&["is-active", UNIT])?;
        ensure!(state.trim() == "active", "the service is {state}");
        Ok(())
    }

    /// Waits until no process is left in its cgroups.
    fn wait_until_empty(&self) {
        let events = self.cgroup.join("cgroup.events");
        let deadline = Instant::now() + self.limit;
        while fs::read_to_string(&events).is_ok_and(|events| events.contains("populated 1"))
            && Instant::now() < deadline
        {
            std::thread::yield_now();
        }
    }

    fn control(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--cgroup", "--target", &self.pid.to_string(), "systemctl"]);
        process::run(command.args(words), self.limit)
    }
}

fn processes(cgroup: &Path) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            service.kill();
        }
        // What was in its PID namespace ends a moment later, and listens until then.
        self.wait_until_empty();
        cgroups::remove_tree(&self.cgroup);
    }
}

/// Stops a process where it is, until what this gives is dropped.
///
/// # Errors
/// It has ended.
pub fn freeze(pid: Pid) -> anyhow::Result<Frozen> {
    rustix::process::kill_process(pid, Signal::STOP)?;
    Ok(Frozen(pid))
}

/// A process that is stopped; goes on when this goes.
#[derive(Debug)]
pub struct Frozen(Pid);

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, Signal::CONT);
    }
}
