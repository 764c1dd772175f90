//! What a person must fix: one type for all of it, with a code, a title, places in a text, notes and help.
//!
//! Codes live in [`Code`]; `docs/errors.md` is generated from them. Two renderers: [`Diagnostic::render_text`]
//! for people and [`Diagnostic::to_json`] for programs.

mod code;
mod exit;
mod render;

pub use code::Code;
pub use exit::Exit;

use std::ops::Range;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nothing goes on until it is fixed.
    Error,
    /// Something is worse than it could be.
    Warning,
}

impl Level {
    /// The word in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a text that the person wrote, and what is the matter there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Name of the text: a file, or a flag.
    pub source: String,
    /// The whole text.
    pub text: String,
    /// Bytes of the text that are meant; cut to the text when rendered.
    pub range: Range<usize>,
    /// What is the matter.
    pub message: String,
}

impl Label {
    /// Points at `range` of `text`.
    pub fn new(
        source: impl Into<String>,
        text: impl Into<String>,
        range: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self { source: source.into(), text: text.into(), range, message: message.into() }
    }
}

/// Something that a person must fix.
///
/// Boxed inside, so that a `Result` with it stays small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: Code,
    level: Level,
    title: String,
    labels: Vec<Label>,
    notes: Vec<String>,
    help: Vec<String>,
}

impl Diagnostic {
    /// An error with the title and help of its code.
    pub fn new(code: Code) -> Self {
        Self::titled(code, code.title())
    }

    /// An error with a title that names the case. No full stop at its end.
    pub fn titled(code: Code, title: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            level: Level::Error,
            title: title.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }))
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.0.level = Level::Warning;
        self
    }

    /// Adds a place.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.0.labels.push(label);
        self
    }

    /// Adds a fact that explains it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }

    /// Adds what to do, in place of the help of the code.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// Its places.
    pub fn labels(&self) -> &[Label] {
        &self.0.labels
    }

    /// Its notes.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// What to do: its own help, or that of its code.
    pub fn helps(&self) -> impl Iterator<Item = &str> {
        let general = self.0.help.is_empty().then(|| self.0.code.help());
        self.0.help.iter().map(String::as_str).chain(general)
    }

    /// The exit status of a program that ends with it.
    pub fn exit(&self) -> Exit {
        self.0.code.exit()
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]: {}", self.0.level.name(), self.0.code, self.0.title)
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests;
