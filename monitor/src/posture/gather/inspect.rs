//! Looks at one container that has just started, while it runs: for the daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Options, Reader, configuration, inside, name, read_host, versions};
use crate::container::{Container, HostPaths, Layout, LayoutError, Resolver, Update};
use crate::posture::judge::{Finding, Layers, judge};
use crate::posture::{Answer, Host, Question};

/// How long the version of a runtime is believed: it may be upgraded.
const VERSION: Duration = Duration::from_secs(3600);
/// Why nothing is known of a container.
const GONE: &str = "it ended before it could be looked at";

/// Looks at containers one after the other, and remembers what they share.
#[derive(Debug)]
pub struct Inspector {
    paths: HostPaths,
    layout: Layout,
    resolver: Resolver,
    control_sockets: Vec<PathBuf>,
    versions: BTreeMap<String, (Instant, Option<String>)>,
    layers: Layers,
}

impl Inspector {
    /// With what is to be looked at beside what is known.
    ///
    /// # Errors
    /// Containers cannot be told apart, because no cgroup file system is mounted.
    pub fn new(options: Options) -> Result<Self, LayoutError> {
        let Options { host, state_roots, control_sockets } = options;
        Ok(Self {
            layout: Layout::read(&host)?,
            resolver: Resolver::new(host.clone()).with_state_roots(state_roots),
            paths: host,
            control_sockets,
            versions: BTreeMap::new(),
            layers: Layers::default(),
        })
    }

    /// Looks at a container. What it does to itself before it is looked at is what is seen; credentials and seccomp are
    /// those that the kernel showed when it started.
    pub fn inspect(&mut self, question: &Question) -> Answer {
        let identity = self.resolver.resolve(&question.request);
        let (config, findings) = match self.read(question, &identity) {
            Some((config, findings)) => (config, Ok(findings)),
            None => (None, Err(GONE)),
        };
        let Question { request, started, .. } = question;
        Answer { key: request.key, pid: request.pid, started: *started, config, findings, identity }
    }

    fn read(&mut self, question: &Question, identity: &Update) -> Option<(Option<String>, Vec<Finding>)> {
        let Question { request, started, state } = question;
        let mut scanned = self.resolver.look_at(request)?;
        scanned.baseline = *state;
        // Mounts of the host change with each container.
        let mut host = read_host(&self.paths);
        let runtime = identity.identity.runtime.clone();
        self.versions(&mut host, runtime.as_deref());
        let sockets = inside::known_sockets(&self.paths, &self.control_sockets);
        let config = configuration(&self.resolver, request, identity.declared.as_ref());
        let path = config.as_ref().map(|config| config.path.clone());
        let reader = Reader {
            resolver: &self.resolver,
            paths: &self.paths,
            layout: &self.layout,
            host: &host,
            sockets: &sockets,
        };
        let mut baseline = reader.baseline(&scanned, config, runtime)?;
        // Else what was read is another process's, or half of what there was.
        if !self.resolver.runs(request.pid, *started) || baseline.namespace("mnt") == 0 {
            return None;
        }
        let called = name(&Container {
            key: request.key,
            revision: 0,
            status: identity.status.clone(),
            identity: identity.identity.clone(),
            cgroup_path: request.cgroup_path.clone(),
            declared: None,
            baseline: None,
            mismatches: Vec::new(),
        });
        let resolver = &self.resolver;
        self.layers.link(&mut baseline, &called, *started, &host, |pid, start| resolver.runs(pid, start));
        Some((path, judge(&baseline, &host)))
    }

    fn versions(&mut self, host: &mut Host, runtime: Option<&str>) {
        let Some(runtime) = runtime.filter(|_| self.paths.root == Path::new("/")) else { return };
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
    use crate::container::{ContainerKey, ResolveRequest};

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
        let started = inspector.resolver.process_from_proc(pid).unwrap().key.started;
        let answer = inspector.inspect(&question(pid, started));
        assert!(answer.findings.is_ok() && answer.pid == pid && answer.key == ContainerKey(7));
        let other = inspector.inspect(&question(pid, started + 1_000_000_000));
        assert_eq!(other.findings.unwrap_err(), GONE);
    }

    #[test]
    fn a_process_that_is_gone_says_so() {
        let Some(mut inspector) = inspector() else { return };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(inspector.inspect(&question(pid, 1)).findings.unwrap_err(), GONE);
    }
}
