//! What a check is given, and where its findings go.

use std::fmt::Write as _;

use monitor_common::event::{EventRef, TRUNCATED, TailString};

use super::dedup::{Dedup, Emitted, Subject};
use super::memory::{HostFacts, KINDS, NsSet, Owner};
use super::rules::Rule;
use super::types::{Evidence, Finding, Outcome, Severity, Value};
use crate::container::{Baseline, Container, ContainerKey};
use crate::process::Process;

/// Looks processes up: the process table does, and so can a test.
pub trait Lineage {
    /// The process with this id in the initial pid namespace, if it is known.
    fn process(&self, pid: u32) -> Option<&Process>;
}

/// An act of a process in a container that has a baseline.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) ev: &'a EventRef<'a>,
    pub(super) container: &'a Container,
    pub(super) base: &'a Baseline,
    pub(super) base_ns: NsSet,
    pub(super) process: Option<&'a Process>,
    pub(super) procs: &'a dyn Lineage,
    pub(super) host: &'a HostFacts,
}

impl Context<'_> {
    pub(super) fn key(&self) -> ContainerKey {
        self.container.key
    }
}

/// Takes findings: drops those of disabled rules, counts repeated ones.
pub(super) struct Sink<'a> {
    /// By the index of the rule.
    pub(super) enabled: &'a [bool],
    pub(super) dedup: &'a mut Dedup,
    pub(super) subject: Subject<'a>,
    pub(super) out: &'a mut Vec<Emitted>,
}

impl Sink<'_> {
    /// Reports a finding; the evidence is built only if the rule is enabled.
    pub(super) fn report(
        &mut self,
        rule: Rule,
        severity: Severity,
        outcome: Outcome,
        evidence: impl FnOnce() -> Vec<Evidence>,
    ) {
        if self.enabled.get(rule as usize).copied().unwrap_or(false) {
            let finding = Finding { rule: rule.info(), severity, outcome, evidence: evidence() };
            self.out.extend(self.dedup.admit(rule, &self.subject, finding));
        }
    }
}

/// A fact that the baseline or the configuration says something about.
pub(super) fn compared(name: &'static str, declared: Value, observed: Value) -> Evidence {
    Evidence { name, declared: Some(declared), observed }
}

/// A fact that there is nothing to compare with.
pub(super) fn observed(name: &'static str, observed: Value) -> Evidence {
    Evidence { name, declared: None, observed }
}

/// Adds the fact if there is something to say.
pub(super) fn push_bytes(evidence: &mut Vec<Evidence>, name: &'static str, bytes: &[u8]) {
    if !bytes.is_empty() {
        evidence.push(observed(name, Value::Bytes(bytes.to_vec())));
    }
}

/// Adds the error that the kernel answered with, if it did.
pub(super) fn push_errno(evidence: &mut Vec<Evidence>, ret: i32) {
    if ret < 0 {
        evidence.push(observed("errno", Value::Number(u64::from(ret.unsigned_abs()))));
    }
}

/// Adds whose namespace it is.
pub(super) fn push_owner(evidence: &mut Vec<Evidence>, owner: Owner) {
    evidence.push(observed("owner", Value::Word(owner.name())));
    if let Owner::Container(key) = owner {
        evidence.push(observed("owner_container", Value::Hex(key.0)));
    }
}

/// A container key as evidence.
pub(super) fn container_value(key: u64) -> Value {
    if key == 0 { Value::Word("host") } else { Value::Hex(key) }
}

/// The names of the namespace types in `flags`, separated by spaces.
pub(super) fn namespace_names(flags: u64) -> String {
    let mut text = String::new();
    for (name, _) in KINDS.iter().filter(|(_, flag)| flags & flag != 0) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{}{name}", if text.is_empty() { "" } else { " " });
    }
    text
}

/// A path from the kernel, root first; begins with `...` if its beginning was cut off.
pub(super) fn path(components: TailString<'_>) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = components.components().filter(|c| !c.is_empty()).collect();
    parts.reverse();
    let mut text = Vec::with_capacity(components.bytes.len() + 4);
    if components.flags & TRUNCATED != 0 {
        text.extend_from_slice(b"...");
    }
    if parts.is_empty() {
        text.push(b'/');
    }
    for part in parts {
        text.push(b'/');
        text.extend_from_slice(part);
    }
    text
}
