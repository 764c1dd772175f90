//! What a finding is made of.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Unusual; benign in some images.
    Notice,
    /// Weakens isolation, or tries to.
    Warning,
    /// Isolation is broken, or was nearly.
    Critical,
}

impl Severity {
    /// The name in output and filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Whether the act had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The kernel did it.
    Succeeded,
    /// The kernel refused.
    Denied,
    /// Seen before the kernel decided.
    Attempted,
}

impl Outcome {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Denied => "denied",
            Self::Attempted => "attempted",
        }
    }

    /// The outcome of a call that returned `ret`.
    pub const fn of(ret: i32) -> Self {
        if ret < 0 { Self::Denied } else { Self::Succeeded }
    }
}

/// A rule: an invariant or a check, with what a person needs to know about it.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Id in output: an invariant (`I-1`) or a catalogue row (`C01`).
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// Severity unless the rule says otherwise for a case.
    pub severity: Severity,
    /// Catalogue rows it covers.
    pub behaviours: &'static [&'static str],
    /// ATT&CK techniques.
    pub attack: &'static [&'static str],
    /// The invariant that is broken, if it is one.
    pub invariant: Option<&'static str>,
    /// What it means.
    pub what: &'static str,
    /// When it is benign, and what to do then.
    pub benign: &'static str,
}

/// A value of evidence: typed, so that a format can render it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Inode of a namespace, with its type.
    Namespace(&'static str, u32),
    /// A number.
    Number(u64),
    /// A bit mask in hexadecimal.
    Hex(u64),
    /// Bytes from the container or the kernel: escaped by the format.
    Bytes(Vec<u8>),
    /// Words of ours.
    Text(String),
    /// A fixed word.
    Word(&'static str),
}

/// One fact: what was granted and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Name of the fact, `snake_case`.
    pub name: &'static str,
    /// What the baseline or the OCI configuration says; `None` if there is nothing to compare with.
    pub declared: Option<Value>,
    /// What the kernel showed.
    pub observed: Value,
}

/// An invariant broken or a check matched.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static RuleInfo,
    /// Severity of this case.
    pub severity: Severity,
    /// Whether the act had its effect.
    pub outcome: Outcome,
    /// The proof.
    pub evidence: Vec<Evidence>,
}
