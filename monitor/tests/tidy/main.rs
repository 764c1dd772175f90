//! What holds for the repository as a whole, checked on its text: no kernel, no root, no network.
//!
//! `repo.rs` reads the files, `source.rs` looks at Rust, `layers.rs` at who may use what, `documents.rs` at
//! the rest. Each checker is a function from text to complaints, and each is shown bad text, too: a check that
//! cannot fail checks nothing.

mod documents;
mod layers;
mod repo;
mod source;

use repo::Repo;

/// Fails with every complaint at once.
#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Complaints of one checker about every Rust file.
fn rust(check: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let repo = Repo::open();
    repo.rust().flat_map(|file| name_file(&file.path, check(&file.text))).collect()
}

fn name_file(path: &str, complaints: Vec<String>) -> Vec<String> {
    complaints.into_iter().map(|c| format!("{path}: {c}")).collect()
}

#[test]
fn the_repository_is_read() {
    let repo = Repo::open();
    assert!(repo.rust().count() > 100);
    assert!(repo.text("Cargo.lock").contains("[[package]]"));
}

#[test]
fn every_file_says_what_lives_in_it() {
    none(&rust(source::module_docs));
}

#[test]
fn modules_written_in_place_are_documented() {
    none(&rust(source::inline_modules));
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    none(&rust(source::unfinished));
}

#[test]
fn files_stay_short() {
    let repo = Repo::open();
    let lengths: Vec<_> = repo.rust().map(|file| (file.path.as_str(), file.text.lines().count())).collect();
    none(&source::lengths(&lengths, &repo.text("monitor/tests/tidy/long-files.txt")));
}

#[test]
fn modules_use_only_what_they_may() {
    let repo = Repo::open();
    let files: Vec<_> = repo.rust().filter(|file| !source::is_test(&file.path)).collect();
    for layer in layers::LAYERS {
        assert!(
            files.iter().any(|file| layer.covers(&file.path)),
            "no file is in the layer {:?}",
            layer.inside
        );
    }
    let complaints =
        files.iter().flat_map(|file| name_file(&file.path, layers::complaints(&file.path, &file.text)));
    none(&complaints.collect::<Vec<_>>());
}

#[test]
fn the_shared_crate_depends_on_nothing() {
    none(&documents::no_dependencies(&Repo::open().text("monitor-common/Cargo.toml")));
}

#[test]
fn no_machine_is_named() {
    let repo = Repo::open();
    none(&repo.files.iter().flat_map(|f| name_file(&f.path, documents::places(&f.text))).collect::<Vec<_>>());
}

#[test]
fn links_lead_somewhere() {
    let repo = Repo::open();
    let pages: Vec<_> = repo.files.iter().filter(|file| file.path.ends_with(".md")).collect();
    assert!(pages.len() > 5);
    let all = pages.iter().flat_map(|page| {
        let complaints = documents::links(&page.path, &page.text, |path| repo.find(path));
        name_file(&page.path, complaints)
    });
    none(&all.collect::<Vec<_>>());
}

#[test]
fn error_codes_are_documented() {
    let page = Repo::open().text("docs/errors.md");
    let codes: Vec<String> = monitor::diag::Code::ALL.iter().map(ToString::to_string).collect();
    assert!(codes.len() > 10);
    none(&documents::all_in(&page, codes.iter().map(String::as_str)));
}

#[test]
fn catalogue_rows_are_in_the_coverage_table() {
    let page = Repo::open().text("docs/coverage.md");
    none(&documents::all_in(&page, monitor::detect::RULES.iter().flat_map(|rule| rule.behaviours).copied()));
}

#[test]
fn flags_are_in_the_guide() {
    let repo = Repo::open();
    let flags = documents::long_flags(&repo.text("monitor/src/cli/args.rs"));
    assert!(flags.len() > 10, "{flags:?}");
    none(&documents::all_in(&repo.text("docs/guide.md"), flags.iter().map(String::as_str)));
}

#[test]
fn decisions_have_their_parts() {
    let repo = Repo::open();
    let decisions: Vec<_> = repo
        .files
        .iter()
        .filter(|f| f.path.starts_with("docs/decisions/") && f.path.ends_with(".md"))
        .collect();
    assert!(!decisions.is_empty());
    none(
        &decisions.iter().flat_map(|f| name_file(&f.path, documents::decision(&f.text))).collect::<Vec<_>>(),
    );
}

#[test]
fn lints_are_the_workspace_s() {
    let repo = Repo::open();
    let members = documents::members(&repo.text("Cargo.toml"));
    assert!(members.len() >= 5, "{members:?}");
    for member in members {
        let path = format!("{member}/Cargo.toml");
        none(&name_file(&path, documents::inherits_lints(&repo.text(&path))));
    }
}

#[test]
fn dependencies_stay_few() {
    none(&documents::budget(&Repo::open().text("Cargo.lock"), 250));
}
