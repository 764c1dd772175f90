//! The verb `demo`: the real daemon on this host, and a throwaway container that breaks out before its eyes.
//!
//! Nothing in it does harm: what is joined, opened and connected to belongs to the demo or is only looked at, what is
//! mounted is an empty tmpfs in the container's own mount namespace, and all of it is gone at the end.

mod session;
mod steps;
mod summary;
mod tail;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::build;
use crate::flags::{BuildFlags, SetupFlags};
use crate::live::child::Guarded;
use crate::live::daemon::{Daemon, Output};
use crate::live::folder::Folder;
use crate::live::oci::{Grant, Oci};
use crate::live::{self, stop};
use crate::project::Project;
use crate::say;
use crate::setup;
use crate::vm;
use session::Session;
use steps::Step;
use summary::Summary;
use tail::Tail;

/// How long a record may take.
const RECORD: Duration = Duration::from_secs(10);

/// Runs the verb.
pub(crate) fn run(project: &Project) -> anyhow::Result<ExitCode> {
    if !live::is_root("demo") {
        return Ok(ExitCode::from(3));
    }
    setup::run(project, &SetupFlags { no_vm: true, no_engines: false })?;
    build::run(project, &BuildFlags { release: true })?;
    say::step("building the program that breaks out");
    let actor = vm::linked_statically(project, &["actor"])?.pop().context("the actor was not built")?;

    stop::listen();
    let began = Instant::now();
    let missing = show(&project.target.join("release/bulkhead"), &actor)?;
    say::step(format!("took {:.1} s; container, daemon and files are gone", began.elapsed().as_secs_f32()));
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say::result(format!("MISSING: no finding of {}", missing.join(", ")));
    Ok(ExitCode::FAILURE)
}

/// The demo itself; gives the rules that should have spoken and did not.
fn show(bulkhead: &Path, actor: &Path) -> anyhow::Result<Vec<String>> {
    let folder = Folder::make("bulkhead-demo")?;
    // Twelve characters: the tail shows no more of an id.
    let name = format!("demo-{}", std::process::id());
    let oci = Oci::make(&folder, &[(actor, "actor")])?;
    let (_listener, control) = control_socket(&folder)?;
    let mut outside = Command::new(actor);
    let outside = Guarded::spawn(outside.arg("wait").stdin(Stdio::null()), Signal::TERM)?;

    announce("start the daemon: bulkhead run");
    let (socket, runtime) = (control.to_string_lossy(), oci.program.to_string_lossy());
    let args = ["--events", "none", "--control-socket", &socket, "--runtime", &runtime];
    let mut daemon = Daemon::start(bulkhead, &folder, Output::Here, &args)?;
    announce(format!(
        "it is ready after {:.2} s; follow it: bulkhead tail",
        daemon.ready_after.as_secs_f64()
    ));
    let tail = Tail::start(bulkhead, &daemon.socket, &name)?;
    tail.until(RECORD, &["status", "ready:"])?;

    let runtime = oci.program.file_name().unwrap_or_default().display();
    announce(format!("start a throwaway container with {runtime}: {name}"));
    let grant = Grant {
        argv: vec!["/actor".into(), "session".into()],
        capabilities: vec!["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"],
        host_pid: true,
        binds: vec![(folder.join("ctl"), steps::CONTROL_FOLDER)],
    };
    let container = oci.container(name.clone(), &grant)?;
    let mut session = Session::start(&container, &folder)?;
    tail.until(RECORD, &["container", "entered"])?;
    tail.until(RECORD, &["exec", "session"])?;

    let mut summary = Summary::default();
    let mut missing = Vec::new();
    let steps = steps::all(outside.pid());
    for (at, step) in steps.iter().enumerate() {
        announce(format!("{}/{}: {}", at + 1, steps.len(), step.about));
        session.act(&step.act, &folder)?;
        if let Err(error) = seen(step, &mut daemon, &tail, &mut summary, &name) {
            stop::check()?;
            say::note(format!("{error:#}"));
            missing.push(format!("{} ({})", step.rule, step.about));
        }
    }
    announce("the container ends, the daemon is interrupted");
    session.end()?;
    drop(container);
    tail.until(RECORD, &["container", "gone"])?;
    for record in daemon.stop()? {
        summary.take(&record, &name);
    }
    tail.rest(RECORD)?;
    say::result("");
    summary.lines().iter().for_each(say::result);
    Ok(missing)
}

/// Waits for the finding in the daemon's records, then for the tail to show it and the end of the act.
fn seen(
    step: &Step,
    daemon: &mut Daemon,
    tail: &Tail,
    summary: &mut Summary,
    container: &str,
) -> anyhow::Result<()> {
    if !summary.has(step.rule) {
        daemon.wait_for(RECORD, &format!("finding of {}", step.rule), |record| {
            summary.take(record, container) && summary.has(step.rule)
        })?;
    }
    tail.until(RECORD, &[step.rule])?;
    tail.until(RECORD, &["exit"])
}

fn announce(what: impl std::fmt::Display) {
    let (on, off) = if tail::in_colour() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    say::result(format!("{on}── {what}{off}"));
}

/// A socket that the daemon is told to be an engine's; nobody answers on it.
fn control_socket(folder: &Folder) -> anyhow::Result<(UnixListener, PathBuf)> {
    let at = folder.join("ctl");
    fs::create_dir(&at)?;
    let path = at.join(steps::CONTROL_SOCKET);
    let Ok(listener) = UnixListener::bind(&path) else {
        bail!("cannot make a socket at {}", path.display());
    };
    Ok((listener, path))
}
