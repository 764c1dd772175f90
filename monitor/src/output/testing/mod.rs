//! What the tests of the output share: fixtures, a validator for the schemas, generated files.

pub(crate) mod fixtures;
pub(crate) mod validate;

use std::path::Path;

/// Compares a generated file of the repository with what it should be; `BULKHEAD_BLESS=1` writes it.
#[track_caller]
pub(crate) fn check_generated(path: &str, want: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("BULKHEAD_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, want).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differ = found.lines().zip(want.lines()).position(|(a, b)| a != b);
    assert!(
        found == want,
        "{path} is out of date (line {}): BULKHEAD_BLESS=1 cargo test -p monitor",
        differ.unwrap_or(found.lines().count().min(want.lines().count())) + 1
    );
}
