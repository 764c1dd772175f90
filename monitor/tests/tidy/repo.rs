//! The files of the repository, without what `.gitignore` names.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct File {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// What it holds; bytes that are no text are replaced.
    pub(crate) text: String,
}

/// Every file that belongs to the repository.
pub(crate) struct Repo {
    /// Sorted by path.
    pub(crate) files: Vec<File>,
    root: PathBuf,
}

impl Repo {
    /// Reads it.
    pub(crate) fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let mut repo = Self { files: Vec::new(), root };
        repo.read(&PathBuf::new(), &ignored_paths(&ignored));
        repo.files.sort_by(|a, b| a.path.cmp(&b.path));
        repo
    }

    fn read(&mut self, folder: &Path, ignored: &[String]) {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if ignored.contains(&name) || name == ".git" {
                continue;
            }
            if kind.is_dir() {
                self.read(&path, ignored);
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                self.files.push(File { path: name, text: String::from_utf8_lossy(&bytes).into_owned() });
            }
        }
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The text of the file at `path`; empty for a folder, `None` if there is neither.
    pub(crate) fn find(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path);
        let folder =
            || self.files.iter().any(|file| file.path.strip_prefix(path).is_some_and(|r| r.starts_with('/')));
        file.map(|file| file.text.as_str()).or_else(|| folder().then_some(""))
    }

    /// The text of a file that must be there.
    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> String {
        match self.find(path) {
            Some(text) => text.to_owned(),
            None => panic!("there is no {path}"),
        }
    }
}

/// The paths that a `.gitignore` names from the root, the only form that is used here.
fn ignored_paths(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('/'))
        .map(|l| l.trim_end_matches('/').to_owned())
        .collect()
}

#[test]
fn ignored_paths_are_those_from_the_root() {
    assert_eq!(ignored_paths("# no\n/target\n/fuzz/target/\n\n"), ["target", "fuzz/target"]);
}
