//! Checks of Rust source as text.

/// Longest file; what is longer is split by topic.
const LINES_MAX: usize = 400;

/// True if only tests use the file.
pub(crate) fn is_test(path: &str) -> bool {
    let own = ["monitor/tests/", "tests/", "fuzz/"].iter().any(|folder| path.starts_with(folder));
    own || path.ends_with("/tests.rs")
        || path.ends_with("/testing.rs")
        || ["/tests/", "/testing/"].iter().any(|folder| path.contains(folder))
}

/// The code of a file: no comments on their own lines, and nothing from its test module on.
pub(crate) fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_tests = line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if is_tests {
            break;
        }
        if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// True if `code` has `word` standing for itself: `aya` is not in `layaway` nor in `aya_obj`.
pub(crate) fn mentions(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part);
        let after = code[at + word.len()..].chars().next().is_some_and(part);
        !(before && word.starts_with(part) || after && word.ends_with(part))
    })
}

/// A file begins by saying what lives in it.
pub(crate) fn module_docs(text: &str) -> Vec<String> {
    let said = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "))
        .is_some_and(|doc| doc.trim().len() > 3);
    if said { vec![] } else { vec!["does not begin with `//!` and what lives in it".to_owned()] }
}

/// A public module that is written in place has a comment before it.
pub(crate) fn inline_modules(text: &str) -> Vec<String> {
    let mut documented = false;
    let mut complaints = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_module =
            (line.starts_with("pub mod ") || line.starts_with("pub(crate) mod ")) && line.ends_with('{');
        if is_module && !documented {
            complaints.push(format!("`{line}` has no doc comment"));
        }
        documented = line.starts_with("///") || documented && line.starts_with('#');
    }
    complaints
}

/// Nothing stands for work to be done later, and no test is switched off.
pub(crate) fn unfinished(text: &str) -> Vec<String> {
    // Put together here, so that this file does not find itself.
    let words = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("#[ign", "ore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    words.iter().filter(|word| mentions(text, word)).map(|word| format!("has `{word}`")).collect()
}

/// Files longer than the limit are listed with their length, and that length only shrinks.
pub(crate) fn lengths(files: &[(&str, usize)], list: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut allowed = std::collections::BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(' ').and_then(|(path, n)| Some((path, n.trim().parse::<usize>().ok()?))) {
            Some((path, length)) => _ = allowed.insert(path, length),
            None => complaints.push(format!("the list of long files has `{line}`, not `path lines`")),
        }
    }
    for (path, length) in files {
        match allowed.remove(path) {
            None if *length <= LINES_MAX => {}
            Some(was) if *length == was && *length > LINES_MAX => {}
            None => {
                complaints.push(format!("{path}: {length} lines, more than {LINES_MAX}: split it by topic"));
            }
            Some(was) if *length > was => {
                complaints.push(format!("{path}: grew from {was} to {length} lines"));
            }
            Some(_) if *length <= LINES_MAX => {
                complaints.push(format!("{path}: short now, take it off the list"));
            }
            Some(_) => complaints.push(format!("{path}: shrunk, write {length} into the list")),
        }
    }
    complaints.extend(allowed.keys().map(|path| format!("{path}: on the list of long files, but gone")));
    complaints
}

#[test]
fn test_files_are_told_from_others() {
    assert!(is_test("monitor/src/detect/tests/file.rs") && is_test("monitor/src/tail/render/tests.rs"));
    assert!(is_test("monitor/src/output/testing/mod.rs") && is_test("tests/src/host.rs"));
    assert!(!is_test("monitor/src/bpf/selftest.rs") && !is_test("xtask/src/test/mod.rs"));
}

#[test]
fn code_has_no_comments_and_no_tests() {
    let text = "//! aya\nuse a; // kept\n    // gone\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\n  tokio\n}\n";
    assert_eq!(code(text), "use a; // kept\n#[cfg(test)]\nmod tests;\nb\n");
}

#[test]
fn words_stand_for_themselves() {
    assert!(mentions("use aya::Ebpf;", "aya") && mentions("(std::fs::read)", "std::fs"));
    assert!(!mentions("aya_obj", "aya") && !mentions("layaway", "aya") && !mentions("TailString", "String"));
    assert!(mentions("#[ig]", "#[ig") && mentions("x #[ignored", "#["));
}

#[test]
fn files_without_docs_are_found() {
    assert!(module_docs("//! What lives here.\n").is_empty());
    for bad in ["", "use a;\n", "/// Not this.\n", "//!\n", "\n//! Too late, really.\n"] {
        assert_eq!(module_docs(bad).len(), 1, "{bad:?}");
    }
    assert!(inline_modules("/// Bits.\n#[x]\npub mod a {\n").is_empty());
    assert_eq!(inline_modules("use b;\npub mod a {\n").len(), 1);
    assert_eq!(inline_modules("/// Of another.\nfn f() {}\npub(crate) mod a {\n").len(), 1);
}

#[test]
fn unfinished_work_is_found() {
    assert!(unfinished("fn ignored() {}").is_empty());
    for bad in [concat!("to", "do!()"), concat!("#[ign", "ore = \"slow\"]"), concat!("// TO", "DO: later")] {
        assert_eq!(unfinished(bad).len(), 1, "{bad}");
    }
}

#[test]
fn the_ratchet_turns_one_way() {
    assert!(lengths(&[("a", 400), ("b", 500)], "# why\nb 500\n").is_empty());
    for (files, list, words) in [
        (&[("a", 401)][..], "", "split"),
        (&[("a", 501)], "a 500", "grew"),
        (&[("a", 450)], "a 500", "write 450"),
        (&[("a", 300)], "a 500", "take it off"),
        (&[], "a 500", "gone"),
        (&[], "a", "not `path lines`"),
    ] {
        let complaints = lengths(files, list);
        assert!(complaints.len() == 1 && complaints[0].contains(words), "{complaints:?}");
    }
}
