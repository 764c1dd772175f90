//! Bulkhead under test: started, listened to, ended, and looked for afterwards.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use crate::fixture::on_host;
use crate::host::HostMounts;
use crate::process;
use crate::record::Record;
use crate::scenario::Rung;
use crate::store::Store;

/// How to start it.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The program.
    pub program: &'a Path,
    /// The run's folder.
    pub work: &'a Path,
    /// The rung it is told to use.
    pub rung: Rung,
    /// Rules it is told to leave out.
    pub disabled: &'a [String],
    /// Events it is told to write.
    pub events: &'a str,
    /// Further words of its command line.
    pub words: &'a [String],
    /// A socket it is told to be an engine's.
    pub control_socket: &'a Path,
    /// File that its lines are added to.
    pub evidence: Option<&'a Path>,
    /// Where it is told to pin, in the run's own mount namespace.
    pub pins: Option<&'a Path>,
    /// What its process does before, where it does not run in the host's mount namespace.
    pub prepare: Option<Prepare>,
    /// How long it may take until it is ready.
    pub limit: Duration,
}

/// What a process does between its start in the run's own mount namespace and its program: system calls only, on what was
/// made before.
#[derive(Clone)]
pub struct Prepare(Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl std::fmt::Debug for Prepare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepare")
    }
}

impl Prepare {
    /// Of these calls.
    pub fn new(calls: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(calls))
    }

    /// Has a command do them first.
    #[expect(unsafe_code, reason = "pre_exec")]
    pub(crate) fn before(&self, command: &mut Command) {
        let Self(calls) = self.clone();
        // SAFETY: by the type's own contract nothing but system calls is done.
        unsafe {
            command.pre_exec(move || calls());
        }
    }
}

/// A running daemon; killed when it goes.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
    programs: BTreeSet<u64>,
    /// How long its end may take: each trampoline goes by itself.
    end: Duration,
    /// What it has written.
    pub store: Store,
}

/// A daemon, or the reason why this machine cannot have that rung.
#[derive(Debug)]
pub enum Started {
    /// It is ready.
    Ready(Box<Daemon>),
    /// It said why not.
    Impossible(String),
}

impl Daemon {
    /// Starts it in the host's mount namespace and waits until it says that it is ready.
    ///
    /// # Errors
    /// It ends or is silent until the deadline.
    pub fn start(plan: &Plan<'_>, mounts: &Arc<HostMounts>) -> anyhow::Result<Started> {
        let log = plan.work.join(format!("daemon-{}.log", plan.rung.name()));
        let mut command = Command::new(plan.program);
        command.args(["run", "--format", "json", "--events", plan.events, "--node", "test"]);
        command.arg("--socket").arg(plan.work.join("b.sock"));
        command.args(["--rung", plan.rung.name()]);
        // As in a pod; the address is one for documentation (RFC 5737).
        command.envs([("KUBERNETES_SERVICE_HOST", "192.0.2.7"), ("KUBERNETES_SERVICE_PORT", "6443")]);
        command.args(plan.words);
        command.arg("--control-socket").arg(plan.control_socket);
        for rule in plan.disabled {
            command.args(["--disable-rule", rule]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        process::die_with_parent(&mut command);
        match plan.pins {
            None => match &plan.prepare {
                Some(prepare) => prepare.before(&mut command),
                None => on_host(&mut command, mounts),
            },
            Some(folder) => {
                let mut pin = std::ffi::OsString::from("--pin=");
                pin.push(folder);
                command.arg(pin);
            }
        }
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", plan.program.display()))?;
        let store = Store::of(child.id());
        let output = child.stdout.take().context("standard output is piped")?;
        let evidence = match plan.evidence {
            Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        let reader = Some(listen(output, store.clone(), evidence));
        let mut daemon = Self { child, reader, log, programs: BTreeSet::new(), end: plan.limit / 2, store };

        let ready = daemon.store.wait_for(plan.limit, |r| r.class() == "status" && r.status() == "ready")?;
        if ready.is_none() {
            // Output that has ended is of a process that is ending.
            let status = process::wait(&mut daemon.child, Duration::from_secs(1))?;
            let said = daemon.last_words();
            bail!(
                "the daemon is not ready ({}): {said}",
                status.map_or("still running".to_owned(), |s| s.to_string())
            );
        }
        if plan.rung == Rung::Trampoline
            && let Some(why) = daemon.lacks_trampolines()
        {
            return Ok(Started::Impossible(why));
        }
        daemon.programs = programs_of(daemon.child.id());
        Ok(Started::Ready(Box::new(daemon)))
    }

    /// Why no sensor got this rung, if none did.
    fn lacks_trampolines(&self) -> Option<String> {
        let records = self.store.all();
        let coverage: Vec<_> =
            records.iter().filter(|r| r.status() == "coverage").flat_map(Record::coverage).collect();
        let is_trampoline =
            |rung: &str| rung == "trampoline" || rung.starts_with("fentry") || rung.starts_with("fexit");
        let some = coverage.iter().any(|(_, rung, _)| rung.as_deref().is_some_and(is_trampoline));
        if some || coverage.is_empty() {
            return None;
        }
        let without = coverage.into_iter().find(|(_, rung, _)| rung.is_none());
        Some(
            without.map_or("no sensor has a trampoline".to_owned(), |(sensor, _, why)| {
                format!("{sensor}: {why}")
            }),
        )
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" | ")
    }

    /// True while it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it, as the kernel does when memory is short. Gives the programs that it held.
    ///
    /// # Errors
    /// It had ended before.
    pub fn kill(mut self) -> anyhow::Result<BTreeSet<u64>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the daemon ended by itself with {status}: {}", self.last_words());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::take(&mut self.programs))
    }

    /// Stops it where it is.
    pub fn freeze(&self) {
        process::signal(&self.child, Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        process::signal(&self.child, Signal::CONT);
    }

    /// Ends it as Ctrl-C does, and looks that nothing of it stays in the kernel.
    ///
    /// # Errors
    /// It ends badly, late, or leaves programs.
    pub fn stop(mut self) -> anyhow::Result<Store> {
        self.interrupt()?;
        programs_go(&self.programs)?;
        Ok(self.store.clone())
    }

    /// The same for one whose programs are pinned, and stay.
    ///
    /// # Errors
    /// It ends badly or late.
    pub fn stop_pinned(mut self) -> anyhow::Result<Store> {
        self.interrupt()?;
        Ok(self.store.clone())
    }

    fn interrupt(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the daemon ended by itself with {status}: {}", self.last_words());
        }
        process::signal(&self.child, Signal::INT);
        let status = process::wait(&mut self.child, self.end)?;
        let status =
            status.with_context(|| format!("the daemon does not end within {:?} of SIGINT", self.end))?;
        ensure!(status.success(), "the daemon ended with {status}: {}", self.last_words());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn listen(
    output: impl std::io::Read + Send + 'static,
    store: Store,
    mut evidence: Option<File>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        // What is measured is when the daemon wrote a line, not when this thread got its turn. Root may.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -15);
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if let Some(file) = &mut evidence {
                let _ = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
            }
            store.take(&String::from_utf8_lossy(&line));
        }
        store.end();
    })
}

/// Ids of the BPF programs that a process holds, by its descriptors.
fn programs_of(pid: u32) -> BTreeSet<u64> {
    let mut programs = BTreeSet::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return programs };
    for entry in entries.flatten() {
        let mut text = String::new();
        let read = File::open(entry.path()).and_then(|mut file| file.read_to_string(&mut text));
        if read.is_ok() {
            let ids = text.lines().filter_map(|line| line.strip_prefix("prog_id:"));
            programs.extend(ids.filter_map(|id| id.trim().parse::<u64>().ok()));
        }
    }
    programs
}

/// Waits until these programs are gone: the kernel frees them a moment after the last descriptor is closed.
///
/// # Errors
/// They stay.
pub fn programs_go(ours: &BTreeSet<u64>) -> anyhow::Result<()> {
    // A trampoline is gone a tenth of a second after it was asked to, one after the other.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let left: Vec<&u64> = ours.iter().filter(|id| is_program(**id)).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "programs {left:?} of the daemon are still in the kernel");
        thread::yield_now();
    }
}

/// True if the kernel has a program of this id: `BPF_PROG_GET_FD_BY_ID`, kernel `include/uapi/linux/bpf.h`.
#[expect(unsafe_code, reason = "bpf(2)")]
fn is_program(id: u64) -> bool {
    const PROG_GET_FD_BY_ID: libc::c_long = 13;
    // `prog_id`, `next_id`, `open_flags`, and nothing.
    let attr = [id, 0_u64];
    // SAFETY: the attribute outlives the call, and the size given is its own.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_GET_FD_BY_ID, attr.as_ptr(), size_of_val(&attr)) };
    let Ok(fd) = i32::try_from(fd) else { return false };
    if fd < 0 {
        return std::io::Error::last_os_error().raw_os_error() != Some(libc::ENOENT);
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    true
}
