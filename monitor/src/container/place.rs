//! In which containers a process is, as the kernel has it now.

use std::path::Path;

use monitor_common::policy::KEY_MNT_NS;

use super::cgroup::cgroup_id;
use super::{ContainerKey, ResolveRequest, Resolver};

impl Resolver {
    /// Every key that stands for a container which process `pid` could be in: its cgroup and those above, the innermost
    /// first, then its mount namespace; and the path of its cgroup. `None` if there is no such process.
    pub fn keys_of(&self, pid: u32) -> Option<(Vec<ContainerKey>, String)> {
        let layout = self.layout.as_ref()?;
        let path = layout.path_in(&self.proc.cgroup(pid)?)?.to_owned();
        let inner = Path::new(&path).ancestors().filter(|path| path.parent().is_some());
        let directories = inner.map(|path| layout.directory(&self.host, &path.to_string_lossy()));
        let mut keys: Vec<ContainerKey> =
            directories.filter_map(|at| cgroup_id(&at).ok()).map(|id| layout.key(id)).collect();
        let namespace = self.proc.namespace(pid, "mnt");
        keys.extend(namespace.map(|inode| ContainerKey(u64::from(inode) | KEY_MNT_NS)));
        Some((keys, path))
    }

    /// What other PID namespaces call process `pid`, from the one below this process's to its own.
    pub fn inner_pids(&self, pid: u32) -> Vec<u32> {
        self.proc.inner_pids(pid)
    }

    /// True if the container is still there: its cgroup, or its process where it has no cgroup of its own.
    pub fn is_there(&self, request: &ResolveRequest) -> bool {
        if request.key.0 & KEY_MNT_NS != 0 || request.cgroup_path.is_empty() {
            return self.proc.stat(request.pid).is_some();
        }
        self.layout.as_ref().is_some_and(|layout| {
            let directory = layout.directory(&self.host, &request.cgroup_path);
            cgroup_id(&directory).is_ok_and(|id| layout.key(id) == request.key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::HostPaths;

    #[test]
    fn this_process_is_in_its_cgroup_and_in_its_mount_namespace() {
        let resolver = Resolver::new(HostPaths::default());
        let Some(layout) = resolver.layout() else { return };
        let (keys, path) = resolver.keys_of(std::process::id()).expect("it lives");
        let last = keys.last().expect("its mount namespace");
        assert_ne!(last.0 & KEY_MNT_NS, 0);
        if path.len() > 1 {
            let id = cgroup_id(&layout.directory(&resolver.host, &path)).expect("its cgroup");
            assert_eq!(keys[0], layout.key(id));
        }
        let request = ResolveRequest { key: *last, pid: std::process::id(), ..ResolveRequest::default() };
        assert!(resolver.is_there(&request));
        assert!(!resolver.is_there(&ResolveRequest { pid: u32::MAX, ..request }));
        assert!(resolver.keys_of(u32::MAX).is_none());
    }
}
