//! The containers' root file system: busybox, the actor, and what programs expect to find.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::host;
use crate::process;

const APPLETS: [&str; 8] = ["sh", "ls", "cat", "sleep", "true", "mount", "id", "ps"];
const FOLDERS: [&str; 11] =
    ["bin", "dev", "etc", "proc", "sys", "tmp", "run", "mnt", "root", "usr/bin", "home/user"];

/// Makes the tree at `at` and gives it back.
///
/// # Errors
/// The file system refuses, or the actor is missing.
pub fn make(at: &Path, actor: &Path) -> anyhow::Result<PathBuf> {
    for folder in FOLDERS {
        fs::create_dir_all(at.join(folder))?;
    }
    fs::set_permissions(at.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    if let Some(busybox) = host::program("busybox", None) {
        fs::copy(busybox, at.join("bin/busybox"))?;
        for applet in APPLETS {
            symlink("busybox", at.join("bin").join(applet))?;
        }
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
    fs::write(at.join("etc/passwd"), passwd)?;
    fs::write(at.join("etc/group"), "root:x:0:\nuser:x:1000:\n")?;
    fs::write(at.join("etc/hostname"), "scenario\n")?;
    // What only root can read.
    fs::write(at.join("etc/shadow"), "root:*:::::::\n")?;
    fs::set_permissions(at.join("etc/shadow"), fs::Permissions::from_mode(0o600))?;
    for (name, mode) in [("actor", 0o755), ("bin/actor-setuid", 0o4755)] {
        let copy = at.join(name);
        fs::copy(actor, &copy).with_context(|| format!("cannot copy {}", actor.display()))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
    }
    libraries(at, actor)?;
    Ok(at.to_owned())
}

/// A dynamic actor works too, with its libraries beside it.
fn libraries(at: &Path, actor: &Path) -> anyhow::Result<()> {
    let Some(ldd) = host::program("ldd", None) else { return Ok(()) };
    // ldd has a status of its own for static programs.
    let told = process::output(Command::new(ldd).arg(actor), Duration::from_secs(10))?;
    let told = String::from_utf8_lossy(&told.stdout);
    for word in told.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':')) {
        let copy = at.join(word.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap_or(at))?;
        fs::copy(word, copy)?;
    }
    Ok(())
}
