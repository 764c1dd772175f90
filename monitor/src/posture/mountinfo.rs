//! `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)), and which path of the host a mount shows.

use super::baseline::within;
use crate::container::cgroup::unescape;

/// Types of file systems whose server may keep whoever asks it waiting for as long as it likes.
const REMOTE: &[&str] =
    &["fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "coda", "lustre", "autofs"];

/// Mounts of one process that are read: a container with more is listed up to here.
const MAX_MOUNTS: usize = 16_384;

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of its file system.
    pub dev: String,
    /// Which directory of the file system it shows.
    pub root: String,
    /// Where, in the mount namespace of the process.
    pub point: String,
    /// Options of the mount.
    pub options: Vec<String>,
    /// Its peer group, if mounts below it propagate.
    pub shared: Option<u32>,
    /// The peer group that it receives mounts from.
    pub master: Option<u32>,
    /// File system type.
    pub fstype: String,
    /// Options of the file system.
    pub super_options: Vec<String>,
    /// The path of the host that it shows, if the host has it mounted, too.
    pub host_path: Option<String>,
}

impl Mount {
    /// True if what is in it is asked of a server that may not answer.
    pub fn is_remote(&self) -> bool {
        let kind = self.fstype.split('.').next().unwrap_or_default();
        REMOTE.contains(&kind)
    }

    /// True if nothing can be written through it.
    pub fn is_readonly(&self) -> bool {
        self.options.iter().chain(&self.super_options).any(|option| option == "ro")
    }

    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let words = |text: &str| text.split(',').map(text_of).collect::<Vec<_>>();
        let mut mount = Self {
            dev: left.next()?.to_owned(),
            root: text_of(left.next()?),
            point: text_of(left.next()?),
            options: words(left.next()?),
            ..Self::default()
        };
        for tag in left {
            match tag.split_once(':') {
                Some(("shared", group)) => mount.shared = group.parse().ok(),
                Some(("master", group)) => mount.master = group.parse().ok(),
                _ => {}
            }
        }
        let mut right = right.split(' ');
        mount.fstype = right.next()?.to_owned();
        mount.super_options = right.nth(1).map(words).unwrap_or_default();
        Some(mount)
    }
}

/// Reads the text of mountinfo; lines that are none are left out.
pub fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines().take(MAX_MOUNTS).filter_map(Mount::parse).collect()
}

/// A field as text: a name that is no UTF-8 is only shown.
fn text_of(field: &str) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// True if the way to a path leads through a file system that may not answer, other than the root: through one whose mount
/// is above it.
pub fn leads_through_remote(mounts: &[Mount], path: &str) -> bool {
    mounts.iter().any(|m| m.is_remote() && m.point != "/" && path != m.point && within(path, &m.point))
}

/// The path by which the host reaches what a mount shows: by the mount of the same file system that shows the
/// smallest part that holds it.
pub fn host_path(mount: &Mount, host: &[Mount]) -> Option<String> {
    let holds = |other: &&Mount| other.dev == mount.dev && within(&mount.root, &other.root);
    let best = host.iter().filter(holds).max_by_key(|m| (m.root.len(), usize::MAX - m.point.len()))?;
    let rest = mount.root.strip_prefix(best.root.as_str())?.trim_start_matches('/');
    Some(match (best.point.as_str(), rest) {
        (point, "") => point.to_owned(),
        ("/", rest) => format!("/{rest}"),
        (point, rest) => format!("{point}/{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:30 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,mode=755
25 22 254:0 /srv/data /mnt/data rw shared:1 - ext4 /dev/vda rw
garbage
26 22 0:50 / /a\\040b rw - tmpfs
";

    #[test]
    fn lines_are_read() {
        let mounts = parse_mounts(HOST);
        assert_eq!(mounts.len(), 5);
        assert_eq!((mounts[0].shared, mounts[0].master, mounts[0].is_readonly()), (Some(1), None, false));
        assert_eq!((mounts[4].point.as_str(), mounts[2].fstype.as_str()), ("/a b", "tmpfs"));
        let slave = parse_mounts("9 8 0:5 /x /y ro,relatime master:7 - ext4 /dev/x rw\n");
        assert_eq!((slave[0].master, slave[0].is_readonly()), (Some(7), true));
        assert_eq!(text_of("a\\134b\\9"), "a\\b\\9");
    }

    #[test]
    fn servers_that_may_not_answer() {
        let mounts = parse_mounts(
            "1 0 0:1 / / rw - fuse.fuse-overlayfs f rw\n2 1 0:2 / /a rw - fuse.sshfs h rw\n3 1 0:3 / /b rw - nfs4 h rw\n",
        );
        let through = |path: &str| leads_through_remote(&mounts, path);
        assert!(through("/a/b") && through("/b/c/d"));
        assert!(!through("/a") && !through("/ab") && !through("/") && !through("/c"));
        assert!(!Mount { fstype: "fusectl".into(), ..Mount::default() }.is_remote());
    }

    #[test]
    fn sources_on_the_host() {
        let host = parse_mounts(HOST);
        for (dev, root, want) in [
            ("254:0", "/", Some("/")),
            ("254:0", "/etc", Some("/etc")),
            ("254:0", "/srv/data", Some("/mnt/data")),
            ("254:0", "/srv/data/x", Some("/mnt/data/x")),
            ("254:0", "/srv/database", Some("/srv/database")),
            ("0:30", "/docker.sock", Some("/run/docker.sock")),
            ("0:99", "/", None),
        ] {
            let mount = Mount { dev: dev.into(), root: root.into(), ..Mount::default() };
            assert_eq!(host_path(&mount, &host).as_deref(), want, "{dev} {root}");
        }
    }
}
