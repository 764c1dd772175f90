//! What containers were granted: which are to be looked at, and what is said of the answer. Reads nothing: the edge does.

use std::collections::BTreeSet;

use monitor_common::event::EventRef;

use super::{Pipeline, scanned};
use crate::container::{ContainerKey, Status};
use crate::detect::Severity;
use crate::output::{Body, Posture, Subject};
use crate::posture::{self, Answer, Question, Unread, contradicted, finding};
use crate::process::{MAX_ANCESTORS, Process, ProcessKey};

/// Which findings are wanted of what containers were granted.
#[derive(Clone, Debug, Default)]
pub struct PostureRules {
    /// The least severity; `None` for no finding.
    pub least: Option<Severity>,
    /// Checks to leave out, by id.
    pub disabled: BTreeSet<String>,
}

/// The containers that are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Postures {
    /// `None` if nobody wants to know.
    rules: Option<PostureRules>,
    questions: Vec<Question>,
    uninspected: u64,
    unanswered: u64,
}

impl Postures {
    /// Takes the number of containers that could not be looked at.
    pub(super) fn take_uninspected(&mut self) -> u64 {
        std::mem::take(&mut self.uninspected)
    }

    /// Takes the number of looks that were given up.
    pub(super) fn take_unanswered(&mut self) -> u64 {
        std::mem::take(&mut self.unanswered)
    }
}

impl Pipeline {
    /// Says that containers are to be looked at as they start, and what is to become a finding.
    pub fn want_postures(&mut self, rules: PostureRules) {
        self.postures.rules = Some(rules);
    }

    /// Asks for a container whose first program has started; `started` is that of its process.
    pub(super) fn look_at(&mut self, key: ContainerKey, started: u64) {
        if self.postures.rules.is_none() {
            return;
        }
        let baseline = self.containers.get(key).and_then(|container| container.baseline);
        if let (Some(request), Some(baseline)) = (self.containers.hint(key), baseline) {
            let question = Question { request: request.clone(), started, state: baseline.state };
            self.postures.questions.push(question);
        }
    }

    /// Takes the questions about containers that came up.
    pub fn postures(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.postures.questions)
    }

    /// Takes back a question for which there was no room.
    pub fn not_inspected(&mut self) {
        self.postures.uninspected += 1;
    }

    /// Counts a look at a container's files that was given up, because it did not end.
    pub fn unanswered(&mut self) {
        self.postures.unanswered += 1;
    }

    /// Says what a container was granted, and reports what of it matters.
    pub fn inspected(&mut self, time: u64, answer: &Answer) {
        let key = answer.key;
        if matches!(answer.findings, Err(Unread::Unanswered(_))) {
            self.unanswered();
        }
        // Whoever asks first is told first. What is not known by the files alone is for the edge to say.
        if answer.identity.status == Status::Resolved
            && self.containers.get(key).is_some_and(|container| container.status == Status::Pending)
        {
            self.resolved(time, answer.identity.clone(), Vec::new());
        }
        let Some(container) = self.containers.get(key) else { return };
        let (findings, unread) = match &answer.findings {
            Ok(findings) => (findings.as_slice(), None),
            Err(why) => (&[][..], Some(why.reason())),
        };
        let posture =
            Posture { pid: answer.pid, config: answer.config.as_deref(), unread, findings, grants: &[] };
        self.emitter.emit(time, Body::Posture { container, posture });
        let first = ProcessKey { pid: answer.pid, started: answer.started };
        self.report_granted(time, key, first, findings);
    }

    /// Reports what engines say of a container that is not so.
    pub(super) fn contradicted(&mut self, time: u64, key: ContainerKey) {
        let Some(container) = self.containers.get(key).filter(|container| !container.mismatches.is_empty())
        else {
            return;
        };
        let Some(found) = contradicted(&container.mismatches) else { return };
        let pid = self.containers.hint(key).map_or(0, |request| request.pid);
        let first = self.processes.get(pid).map_or(ProcessKey { pid, started: 0 }, |process| process.key);
        self.report_granted(time, key, first, &[found]);
    }

    /// Reports what of these findings is wanted; `first` is the container's first process.
    fn report_granted(
        &mut self,
        time: u64,
        key: ContainerKey,
        first: ProcessKey,
        findings: &[posture::Finding],
    ) {
        let Some(container) = self.containers.get(key) else { return };
        let (Some(rules), Some(baseline)) = (&self.postures.rules, &container.baseline) else { return };
        let is_wanted = |found: &&posture::Finding| {
            rules.least.is_some_and(|least| found.severity >= least)
                && !rules.disabled.contains(found.check.id)
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        scanned::baseline_record(key, first, baseline, &mut bytes);
        if let Ok(event) = EventRef::decode(&bytes) {
            let process = self.processes.get_key(first);
            let above = process.into_iter().flat_map(|process| self.processes.ancestors(process.key.pid));
            let ancestors: Vec<&Process> = above.take(MAX_ANCESTORS).collect();
            let subject = Subject { container: Some(container), process, ancestors: &ancestors };
            for found in findings.iter().filter(is_wanted).filter_map(finding) {
                self.findings += 1;
                let (first_seen, last_seen) = (baseline.entered, baseline.entered);
                let body = Body::Finding {
                    subject,
                    event: &event,
                    finding: &found,
                    count: 1,
                    exe_sha256: None,
                    first_seen,
                    last_seen,
                };
                self.emitter.emit(time, body);
            }
        }
        self.bytes = bytes;
    }
}
