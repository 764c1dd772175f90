//! An engine that nobody named is found where engines usually listen, and asked who its containers are.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::thread::UnshareFlags;

use super::Stage;
use super::engines::{engine_of, is_engine, is_update};
use super::group::{Live, unique};
use crate::daemon::{Daemon, Plan, Prepare, Started};
use crate::record::Record;
use crate::runtime::{Kind, Runtime, USER};
use crate::scenario::{Rung, Setup};
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "engine_found";
/// Where engines have their sockets.
const RUN: &str = "/run";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    for kind in [Kind::Docker, Kind::PodmanRootless] {
        let usual = match kind {
            Kind::Docker => PathBuf::from("/run/docker.sock"),
            _ => PathBuf::from(format!("/run/user/{USER}/podman/podman.sock")),
        };
        if stage.flags.runtimes().contains(&kind) {
            stage.alone_with(kind, NAME, rung, tally, |runtime| stage.engine_found(rung, runtime, &usual))?;
        }
    }
    Ok(())
}

/// What a process does before it becomes the daemon: in a mount namespace of its own it puts another folder in the place of
/// `/run`, in which everything is where it was, and `socket` at `usual`, where such an engine has it.
#[expect(unsafe_code, reason = "unshare(2)")]
fn with_socket(work: &Path, socket: &Path, usual: &Path) -> anyhow::Result<Prepare> {
    let name = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes());
    let before = work.join("run-before");
    fs::create_dir_all(&before)?;
    let mut folders = Vec::new();
    for folder in usual.ancestors().skip(1).take_while(|folder| *folder != Path::new(RUN)) {
        folders.insert(0, name(folder)?);
    }
    let mut links = vec![(name(socket)?, name(usual)?)];
    for entry in fs::read_dir(RUN)? {
        let entry = entry?.file_name();
        let there = Path::new(RUN).join(&entry);
        // A folder of the same name has nothing of anybody else's.
        if !usual.starts_with(&there) {
            links.push((name(&before.join(&entry))?, name(&there)?));
        }
    }
    let before = name(&before)?;
    Ok(Prepare::new(move || {
        // SAFETY: the new process has one thread, and is to share nothing.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount_bind_recursive(c"/run", before.as_c_str())?;
        mount(c"tmpfs", c"/run", c"tmpfs", MountFlags::empty(), None)?;
        for folder in &folders {
            rustix::fs::mkdir(folder.as_c_str(), Mode::from_raw_mode(0o755))?;
        }
        for (target, link) in &links {
            rustix::fs::symlink(target.as_c_str(), link.as_c_str())?;
        }
        Ok::<(), io::Error>(())
    }))
}

impl Stage {
    fn engine_found(
        &self,
        rung: Rung,
        runtime: &mut dyn Runtime,
        usual: &Path,
    ) -> anyhow::Result<Option<String>> {
        if self.work.starts_with(RUN) {
            return Ok(Some(format!("the run's own folder is in {RUN}")));
        }
        let engine = engine_of(runtime)?;
        let setup = Setup::default();
        let older = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        let plan = Plan {
            pins: None,
            program: &self.flags.bulkhead,
            work: &self.work,
            rung,
            disabled: &[],
            events: "none",
            words: &[],
            control_socket: &self.fixture.control_socket,
            evidence: self.flags.evidence.as_deref(),
            limit: self.limits.ready,
            prepare: Some(with_socket(&self.work, &engine.socket, usual)?),
        };
        let daemon = match Daemon::start(&plan, &self.mounts)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let is_up = |r: &Record| is_engine(r, usual) && r.has_text("version");
        self.wait(&daemon.store, "engine that was found", is_up)?;
        let younger = Live::start_container(self, runtime, &setup, &format!("bhs-{}", unique()))?;
        for container in [&older, &younger] {
            // Names and images are in no file that the daemon reads.
            let is_named = |r: &Record| is_update(r, container) && r.container_text("image_id").is_some();
            let named = self.wait(&daemon.store, "name", is_named).context("by the engine that was found")?;
            ensure!(
                named.container_text("name") == Some(container.name.as_str())
                    && named.container_text("image") == Some(engine.image),
                "{}",
                named.line()
            );
        }
        for container in [&older, &younger] {
            runtime.stop(container)?;
        }
        daemon.stop()?;
        Ok(None)
    }
}
