//! Which cgroup hierarchy says which container a task belongs to, and where it is mounted.
//!
//! The v2 hierarchy wherever it is mounted, alone or beside v1 controllers; else one v1 hierarchy. Pure
//! functions over the text of `/proc`, with a thin reader.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use monitor_common::policy::KEY_V1;

use super::ContainerKey;
use super::host::{HostPaths, read_file};

/// Controllers whose v1 hierarchy gives identity, best first: every runtime makes its cgroups in these.
const PREFERRED: &[&str] = &[
    "pids",
    "memory",
    "devices",
    "cpu",
    "cpuacct",
    "cpuset",
    "freezer",
    "blkio",
    "net_cls",
    "perf_event",
    "hugetlb",
];

/// Why no layout could be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of `/proc` could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no mount of a cgroup hierarchy with a controller.
    #[error("no cgroup hierarchy is mounted: neither cgroup2 nor a v1 controller is in mountinfo")]
    NotMounted,
}

/// The host's cgroup hierarchies, as far as identity needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Only cgroup v2.
    V2 {
        /// Mount point.
        mount: PathBuf,
    },
    /// cgroup v2 beside v1 controllers; identity is by v2.
    Hybrid {
        /// Mount point of cgroup v2.
        v2_mount: PathBuf,
        /// Controllers that are mounted as v1, in the order of the mounts.
        v1_controllers: Vec<String>,
    },
    /// Only cgroup v1.
    V1 {
        /// The controller whose hierarchy gives identity.
        controller: String,
        /// The hierarchy's number, as in `/proc/<pid>/cgroup`.
        hierarchy: u32,
        /// Its mount point.
        mount: PathBuf,
    },
}

impl Layout {
    /// Reads the layout of the host.
    pub fn read(host: &HostPaths) -> Result<Self, LayoutError> {
        let text = |name: &str| {
            let path = host.proc.join(name);
            read_file(&path)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .map_err(|source| LayoutError::Read { path, source })
        };
        // Kernels can be built without v1, and then have no /proc/cgroups.
        let cgroups = text("cgroups").unwrap_or_default();
        Self::detect(&text("self/mountinfo")?, &cgroups, &text("self/cgroup")?)
    }

    /// Finds the layout in the text of `/proc/self/mountinfo`, `/proc/cgroups` and `/proc/self/cgroup`.
    pub fn detect(mountinfo: &str, cgroups: &str, self_cgroup: &str) -> Result<Self, LayoutError> {
        let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(Mount::parse).collect();
        let v1: Vec<&Mount<'_>> = mounts.iter().filter(|m| m.fstype == "cgroup").collect();
        let v1_controllers: Vec<String> =
            v1.iter().flat_map(|m| m.controllers()).map(str::to_owned).collect();
        // A mount of a part of the hierarchy (a bind mount, a cgroup namespace) comes after one of the
        // whole.
        let v2 = mounts
            .iter()
            .filter(|m| m.fstype == "cgroup2")
            .min_by_key(|m| (!m.whole, !m.point.starts_with("/sys/fs/cgroup"), m.point.as_os_str().len()));
        if let Some(v2) = v2 {
            let mount = v2.point.clone();
            return Ok(if v1_controllers.is_empty() {
                Self::V2 { mount }
            } else {
                Self::Hybrid { v2_mount: mount, v1_controllers }
            });
        }
        PREFERRED
            .iter()
            .find_map(|controller| {
                let mount = v1
                    .iter()
                    .filter(|m| m.controllers().any(|c| c == *controller))
                    .min_by_key(|m| (!m.whole, m.point.as_os_str().len()))?;
                let hierarchy = hierarchy_in_cgroups(cgroups, controller)
                    .or_else(|| hierarchy_in_self(self_cgroup, controller))?;
                Some(Self::V1 { controller: (*controller).to_owned(), hierarchy, mount: mount.point.clone() })
            })
            .ok_or(LayoutError::NotMounted)
    }

    /// Mount point of the identity hierarchy.
    pub fn mount(&self) -> &Path {
        match self {
            Self::V2 { mount } | Self::V1 { mount, .. } => mount,
            Self::Hybrid { v2_mount, .. } => v2_mount,
        }
    }

    /// Mount point of cgroup v2, if it is mounted.
    pub fn v2_mount(&self) -> Option<&Path> {
        match self {
            Self::V2 { mount } => Some(mount),
            Self::Hybrid { v2_mount, .. } => Some(v2_mount),
            Self::V1 { .. } => None,
        }
    }

    /// Number of the identity hierarchy, 0 for cgroup v2.
    pub fn hierarchy(&self) -> u32 {
        match self {
            Self::V1 { hierarchy, .. } => *hierarchy,
            Self::V2 { .. } | Self::Hybrid { .. } => 0,
        }
    }

    /// The controller of a v1 identity hierarchy.
    pub fn controller(&self) -> Option<&str> {
        match self {
            Self::V1 { controller, .. } => Some(controller),
            Self::V2 { .. } | Self::Hybrid { .. } => None,
        }
    }

    /// True if identity is by cgroup v2.
    pub fn is_v2(&self) -> bool {
        !matches!(self, Self::V1 { .. })
    }

    /// `v2`, `hybrid` or `v1`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::V2 { .. } => "v2",
            Self::Hybrid { .. } => "hybrid",
            Self::V1 { .. } => "v1",
        }
    }

    /// The directory of a cgroup path, below the host's root.
    pub fn directory(&self, host: &HostPaths, path: &str) -> PathBuf {
        host.path(&self.mount().join(path.trim_start_matches('/')))
    }

    /// Id of the root cgroup of the identity hierarchy.
    pub fn root_id(&self, host: &HostPaths) -> io::Result<u64> {
        cgroup_id(&self.directory(host, "/"))
    }

    /// Key of the container whose top cgroup has this id.
    pub fn key(&self, id: u64) -> ContainerKey {
        ContainerKey(if self.is_v2() { id } else { id | KEY_V1 })
    }

    /// The path in the identity hierarchy, out of the text of `/proc/<pid>/cgroup`.
    pub fn path_in<'a>(&self, proc_cgroup: &'a str) -> Option<&'a str> {
        proc_cgroup.lines().find_map(|line| {
            let (number, controllers, path) = cgroup_line(line)?;
            let ours = match self.controller() {
                None => number == 0 && controllers.is_empty(),
                Some(wanted) => controllers.split(',').any(|c| c == wanted),
            };
            ours.then_some(path)
        })
    }
}

/// The id of a cgroup: the inode of its directory, which on 64-bit kernels from 5.5 on is the kernel's own
/// id.
pub fn cgroup_id(directory: &Path) -> io::Result<u64> {
    fs::metadata(directory).map(|m| m.ino())
}

struct Mount<'a> {
    whole: bool,
    point: PathBuf,
    fstype: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let root = left.next()?;
        let point = PathBuf::from(OsString::from_vec(unescape(left.next()?)));
        let mut right = right.split(' ');
        let fstype = right.next()?;
        Some(Self { whole: root == "/", point, fstype, super_options: right.nth(1).unwrap_or_default() })
    }

    fn controllers(&self) -> impl Iterator<Item = &'a str> {
        self.super_options.split(',').filter(|option| PREFERRED.contains(option))
    }
}

/// Undoes the kernel's `\ooo` for white space and backslashes in mountinfo.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let octal = bytes.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let value = octal.and_then(|o| u8::from_str_radix(std::str::from_utf8(o).ok()?, 8).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 4 } else { 1 };
    }
    out
}

fn cgroup_line(line: &str) -> Option<(u32, &str, &str)> {
    let mut parts = line.splitn(3, ':');
    Some((parts.next()?.parse().ok()?, parts.next()?, parts.next()?))
}

fn hierarchy_in_cgroups(cgroups: &str, controller: &str) -> Option<u32> {
    cgroups.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == controller).then_some(())?;
        words.next()?.parse().ok().filter(|number| *number != 0)
    })
}

fn hierarchy_in_self(self_cgroup: &str, controller: &str) -> Option<u32> {
    self_cgroup.lines().find_map(|line| {
        let (number, controllers, _) = cgroup_line(line)?;
        controllers.split(',').any(|c| c == controller).then_some(number).filter(|number| *number != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 /docker/x /mnt/memory rw - cgroup cgroup rw,memory
35 31 0:31 / /sys/fs/cgroup/memory\\040one rw - cgroup cgroup rw,memory
";
    const V1_SELF: &str = "9:name=systemd:/\n4:memory:/a\n1:cpu,cpuacct:/b:c\n0::/\n";
    const CGROUPS: &str =
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t4\t12\t1\npids\t0\t1\t1\n";

    #[track_caller]
    fn check(mountinfo: &str, cgroups: &str, want: Option<&Layout>) {
        assert_eq!(Layout::detect(mountinfo, cgroups, V1_SELF).ok().as_ref(), want);
    }

    #[test]
    fn layouts() {
        let v2 = Layout::V2 { mount: "/sys/fs/cgroup".into() };
        check("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n", "", Some(&v2));
        // A part of the hierarchy mounted elsewhere does not win, nor does a systemd-only v1 mount make it
        // hybrid.
        check(
            "9 1 0:26 /docker /c rw - cgroup2 x rw\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
            "",
            Some(&v2),
        );
        check(
            HYBRID,
            CGROUPS,
            Some(&Layout::Hybrid {
                v2_mount: "/sys/fs/cgroup/unified".into(),
                v1_controllers: vec!["memory".into(), "pids".into()],
            }),
        );
        let memory = Layout::V1 {
            controller: "memory".into(),
            hierarchy: 4,
            mount: "/sys/fs/cgroup/memory one".into(),
        };
        check(V1, CGROUPS, Some(&memory));
        check(V1, "", Some(&memory));
        check("", CGROUPS, None);
        check("garbage - \n - cgroup2\n1 2 3 4 - cgroup2 \n", "", None);
        check("40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n", CGROUPS, None);
    }

    #[test]
    fn paths_of_processes() {
        let v1 = Layout::V1 { controller: "cpuacct".into(), hierarchy: 1, mount: "/c".into() };
        assert_eq!(v1.path_in(V1_SELF), Some("/b:c"));
        assert_eq!(v1.key(5).0, 5 | KEY_V1);
        let v2 = Layout::V2 { mount: "/c".into() };
        assert_eq!(v2.path_in(V1_SELF), Some("/"));
        assert_eq!(v2.path_in("x\n1:\n"), None);
        assert_eq!(v2.directory(&HostPaths::default(), "/a/../../b"), Path::new("/b"));
    }

    #[test]
    fn this_machine() {
        let host = HostPaths::default();
        if let Ok(layout) = Layout::read(&host) {
            assert!(layout.root_id(&host).is_ok(), "{layout:?}");
        }
    }
}
