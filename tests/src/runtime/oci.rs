//! What runc and crun have in common: bundles and a command line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
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
    /// Leaves to others what runc and crun do beside the specification.
    bare: bool,
    live: Vec<Container>,
}

impl Oci {
    pub(super) fn open(env: Rc<Env>, program: PathBuf, view: View) -> anyhow::Result<Self> {
        let name = program.file_name().unwrap_or_default().to_owned();
        let root = env.work.join(name);
        fs::create_dir_all(&root)?;
        Ok(Self { env, program, root, view, bare: false, live: Vec::new() })
    }

    /// For a runtime that brings no loopback up, removes no cgroup below a container's own, and waits for good for a
    /// container that ends before it waits.
    pub(super) fn bare(mut self) -> Self {
        self.bare = true;
        self
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
            hook(&mut config, BEFORE, "cp", &[&from, &to])?;
        }
        if spec.setup.unbundled {
            hook(&mut config, BEFORE, "rm", &[&at.join("config.json")])?;
        }
        if self.bare && !spec.setup.host_net {
            let words = ["ip", "link", "set", "lo", "up"].map(Path::new);
            hook(&mut config, WITHIN, "busybox", &words)?;
        }
        fs::write(at.join("config.json"), config.to_string())?;
        Ok(at)
    }

    pub(super) fn prepare(&self, spec: &Spec<'_>, detach: bool) -> anyhow::Result<(Container, Command)> {
        let bundle = self.bundle(spec)?;
        let mut command = self.command()?;
        command.arg("run");
        if detach {
            command.arg("--detach");
        } else if self.bare {
            keep_end_of_child(&mut command);
        }
        command.arg("--bundle").arg(bundle).arg(spec.name);
        let name = spec.name.to_owned();
        let container = Container {
            id: name.clone(),
            cgroup: name.clone(),
            name,
            user: spec.setup.user,
            rootless: false,
        };
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

/// Once the runtime has read the configuration.
const BEFORE: &str = "createRuntime";
/// In the container's namespaces, before its root file system is its root.
const WITHIN: &str = "createContainer";

/// Has the runtime run a program of the host at some point.
fn hook(config: &mut Value, point: &str, program: &str, words: &[&Path]) -> anyhow::Result<()> {
    let path = host::program(program, None).with_context(|| format!("{program} is not installed"))?;
    let words = words.iter().map(|word| word.display().to_string());
    let args: Vec<String> = std::iter::once(program.to_owned()).chain(words).collect();
    config["hooks"][point] = json!([{ "path": path, "args": args }]);
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

/// The signal of a child's end stays until the runtime asks for it.
#[expect(unsafe_code, reason = "pre_exec")]
fn keep_end_of_child(command: &mut Command) {
    // SAFETY: a set of signals is plain data, and both calls only write to this one.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        set
    };
    let block = move || {
        // SAFETY: the set lives in the closure, and the old one is not asked for.
        match unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: only one system call is made.
    unsafe {
        command.pre_exec(block);
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
        if self.bare {
            let mut kill = self.command()?;
            // It may have ended by itself.
            let _ = process::output(kill.args(["kill", "--all", &container.name, "KILL"]), self.env.limit)?;
            self.env.branch.remove_below(&container.cgroup);
        }
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
