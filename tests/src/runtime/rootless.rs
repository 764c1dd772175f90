//! Podman as a user without root, with a home, a runtime directory and a branch of cgroups of that user's own. The user
//! exists in the mount namespace of what is run as him, and nowhere else.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::docker::run_args;
use super::podman::IMAGE;
use super::{Container, Engine, Env, Runtime, Spec, image, need};
use crate::process::{self, Service};

/// His number. Nobody of the machine's own has it: distributions give out lower ones, and systemd higher ones.
pub const USER: u32 = 60_123;
/// First of the numbers that his containers' users have, and how many there are.
const SUBORDINATES: (u32, u32) = (1_000_000, 65_536);
/// Files of the machine that name users, and what is added to them in his mount namespace.
const FILES: [(&str, &str); 4] = [
    ("passwd", "bulkhead:x:60123:60123::@HOME@:/bin/sh\n"),
    ("group", "bulkhead:x:60123:\n"),
    ("subuid", "bulkhead:@SUBORDINATES@\n"),
    ("subgid", "bulkhead:@SUBORDINATES@\n"),
];
/// Where his containers' cgroups are, in his view.
const PARENT: &str = "/containers";

/// As for Podman as root; he may raise no limit, and has no other session than this one.
const CONFIGURATION: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
pids_limit = 0
log_driver = "k8s-file"
[network]
network_backend = "netavark"
[engine]
runtime = "@RUNTIME@"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"#;
const STORAGE: &str = "[storage]\ndriver = \"overlay\"\n";

/// The number that a user of his containers has on the machine.
pub fn on_host(user: i64) -> i64 {
    match user {
        0 => USER.into(),
        _ => i64::from(SUBORDINATES.0) + user - 1,
    }
}

/// What of cgroups is his.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// A branch of version 2, as a login with systemd is given: each container has a cgroup of its own.
    Delegated,
    /// None: containers stay in the cgroup that he is in, as they do with version 1.
    Callers,
}

#[derive(Debug)]
pub(super) struct Rootless {
    env: Rc<Env>,
    program: PathBuf,
    folder: PathBuf,
    cgroups: Cgroups,
    /// His cgroup.
    branch: PathBuf,
    /// The cgroup namespace that has it as its root, where it is his.
    view: Option<File>,
    live: Vec<String>,
    service: Option<Service>,
    /// Files of the machine that were missing, and have nothing in them.
    made: Vec<PathBuf>,
}

impl Rootless {
    pub(super) fn open(env: Rc<Env>, cgroups: Cgroups) -> anyhow::Result<Self> {
        // crun makes no cgroups beside those of version 1, and says so.
        let (name, runtime) = match cgroups {
            Cgroups::Delegated => ("rootless", "crun"),
            Cgroups::Callers => ("rootless-callers", "runc"),
        };
        let (folder, branch) = (env.work.join(name), env.branch.home.join(name));
        fs::create_dir_all(&folder)?;
        let mut own = fs::DirBuilder::new();
        own.mode(0o700);
        for name in ["home", "run"] {
            own.create(folder.join(name))?;
            chown(folder.join(name), Some(USER), Some(USER))?;
        }
        let home = folder.join("home").display().to_string();
        let subordinates = format!("{}:{}", SUBORDINATES.0, SUBORDINATES.1);
        for (name, more) in FILES {
            let known = fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
            let more = more.replace("@HOME@", &home).replace("@SUBORDINATES@", &subordinates);
            fs::write(folder.join(name), format!("{known}{more}"))?;
        }
        fs::write(folder.join("containers.conf"), CONFIGURATION.replace("@RUNTIME@", runtime))?;
        fs::write(folder.join("storage.conf"), STORAGE)?;
        fs::create_dir(&branch).with_context(|| format!("cannot make {}", branch.display()))?;
        let mut view = None;
        if cgroups == Cgroups::Delegated {
            fs::create_dir(branch.join("login"))?;
            for place in [branch.clone(), branch.join("login")] {
                delegate(&place)?;
            }
            view = Some(view_from(&branch)?);
        }
        let program = need("podman")?;
        // What is missing cannot be mounted over.
        let mut made = Vec::new();
        for place in FILES.map(|(name, _)| Path::new("/etc").join(name)) {
            if !place.exists() {
                File::create_new(&place)?;
                made.push(place);
            }
        }
        let mut podman =
            Self { env, program, folder, cgroups, branch, view, live: Vec::new(), service: None, made };
        let image = image(&podman.env)?;
        fs::set_permissions(&image, fs::Permissions::from_mode(0o644))?;
        let mut import = podman.command()?;
        process::run(import.arg("import").arg("--quiet").arg(image).arg(IMAGE), podman.env.limit)?;
        podman.service = Some(podman.serve()?);
        Ok(podman)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("run/podman/podman.sock")
    }

    fn serve(&self) -> anyhow::Result<Service> {
        let socket = self.socket();
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let mut command = self.command()?;
        command.args(["system", "service", "--time", "0"]);
        let mut service = Service::start(&mut command, &self.folder.join("log"))?;
        service.wait_until(self.env.limit, || UnixStream::connect(&socket).is_ok())?;
        Ok(service)
    }

    /// Podman's, as him.
    fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.folder.join("home")).env("XDG_RUNTIME_DIR", self.folder.join("run"));
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"));
        command.env("TMPDIR", self.folder.join("run"));
        command.current_dir(self.folder.join("home")).arg("--cgroup-manager=cgroupfs");
        become_user(&mut command, &self.folder, &self.branch, self.view.as_ref())?;
        Ok(command)
    }

    fn run(&mut self, spec: &Spec<'_>, how: &str) -> anyhow::Result<(Container, String)> {
        let mut command = self.command()?;
        let id = self.folder.join(format!("home/id-{}", spec.name));
        command.args(["run", how]).arg("--cidfile").arg(&id);
        let parent = (self.cgroups == Cgroups::Delegated).then_some(PARENT);
        run_args(&mut command, parent, spec);
        command.arg(IMAGE).args(spec.argv);
        self.live.push(spec.name.to_owned());
        let said = process::run(&mut command, self.env.limit)?;
        let id = fs::read_to_string(id)?.trim().to_owned();
        let cgroup = match self.cgroups {
            Cgroups::Delegated => format!("rootless{PARENT}/libpod-{id}"),
            Cgroups::Callers => "rootless-callers".to_owned(),
        };
        Ok((
            Container { name: spec.name.to_owned(), id, cgroup, user: spec.setup.user, rootless: true },
            said,
        ))
    }
}

/// Why this machine lets no user make a user namespace, if it does not.
pub(super) fn refused() -> Option<String> {
    let closed = [
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ];
    let is_closed = |(file, no): &(&str, &str)| fs::read_to_string(file).is_ok_and(|text| text.trim() == *no);
    closed
        .into_iter()
        .find(is_closed)
        .map(|(file, no)| format!("no user namespaces for users: {file} is {no}"))
}

/// Gives a cgroup to the user, as systemd does.
fn delegate(cgroup: &Path) -> anyhow::Result<()> {
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        chown(cgroup.join(name), Some(USER), Some(USER))
            .with_context(|| format!("cannot give {} away", cgroup.join(name).display()))?;
    }
    Ok(())
}

/// A cgroup namespace with this cgroup as its root. It is made before there is anything in the cgroup: once controllers are
/// handed down from it, no process may be in it (cgroups(7), "no internal processes").
#[expect(unsafe_code, reason = "pre_exec")]
fn view_from(cgroup: &Path) -> anyhow::Result<File> {
    let inside = OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?;
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let enter = move || {
        (&inside).write_all(b"0")?;
        // SAFETY: the new process has one thread, and is to share nothing.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }?;
        Ok(())
    };
    // SAFETY: only system calls are made, with a file that is open already.
    unsafe {
        command.pre_exec(enter);
    }
    let mut holder = command.spawn().context("cannot start cat")?;
    let view = File::open(format!("/proc/{}/ns/cgroup", holder.id()));
    // It ends with its input.
    drop(holder.stdin.take());
    holder.wait()?;
    Ok(view?)
}

/// The process goes to the user's cgroup, to a mount namespace in which the machine knows him, and becomes him. Where
/// cgroups are delegated, his branch is the root of all that it sees: Podman would otherwise see one of version 1.
#[expect(unsafe_code, reason = "pre_exec")]
fn become_user(
    command: &mut Command,
    folder: &Path,
    branch: &Path,
    view: Option<&File>,
) -> anyhow::Result<()> {
    let cgroup = if view.is_some() { branch.join("login") } else { branch.to_owned() };
    let cgroup = OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?;
    let view = view.map(File::try_clone).transpose()?;
    let mut binds = Vec::new();
    for (name, _) in FILES {
        let c = |path: &Path| CString::new(path.as_os_str().as_bytes());
        binds.push((c(&folder.join(name))?, c(&Path::new("/etc").join(name))?));
    }
    let enter = move || {
        (&cgroup).write_all(b"0")?;
        // SAFETY: the new process has one thread, and is to share nothing.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        rustix::mount::mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        if let Some(view) = &view {
            rustix::thread::move_into_link_name_space(view.as_fd(), Some(LinkNameSpaceType::ControlGroup))?;
            // Between the two: a file system is not mounted over itself.
            rustix::mount::mount(c"tmpfs", c"/sys/fs/cgroup", c"tmpfs", MountFlags::empty(), None)?;
            rustix::mount::mount(c"cgroup2", c"/sys/fs/cgroup", c"cgroup2", MountFlags::empty(), None)?;
        }
        for (from, to) in &binds {
            rustix::mount::mount_bind(from.as_c_str(), to.as_c_str())?;
        }
        give_up_root()
    };
    // SAFETY: only system calls are made, with strings and files that are there already.
    unsafe {
        command.pre_exec(enter);
    }
    Ok(())
}

/// Becomes the user for good.
#[expect(unsafe_code, reason = "setresuid(2) for a process, of which there is but one thread")]
fn give_up_root() -> io::Result<()> {
    let check = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: no pointer is read, as there are no groups.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: numbers go in, and a status comes back.
    check(unsafe { libc::setresgid(USER, USER, USER) })?;
    // SAFETY: the same.
    check(unsafe { libc::setresuid(USER, USER, USER) })
}

impl Runtime for Rootless {
    fn engine(&self) -> Option<Engine> {
        let client = self.command().ok()?;
        Some(Engine {
            kind: "podman",
            socket: self.socket(),
            image: IMAGE,
            client,
            parent: PARENT.to_owned(),
        })
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.service = None;
        self.service = Some(self.serve()?);
        Ok(())
    }

    fn start(&mut self, spec: &Spec<'_>) -> anyhow::Result<Container> {
        Ok(self.run(spec, "--detach")?.0)
    }

    fn run_once(&mut self, spec: &Spec<'_>) -> anyhow::Result<(Container, String)> {
        let done = self.run(spec, "--rm")?;
        self.live.retain(|live| live != spec.name);
        Ok(done)
    }

    fn exec(&mut self, container: &Container, argv: &[String]) -> anyhow::Result<Command> {
        let mut command = self.command()?;
        command.args(["exec", "--interactive", &container.id]).args(argv);
        Ok(command)
    }

    fn stop(&mut self, container: &Container) -> anyhow::Result<()> {
        self.live.retain(|live| *live != container.name);
        let mut command = self.command()?;
        process::run(command.args(["rm", "--force", "--time", "0", &container.id]), self.env.limit)?;
        Ok(())
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.live) {
            if let Ok(mut command) = self.command() {
                let _ = command.args(["rm", "--force", "--time", "0", &name]).output();
            }
        }
        self.service = None;
        // Podman leaves a process that holds his user namespace; all in his cgroup is his, and ours.
        let _ = fs::write(self.branch.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_to_string(self.branch.join("cgroup.events"))
            .is_ok_and(|events| events.contains("populated 1"))
            && Instant::now() < deadline
        {
            std::thread::yield_now();
        }
        crate::cgroups::remove_tree(&self.branch);
        let _ = fs::remove_dir_all(&self.folder);
        for file in self.made.iter().filter(|file| fs::metadata(file).is_ok_and(|file| file.len() == 0)) {
            let _ = fs::remove_file(file);
        }
    }
}
