//! What every measurement needs: the daemon, a runtime, and loads on either side of a container's wall.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

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
    bulkhead: PathBuf,
    oci: Oci,
    /// Names of the daemon's programs, to know another Bulkhead on this machine by.
    pub(crate) names: BTreeSet<String>,
    count: AtomicU32,
    folder: Folder,
}

impl Rig {
    /// Makes everything; nothing runs yet.
    pub(crate) fn make(bulkhead: &Path) -> anyhow::Result<Self> {
        let folder = Folder::make("bulkhead-bench")?;
        let own = std::env::current_exe().context("this program has no path")?;
        let oci = Oci::make(&folder, &[(&own, "xtask")])?;
        let count = AtomicU32::new(0);
        Ok(Self { bulkhead: bulkhead.to_owned(), oci, names: BTreeSet::new(), count, folder })
    }

    /// A daemon, ready.
    pub(crate) fn daemon(&self, output: Output, args: &[&str]) -> anyhow::Result<Daemon> {
        let runtime = self.oci.program.to_string_lossy();
        let args = [args, &["--runtime", &runtime]].concat();
        Daemon::start(&self.bulkhead, &self.folder, output, &args)
    }

    /// Ends a daemon, and waits until nothing of it is in the kernel, which frees programs a moment later.
    pub(crate) fn stop(&self, daemon: Daemon) -> anyhow::Result<()> {
        let ours: BTreeSet<u64> = programs::of(daemon.pid())?.iter().map(|program| program.id).collect();
        daemon.stop()?;
        let deadline = Instant::now() + GONE;
        while programs::all()?.iter().any(|program| ours.contains(&program.id)) {
            ensure!(Instant::now() < deadline, "programs of the daemon are still in the kernel");
            stop::check()?;
        }
        Ok(())
    }

    /// A container of its own name, not yet running.
    pub(crate) fn container(&self, argv: &[&str]) -> anyhow::Result<Container<'_>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("bulkhead-bench-{}-{number}", std::process::id());
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        self.oci.container(id, &Grant { argv, ..Grant::default() })
    }

    /// Runs a load to its end.
    pub(crate) fn load(&self, place: Place, kind: LoadKind, time: Duration) -> anyhow::Result<Run> {
        let millis = time.as_millis().to_string();
        let words = ["load", kind.name(), "--millis", &millis];
        match place {
            Place::Host => {
                let mut command = Command::new(std::env::current_exe()?);
                self.finish(command.args(words), time)
            }
            Place::Container => {
                let container = self.container(&[&["/xtask"][..], &words].concat())?;
                self.finish(&mut container.run(false), time)
            }
        }
    }

    fn finish(&self, command: &mut Command, time: Duration) -> anyhow::Result<Run> {
        let log = self.folder.join("load.log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut process = Guarded::spawn(command, Signal::TERM)?;
        let lines = Lines::of(process.child.stdout.take().context("a load's output is piped")?);
        let limit = time * 2 + Duration::from_secs(20);
        let deadline = Instant::now() + limit;
        let mut found = None;
        while let Next::Line(_, line) = lines.next(deadline)? {
            found = Some(line);
        }
        let status = process.ended(limit)?.context("a load does not end")?;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        if !status.success() {
            bail!("a load ended with {status}: {}", said.trim());
        }
        Run::read(&found.with_context(|| format!("a load printed nothing: {}", said.trim()))?)
    }

    /// True while another Bulkhead than this daemon watches the machine.
    pub(crate) fn is_shared(&self, daemon: Option<&Daemon>) -> anyhow::Result<bool> {
        let ours = match daemon {
            Some(daemon) => programs::of(daemon.pid())?.iter().map(|program| program.id).collect(),
            None => BTreeSet::new(),
        };
        Ok(programs::foreign(&self.names, &ours)? > 0)
    }
}
