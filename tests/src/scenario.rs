//! The scenarios: data in `tests/scenarios/*.toml`, compiled in, checked when read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::bundle::Change;
use crate::host::Layout;
use crate::runtime::Kind;

mod book;
#[cfg(test)]
mod tests;

pub use book::Book;

/// How the daemon hooks system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// `fentry` and `fexit`.
    Trampoline,
    /// System call tracepoints.
    Tracepoint,
}

impl Rung {
    /// The name in options and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trampoline => "trampoline",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// By that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Trampoline, Self::Tracepoint].into_iter().find(|rung| rung.name() == name)
    }
}

/// Where the act comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Where {
    /// A process that runs in the container already makes it as its child.
    #[default]
    Session,
    /// The runtime's `exec` starts it: its first program is the end of a JOIN.
    Exec,
    /// It is the container's own first program, in a container of its own.
    Entry,
    /// As with `Exec`, in a container of its own that is older than the daemon: up to the verb `wait-for-line` it is
    /// done before the daemon starts, the rest when it is ready.
    Before,
}

/// A container to act in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// Capabilities beside the ordinary ones.
    pub caps: Vec<String>,
    /// Shares the host's process namespace.
    pub host_pid: bool,
    /// Shares the host's network namespace.
    pub host_net: bool,
    /// User of its programs; without capabilities unless 0.
    pub user: u32,
    /// Seccomp profile: the engine's own, or one that refuses the same calls. Otherwise none.
    pub seccomp: bool,
    /// Bind mounts.
    pub mounts: Vec<Bind>,
    /// May use every device, where the runtime is called directly.
    pub devices: bool,
    /// No masks over the kernel's files, where the runtime is called directly.
    pub unmasked: bool,
    /// Privileged, in an engine's own word for it; where the runtime is called directly it has none.
    pub privileged: bool,
    /// What is different in its configuration, where the runtime is called directly.
    #[serde(skip)]
    pub config: Option<Change>,
    /// The same once the runtime has read it: it declares what the container does not have, as after a race that was lost.
    #[serde(skip)]
    pub altered: Option<Change>,
    /// Its configuration is removed as soon as the runtime has read it; where that is called directly.
    pub unbundled: bool,
    /// Labels, `name=value`, where an engine takes some.
    pub labels: Vec<String>,
}

impl Setup {
    /// True if it needs the disk that not every machine can make.
    pub fn needs_disk(&self) -> bool {
        self.mounts.iter().any(|bind| bind.host == "{disk}")
    }
}

/// A bind mount from the host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// Path on the host, with placeholders.
    pub host: String,
    /// Path in the container.
    pub at: String,
}

/// A finding or event that must be there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Rule of a finding; `A|B` for either.
    pub rule: String,
    /// Its result; `a|b` for either.
    pub result: String,
    /// Its severity.
    pub severity: String,
    /// Facts that its evidence must have: a name, or `name=value` for what was observed.
    pub evidence: Vec<String>,
    /// True if a fact must be there with a declared and an observed value.
    pub compared: bool,
    /// A word among the arguments of an ancestor: who did it from outside.
    pub ancestor: String,
    /// Kind of an event.
    pub event: String,
    /// Values of its fields; a list must be contained.
    pub field: BTreeMap<String, toml::Value>,
    /// Flags of the record that must be set.
    pub flags: Vec<String>,
    /// Rungs on which this is expected; empty for all.
    pub rungs: Vec<Rung>,
    /// How many records at least, if more than one.
    pub count: usize,
}

impl Expect {
    /// True if this is expected on the rung.
    pub fn is_on(&self, rung: Rung) -> bool {
        self.rungs.is_empty() || self.rungs.contains(&rung)
    }
}

/// What must not be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Forbid {
    /// `"any"`: no finding at all.
    Word(String),
    /// Rules.
    Rules(Vec<String>),
}

impl Default for Forbid {
    fn default() -> Self {
        Self::Rules(Vec::new())
    }
}

impl Forbid {
    /// True if a finding of this rule must not be there.
    pub fn covers(&self, rule: &str) -> bool {
        match self {
            Self::Word(_) => true,
            Self::Rules(rules) => rules.iter().any(|known| known == rule),
        }
    }
}

/// What the kernel must answer to the last act.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// This errno, 0 for success.
    Errno(i32),
    /// `"any"`.
    Word(String),
}

/// One act and what must be said about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, unique.
    pub name: String,
    /// What it shows, in one line.
    pub about: String,
    /// Name of a set-up.
    #[serde(default = "plain")]
    pub setup: String,
    /// Where the act comes from.
    #[serde(default, rename = "where")]
    pub place: Where,
    /// Acts before, about which nothing is checked but that they succeed.
    #[serde(default)]
    pub prepare: Vec<Vec<String>>,
    /// Words of the actor's command line.
    pub action: Vec<String>,
    /// What the kernel must answer.
    #[serde(default = "success")]
    pub errno: Answer,
    /// What must be there.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What must not be.
    #[serde(default)]
    pub forbid: Forbid,
    /// Kinds of events that must not be there.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Runtimes; empty for all.
    #[serde(default)]
    pub runtimes: Vec<Kind>,
    /// Out of reach of the containers of a user without root, whom the kernel answers otherwise.
    #[serde(default)]
    pub needs_root: bool,
    /// Rungs; empty for all.
    #[serde(default)]
    pub rungs: Vec<Rung>,
    /// Cgroup layouts; empty for all.
    #[serde(default)]
    pub layouts: Vec<Layout>,
    /// Machine architectures; empty for all.
    #[serde(default)]
    pub arch: Vec<String>,
    /// Part of the conformance suite, which every engine passes in every cgroup layout: the set-up there.
    #[serde(default)]
    pub conformance: Option<String>,
    /// The detections whose nearest benign activity this is.
    #[serde(default)]
    pub twin_of: Vec<String>,
    /// Rows of `docs/catalogue.tsv` that it proves when it passes: each by an expected finding that names the row,
    /// else by the expected events.
    #[serde(default)]
    pub rows: Vec<String>,
    /// The evasion of `docs/evasions.tsv` that it tries.
    #[serde(default)]
    pub evasion: Option<String>,
    /// Where what is expected is known not to be seen. It fails there as soon as it is.
    #[serde(default)]
    pub unseen: Option<Unseen>,
}

/// A gap that is known and tested.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// Rungs; empty for all.
    #[serde(default)]
    pub rungs: Vec<Rung>,
    /// The reason, for people.
    pub why: String,
}

fn plain() -> String {
    "plain".to_owned()
}

fn success() -> Answer {
    Answer::Errno(0)
}

impl Scenario {
    /// Why it cannot run there; `None` if it can.
    pub fn excluded(&self, kind: Kind, rung: Rung, layout: Layout) -> Option<String> {
        if !self.runtimes.is_empty() && !self.runtimes.contains(&kind) {
            return Some(format!("not made for {}", kind.name()));
        }
        if self.needs_root && kind == Kind::PodmanRootless {
            return Some("out of reach without root".to_owned());
        }
        if !self.rungs.is_empty() && !self.rungs.contains(&rung) {
            return Some(format!("needs another rung than {}", rung.name()));
        }
        if !self.layouts.is_empty() && !self.layouts.contains(&layout) {
            return Some("needs another cgroup layout".to_owned());
        }
        let arch = std::env::consts::ARCH;
        (!self.arch.is_empty() && !self.arch.iter().any(|known| known == arch))
            .then(|| format!("not made for {arch}"))
    }

    /// True if what it expects is known not to be seen on the rung.
    pub fn is_unseen(&self, rung: Rung) -> bool {
        self.unseen.as_ref().is_some_and(|unseen| unseen.rungs.is_empty() || unseen.rungs.contains(&rung))
    }

    /// The rules that it expects, on any rung.
    pub fn rules(&self) -> BTreeSet<&str> {
        self.expect.iter().flat_map(|expect| expect.rule.split('|')).filter(|rule| !rule.is_empty()).collect()
    }
}
