//! What runc and crun have in common: bundles and a command line.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

use anyhow::Context as _;

use super::{Container, Env, Runtime, Spec};
use crate::bundle;
use crate::process;

/// How containers get their cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placing {
    /// The runtime makes it.
    ByRuntime,
    /// The runtime is started in it, and leaves cgroups alone.
    ByCaller,
}

/// An OCI runtime that is called directly.
#[derive(Debug)]
pub(super) struct Oci {
    env: Rc<Env>,
    program: PathBuf,
    root: PathBuf,
    placing: Placing,
    live: Vec<Container>,
}

impl Oci {
    pub(super) fn open(env: Rc<Env>, program: PathBuf, placing: Placing) -> anyhow::Result<Self> {
        let name = program.file_name().unwrap_or_default().to_owned();
        let root = env.work.join(name);
        fs::create_dir_all(&root)?;
        Ok(Self { env, program, root, placing, live: Vec::new() })
    }

    fn command(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root.join("state"));
        if self.placing == Placing::ByCaller {
            command.arg("--cgroup-manager=disabled");
            let home = self.env.branch.home.join(name);
            if let Err(error) = fs::create_dir(&home)
                && error.kind() != std::io::ErrorKind::AlreadyExists
            {
                return Err(error).context("cannot make a cgroup");
            }
            let procs = OpenOptions::new().write(true).open(home.join("cgroup.procs"))?;
            move_into(&mut command, procs);
        }
        Ok(command)
    }

    fn bundle(&self, spec: &Spec<'_>) -> anyhow::Result<PathBuf> {
        let at = self.root.join(spec.name);
        fs::create_dir_all(&at)?;
        let cgroup = format!("/{}/{}", self.env.branch.name, spec.name);
        let config = bundle::config(&self.env, spec, &cgroup);
        fs::write(at.join("config.json"), config.to_string())?;
        Ok(at)
    }

    fn run(&mut self, spec: &Spec<'_>, detach: bool) -> anyhow::Result<(Container, String)> {
        let bundle = self.bundle(spec)?;
        let mut command = self.command(spec.name)?;
        command.arg("run");
        if detach {
            command.arg("--detach");
        }
        command.arg("--bundle").arg(bundle).arg(spec.name);
        let cgroup = (self.placing == Placing::ByRuntime).then(|| spec.name.to_owned());
        let container = Container { name: spec.name.to_owned(), id: spec.name.to_owned(), cgroup };
        // Before it runs: what fails half-way is removed too.
        self.live.push(container.clone());
        let said = process::run(&mut command, self.env.limit)?;
        Ok((container, said))
    }
}

/// The process moves itself before it becomes the runtime.
#[expect(unsafe_code, reason = "pre_exec")]
fn move_into(command: &mut Command, procs: File) {
    // SAFETY: only write(2) is called, on a descriptor that the closure owns.
    unsafe {
        command.pre_exec(move || (&procs).write_all(b"0"));
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

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        let mut command = self.command(&container.name)?;
        command.arg("exec").arg(&container.name).args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        self.live.retain(|live| live.name != container.name);
        let mut command = self.command(&container.name)?;
        process::run(command.args(["delete", "--force", &container.name]), self.env.limit)?;
        Ok(())
    }
}

impl Drop for Oci {
    fn drop(&mut self) {
        for container in std::mem::take(&mut self.live) {
            // Without `process::run`, which gives up at once after a signal to the runner.
            if let Ok(mut command) = self.command(&container.name) {
                let _ = command.args(["delete", "--force", &container.name]).output();
            }
        }
    }
}
