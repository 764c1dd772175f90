//! What a container's paths lead to, without trusting one of them.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, Statx, openat, openat2};

use super::{is_kernel, object};
use crate::container::{HostPaths, cached_status};
use crate::detect::CONTROL_SOCKET_NAMES;
use crate::posture::baseline::{Node, Object, SocketSeen, within};
use crate::posture::mountinfo::{Mount, leads_through_remote};

/// Entries of `/dev` that are looked at, folders below it included.
const MAX_ENTRIES: usize = 8192;
/// Depth below `/dev`: `/dev/bus/usb/001` is the deepest that is usual.
const MAX_DEPTH: usize = 4;
/// Mounts in which sockets are looked for.
const MAX_MOUNTS: usize = 1024;

/// The control sockets of this host, with their links followed.
pub(super) fn known_sockets(paths: &HostPaths, sockets: &[PathBuf]) -> Vec<String> {
    sockets
        .iter()
        .filter_map(|path| {
            let real = std::fs::canonicalize(paths.path(path)).ok()?;
            let inside = real.strip_prefix(&paths.root).ok()?;
            Some(Path::new("/").join(inside).to_str()?.to_owned())
        })
        .collect()
}

/// Device and inode of a path of the host, links followed.
pub(super) fn id_of(path: &Path) -> Option<(u64, u64)> {
    Some(id(&cached_status(CWD, path, AtFlags::empty()).ok()?))
}

fn id(status: &Statx) -> (u64, u64) {
    (rustix::fs::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino)
}

/// The root of a container's first process.
pub(super) struct Inside(OwnedFd);

impl Inside {
    pub(super) fn open(paths: &HostPaths, pid: u32) -> Option<Self> {
        let path = paths.proc.join(pid.to_string()).join("root");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Some(Self(openat(CWD, path, flags, Mode::empty()).ok()?))
    }

    fn reach(&self, path: &str, flags: OFlags) -> Option<OwnedFd> {
        // Nothing is opened but a handle: a FIFO does not block, a device does nothing.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve).ok()
    }

    /// What is at a path, and its device and inode.
    pub(super) fn look(&self, path: &str) -> Option<(Object, (u64, u64))> {
        let file = self.reach(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let status = cached_status(file, c"", AtFlags::EMPTY_PATH).ok()?;
        Some((object(&status), id(&status)))
    }

    fn is_socket(&self, path: &str) -> bool {
        self.look(path).is_some_and(|(object, _)| object == Object::Socket)
    }

    /// The device files in `/dev` and its folders, but for those of servers that may not answer.
    pub(super) fn devices(&self, mounts: &[Mount]) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut room = MAX_ENTRIES;
        let mut waiting = vec![("/dev".to_owned(), 0)];
        while let Some((path, depth)) = waiting.pop() {
            if leads_through_remote(mounts, &format!("{path}/")) {
                continue;
            }
            let Some(folder) = self.reach(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
            else {
                continue;
            };
            let Ok(entries) = Dir::read_from(folder.as_fd()) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name == "." || name == ".." {
                    continue;
                }
                if room == 0 {
                    return nodes;
                }
                room -= 1;
                let found = cached_status(folder.as_fd(), entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                let Ok(stat) = found else { continue };
                let at = format!("{path}/{name}");
                match object(&stat) {
                    Object::Char(major, minor) => nodes.push(Node { path: at, block: false, major, minor }),
                    Object::Block(major, minor) => nodes.push(Node { path: at, block: true, major, minor }),
                    Object::Directory if depth < MAX_DEPTH => waiting.push((at, depth + 1)),
                    _ => {}
                }
            }
        }
        nodes.sort_by(|a, b| a.path.cmp(&b.path));
        nodes
    }

    /// The control sockets that its mounts show: mounted themselves, or in a folder that is.
    pub(super) fn sockets(&self, mounts: &[Mount], known: &[String]) -> Vec<SocketSeen> {
        let mut seen: Vec<SocketSeen> = Vec::new();
        let from_host = mounts.iter().filter(|mount| {
            let host = mount.host_path.as_deref();
            !is_kernel(mount) && host.is_some() && (mount.point != "/" || host == Some("/"))
        });
        for mount in from_host.take(MAX_MOUNTS) {
            let host = mount.host_path.as_deref().unwrap_or_default();
            for path in self.sockets_of(mount, host, known) {
                if seen.iter().all(|other| other.path != path) {
                    seen.push(SocketSeen { path, mount: mount.point.clone() });
                }
            }
        }
        seen
    }

    fn sockets_of(&self, mount: &Mount, host: &str, known: &[String]) -> Vec<String> {
        let names = || CONTROL_SOCKET_NAMES.iter().copied();
        let is_named =
            |path: &str| path.rsplit('/').next().is_some_and(|name| names().any(|known| known == name));
        let at = mount.point.trim_end_matches('/');
        match self.look(&mount.point) {
            Some((Object::Socket, _)) => {
                let is_one = is_named(at) || is_named(host) || known.iter().any(|path| path == host);
                is_one.then(|| mount.point.clone()).into_iter().collect()
            }
            Some((Object::Directory, _)) => {
                let below = known
                    .iter()
                    .filter(|path| within(path, host))
                    .map(|path| format!("{at}/{}", path[host.len()..].trim_start_matches('/')));
                let named = names().map(|name| format!("{at}/{name}"));
                below.chain(named).filter(|path| self.is_socket(path)).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("7/root/dev")).unwrap();
        let root = dir.path().join("7/root");
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::fs::write(root.join("dev/file"), "").unwrap();
        let paths = HostPaths { root: "/".into(), proc: dir.path().into() };
        let inside = Inside::open(&paths, 7).unwrap();
        assert_eq!(inside.look("/out").map(|seen| seen.0), Some(Object::Link));
        assert_eq!(inside.look("/out/passwd"), None);
        assert_eq!(inside.look("/../../dev/file").map(|seen| seen.0), Some(Object::File));
        assert!(inside.devices(&[]).is_empty());
        assert!(Inside::open(&paths, 8).is_none());
    }

    #[test]
    fn sockets_by_name_and_by_path() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("7/root");
        std::fs::create_dir_all(root.join("run/deep")).unwrap();
        let make = |path: &str| std::os::unix::net::UnixListener::bind(root.join(path)).unwrap();
        let _held = [make("run/docker.sock"), make("run/deep/own"), make("run/other"), make("one")];
        let paths = HostPaths { root: "/".into(), proc: dir.path().into() };
        let inside = Inside::open(&paths, 7).unwrap();
        let mount = |point: &str, host: &str| Mount {
            point: point.into(),
            host_path: Some(host.into()),
            ..Mount::default()
        };
        let known = ["/srv/run/deep/own".to_owned()];
        let found = |mounts: &[Mount]| {
            inside.sockets(mounts, &known).into_iter().map(|socket| socket.path).collect::<Vec<_>>()
        };
        assert_eq!(found(&[mount("/run", "/srv/run")]), ["/run/deep/own", "/run/docker.sock"]);
        assert_eq!(found(&[mount("/run/other", "/srv/x")]), [""; 0]);
        assert_eq!(found(&[mount("/one", "/run/docker.sock")]), ["/one"]);
        assert_eq!(found(&[mount("/", "/var/lib/x"), mount("/gone", "/y")]), [""; 0]);
    }
}
