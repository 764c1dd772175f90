//! Looks at one container that has just started, while it runs: for the daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Options, Reader, Source, container, inside, name, read_host, versions};
use crate::bounded::{LOOK, Worker};
use crate::container::{LayoutError, Scanned, Update};
use crate::posture::judge::{Finding, Layers, judge};
use crate::posture::{Answer, Baseline, Host, Question, Unread};

/// How long the version of a runtime is believed: it may be upgraded.
const VERSION: Duration = Duration::from_secs(3600);

/// Looks at containers one after the other, and remembers what they share.
#[derive(Debug)]
pub struct Inspector {
    source: Arc<Source>,
    worker: Worker,
    versions: BTreeMap<String, (Instant, Option<String>)>,
    layers: Layers,
}

/// What was read of a container, not judged yet.
type Facts = (Scanned, Host, Baseline);

impl Source {
    fn facts(&self, question: &Question, known: &Update) -> Option<Facts> {
        let Question { request, started, state } = question;
        let mut scanned = self.resolver.look_at(request)?;
        scanned.baseline = *state;
        // Mounts of the host change with each container.
        let host = read_host(&self.paths);
        let sockets = inside::known_sockets(&self.paths, &self.control_sockets);
        let baseline = Reader { source: self, host: &host, sockets: &sockets }.facts(&scanned, known)?;
        // Else what was read is another process's, or half of what there was.
        let is_it = self.resolver.runs(request.pid, *started) && baseline.namespace("mnt") != 0;
        is_it.then_some((scanned, host, baseline))
    }
}

impl Inspector {
    /// With what is to be looked at beside what is known.
    ///
    /// # Errors
    /// Containers cannot be told apart, because no cgroup file system is mounted.
    pub fn new(options: Options) -> Result<Self, LayoutError> {
        Ok(Self {
            source: Arc::new(Source::new(options)?),
            worker: Worker::new("posture-files"),
            versions: BTreeMap::new(),
            layers: Layers::default(),
        })
    }

    /// Looks at a container. What it does to itself before it is looked at is what is seen; credentials and seccomp are
    /// those that the kernel showed when it started. One that keeps whoever looks waiting is given up after [`LOOK`].
    pub fn inspect(&mut self, question: &Question) -> Answer {
        let (source, asked) = (Arc::clone(&self.source), question.clone());
        let Question { request, started, .. } = question;
        let identity = self.source.identity(&mut self.worker, request);
        let read =
            identity.clone().and_then(|known| self.worker.run(LOOK, move || source.facts(&asked, &known)));
        let identity = identity.unwrap_or_else(|why| self.source.resolver.unread(request, why.reason()));
        let (config, findings) = match read {
            Ok(Some((scanned, host, baseline))) => {
                let path = baseline.config.as_ref().map(|config| config.path.clone());
                (path, Ok(self.judge(question, &identity, &scanned, host, baseline)))
            }
            Ok(None) => (None, Err(Unread::Gone)),
            Err(why) => (None, Err(Unread::Unanswered(why))),
        };
        Answer { key: request.key, pid: request.pid, started: *started, config, findings, identity }
    }

    fn judge(
        &mut self,
        question: &Question,
        identity: &Update,
        scanned: &Scanned,
        mut host: Host,
        mut baseline: Baseline,
    ) -> Vec<Finding> {
        self.versions(&mut host, identity.identity.runtime.as_deref());
        let called = name(&container(scanned, identity.clone()));
        let resolver = &self.source.resolver;
        let runs = |pid: u32, start: u64| resolver.runs(pid, start);
        self.layers.link(&mut baseline, &called, question.started, &host, runs);
        judge(&baseline, &host)
    }

    fn versions(&mut self, host: &mut Host, runtime: Option<&str>) {
        let Some(runtime) = runtime.filter(|_| self.source.paths.root == Path::new("/")) else { return };
        let known = self.versions.get(runtime).filter(|(asked, _)| asked.elapsed() < VERSION);
        let version = match known {
            Some((_, version)) => version.clone(),
            None => {
                let version = versions::of(runtime);
                self.versions.insert(runtime.to_owned(), (Instant::now(), version.clone()));
                version
            }
        };
        host.versions.extend(version.map(|version| (runtime.to_owned(), version)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{ContainerKey, HostPaths, ResolveRequest};

    fn inspector() -> Option<Inspector> {
        Inspector::new(Options { host: HostPaths::default(), ..Options::default() }).ok()
    }

    fn question(pid: u32, started: u64) -> Question {
        let request = ResolveRequest { key: ContainerKey(7), pid, ..ResolveRequest::default() };
        Question { request, started, ..Question::default() }
    }

    #[test]
    fn this_process_is_looked_at_and_one_of_another_start_is_not() {
        // Where no cgroup file system is mounted, nothing can be looked at.
        let Some(mut inspector) = inspector() else { return };
        let pid = std::process::id();
        let started = inspector.source.resolver.process_from_proc(pid).unwrap().key.started;
        let answer = inspector.inspect(&question(pid, started));
        assert!(answer.findings.is_ok() && answer.pid == pid && answer.key == ContainerKey(7));
        let other = inspector.inspect(&question(pid, started + 1_000_000_000));
        assert_eq!(other.findings.unwrap_err(), Unread::Gone);
    }

    #[test]
    fn a_process_that_is_gone_says_so() {
        let Some(mut inspector) = inspector() else { return };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(inspector.inspect(&question(pid, 1)).findings.unwrap_err(), Unread::Gone);
    }
}
