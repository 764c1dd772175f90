//! Container engines for guests: on a disk, because they are a quarter of a gigabyte that a first root file system would
//! have to unpack, and because guests read no more of them than they use. One disk serves every guest of a run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::libraries;
use crate::project::{Project, find_program};
use crate::say;
use crate::setup;

/// Those of the scenario runner that are engines, and the runtime that is in no other guest.
pub(crate) const RUNTIMES: &str = "docker,podman,podman-rootless,containerd,cri,youki";

/// Docker starts nothing where it cannot load its profile, and the suite's acts are those that the profile refuses.
pub(crate) const APPEND: &str = "apparmor=0";

/// What they consist of: where it is found, one of several where distributions differ, divided by spaces, and where the
/// guest has it, if elsewhere.
const FILES: [(&str, &str); 15] = [
    ("dockerd", ""),
    // A newer client than the engine may come first in the path.
    ("/usr/bin/docker docker", "/usr/bin/docker"),
    ("docker-proxy", ""),
    ("containerd", ""),
    ("containerd-shim-runc-v2", ""),
    ("ctr", ""),
    ("podman", ""),
    // What gives the containers of a user without root their ids.
    ("newuidmap", ""),
    ("newgidmap", ""),
    ("conmon /usr/libexec/podman/conmon", "/usr/bin/conmon"),
    ("/usr/lib/podman/netavark /usr/libexec/podman/netavark", ""),
    // Only because Podman looks for it.
    ("/usr/lib/podman/aardvark-dns /usr/libexec/podman/aardvark-dns", ""),
    ("/usr/share/containers/containers.conf", ""),
    ("/usr/share/containers/seccomp.json", ""),
    ("/etc/containers/policy.json", ""),
];

/// Room beside the files, for what a file system says of itself.
const SPARE: u64 = 16 << 20;

/// The disk, in a folder that goes with it.
pub(crate) struct Disk {
    folder: PathBuf,
    image: PathBuf,
}

impl Disk {
    /// Makes it from what this machine has.
    pub(crate) fn make(project: &Project) -> anyhow::Result<Self> {
        say::step("putting the container engines on a disk, for the guests");
        let folder = project.target.join("vm/run").join(format!("engines-{}", std::process::id()));
        let (tree, image) = (folder.join("tree"), folder.join("disk.img"));
        let disk = Self { folder, image };
        let mut taken = BTreeSet::new();
        let mut size = SPARE;
        for (places, guest) in FILES {
            let found = places.split(' ').find_map(find).with_context(|| {
                format!("guests with engines need {places}, which is not installed: run `cargo xtask setup`")
            })?;
            let guest = if guest.is_empty() { found.as_path() } else { Path::new(guest) };
            size += put(&found, guest, &tree, &mut taken)?;
        }
        // It is not on every machine that builds guests.
        let youki = setup::youki(project);
        if youki.is_file() {
            size += put(&youki, Path::new("/usr/bin/youki"), &tree, &mut taken)?;
        }
        let image = &disk.image;
        fs::File::create(image)
            .and_then(|file| file.set_len(size))
            .with_context(|| format!("cannot write {}", image.display()))?;
        // Nothing is written to it: no journal, and no room kept for root.
        project
            .cmd("mkfs.ext4")
            .args(["-q", "-O", "^has_journal", "-m", "0", "-N", "1024", "-d"])
            .arg(&tree)
            .arg(image)
            .run()
            .context("the disk of the container engines cannot be made")?;
        fs::remove_dir_all(&tree).context("cannot remove what the disk was made of")?;
        Ok(disk)
    }

    /// The disk's image.
    pub(crate) fn path(&self) -> &Path {
        &self.image
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn find(place: &str) -> Option<PathBuf> {
    match Path::new(place) {
        path if path.is_absolute() => path.is_file().then(|| path.to_owned()),
        _ => find_program(place),
    }
}

/// Copies a file with its mode and its libraries; gives how much room it takes.
fn put(host: &Path, guest: &Path, tree: &Path, taken: &mut BTreeSet<PathBuf>) -> anyhow::Result<u64> {
    if !taken.insert(guest.to_owned()) {
        return Ok(0);
    }
    let Ok(inside) = guest.strip_prefix("/") else {
        bail!("{} is no path in a guest", guest.display());
    };
    let to = tree.join(inside);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut size = fs::copy(host, &to).with_context(|| format!("cannot copy {}", host.display()))?;
    for library in libraries::of(host)? {
        size += put(&library, &library, tree, taken)?;
    }
    Ok(size)
}
