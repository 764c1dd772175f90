//! Files of this process, found as those of a container are.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::*;

/// SHA-256 of "abc" (FIPS 180-4, example 1).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A file as the kernel side would tell of it, with this process as the one that executed it.
fn executable(path: &Path) -> Executable {
    let id = crate::app::start::file_id(path).unwrap();
    let status = fs::metadata(path).unwrap();
    Executable {
        pid: std::process::id(),
        path: path.as_os_str().as_bytes().to_vec(),
        dev: id.dev,
        ino: id.ino,
        ctime: status.ctime(),
        nlink: 1,
        ..Executable::default()
    }
}

fn hasher(limit: u64) -> Hasher {
    Hasher::new(limit)
}

fn hex(outcome: Outcome) -> String {
    let Outcome::Hashed(hash) = outcome else { panic!("{outcome:?}") };
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until the file's times are old enough to be relied on.
fn settle(path: &Path) {
    let old =
        |m: &fs::Metadata| i128::from(m.ctime()) * 1_000_000_000 + i128::from(m.ctime_nsec()) + TICK < now();
    while !old(&fs::metadata(path).unwrap()) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_file_is_read_once_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, "abc").unwrap();
    settle(&path);
    let mut hasher = hasher(100);
    let first = hasher.take(executable(&path));
    assert_eq!(
        (hex(first.outcome).as_str(), first.size, first.is_news, first.files_read),
        (ABC, Some(3), true, 1)
    );
    let again = hasher.take(executable(&path));
    assert_eq!((again.outcome, again.is_news, again.files_read), (first.outcome, false, 1));
    let before = executable(&path);
    fs::File::options().append(true).open(&path).unwrap().write_all(b"d").unwrap();
    settle(&path);
    let changed = hasher.take(executable(&path));
    assert!(hex(changed.outcome) != ABC && changed.is_news && changed.files_read == 2);
    // The file that was executed is no more, unless its change was within the second that the record tells apart.
    let old = Executable { ctime: before.ctime - 1, ..before };
    assert_eq!(hasher.take(old).outcome, Outcome::Gone);
}

#[test]
fn a_file_that_just_changed_is_read_again_and_not_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let mut hasher = hasher(100);
    // Until the thread was quick enough.
    let (first, again) = loop {
        fs::write(&path, "abc").unwrap();
        let answers = (hasher.take(executable(&path)), hasher.take(executable(&path)));
        if answers.1.files_read == answers.0.files_read + 1 {
            break answers;
        }
    };
    assert_eq!(first.outcome, again.outcome);
    assert!(!again.is_news);
}

#[test]
fn what_is_not_the_file_that_was_executed_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("x"), folder.path().join("y"));
    fs::write(&path, "abc").unwrap();
    let asked = executable(&path);
    let mut hasher = hasher(2);
    let large = hasher.take(asked.clone());
    assert_eq!(
        (large.outcome, large.size, large.is_news, large.files_read),
        (Outcome::TooLarge, Some(3), true, 0)
    );
    fs::rename(&path, &other).unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    let moved = Executable { ino: asked.ino + 1_000_000, ..asked.clone() };
    assert_eq!(hasher.take(moved.clone()).outcome, Outcome::Gone);
    assert!(!hasher.take(moved).is_news);
    // No file at all, and one that would keep the reader waiting.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(hasher.take(executable(&folder.path().join("pipe"))).outcome, Outcome::Gone);
    let fuse = Executable { magic: 0x6573_5546, ..asked };
    assert_eq!(hasher.take(fuse).outcome, Outcome::Remote);
}

#[test]
fn this_very_program_is_found_by_its_process_without_a_path() {
    let own = executable(Path::new("/proc/self/exe"));
    let mut hasher = hasher(u64::MAX);
    let answer = hasher.take(Executable { path: b"/nowhere".to_vec(), ..own });
    assert!(matches!(answer.outcome, Outcome::Hashed(_)), "{answer:?}");
}
