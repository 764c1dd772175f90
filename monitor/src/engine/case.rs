//! One container on the desk: what the files said, what engines said, and who still owes an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Answer;
use super::kube::Servers;
use super::merge::join;
use crate::container::{Mismatch, ResolveRequest, Status, Update};

/// What one engine said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) answer: Answer,
    /// What of it is not so; then none of it is taken.
    pub(super) mismatches: Vec<Mismatch>,
}

/// A container.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) request: ResolveRequest,
    /// What the files said.
    pub(super) files: Update,
    since: Instant,
    /// By number of the engine.
    said: BTreeMap<usize, Said>,
    waiting: BTreeSet<usize>,
    /// Why engines did not name it.
    reasons: BTreeMap<usize, String>,
    /// An engine, and a process that it named and that is elsewhere.
    doubts: Option<(usize, u32)>,
    told: Option<Update>,
}

impl Case {
    pub(super) fn new(request: ResolveRequest, files: Update) -> Self {
        // What the files know for sure has been told.
        let told = (files.status == Status::Resolved).then(|| files.clone());
        Self {
            request,
            files,
            since: Instant::now(),
            said: BTreeMap::new(),
            waiting: BTreeSet::new(),
            reasons: BTreeMap::new(),
            doubts: None,
            told,
        }
    }

    /// The same container, about which the files were read again.
    pub(super) fn again(self, request: ResolveRequest, files: Update) -> Self {
        Self { said: self.said, ..Self::new(request, files) }
    }

    /// How long it has been known.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    pub(super) fn wait_for(&mut self, engine: usize) {
        self.waiting.insert(engine);
    }

    pub(super) fn waits_for(&self, engine: usize) -> bool {
        self.waiting.contains(&engine)
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// True if this engine has named its process already: there is nothing to ask for.
    pub(super) fn is_answered(&self, engine: usize) -> bool {
        self.said.get(&engine).is_some_and(|said| said.answer.pid != 0)
    }

    /// This engine does not name it, because of that.
    pub(super) fn refused(&mut self, engine: usize, why: &str) {
        self.waiting.remove(&engine);
        self.reasons.insert(engine, why.to_owned());
    }

    /// Nobody expects this engine to name it.
    pub(super) fn give_up(&mut self, engine: usize) {
        self.waiting.remove(&engine);
    }

    pub(super) fn answered(&mut self, engine: usize, said: Said) {
        self.waiting.remove(&engine);
        self.reasons.remove(&engine);
        self.said.insert(engine, said);
    }

    /// True if this is the first time that an engine names this process, which is elsewhere.
    pub(super) fn doubt(&mut self, engine: usize, pid: u32) -> bool {
        let doubts = Some((engine, pid));
        let first = self.doubts != doubts;
        self.doubts = doubts;
        first
    }

    /// The uid of its pod, as far as it was told.
    pub(super) fn pod(&self) -> Option<&str> {
        let pod = self.told.as_ref().unwrap_or(&self.files).identity.pod.as_ref();
        pod.map(|pod| pod.uid.as_str()).filter(|uid| !uid.is_empty())
    }

    /// What is to be told, if it is not what was told last.
    pub(super) fn news(&mut self, servers: &mut Servers) -> Option<Update> {
        let believed = || self.said.values().filter(|said| said.mismatches.is_empty());
        let mismatches: Vec<Mismatch> = self.said.values().flat_map(|said| said.mismatches.clone()).collect();
        let mut update = Update {
            identity: join(&self.files, believed().map(|said| &said.answer)),
            mismatches,
            ..self.files.clone()
        };
        if let Status::Unknown(why) = &self.files.status {
            update.status = if believed().next().is_some() {
                Status::Resolved
            } else if self.is_waiting() {
                Status::Pending
            } else {
                let lies = self.said.values().flat_map(|said| &said.mismatches);
                let lies = lies.map(|m| format!("{}: its {} is not so", m.engine, m.what));
                let reasons = std::iter::once(why.clone()).chain(self.reasons.values().cloned()).chain(lies);
                Status::Unknown(reasons.collect::<Vec<_>>().join("; "))
            };
        }
        // Who a container is never depends on them: they speak of pods that are known by then.
        for (name, pods) in servers.values_mut() {
            pods.add_to(&mut update, name);
        }
        (self.told.as_ref() != Some(&update)).then(|| {
            self.told = Some(update.clone());
            update
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerKey, Identity};

    fn case(status: Status) -> Case {
        let update = Update {
            key: ContainerKey(7),
            status,
            identity: Identity::default(),
            declared: None,
            mismatches: Vec::new(),
        };
        Case::new(ResolveRequest::default(), update)
    }

    fn said(name: &str, lies: &[&'static str]) -> Said {
        let identity = Identity { name: Some(name.into()), ..Identity::default() };
        let mismatch = |what: &&'static str| Mismatch {
            engine: "docker at /d".into(),
            what,
            said: "1".into(),
            observed: "2".into(),
        };
        let answer = Answer { id: "a".into(), pid: 1, identity, ..Answer::default() };
        Said { answer, mismatches: lies.iter().map(mismatch).collect() }
    }

    #[test]
    fn what_the_files_know_is_told_again_only_when_an_engine_adds_to_it() {
        let mut case = case(Status::Resolved);
        case.wait_for(0);
        assert_eq!(case.news(&mut Servers::new()), None);
        case.answered(0, said("web", &[]));
        assert_eq!(case.news(&mut Servers::new()).and_then(|u| u.identity.name).as_deref(), Some("web"));
        assert_eq!(case.news(&mut Servers::new()), None);
        // A lie takes back what the same engine said before.
        case.answered(0, said("web", &["pid"]));
        let told = case.news(&mut Servers::new()).expect("news");
        assert_eq!((told.status, told.identity.name, told.mismatches.len()), (Status::Resolved, None, 1));
    }

    #[test]
    fn what_nobody_names_is_pending_and_then_unknown_with_every_reason() {
        let mut case = case(Status::Unknown("no files".into()));
        case.wait_for(0);
        case.wait_for(1);
        assert_eq!(case.news(&mut Servers::new()).map(|u| u.status), Some(Status::Pending));
        case.refused(1, "podman at /p: does not know it");
        assert_eq!(case.news(&mut Servers::new()), None);
        case.refused(0, "docker at /d: did not answer within 2 s");
        let want = "no files; docker at /d: did not answer within 2 s; podman at /p: does not know it";
        assert_eq!(case.news(&mut Servers::new()).map(|u| u.status), Some(Status::Unknown(want.into())));
        // Later it is there again.
        case.answered(0, said("web", &[]));
        assert_eq!(case.news(&mut Servers::new()).map(|u| u.status), Some(Status::Resolved));
    }

    #[test]
    fn a_process_elsewhere_is_doubted_once() {
        let mut case = case(Status::Resolved);
        assert!(case.doubt(0, 5));
        assert!(!case.doubt(0, 5));
        assert!(case.doubt(0, 6));
    }
}
