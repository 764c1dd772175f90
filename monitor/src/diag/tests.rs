//! Tests of the renderers and of the registry.

use super::*;
use crate::output::testing::check_generated;

#[track_caller]
fn check(diagnostic: &Diagnostic, want: &str) {
    assert_eq!(diagnostic.render_text(false), want);
}

#[test]
fn plain_text() {
    check(
        &Diagnostic::new(Code::NoBtf).note("/sys/kernel/btf/vmlinux: not found"),
        "error[BH0002]: this kernel shows no BTF
  = note: /sys/kernel/btf/vmlinux: not found
  = help: use a kernel with CONFIG_DEBUG_INFO_BTF=y and mount /sys; the kernels of current distributions have it
",
    );
    check(
        &Diagnostic::titled(Code::BadFilter, "`monut` is no kind of event")
            .warning()
            .label(Label::new("--kind", "exec,\nüb,monut", 10..15, "not known"))
            .help("known are: exec"),
        "warning[BH0017]: `monut` is no kind of event
 --> --kind:2:4
  |
2 | üb,monut
  |    ^^^^^ not known
  = help: known are: exec
",
    );
}

#[test]
fn ranges_that_do_not_fit_are_cut() {
    for range in [0..0, 1..2, 2..99, 99..100, std::ops::Range { start: 3, end: 1 }] {
        let text =
            Diagnostic::new(Code::Usage).label(Label::new("x", "aéb\nc", range, "")).render_text(false);
        assert!(text.contains('^'), "{text}");
    }
}

#[test]
fn hostile_text_is_escaped() {
    let bad = "a\u{1b}[31m\u{202e}";
    let diagnostic =
        Diagnostic::titled(Code::Usage, bad).label(Label::new(bad, bad, 1..4, bad)).note(bad).help(bad);
    let text = diagnostic.render_text(false);
    assert!(!text.chars().any(|c| c != '\n' && escape_is_hidden(c)), "{text:?}");
    assert!(diagnostic.render_text(true).contains("\x1b[1;31merror[BH0018]\x1b[0m"));
    assert_eq!(diagnostic.to_json()["labels"][0]["column"], 2);
}

fn escape_is_hidden(c: char) -> bool {
    crate::output::escape::is_hidden(c)
}

#[test]
fn the_registry_is_in_order() {
    for (at, code) in Code::ALL.iter().enumerate() {
        assert_eq!(*code as usize, at + 1);
        for text in [code.title(), code.help()] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{code}: {text}");
        }
    }
    assert_eq!(Diagnostic::new(Code::BadFilter).exit(), Exit::Usage);
    assert_eq!(Diagnostic::new(Code::NoDaemon).exit(), Exit::CannotStart);
}

#[test]
fn the_reference_is_up_to_date() {
    check_generated("docs/errors.md", &Code::reference());
}
