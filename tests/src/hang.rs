//! A file system that never answers: its server is here, and takes no request.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

const DEVICE: &str = "/dev/fuse";

/// A mount of FUSE, in the mount namespace of this process. Whoever asks it waits until this goes.
#[derive(Debug)]
pub struct Hanging {
    server: Option<std::fs::File>,
    at: PathBuf,
}

impl Hanging {
    /// Mounts it over a directory; the reason if this machine has no FUSE.
    ///
    /// # Errors
    /// The kernel refuses the mount.
    pub fn mount(at: &Path) -> anyhow::Result<Result<Self, String>> {
        let server = match OpenOptions::new().read(true).write(true).open(DEVICE) {
            Ok(server) => server,
            // No node, or no module behind it.
            Err(e) => return Ok(Err(format!("{DEVICE}: {e}"))),
        };
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0\0", server.as_raw_fd());
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes())?;
        mount(c"hanging", at, c"fuse", MountFlags::empty(), Some(options))
            .with_context(|| format!("cannot mount FUSE at {}", at.display()))?;
        Ok(Ok(Self { server: Some(server), at: at.to_owned() }))
    }

    /// Takes the server away: who waits is told so, and so is whoever comes later.
    pub fn end(&mut self) {
        self.server = None;
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.end();
        // Copies of it in containers go with those.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}
