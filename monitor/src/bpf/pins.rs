//! What stays in the kernel when the daemon ends: maps, programs and links, pinned below one folder of a BPF file
//! system (`kernel/bpf/inode.c`).

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statfs};

/// `BPF_FS_MAGIC`, kernel `include/uapi/linux/magic.h`.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// Why pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The folder is on another file system.
    #[error("{0} is not on a BPF file system")]
    NotBpf(PathBuf),
    /// Another daemon uses it.
    #[error("{0} is in use by another daemon")]
    InUse(PathBuf),
    /// The folder cannot be made, read or removed.
    #[error("{path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A folder of pins that no other daemon uses.
#[derive(Debug)]
pub struct Pins {
    folder: PathBuf,
    /// Locked for as long as it is open: the kernel lets go of it whatever the daemon dies of.
    _lock: File,
}

impl Pins {
    /// Makes the folder if it is not there, and takes it.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn open(folder: &Path) -> Result<Self, PinError> {
        let failed = |source: io::Error| PinError::Io { path: folder.to_owned(), source };
        let parent = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let found = statfs(parent).map_err(|e| failed(e.into()))?;
        if found.f_type as u64 != BPF_FS_MAGIC {
            return Err(PinError::NotBpf(folder.to_owned()));
        }
        for part in [folder.to_owned(), folder.join("maps"), folder.join("programs"), folder.join("links")] {
            fs::create_dir_all(&part).map_err(failed)?;
        }
        // What is pinned here can be read and detached by who may open it.
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = File::open(folder).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(PinError::InUse(folder.to_owned())),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Where.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn maps(&self) -> PathBuf {
        self.folder.join("maps")
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    pub(super) fn links(&self) -> PathBuf {
        self.folder.join("links")
    }

    /// True if something is pinned.
    pub fn any(&self) -> bool {
        fs::read_dir(self.maps()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Takes every pin away: what nobody else holds is detached and gone. The folder stays.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub fn clear(&self) -> Result<(), PinError> {
        // Links first: nothing may run on half of its maps.
        for folder in [self.links(), self.programs(), self.maps()] {
            let failed = |source: io::Error| PinError::Io { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(failed)? {
                fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Takes every pin away, and the folder.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(self) -> Result<(), PinError> {
        self.clear()?;
        for folder in [self.links(), self.programs(), self.maps(), self.folder.clone()] {
            fs::remove_dir(&folder).map_err(|source| PinError::Io { path: folder.clone(), source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_system_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("pins");
        let error = Pins::open(&wanted).unwrap_err();
        assert!(matches!(error, PinError::NotBpf(path) if path == wanted));
        assert!(!wanted.exists());
    }
}
