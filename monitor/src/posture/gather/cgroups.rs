//! Limits and device rules, as the cgroup file systems show them.

use std::path::{Path, PathBuf};

use super::{read_file, text};
use crate::container::{HostPaths, Layout};
use crate::posture::baseline::{Host, Limits};

/// From here on a limit of cgroup v1 is none: it shows `PAGE_COUNTER_MAX` in bytes, the largest multiple of a page
/// (the kernel's `include/linux/page_counter.h`).
const NO_LIMIT: u64 = 1 << 62;

/// Cgroups above one that are looked at.
const MAX_DEPTH: usize = 64;

/// The container's directory in the hierarchy of a controller, and the top of that hierarchy.
fn directory(paths: &HostPaths, host: &Host, pid: u32, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let cgroups = text(&paths.proc.join(pid.to_string()).join("cgroup"))?;
    let path = cgroups.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        names.split(',').any(|name| name == controller).then_some(path)
    })?;
    let is_it = |mount: &&crate::posture::Mount| {
        mount.fstype == "cgroup" && mount.root == "/" && mount.super_options.iter().any(|o| o == controller)
    };
    let top = paths.path(Path::new(&host.mounts.iter().find(is_it)?.point));
    Some((top.join(path.trim_start_matches('/')), top))
}

/// The smallest limit of a cgroup and those above it.
fn smallest(directory: &Path, top: &Path, file: &str) -> Option<u64> {
    let above = directory.ancestors().take(MAX_DEPTH).take_while(|at| at.starts_with(top));
    let limit = |at: &Path| {
        let bytes = read_file(&at.join(file)).ok()?;
        std::str::from_utf8(&bytes).ok()?.trim().parse::<u64>().ok().filter(|limit| *limit < NO_LIMIT)
    };
    above.filter_map(limit).min()
}

/// The container's directory in the hierarchy of version 2, and the top of that.
pub(super) fn unified(paths: &HostPaths, layout: &Layout, pid: u32) -> Option<(PathBuf, PathBuf)> {
    let top = paths.path(layout.v2_mount()?);
    let cgroups = text(&paths.proc.join(pid.to_string()).join("cgroup"))?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some((top.join(path.trim_start_matches('/')), top))
}

/// Limits on tasks and memory: by cgroup v1 where it has the controller, else by version 2.
pub(super) fn limits(paths: &HostPaths, layout: &Layout, host: &Host, pid: u32) -> Limits {
    let limit = |controller: &str, v1_file: &str, v2_file: &str| match directory(paths, host, pid, controller)
    {
        Some((directory, top)) => smallest(&directory, &top, v1_file),
        None => unified(paths, layout, pid).and_then(|(directory, top)| smallest(&directory, &top, v2_file)),
    };
    Limits {
        pids: limit("pids", "pids.max", "pids.max"),
        memory: limit("memory", "memory.limit_in_bytes", "memory.max"),
    }
}

/// The lines of `devices.list`; `None` on version 2, where a program decides.
pub(super) fn device_rules(paths: &HostPaths, host: &Host, pid: u32) -> Option<Vec<String>> {
    let (directory, _) = directory(paths, host, pid, "devices")?;
    Some(text(&directory.join("devices.list"))?.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::parse_mounts;

    #[test]
    fn limits_of_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/7/cgroup", "3:pids:/a/b\n2:devices:/a\n0::/x/y\n");
        put("cg/pids/a/pids.max", "100\n");
        put("cg/pids/a/b/pids.max", "max\n");
        put("cg/devices/a/devices.list", "c 1:3 rwm\na *:* rwm\n");
        put("cg/v2/x/memory.max", "4096\n");
        put("cg/v2/x/y/memory.max", "max\n");
        let paths = HostPaths { root: dir.path().into(), proc: dir.path().join("proc") };
        let mounts =
            "1 1 0:1 / /cg/pids rw - cgroup cgroup rw,pids\n1 1 0:2 / /cg/devices rw - cgroup c rw,devices\n";
        let host = Host { mounts: parse_mounts(mounts), ..Host::default() };
        let layout = Layout::V2 { mount: "/cg/v2".into() };
        assert_eq!(limits(&paths, &layout, &host, 7), Limits { pids: Some(100), memory: Some(4096) });
        assert_eq!(device_rules(&paths, &host, 7).unwrap(), ["c 1:3 rwm", "a *:* rwm"]);
        put("cg/v2/x/memory.max", "9223372036854771712\n");
        assert_eq!(limits(&paths, &layout, &host, 7).memory, None);
        assert_eq!(device_rules(&paths, &Host::default(), 7), None);
    }
}
