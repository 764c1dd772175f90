//! What scenarios reach for: namespaces of a host process, control sockets, files. All of it is the runner's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::host::HostMounts;
use crate::process::Service;

/// Namespaces that are bound to files.
const BOUND: [&str; 3] = ["uts", "ipc", "net"];
/// Sockets in the folder that containers are given: an engine's by name, an engine's by `--control-socket`, and none.
const SOCKETS: [&str; 3] = ["docker.sock", CONTROL, "service.sock"];
const CONTROL: &str = "harmless";

/// Alive as long as scenarios run.
#[derive(Debug)]
pub struct Fixture {
    /// A process of the host that containers may look at.
    process: Service,
    _sockets: Vec<UnixListener>,
    /// The socket that the daemon is told to be a control socket.
    pub control_socket: PathBuf,
}

#[expect(unsafe_code, reason = "pre_exec")]
fn in_host_mounts(command: &mut Command, mounts: std::sync::Arc<HostMounts>) {
    // SAFETY: setns(2) is async-signal-safe, and the descriptor belongs to the closure.
    unsafe {
        command.pre_exec(move || mounts.enter());
    }
}

/// Starts `command` in the host's own mount namespace.
pub fn on_host(command: &mut Command, mounts: &std::sync::Arc<HostMounts>) {
    in_host_mounts(command, std::sync::Arc::clone(mounts));
}

impl Fixture {
    /// Makes everything below `work`.
    ///
    /// # Errors
    /// The kernel or the file system refuses.
    pub fn make(work: &Path, actor: &Path, mounts: &std::sync::Arc<HostMounts>) -> anyhow::Result<Self> {
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

        let folder = work.join("ctl");
        fs::create_dir_all(&folder)?;
        let mut sockets = Vec::new();
        for name in SOCKETS {
            let path = folder.join(name);
            let _ = fs::remove_file(&path);
            sockets.push(UnixListener::bind(&path).with_context(|| format!("cannot bind {}", path.display()))?);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        Ok(Self { process, _sockets: sockets, control_socket: folder.join(CONTROL) })
    }

    /// Process id of the host process.
    pub fn host_process(&self) -> u32 {
        self.process.pid()
    }
}

/// The folder for everything, in no place that programs of others look at.
///
/// # Errors
/// It cannot be made.
pub fn work_folder(asked: Option<&Path>) -> anyhow::Result<tempfile::TempDir> {
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
    Ok(folder)
}
