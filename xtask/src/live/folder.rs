//! A temporary folder of the run's own, removed with all that is in it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::say;

/// The folder; nothing is ever mounted below it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes `PREFIX-PID` where temporary files are. It must not exist: somebody else's is not used.
    pub(crate) fn make(prefix: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("{prefix}-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// A path below it.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            say::note(format!("{} is left: {error}", self.0.display()));
        }
    }
}
