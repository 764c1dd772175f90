//! A writer of the `newc` archives that the kernel unpacks as its first root file system.
//!
//! Written here, so that no staging folder, no root and no `mknod` is needed to hold device nodes.

use std::collections::BTreeSet;

const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
const CHAR_DEVICE: u32 = 0o020_000;

/// An archive under construction. Paths are absolute, as the guest will see them.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    pub(crate) fn folder(&mut self, path: &str) {
        let path = path.trim_end_matches('/');
        if path.is_empty() || !self.folders.insert(path.to_owned()) {
            return;
        }
        self.parent_of(path);
        self.entry(path, FOLDER | 0o755, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.parent_of(path);
        self.entry(path, REGULAR | mode, (0, 0), content);
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.parent_of(path);
        self.entry(path, LINK | 0o777, (0, 0), target.as_bytes());
    }

    pub(crate) fn char_device(&mut self, path: &str, major: u32, minor: u32) {
        self.parent_of(path);
        self.entry(path, CHAR_DEVICE | 0o600, (major, minor), &[]);
    }

    /// Closes the archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("/TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn parent_of(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let name = path.trim_start_matches('/');
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, mtime, size, own device (2), node's device (2), name's size, checksum
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_once() {
        let mut archive = Archive::default();
        archive.file("/a/b/one", 0o755, b"x");
        archive.link("/a/b/two", "one");
        let text = String::from_utf8_lossy(&archive.finish()).into_owned();
        let at = |name: &str| text.find(name).expect("present");
        assert!(
            at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/one\0") && at("a/b/one\0") < at("a/b/two\0")
        );
        assert_eq!(text.matches("a/b\0").count(), 1);
        assert!(text.contains("TRAILER!!!"));
    }

    #[test]
    fn every_header_starts_at_a_multiple_of_four() {
        let mut archive = Archive::default();
        archive.file("/abc", 0o644, b"12345");
        archive.char_device("/dev/console", 5, 1);
        let bytes = archive.finish();
        let headers: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"070701")).collect();
        assert_eq!(headers.len(), 4, "the file, /dev, the node and the trailer");
        assert!(headers.iter().all(|at| at % 4 == 0));
        assert_eq!(bytes.len() % 4, 0);
    }
}
