//! Whether a container has a process, as the kernel has it now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use monitor_common::policy::KEY_MNT_NS;

use super::cgroup::{Layout, cgroup_id};
use super::host::read_start;
use super::{Resolver, Suspect};

/// Cgroups looked at below one container of version 1.
const MAX_CGROUPS: usize = 4096;
/// Bytes of `cgroup.events` that are read.
const MAX_EVENTS: u64 = 4096;

impl Resolver {
    /// Those of the containers that have no process now. What cannot be found out counts as having one.
    pub fn without_process<'a>(&self, suspects: &'a [Suspect]) -> Vec<&'a Suspect> {
        let Some(layout) = &self.layout else { return Vec::new() };
        let is_shared = |suspect: &Suspect| suspect.key.0 & KEY_MNT_NS != 0;
        let used = if suspects.iter().any(is_shared) { self.mount_namespaces() } else { BTreeSet::new() };
        let lives = |suspect: &&Suspect| {
            if !is_shared(suspect) {
                return self.is_populated(layout, suspect).unwrap_or(true);
            }
            // One of its processes may have moved on to another mount namespace.
            let runs = suspect.processes.iter().any(|process| self.runs(process.pid, process.started));
            runs || used.contains(&(suspect.key.0 & !KEY_MNT_NS))
        };
        suspects.iter().filter(|suspect| !lives(suspect)).collect()
    }

    /// Inodes of the mount namespaces that any process is in.
    fn mount_namespaces(&self) -> BTreeSet<u64> {
        let pids = self.proc.pids().into_iter();
        pids.filter_map(|pid| self.proc.namespace(pid, "mnt")).map(u64::from).collect()
    }

    /// `None` if its cgroup is not found where it was made.
    fn is_populated(&self, layout: &Layout, suspect: &Suspect) -> Option<bool> {
        if suspect.cgroup_path.is_empty() {
            return None;
        }
        let top = layout.directory(&self.host, &suspect.cgroup_path);
        if cgroup_id(&top).ok().map(|id| layout.key(id)) != Some(suspect.key) {
            return None;
        }
        if !layout.is_v2() {
            return has_process(&top).ok();
        }
        // Kernel `Documentation/admin-guide/cgroup-v2.rst`: it is about the cgroup and all below it.
        let events = read_start(&top.join("cgroup.events"), MAX_EVENTS).ok()?;
        let events = String::from_utf8(events).ok()?;
        let populated = events.lines().find_map(|line| line.strip_prefix("populated "))?;
        Some(populated.trim() != "0")
    }
}

/// True if a cgroup of version 1 or one below it has a process.
fn has_process(top: &Path) -> io::Result<bool> {
    let mut waiting: Vec<PathBuf> = vec![top.to_owned()];
    for _ in 0..MAX_CGROUPS {
        let Some(directory) = waiting.pop() else { return Ok(false) };
        if !read_start(&directory.join("cgroup.procs"), 1)?.is_empty() {
            return Ok(true);
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    // Too many to say.
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerKey, HostPaths};
    use crate::process::ProcessKey;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// A made-up host with this mount of cgroups.
    fn host(mount: &str, own: &str) -> (tempfile::TempDir, Resolver) {
        let dir = tempfile::tempdir().expect("temp dir");
        let proc = dir.path().join("proc");
        write(&proc.join("self/mountinfo"), mount);
        write(&proc.join("self/cgroup"), own);
        write(&proc.join("cgroups"), "#subsys_name\thierarchy\tnum_cgroups\tenabled\npids\t4\t1\t1\n");
        let resolver = Resolver::new(HostPaths { root: dir.path().into(), proc });
        (dir, resolver)
    }

    fn suspect(resolver: &Resolver, at: &Path, path: &str) -> Suspect {
        let key = resolver.layout().expect("mounted").key(cgroup_id(at).expect("made"));
        Suspect { key, cgroup_path: path.to_owned(), ..Suspect::default() }
    }

    #[test]
    fn version_2_says_whether_anything_is_populated() {
        let (dir, resolver) = host("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n");
        let at = |name: &str| dir.path().join("sys/fs/cgroup").join(name);
        write(&at("a/cgroup.events"), "populated 0\nfrozen 0\n");
        write(&at("b/cgroup.events"), "populated 1\nfrozen 1\n");
        let (a, b) = (suspect(&resolver, &at("a"), "/a"), suspect(&resolver, &at("b"), "/b"));
        let moved = Suspect { cgroup_path: "/elsewhere".into(), ..a.clone() };
        let other = Suspect { cgroup_path: "/a".into(), ..b.clone() };
        let nowhere = Suspect { cgroup_path: String::new(), ..a.clone() };
        assert_eq!(resolver.without_process(&[a.clone(), b, moved, other, nowhere]), [&a]);
    }

    #[test]
    fn version_1_is_looked_through() {
        let mount = "30 23 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let (dir, resolver) = host(mount, "4:pids:/\n");
        let at = |name: &str| dir.path().join("sys/fs/cgroup/pids").join(name);
        for (name, text) in [("a", ""), ("a/inner", ""), ("b", ""), ("b/inner", "7\n")] {
            write(&at(name).join("cgroup.procs"), text);
        }
        let (a, b) = (suspect(&resolver, &at("a"), "/a"), suspect(&resolver, &at("b"), "/b"));
        assert_eq!(resolver.without_process(&[a.clone(), b]), [&a]);
    }

    #[test]
    fn a_mount_namespace_is_looked_for_in_all_processes() {
        let resolver = Resolver::new(HostPaths::default());
        if resolver.layout().is_none() {
            return;
        }
        let own = resolver.proc.namespace(std::process::id(), "mnt").expect("its own");
        let of = |inode: u64, processes: Vec<ProcessKey>| Suspect {
            key: ContainerKey(inode | KEY_MNT_NS),
            processes,
            ..Suspect::default()
        };
        let (_, started) = resolver.proc.stat(std::process::id()).expect("it lives");
        let this = ProcessKey { pid: std::process::id(), started };
        let ended = ProcessKey { started: started + 1_000_000_000, ..this };
        let list = [of(own.into(), Vec::new()), of(1, Vec::new()), of(1, vec![this]), of(1, vec![ended])];
        assert_eq!(resolver.without_process(&list), [&list[1], &list[3]]);
    }
}
