//! Where the host's files are, and how they are read: capped, never blocking on what is not a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Statx, StatxFlags, statx};

/// Most bytes read of one configuration or state file.
pub const MAX_FILE: u64 = 4 << 20;

/// Roots of the host's file systems, so that a container with the host mounted elsewhere, and a test with a
/// directory of its own, read the right files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPaths {
    /// The host's root directory.
    pub root: PathBuf,
    /// The host's procfs, of the initial pid namespace.
    pub proc: PathBuf,
}

impl Default for HostPaths {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), proc: PathBuf::from("/proc") }
    }
}

impl HostPaths {
    /// An absolute path of the host as this process reaches it. `..` is left out, so that a path from a
    /// configuration cannot leave [`HostPaths::root`].
    pub fn path(&self, absolute: &Path) -> PathBuf {
        beneath(&self.root, absolute)
    }

    /// An absolute path as the process `pid` sees it.
    pub fn path_of(&self, pid: u32, absolute: &Path) -> PathBuf {
        beneath(&self.proc.join(pid.to_string()).join("root"), absolute)
    }
}

/// Inode of the initial namespace of a type, for those who may not look at process 1 (a security module, or fewer
/// capabilities than it has): kernel `include/linux/proc_ns.h`. 0 for the types that have no fixed one on every kernel.
pub fn initial_namespace(name: &str) -> u32 {
    match name {
        "ipc" => 0xefff_ffff,
        "uts" => 0xefff_fffe,
        "user" => 0xefff_fffd,
        "pid" => 0xefff_fffc,
        "cgroup" => 0xefff_fffb,
        "time" => 0xefff_fffa,
        _ => 0,
    }
}

fn beneath(root: &Path, path: &Path) -> PathBuf {
    let mut out = root.to_path_buf();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir if out != root => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

/// Opens a regular file. A FIFO or a device in its place is an error, not a wait.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Reads a whole file of at most [`MAX_FILE`] bytes.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 4 MiB"));
    }
    Ok(bytes)
}

/// Reads the first `cap` bytes of a file.
pub(crate) fn read_start(path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(cap).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the kernel has of a file: no file system is asked whether that still holds, because it may not answer. The way to the
/// file is another matter, up to the mount that it is the root of.
pub(crate) fn cached_status(
    at: impl AsFd,
    path: impl rustix::path::Arg,
    flags: AtFlags,
) -> io::Result<Statx> {
    let flags = flags | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    Ok(statx(at, path, flags, StatxFlags::BASIC_STATS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_beneath_the_root() {
        let host = HostPaths { root: "/host".into(), proc: "/host/proc".into() };
        for (path, want) in [
            ("/run/x", "/host/run/x"),
            ("run/x", "/host/run/x"),
            ("/../../etc", "/host/etc"),
            ("/run/../etc", "/host/etc"),
            ("/", "/host"),
        ] {
            assert_eq!(host.path(Path::new(path)), Path::new(want), "{path}");
        }
        assert_eq!(host.path_of(7, Path::new("/a")), Path::new("/host/proc/7/root/a"));
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(read_file(dir.path()).is_err());
        assert!(read_file(Path::new("/dev/zero")).is_err());
        let big = dir.path().join("big");
        File::create(&big).and_then(|f| f.set_len(MAX_FILE + 1)).expect("made");
        assert!(read_file(&big).is_err());
        assert_eq!(read_start(&big, 10).expect("read").len(), 10);
    }
}
