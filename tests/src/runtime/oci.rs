//! What runc and crun have in common: bundles and a command line.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;
use rustix::mount::MountFlags;
use rustix::thread::UnshareFlags;
use serde_json::{Value, json};

use super::{Container, Env, Runtime, Spec};
use crate::bundle;
use crate::host;
use crate::process;

/// What the runtime sees of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// What is there.
    Host,
    /// Our branch as the root of a version 2 layout.
    Branch,
}

/// An OCI runtime that is called directly.
#[derive(Debug)]
pub(super) struct Oci {
    env: Rc<Env>,
    program: PathBuf,
    root: PathBuf,
    view: View,
    live: Vec<Container>,
}

impl Oci {
    pub(super) fn open(env: Rc<Env>, program: PathBuf, view: View) -> anyhow::Result<Self> {
        let name = program.file_name().unwrap_or_default().to_owned();
        let root = env.work.join(name);
        fs::create_dir_all(&root)?;
        Ok(Self { env, program, root, view, live: Vec::new() })
    }

    pub(super) fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root.join("state"));
        if self.view == View::Branch {
            let procs = self.env.branch.home.join("cgroup.procs");
            see_branch(&mut command, OpenOptions::new().write(true).open(procs)?);
        }
        Ok(command)
    }

    pub(super) fn bundle(&self, spec: &Spec<'_>) -> anyhow::Result<PathBuf> {
        let at = self.root.join(spec.name);
        fs::create_dir_all(&at)?;
        let cgroup = match self.view {
            View::Host => format!("/{}/{}", self.env.branch.name, spec.name),
            View::Branch => format!("/{}", spec.name),
        };
        let mut config = bundle::config(&self.env, spec, &cgroup);
        // A program for devices takes locked memory, and crun asks for more than this machine's limit lets it have.
        if self.view == View::Branch
            && !spec.setup.devices
            && let Some(linux) = config["linux"].as_object_mut()
        {
            linux.remove("resources");
        }
        if let Some(change) = spec.setup.altered {
            let (to, from) = (at.join("config.json"), at.join("altered.json"));
            let mut altered = config.clone();
            change(&mut altered, &self.env.work.display().to_string());
            fs::write(&from, altered.to_string())?;
            hook(&mut config, "cp", &[&from, &to])?;
        }
        if spec.setup.unbundled {
            hook(&mut config, "rm", &[&at.join("config.json")])?;
        }
        fs::write(at.join("config.json"), config.to_string())?;
        Ok(at)
    }

    fn prepare(&self, spec: &Spec<'_>, detach: bool) -> anyhow::Result<(Container, Command)> {
        let bundle = self.bundle(spec)?;
        let mut command = self.command()?;
        command.arg("run");
        if detach {
            command.arg("--detach");
        }
        command.arg("--bundle").arg(bundle).arg(spec.name);
        let name = spec.name.to_owned();
        let container = Container { id: name.clone(), cgroup: name.clone(), name, user: spec.setup.user };
        Ok((container, command))
    }

    fn run(&mut self, spec: &Spec<'_>, detach: bool) -> anyhow::Result<(Container, String)> {
        let (container, mut command) = self.prepare(spec, detach)?;
        // Before it runs: what fails half-way is removed too.
        self.live.push(container.clone());
        let said = process::run(&mut command, self.env.limit)?;
        Ok((container, said))
    }
}

/// Has the runtime run a program of the host once it has read the configuration.
fn hook(config: &mut Value, program: &str, files: &[&Path]) -> anyhow::Result<()> {
    let path = host::program(program, None).with_context(|| format!("{program} is not installed"))?;
    let words = files.iter().map(|file| file.display().to_string());
    let args: Vec<String> = std::iter::once(program.to_owned()).chain(words).collect();
    config["hooks"] = json!({ "createRuntime": [{ "path": path, "args": args }] });
    Ok(())
}

/// The process moves to our branch before it becomes the runtime, makes that the root of its view, and shows
/// itself version 2 alone.
#[expect(unsafe_code, reason = "pre_exec")]
fn see_branch(command: &mut Command, procs: File) {
    let enter = move || {
        (&procs).write_all(b"0")?;
        // SAFETY: the new process has one thread, and is to share nothing.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP | UnshareFlags::NEWNS) }?;
        rustix::mount::mount(c"cgroup2", c"/sys/fs/cgroup", c"cgroup2", MountFlags::empty(), None)?;
        Ok(())
    };
    // SAFETY: only system calls are made, with strings that are there already.
    unsafe {
        command.pre_exec(enter);
    }
}

impl Runtime for Oci {
    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.run(spec, true)?.0)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let done = self.run(spec, false)?;
        self.live.retain(|live| live.name != spec.name);
        Ok(done)
    }

    fn launch(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, Command)> {
        self.prepare(spec, false)
    }

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        let mut command = self.command()?;
        // crun does not take the user from the container's configuration.
        command.arg("exec").arg("--user").arg(format!("{0}:{0}", container.user));
        command.arg(&container.name).args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        self.live.retain(|live| live.name != container.name);
        let mut command = self.command()?;
        process::run(command.args(["delete", "--force", &container.name]), self.env.limit)?;
        Ok(())
    }
}

impl Drop for Oci {
    fn drop(&mut self) {
        for container in std::mem::take(&mut self.live) {
            // Without `process::run`, which gives up at once after a signal to the runner.
            if let Ok(mut command) = self.command() {
                let _ = command.args(["delete", "--force", &container.name]).output();
            }
        }
    }
}
