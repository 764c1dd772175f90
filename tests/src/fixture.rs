//! What scenarios reach for: namespaces of a host process, control sockets, files. All of it is the runner's own.

mod disk;

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::fs::{FileType, Mode};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::host::HostMounts;
use crate::process::Service;
use disk::Disk;

/// Namespaces that are bound to files.
const BOUND: [&str; 3] = ["uts", "ipc", "net"];
/// Sockets in the folder that containers are given: an engine's by name, an engine's by `--control-socket`, and none.
const SOCKETS: [&str; 3] = ["docker.sock", CONTROL, "service.sock"];
const CONTROL: &str = "harmless";
/// Socket where whoever connects is given a descriptor of a folder of the host.
const GIVER: &str = "giver";
/// The folder.
const GIVEN: &str = "/etc";

/// A mount that is shared, in the run's folder.
pub const SHARED: &str = "shared";

/// Name of an abstract socket at which the runner listens.
pub fn abstract_socket() -> String {
    format!("bulkhead-runner-{}", std::process::id())
}

/// Alive as long as scenarios run.
#[derive(Debug)]
pub struct Fixture {
    /// A process of the host that containers may look at.
    process: Service,
    _sockets: Vec<UnixListener>,
    /// A disk, where this machine can make one.
    pub disk: Option<Disk>,
    /// The socket that the daemon is told to be a control socket.
    pub control_socket: PathBuf,
}

/// Makes `command` start in the host's own mount namespace.
#[expect(unsafe_code, reason = "pre_exec")]
pub fn on_host(command: &mut Command, mounts: &Arc<HostMounts>) {
    let mounts = Arc::clone(mounts);
    // SAFETY: setns(2) is async-signal-safe, and the closure holds the descriptor.
    unsafe {
        command.pre_exec(move || mounts.enter());
    }
}

/// Gives each caller a descriptor of a folder, by a thread that ends with the runner.
fn give(listener: UnixListener) -> anyhow::Result<()> {
    let folder = fs::File::open(GIVEN)?;
    std::thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = [folder.as_fd()];
            control.push(SendAncillaryMessage::ScmRights(&fds));
            // A caller that is gone does not need it.
            let _ = rustix::net::sendmsg(&caller, &[IoSlice::new(b"x")], &mut control, SendFlags::NOSIGNAL);
        }
    });
    Ok(())
}

impl Fixture {
    /// Makes everything below `work`.
    ///
    /// # Errors
    /// The kernel or the file system refuses.
    pub fn make(work: &Path, actor: &Path, cgroups: &Path, mounts: &Arc<HostMounts>) -> anyhow::Result<Self> {
        let mut command = Command::new(actor);
        command.arg("wait");
        on_host(&mut command, mounts);
        let process = Service::start(&mut command, &work.join("host-process.log"))?;

        let namespaces = work.join("ns");
        fs::create_dir_all(&namespaces)?;
        for kind in BOUND {
            let file = namespaces.join(kind);
            fs::write(&file, "")?;
            let source = format!("/proc/{}/ns/{kind}", process.pid());
            rustix::mount::mount_bind(&source, &file).with_context(|| format!("cannot bind {source}"))?;
        }

        // By a path that every view of cgroups has.
        let branch = work.join("cg");
        fs::create_dir_all(&branch)?;
        rustix::mount::mount_bind(cgroups, &branch).context("cannot bind the branch of the cgroup tree")?;

        // Whatever is mounted below it can be passed on.
        let shared = work.join(SHARED);
        fs::create_dir_all(&shared)?;
        rustix::mount::mount_bind(&shared, &shared).context("cannot bind a folder to itself")?;
        rustix::mount::mount_change(&shared, rustix::mount::MountPropagationFlags::SHARED)?;

        let folder = work.join("ctl");
        fs::create_dir_all(&folder)?;
        let mut sockets = Vec::new();
        for name in SOCKETS {
            let path = folder.join(name);
            let _ = fs::remove_file(&path);
            sockets
                .push(UnixListener::bind(&path).with_context(|| format!("cannot bind {}", path.display()))?);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        let giver = UnixListener::bind(folder.join(GIVER))?;
        fs::set_permissions(folder.join(GIVER), fs::Permissions::from_mode(0o666))?;
        give(giver)?;

        // Opening it waits for its other end.
        let fifo = work.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        let name = UnixAddr::from_abstract_name(abstract_socket())?;
        sockets.push(UnixListener::bind_addr(&name).context("cannot bind the abstract socket")?);
        let disk = Disk::make(work)?;
        Ok(Self { process, disk, _sockets: sockets, control_socket: folder.join(CONTROL) })
    }

    /// Process id of the host process.
    pub fn host_process(&self) -> u32 {
        self.process.pid()
    }
}

/// The folder for everything, with an end to all mounts below it before it is removed.
#[derive(Debug)]
pub struct Folder(Option<tempfile::TempDir>, PathBuf);

impl Folder {
    /// Makes it, below `asked` or where temporary files are.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(asked: Option<&Path>) -> anyhow::Result<Self> {
        let prefix = format!("run-{}-", std::process::id());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).rand_bytes(3);
        let folder = match asked {
            Some(at) => {
                fs::create_dir_all(at).with_context(|| format!("cannot make {}", at.display()))?;
                builder.tempdir_in(fs::canonicalize(at)?)
            }
            None => builder.tempdir(),
        }
        .context("cannot make a folder for the run")?;
        // A container's user has to get through to what is mounted from here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let path = folder.path().to_owned();
        Ok(Self(Some(folder), path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.1
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Engines leave mounts of their own in their storage; all are in our mount namespace.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        let ours: Vec<&Path> = points.filter(|point| point.starts_with(&self.1)).collect();
        for point in ours.into_iter().rev() {
            let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
        }
        if let Some(folder) = self.0.take()
            && let Err(error) = folder.close()
        {
            crate::tally::say(&format!("note: {} is left: {error}", self.1.display()));
        }
    }
}
