//! What OCI runtimes write about a container they run: runc's and youki's `state.json`, crun's `status`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bundle::nullable;
use super::host::{HostPaths, read_file};

/// Where runtimes and the engines above them keep state. `*` stands for any one directory.
const DEFAULT_ROOTS: &[&str] = &[
    "/run/runc",
    "/run/crun",
    "/run/youki",
    "/run/docker/*/moby",
    "/run/containerd/runc/*",
    "/run/docker/containerd/daemon/runc/*",
];

/// Entries looked at in one directory.
const MAX_ENTRIES: usize = 4096;

/// A container in a runtime's state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeState {
    /// Id: the name of its directory.
    pub id: String,
    /// Process id of the container's first process; 0 if there is none.
    pub pid: u32,
    /// The bundle's directory.
    pub bundle: Option<PathBuf>,
    /// Its cgroups: directories, or paths in the hierarchy.
    pub cgroups: Vec<String>,
    /// The runtime, as the form of the state tells.
    pub runtime: &'static str,
}

/// State of container `id` under `root`, a runtime's state directory on the host.
pub fn read_state(host: &HostPaths, root: &Path, id: &str) -> Option<RuntimeState> {
    // The id becomes a file name: one component, or nothing.
    if id.is_empty() || id == "." || id == ".." || id.contains('/') {
        return None;
    }
    let directory = host.path(root).join(id);
    if let Ok(bytes) = read_file(&directory.join("state.json")) {
        return parse_state(&bytes, id);
    }
    parse_status(&read_file(&directory.join("status")).ok()?, id)
}

/// Every container under `root`.
pub fn list_states(host: &HostPaths, root: &Path) -> Vec<RuntimeState> {
    names(&host.path(root)).iter().filter_map(|id| read_state(host, root, id)).collect()
}

/// The state directories there are, as paths of the host.
pub fn default_roots(host: &HostPaths) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for pattern in DEFAULT_ROOTS {
        let mut found = vec![PathBuf::from("/")];
        for component in pattern.split('/').filter(|c| !c.is_empty()) {
            found = if component == "*" {
                found
                    .iter()
                    .flat_map(|dir| names(&host.path(dir)).into_iter().map(|name| dir.join(name)))
                    .collect()
            } else {
                found.into_iter().map(|dir| dir.join(component)).collect()
            };
        }
        roots.extend(found.into_iter().filter(|root| host.path(root).is_dir()));
    }
    roots
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.take(MAX_ENTRIES).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// runc's `state.json`, and youki's, which has the fields of the OCI state.
fn parse_state(bytes: &[u8], id: &str) -> Option<RuntimeState> {
    #[derive(Deserialize)]
    struct State {
        #[serde(default, deserialize_with = "nullable")]
        init_process_pid: u32,
        #[serde(default, deserialize_with = "nullable")]
        cgroup_paths: std::collections::BTreeMap<String, String>,
        config: Option<Config>,
        #[serde(default, deserialize_with = "nullable")]
        pid: u32,
        bundle: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default, deserialize_with = "nullable")]
        labels: Vec<String>,
    }
    let state: State = serde_json::from_slice(bytes).ok()?;
    let youki = state.config.is_none();
    let label =
        state.config.and_then(|c| c.labels.iter().find_map(|l| l.strip_prefix("bundle=").map(PathBuf::from)));
    Some(RuntimeState {
        id: id.to_owned(),
        pid: if state.init_process_pid != 0 { state.init_process_pid } else { state.pid },
        bundle: label.or(state.bundle),
        cgroups: state.cgroup_paths.into_values().collect(),
        runtime: if youki { "youki" } else { "runc" },
    })
}

fn parse_status(bytes: &[u8], id: &str) -> Option<RuntimeState> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Status {
        #[serde(default, deserialize_with = "nullable")]
        pid: u32,
        bundle: Option<PathBuf>,
        cgroup_path: Option<String>,
    }
    let status: Status = serde_json::from_slice(bytes).ok()?;
    Some(RuntimeState {
        id: id.to_owned(),
        pid: status.pid,
        bundle: status.bundle,
        cgroups: status.cgroup_path.into_iter().filter(|path| !path.is_empty()).collect(),
        runtime: "crun",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_three_runtimes() {
        let dir = tempfile::tempdir().expect("temp dir");
        let host = HostPaths { root: dir.path().into(), proc: dir.path().join("proc") };
        for (path, text) in [
            (
                "run/runc/a/state.json",
                r#"{"id":"a","init_process_pid":5,"cgroup_paths":{"":"/sys/fs/cgroup/a"},
                "config":{"labels":["x=y","bundle=/b/a"],"rootfs":"/r"}}"#,
            ),
            ("run/crun/b/status", r#"{"pid":6,"bundle":"/b/b","cgroup-path":"/b","rootfs":"/r"}"#),
            (
                "run/youki/c/state.json",
                // As youki 0.7 writes it.
                r#"{"ociVersion":"1.1.0","id":"c","status":"running","pid":7,"bundle":"/b/c",
                "created":"2026-11-26T09:50:12.748613131Z","creator":0,"useSystemd":false,"intelRdtDir":null}"#,
            ),
            (
                "run/docker/runtime-runc/moby/d/state.json",
                r#"{"init_process_pid":8,"config":{"labels":null}}"#,
            ),
            ("run/runc/broken/state.json", "{"),
            ("run/runc/empty/x", ""),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        let roots = default_roots(&host);
        let found: Vec<_> = roots.iter().flat_map(|root| list_states(&host, root)).collect();
        let brief: Vec<_> = found.iter().map(|s| (s.id.as_str(), s.pid, s.runtime)).collect();
        assert_eq!(brief, [("a", 5, "runc"), ("b", 6, "crun"), ("c", 7, "youki"), ("d", 8, "runc")]);
        assert_eq!(found[0].bundle.as_deref(), Some(Path::new("/b/a")));
        assert_eq!(found[0].cgroups, ["/sys/fs/cgroup/a"]);
        assert_eq!(found[1].cgroups, ["/b"]);
        assert_eq!(found[2].bundle.as_deref(), Some(Path::new("/b/c")));
        for id in ["", ".", "..", "../runc/a", "a/"] {
            assert!(read_state(&host, Path::new("/run/runc"), id).is_none(), "{id}");
        }
    }
}
