//! What every measurement needs: the daemon, a runtime, and loads on either side of a container's wall.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use crate::bench::bpf;
use crate::bench::flood::Flood;
use crate::bench::load::{LoadKind, Run};
use crate::bench::programs;
use crate::live::child::Guarded;
use crate::live::daemon::{Daemon, Output};
use crate::live::folder::Folder;
use crate::live::lines::{Lines, Next};
use crate::live::oci::{Container, Grant, Oci};
use crate::live::stop;

/// How long the kernel may take to free the programs of a daemon that has ended.
const GONE: Duration = Duration::from_secs(10);

/// The first descriptor beside the standard ones: what runtimes pass on first.
const INHERITED: i32 = 3;

/// Where a load runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Host,
    Container,
}

impl Place {
    /// As tables say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Container => "container",
        }
    }
}

/// The rig; the folder goes last.
pub(crate) struct Rig {
    name: String,
    bulkhead: PathBuf,
    pub(crate) oci: Oci,
    /// Names of the daemon's programs, to know another Bulkhead on this machine by.
    names: RefCell<BTreeSet<String>>,
    count: AtomicU32,
    pub(crate) folder: Folder,
}

impl Rig {
    /// Makes everything, in a folder of this name; nothing runs yet. `programs` are put at the containers' root, with their libraries.
    pub(crate) fn make(name: &str, bulkhead: &Path, programs: &[(&Path, &str)]) -> anyhow::Result<Self> {
        let folder = Folder::make(&format!("bulkhead-{name}"))?;
        let own = std::env::current_exe().context("this program has no path")?;
        let oci = Oci::make(&folder, &[&[(own.as_path(), "xtask")], programs].concat())?;
        let (names, count) = (RefCell::default(), AtomicU32::new(0));
        Ok(Self { name: name.to_owned(), bulkhead: bulkhead.to_owned(), oci, names, count, folder })
    }

    /// A daemon, ready.
    pub(crate) fn daemon(&self, output: Output, args: &[&str]) -> anyhow::Result<Daemon> {
        let runtime = self.oci.program.to_string_lossy();
        let args = [args, &["--runtime", &runtime]].concat();
        let daemon = Daemon::start(&self.bulkhead, &self.folder, output, &args)?;
        if self.names.borrow().is_empty() {
            *self.names.borrow_mut() = programs::of(daemon.pid())?.into_iter().map(|p| p.name).collect();
        }
        Ok(daemon)
    }

    /// Arguments that lift a container's budgets, so that rates and prices can be told.
    pub(crate) fn unlimited(&self) -> &'static [&'static str] {
        &["--budget", "0", "--critical-budget", "0"]
    }

    /// The help of `bulkhead run`: what this daemon can be asked for.
    pub(crate) fn help(&self) -> anyhow::Result<String> {
        let told =
            Command::new(&self.bulkhead).args(["run", "--help"]).env_remove("LD_LIBRARY_PATH").output()?;
        Ok(String::from_utf8_lossy(&told.stdout).into_owned())
    }

    /// Ends a daemon, and waits until nothing of it is in the kernel, which frees programs a moment later.
    pub(crate) fn stop(&self, daemon: Daemon) -> anyhow::Result<()> {
        let ours = programs::ids(daemon.pid())?;
        daemon.stop()?;
        let deadline = Instant::now() + GONE;
        while bpf::programs().iter().any(|program| ours.contains(&program.id)) {
            ensure!(Instant::now() < deadline, "programs of the daemon are still in the kernel");
            stop::check()?;
        }
        Ok(())
    }

    /// A container of its own name, not yet running.
    pub(crate) fn container(&self, argv: &[&str]) -> anyhow::Result<Container<'_>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("bulkhead-{}-{}-{number}", self.name, std::process::id());
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        self.oci.container(id, &Grant { argv, ..Grant::default() })
    }

    /// Runs a load to its end, as fast as it goes.
    pub(crate) fn load(&self, place: Place, kind: LoadKind, time: Duration) -> anyhow::Result<Run> {
        let millis = time.as_millis().to_string();
        self.run_load(place, &["load", kind.name(), "--millis", &millis], time)
    }

    /// Runs a load so many times at a rate a second.
    pub(crate) fn paced(&self, place: Place, kind: LoadKind, count: u32, rate: f64) -> anyhow::Result<Run> {
        let time = Duration::from_secs_f64(f64::from(count) / rate);
        let (count, rate) = (count.to_string(), rate.to_string());
        self.run_load(place, &["load", kind.name(), "--count", &count, "--rate", &rate], time)
    }

    fn run_load(&self, place: Place, words: &[&str], time: Duration) -> anyhow::Result<Run> {
        match place {
            Place::Host => {
                let mut command = Command::new(std::env::current_exe()?);
                Run::read(&self.finish(command.args(words), time)?)
            }
            Place::Container => {
                let container = self.container(&[&["/xtask"], words].concat())?;
                Run::read(&self.finish(&mut container.run(false), time)?)
            }
        }
    }

    /// Drives the rings from the host, with records about a container's process.
    pub(crate) fn flood(
        &self,
        daemon: &Daemon,
        about: (u64, u32),
        rate: f64,
        time: Duration,
        urgent: bool,
    ) -> anyhow::Result<Flood> {
        let mut command = Command::new(std::env::current_exe()?);
        let program = programs::named(daemon.pid(), "flood")?.id.to_string();
        let (container, process) = (about.0.to_string(), about.1.to_string());
        command.args(["flood", "--program", &program, "--container", &container, "--process", &process]);
        command.args(["--rate", &rate.to_string(), "--millis", &time.as_millis().to_string()]);
        if urgent {
            command.arg("--urgent");
        }
        Flood::read(&self.finish(&mut command, time)?)
    }

    /// Has a task of a container write records about itself.
    pub(crate) fn own_flood(&self, daemon: &Daemon, rate: f64, time: Duration) -> anyhow::Result<Flood> {
        let program = bpf::program(programs::named(daemon.pid(), "flood")?.id)?;
        let (rate, millis) = (rate.to_string(), time.as_millis().to_string());
        let fd = INHERITED.to_string();
        let container =
            self.container(&["/xtask", "flood", "--descriptor", &fd, "--rate", &rate, "--millis", &millis])?;
        let mut command = container.run_with_descriptor();
        inherit(&mut command, &program);
        Flood::read(&self.finish(&mut command, time)?)
    }

    /// Runs something to its end; gives the last line that it printed.
    pub(crate) fn finish(&self, command: &mut Command, time: Duration) -> anyhow::Result<Vec<u8>> {
        let lines = self.lines(command, time)?;
        lines.into_iter().next_back().context("a load printed nothing")
    }

    /// Runs something to its end; gives the lines that it printed. It must end within twice its time and a bit.
    pub(crate) fn lines(&self, command: &mut Command, time: Duration) -> anyhow::Result<Vec<Vec<u8>>> {
        let log = self.folder.join("load.log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut process = Guarded::spawn(command, Signal::TERM)?;
        let lines = Lines::of(process.child.stdout.take().context("a load's output is piped")?);
        let limit = time * 2 + Duration::from_secs(30);
        let deadline = Instant::now() + limit;
        let mut found = Vec::new();
        while let Next::Line(_, line) = lines.next(deadline)? {
            found.push(line);
        }
        let status = process.ended(limit)?.context("a load does not end")?;
        if !status.success() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("a load ended with {status}: {}", said.trim());
        }
        Ok(found)
    }

    /// True while another Bulkhead than this daemon watches the machine.
    pub(crate) fn is_shared(&self, daemon: Option<&Daemon>) -> anyhow::Result<bool> {
        let ours = daemon.map_or(Ok(BTreeSet::new()), |daemon| programs::ids(daemon.pid()))?;
        Ok(programs::foreign(&self.names.borrow(), &ours) > 0)
    }
}

/// Has a child begin with this descriptor as its first one beside the three standard ones.
#[expect(unsafe_code, reason = "pre_exec")]
fn inherit(command: &mut Command, descriptor: &OwnedFd) {
    let from = descriptor.as_raw_fd();
    // SAFETY: dup2(2) and fcntl(2) are async-signal-safe, and the descriptor is open until the child has begun.
    unsafe {
        command.pre_exec(move || {
            let done = if from == INHERITED {
                libc::fcntl(from, libc::F_SETFD, 0)
            } else {
                libc::dup2(from, INHERITED)
            };
            if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}
