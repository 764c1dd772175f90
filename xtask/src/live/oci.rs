//! Throwaway containers by runc or crun, from a root file system made here: no image, no engine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::libraries;
use crate::live::folder::Folder;
use crate::project::find_program;
use crate::say;

/// The capabilities that Docker and containerd grant.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];
const FOLDERS: [&str; 8] = ["bin", "dev", "etc", "proc", "sys", "tmp", "mnt", "root"];
const APPLETS: [&str; 6] = ["sh", "ls", "cat", "mkdir", "sleep", "true"];

/// What a container runs, and what it is granted beside the usual.
#[derive(Debug, Default, Clone)]
pub(crate) struct Grant {
    pub(crate) argv: Vec<String>,
    pub(crate) capabilities: Vec<&'static str>,
    pub(crate) host_pid: bool,
    /// Folders of the host, and where the container sees them.
    pub(crate) binds: Vec<(PathBuf, &'static str)>,
}

/// A runtime, its state, and a root file system that all its containers share.
pub(crate) struct Oci {
    pub(crate) program: PathBuf,
    folder: PathBuf,
}

impl Oci {
    /// Finds a runtime and makes the root file system below `folder`: busybox, and `programs` at its root.
    pub(crate) fn make(folder: &Folder, programs: &[(&Path, &str)]) -> anyhow::Result<Self> {
        let program = ["runc", "crun"].into_iter().find_map(find_program);
        let program = program.context("neither runc nor crun is there: run `cargo xtask setup`")?;
        let oci = Self { program, folder: folder.join("oci") };
        let root = oci.rootfs();
        for name in FOLDERS {
            fs::create_dir_all(root.join(name))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        let busybox = find_program("busybox").context("busybox is not there: run `cargo xtask setup`")?;
        copy_program(&busybox, &root.join("bin/busybox"))?;
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet))?;
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")?;
        fs::write(root.join("etc/hostname"), "throwaway\n")?;
        for (program, name) in programs {
            copy_program(program, &root.join(name))?;
            for library in libraries::of(program)? {
                let copy = root.join(library.strip_prefix("/").unwrap_or(&library));
                fs::create_dir_all(copy.parent().unwrap_or(&root))?;
                copy_program(&library, &copy)?;
            }
        }
        Ok(oci)
    }

    /// The root file system.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.folder.join("rootfs")
    }

    /// The guard for a container of this id, which must be unique on the machine; nothing runs yet.
    pub(crate) fn container(&self, id: String, grant: &Grant) -> anyhow::Result<Container<'_>> {
        let bundle = self.folder.join(&id);
        fs::create_dir_all(&bundle)?;
        fs::write(bundle.join("config.json"), config(&self.rootfs(), &id, grant).to_string())?;
        Ok(Container { oci: self, id })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.folder.join("state")).env_remove("LD_LIBRARY_PATH");
        command
    }
}

/// A container. When this goes, it is deleted by its id, with what cgroups it left.
pub(crate) struct Container<'a> {
    oci: &'a Oci,
    pub(crate) id: String,
}

impl Container<'_> {
    /// The runtime's command that runs it, in the foreground unless `detach`.
    pub(crate) fn run(&self, detach: bool) -> Command {
        let mut command = self.oci.command();
        command.arg("run");
        if detach {
            command.arg("--detach");
        }
        command.arg("--bundle").arg(self.oci.folder.join(&self.id)).arg(&self.id);
        command
    }

    /// As [`Self::run`] in the foreground, with descriptor 3 of the command passed on.
    pub(crate) fn run_with_descriptor(&self) -> Command {
        let mut command = self.oci.command();
        command.args(["run", "--preserve-fds", "1", "--bundle"]);
        command.arg(self.oci.folder.join(&self.id)).arg(&self.id);
        command
    }

    /// Host's process id of what it runs.
    pub(crate) fn process(&self) -> anyhow::Result<u32> {
        let told =
            self.oci.command().args(["state", &self.id]).output().context("the runtime tells no state")?;
        let state: Value = serde_json::from_slice(&told.stdout).context("the runtime's state is no JSON")?;
        state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("a state without a process")
    }

    /// Starts it, and leaves it running.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let log = self.oci.folder.join("start.log");
        let file = fs::File::create(&log)?;
        let mut command = self.run(true);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).status()?;
        if !status.success() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("{} cannot start a container: {}", self.oci.program.display(), said.trim());
        }
        Ok(())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // Says that there is none when it has ended by itself: all the better.
        let _ = self.oci.command().args(["delete", "--force", &self.id]).output();
        for cgroup in cgroups(&self.id) {
            if cgroup.is_dir()
                && let Err(error) = fs::remove_dir(&cgroup)
            {
                say::note(format!("{} is left: {error}", cgroup.display()));
            }
        }
    }
}

/// Where a runtime may have put a cgroup of this name: at the root of a hierarchy, or below the caller's own.
fn cgroups(id: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own: Vec<&str> = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    let mut found = Vec::new();
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [_, at, "cgroup" | "cgroup2", ..] = words[..] {
            let at = Path::new(at);
            found.push(at.join(id));
            found.extend(own.iter().map(|own| at.join(own.trim_start_matches('/')).join(id)));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn copy_program(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
}

/// `config.json`: what engines grant an ordinary container, and the grant.
fn config(rootfs: &Path, id: &str, grant: &Grant) -> Value {
    let capabilities: Vec<&str> = CAPABILITIES.iter().chain(&grant.capabilities).copied().collect();
    let kinds = ["mount", "ipc", "uts", "network", "pid"];
    let namespaces: Vec<Value> = kinds
        .iter()
        .filter(|kind| !(grant.host_pid && **kind == "pid"))
        .map(|kind| json!({ "type": kind }))
        .collect();
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"] }),
    ];
    mounts.extend(grant.binds.iter().map(
        |(host, at)| json!({ "destination": at, "type": "bind", "source": host, "options": ["bind", "rw"] }),
    ));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": grant.argv,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities
            },
            "noNewPrivileges": false,
        },
        "root": { "path": rootfs, "readonly": false },
        "hostname": id,
        "mounts": mounts,
        "linux": {
            // One level: the runtime then removes all that it made.
            "cgroupsPath": format!("/{id}"),
            "namespaces": namespaces,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_shows_in_the_configuration() {
        let grant = Grant { capabilities: vec!["CAP_SYS_ADMIN"], host_pid: true, ..Grant::default() };
        let config = config(Path::new("/r"), "c1", &grant);
        let namespaces = config["linux"]["namespaces"].to_string();
        assert!(!namespaces.contains("pid") && namespaces.contains("mount"));
        assert!(config["process"]["capabilities"]["effective"].to_string().contains("CAP_SYS_ADMIN"));
        assert_eq!(config["linux"]["cgroupsPath"], "/c1");
    }
}
