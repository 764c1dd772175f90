//! Which records go where: a set of event kinds and record types, as `--events` and `--kind` name them.

use monitor_common::event::EventKind;

use crate::diag::{Code, Diagnostic, Label};

/// The type of a record: the `type` key of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `event`.
    Event,
    /// `finding`.
    Finding,
    /// `container`.
    Container,
    /// `executable`.
    Executable,
    /// `posture`.
    Posture,
    /// `loss`.
    Loss,
    /// `status`.
    Status,
}

impl Class {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::Event,
        Self::Finding,
        Self::Container,
        Self::Executable,
        Self::Posture,
        Self::Loss,
        Self::Status,
    ];

    /// The name in output and filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Finding => "finding",
            Self::Container => "container",
            Self::Executable => "executable",
            Self::Posture => "posture",
            Self::Loss => "loss",
            Self::Status => "status",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of event kinds and record types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    events: u64,
    classes: u8,
}

const _: () = assert!(EventKind::ALL.len() <= 64);

fn event_bit(kind: EventKind) -> u64 {
    1 << kind.index()
}

impl Kinds {
    /// Everything.
    pub const ALL: Self = Self { events: u64::MAX, classes: u8::MAX };
    /// Everything but events.
    pub const NO_EVENTS: Self = Self { events: 0, classes: u8::MAX };
    /// Nothing.
    pub const NONE: Self = Self { events: 0, classes: 0 };

    /// True if records of this type, if not an event, are in the set.
    pub fn class(self, class: Class) -> bool {
        match class {
            Class::Event => self.events != 0,
            other => self.classes & other.bit() != 0,
        }
    }

    /// True if events of this kind are in the set.
    pub fn event(self, kind: EventKind) -> bool {
        self.events & event_bit(kind) != 0
    }

    /// The same set with records of `class` in it.
    pub fn with(self, class: Class) -> Self {
        match class {
            Class::Event => Self { events: u64::MAX, ..self },
            other => Self { classes: self.classes | other.bit(), ..self },
        }
    }

    /// Reads `--events`: `all`, `none`, or event kinds separated by commas. Other records always pass.
    ///
    /// # Errors
    /// A word that is no event kind, with its place in `text`.
    pub fn parse_events(text: &str) -> Result<Self, Diagnostic> {
        match text {
            "all" => Ok(Self::ALL),
            "none" => Ok(Self::NO_EVENTS),
            list => Ok(Self { classes: u8::MAX, ..parse("--events", list, false)? }),
        }
    }

    /// Reads `--kind`: event kinds and record types separated by commas.
    ///
    /// # Errors
    /// A word that is neither, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        parse("--kind", text, true)
    }
}

fn parse(flag: &'static str, text: &str, classes: bool) -> Result<Kinds, Diagnostic> {
    let mut kinds = Kinds::NONE;
    let mut at = 0;
    for item in text.split(',') {
        let word = item.trim();
        if let Some(kind) = EventKind::ALL.iter().find(|k| k.name() == word && !k.is_part()) {
            kinds.events |= event_bit(*kind);
        } else if let Some(class) = Class::ALL.iter().find(|c| classes && c.name() == word) {
            kinds = kinds.with(*class);
        } else {
            return Err(unknown(flag, text, at..at + item.len(), word, classes));
        }
        at += item.len() + 1;
    }
    Ok(kinds)
}

fn unknown(flag: &str, text: &str, range: std::ops::Range<usize>, word: &str, classes: bool) -> Diagnostic {
    let events = EventKind::ALL.iter().filter(|k| !k.is_part()).map(|k| k.name());
    let extra = Class::ALL.iter().filter(|_| classes).map(|c| c.name());
    let known: Vec<&str> = events.chain(extra).collect();
    let what = if classes { "kind of event or type of record" } else { "kind of event" };
    Diagnostic::titled(Code::BadFilter, format!("`{word}` is no {what}"))
        .label(Label::new(flag, text, range, "not known"))
        .help(format!("known are: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let kinds = Kinds::parse("exec, mount,finding").unwrap();
        assert!(
            kinds.event(EventKind::Exec) && kinds.event(EventKind::Mount) && !kinds.event(EventKind::Fork)
        );
        assert!(kinds.class(Class::Finding) && !kinds.class(Class::Loss) && kinds.class(Class::Event));
        let kinds = Kinds::parse_events("exec").unwrap();
        assert!(kinds.event(EventKind::Exec) && kinds.class(Class::Finding) && kinds.class(Class::Status));
        assert!(!Kinds::parse_events("none").unwrap().class(Class::Event));
        assert!(EventKind::ALL.iter().all(|k| Kinds::parse("event").unwrap().event(*k)));
    }

    #[test]
    fn an_unknown_word_is_pointed_at() {
        let text = Kinds::parse("exec,monut").unwrap_err().render_text(false);
        assert!(text.contains("`monut`") && text.contains("     ^^^^^ not known"), "{text}");
        assert!(Kinds::parse_events("exec_args").is_err());
        assert!(Kinds::parse_events("finding").is_err() && Kinds::parse("").is_err());
    }
}
