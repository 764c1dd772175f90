//! The runner's own branch of the cgroup trees: every container is placed below it, and it is removed at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::host::Host;

/// Folders deeper than this are nobody's of ours.
const DEPTH: usize = 12;

/// A folder of the same name in each hierarchy, ours alone.
#[derive(Debug)]
pub struct Branch {
    /// Its name, below the root of each hierarchy.
    pub name: String,
    roots: Vec<PathBuf>,
    /// The folder in the hierarchy that identifies containers.
    pub home: PathBuf,
}

impl Branch {
    /// Makes it in the identity hierarchy, with a cgroup `outside` beside the containers.
    ///
    /// # Errors
    /// There is no cgroup hierarchy, or it is read-only.
    pub fn make(host: &Host) -> anyhow::Result<Self> {
        let name = format!("bulkhead-scenarios-{}", std::process::id());
        let identity = host.identity().context("no cgroup hierarchy is mounted")?;
        let home = identity.at.join(&name);
        fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let roots = host.hierarchies.iter().map(|h| h.at.clone()).collect();
        let branch = Self { name, roots, home };
        fs::create_dir(branch.outside()).context("cannot make a cgroup outside the containers")?;
        Ok(branch)
    }

    /// A cgroup that belongs to no container.
    pub fn outside(&self) -> PathBuf {
        self.home.join("outside")
    }

    /// What is left of a cgroup in the branch, in words, for whoever waits for its end.
    pub fn holders(&self, cgroup: &str) -> String {
        let folder = self.home.join(cgroup);
        if !folder.exists() {
            return "its cgroup was removed".to_owned();
        }
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let statuses: Vec<String> = processes
            .split_whitespace()
            .map(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                format!("{pid}: {}", stat.escape_debug())
            })
            .collect();
        format!("its cgroup is still there, with {} processes {statuses:?}", statuses.len())
    }

    /// Removes the cgroups below a container's, once no process is left in them.
    pub fn remove_below(&self, cgroup: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let entries = fs::read_dir(self.home.join(cgroup)).into_iter().flatten().flatten();
        for folder in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            // A killed process leaves its cgroup a moment after the signal.
            while !remove_tree(&folder) && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }

    /// Ends what still runs in the branch, and nothing else, then removes it everywhere.
    fn remove(&self) {
        // From 5.14 on; before that the runtimes' own clean-up has to do.
        let _ = fs::write(self.home.join("cgroup.kill"), "1");
        let mut folders = Vec::new();
        for root in &self.roots {
            find(root, &self.name, DEPTH, &mut folders);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        for folder in folders {
            // A killed process leaves its cgroup a moment after the signal.
            while !remove_tree(&folder) && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Version 1 hierarchies may hold the branch below the caller's own cgroup.
fn find(folder: &Path, name: &str, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if entry.file_name() == name {
            out.push(entry.path());
        } else if depth > 0 {
            find(&entry.path(), name, depth - 1, out);
        }
    }
}

/// Removes a cgroup with those below it; true if it is gone.
pub(crate) fn remove_tree(folder: &Path) -> bool {
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_tree(&entry.path());
        }
    }
    match fs::remove_dir(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
