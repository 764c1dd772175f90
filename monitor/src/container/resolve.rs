//! Finds out who a container is: from its runtime's command line, its shim or conmon, the runtimes' state,
//! and at last the path of its cgroup. Blocking file I/O: for a worker thread, never the hot one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::bundle::{Bundle, read_bundle};
use super::cgroup::Layout;
use super::host::{HostPaths, read_file};
use super::identity::{engine_of, engine_of_namespace, fill};
use super::pattern::{PathMatch, container_in_path};
use super::procfs::Proc;
use super::resident::in_scope;
use super::state_dir::{RuntimeState, default_roots, list_states, read_state};
use super::supervisor::Supervisor;
use super::{
    ContainerKey, Declared, Engine, Identity, Pod, Status, Update, engine_files, pod_in_path, resident,
    runtime,
};
use crate::process::{MAX_ANCESTORS, Process};

/// Directory below a containerd state directory: `NAMESPACE/ID` is a bundle.
const TASK_DIR: &str = "io.containerd.runtime.v2.task";

/// The run of a trusted runtime that made a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeInvocation {
    /// Process id of the runtime.
    pub pid: u32,
    /// Path of its executable.
    pub exe: Vec<u8>,
    /// Its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Its working directory.
    pub cwd: Vec<u8>,
}

/// What is known of a container before its files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolveRequest {
    /// Which container.
    pub key: ContainerKey,
    /// Path of its top cgroup in the identity hierarchy.
    pub cgroup_path: String,
    /// A task in it, or of the runtime that sets it up; 0 if none is known.
    pub pid: u32,
    /// The runtime that made it, if it was seen.
    pub runtime: Option<RuntimeInvocation>,
}

/// Reads the host's files about containers.
#[derive(Clone, Debug)]
pub struct Resolver {
    pub(super) host: HostPaths,
    pub(super) proc: Proc,
    pub(super) layout: Option<Layout>,
    /// State directories of runtimes beside those that are known.
    more_roots: Vec<PathBuf>,
}

/// What the steps of the ladder have found so far.
#[derive(Debug, Default)]
struct Found {
    id: Option<String>,
    engine: Option<Engine>,
    name: Option<String>,
    runtime: Option<String>,
    bundles: Vec<PathBuf>,
    /// Processes outside the container whose mount namespace may have the bundle.
    outside: Vec<u32>,
}

impl Resolver {
    /// A resolver over the host's files at `host`.
    pub fn new(host: HostPaths) -> Self {
        let proc = Proc::new(&host.proc);
        let layout = Layout::read(&host).ok();
        Self { host, proc, layout, more_roots: Vec::new() }
    }

    /// With further state directories of runtimes, as paths of the host.
    #[must_use]
    pub fn with_state_roots(self, more_roots: Vec<PathBuf>) -> Self {
        Self { more_roots, ..self }
    }

    /// The same, but it leaves out what a process can make wait for as long as it likes.
    #[must_use]
    pub fn careful(&self) -> Self {
        Self { proc: self.proc.careful(), ..self.clone() }
    }

    /// The state directories of runtimes that are looked at.
    pub(super) fn state_roots(&self) -> Vec<PathBuf> {
        default_roots(&self.host).into_iter().chain(self.more_roots.iter().cloned()).collect()
    }

    /// The bytes of the configuration that an answer of [`Resolver::resolve`] was read from.
    pub fn configuration(&self, request: &ResolveRequest, declared: &Declared) -> Option<Vec<u8>> {
        let file = Path::new(&declared.bundle).join("config.json");
        let outside = self.ancestor_pids(request.pid).into_iter().map(|pid| self.host.path_of(pid, &file));
        std::iter::once(self.host.path(&file)).chain(outside).find_map(|path| read_file(&path).ok())
    }

    /// The cgroup layout, if one was found.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Finds out who a container is. Never fails: what cannot be found is in the update's status.
    pub fn resolve(&self, request: &ResolveRequest) -> Update {
        let mut found = Found::default();
        self.ask_invocation(request, &mut found);
        let pattern = container_in_path(&request.cgroup_path);
        self.ask_supervisors(request, pattern, &mut found);
        if found.id.is_none() {
            found.id = pattern.map(|p| p.full_id());
        }
        if found.engine.is_none() {
            found.engine = pattern.and_then(|p| p.engine);
        }
        self.ask_states(request, &mut found);
        self.conclude(request, found)
    }

    /// What is known of a container by the path of its cgroup alone, because its files could not be read.
    pub fn unread(&self, request: &ResolveRequest, why: &str) -> Update {
        let pattern = container_in_path(&request.cgroup_path);
        let found = Found {
            id: pattern.map(|p| p.id.to_owned()),
            engine: pattern.and_then(|p| p.engine),
            ..Found::default()
        };
        Update { status: Status::Unknown(why.to_owned()), ..self.conclude(request, found) }
    }

    /// The process `pid` as `/proc` has it; its container is left as the host.
    pub fn process_from_proc(&self, pid: u32) -> Option<Process> {
        self.proc.process(pid)
    }

    /// The ancestors of `pid` as `/proc` has them, nearest first.
    pub fn ancestors_from_proc(&self, pid: u32) -> Vec<Process> {
        self.ancestor_pids(pid).into_iter().filter_map(|pid| self.proc.process(pid)).collect()
    }

    /// `pid` and its ancestors as `/proc` has them, nearest first.
    pub fn from_proc(&self, pid: u32) -> Vec<Process> {
        let mut found: Vec<Process> = self.proc.process(pid).into_iter().collect();
        found.extend(self.ancestors_from_proc(pid));
        found
    }

    pub(super) fn ancestor_pids(&self, pid: u32) -> Vec<u32> {
        let mut out = Vec::new();
        let mut at = pid;
        while out.len() < MAX_ANCESTORS {
            let Some((up, _)) = self.proc.stat(at) else { break };
            if up == 0 || out.contains(&up) || up == pid {
                break;
            }
            out.push(up);
            at = up;
        }
        out
    }

    fn ask_invocation(&self, request: &ResolveRequest, found: &mut Found) {
        let Some(run) = &request.runtime else { return };
        let Some(invocation) = runtime::parse(&run.argv, &run.cwd) else { return };
        found.runtime = runtime_name(&run.exe).or_else(|| run.argv.first().and_then(|arg| runtime_name(arg)));
        found.engine = invocation.bundle.as_deref().and_then(engine_of_bundle);
        found.id = invocation.id;
        found.bundles.extend(invocation.bundle);
        found.outside.push(run.pid);
        if let (Some(root), Some(id)) = (&invocation.root, &found.id)
            && let Some(state) = read_state(&self.host, root, id)
        {
            found.bundles.extend(state.bundle);
        }
    }

    fn ask_supervisors(&self, request: &ResolveRequest, pattern: Option<PathMatch<'_>>, found: &mut Found) {
        if request.pid == 0 {
            return;
        }
        // The nearest one is the container's own; those further up belong to what it is nested in.
        for pid in self.ancestor_pids(request.pid) {
            match Supervisor::parse(&self.proc.argv(pid)) {
                Some(Supervisor::Shim { namespace, id }) => {
                    found.engine.get_or_insert(engine_of_namespace(&namespace));
                    // A pod's shim has the sandbox's id, whichever container is meant.
                    let id = found.id.take().or_else(|| pattern.map(|p| p.full_id())).unwrap_or(id);
                    let cwd = PathBuf::from(OsStr::from_bytes(&self.proc.link(pid, "cwd")));
                    if !id.contains('/') && id != ".." {
                        found.bundles.extend(cwd.parent().map(|up| up.join(&id)));
                        found
                            .bundles
                            .push(Path::new("/run/containerd").join(TASK_DIR).join(&namespace).join(&id));
                        found.bundles.push(
                            Path::new("/run/docker/containerd/daemon")
                                .join(TASK_DIR)
                                .join(&namespace)
                                .join(&id),
                        );
                    }
                    found.id = Some(id);
                }
                Some(Supervisor::Conmon { bundle, id, name, runtime }) => {
                    // CRI-O names its containers `k8s_…`; its annotations have the better name.
                    found.name = name.filter(|name| !name.starts_with("k8s_"));
                    found.runtime = found.runtime.take().or(runtime.and_then(|r| runtime_name(r.as_bytes())));
                    found.id.get_or_insert(id);
                    found.bundles.push(bundle);
                    found.engine.get_or_insert(Engine::Podman);
                }
                Some(Supervisor::Resident(runtime)) => {
                    let engine = pattern.and_then(|p| p.engine).or(found.engine);
                    // What it is the nearest of may be a container within its own.
                    if engine.unwrap_or(runtime.engine) == runtime.engine && found.id.is_none() {
                        found.engine = Some(runtime.engine);
                        let in_path =
                            || pattern.map(|p| p.full_id()).or_else(|| in_scope(&request.cgroup_path));
                        found.id = runtime.name.or_else(in_path).or(runtime.otherwise);
                    }
                    return;
                }
                None => continue,
            }
            found.outside.push(pid);
            return;
        }
    }

    fn ask_states(&self, request: &ResolveRequest, found: &mut Found) {
        let is_complete = !found.bundles.is_empty() && found.runtime.is_some();
        // One of the same name would be another container.
        if is_complete || found.engine.is_some_and(Engine::has_no_bundle) {
            return;
        }
        let roots = self.state_roots();
        let state = match &found.id {
            Some(id) => roots.iter().find_map(|root| read_state(&self.host, root, id)),
            None => roots
                .iter()
                .flat_map(|root| list_states(&self.host, root))
                .find(|state| self.is_state_of(state, request)),
        };
        let Some(state) = state else { return };
        found.runtime.get_or_insert(state.runtime.to_owned());
        found.id.get_or_insert(state.id);
        if let Some(bundle) = state.bundle {
            if found.engine.is_none() {
                found.engine = engine_of_bundle(&bundle);
            }
            found.bundles.push(bundle);
        }
    }

    fn is_state_of(&self, state: &RuntimeState, request: &ResolveRequest) -> bool {
        let pid = state.pid != 0 && state.pid == request.pid;
        pid || (request.cgroup_path.len() > 1
            && state.cgroups.iter().any(|cgroup| self.cgroup_of(cgroup) == request.cgroup_path))
    }

    /// The path in the identity hierarchy of a cgroup that a state names as a directory or a path.
    pub(super) fn cgroup_of<'a>(&self, named: &'a str) -> &'a str {
        let mount = self.layout.as_ref().and_then(|layout| layout.mount().to_str());
        mount.and_then(|mount| named.strip_prefix(mount)).unwrap_or(named)
    }

    fn conclude(&self, request: &ResolveRequest, mut found: Found) -> Update {
        let mut why = String::new();
        let bundle = self.first_bundle(&found, &mut why);
        let mut identity = Identity {
            id: found.id.take(),
            name: found.name.take(),
            runtime: found.runtime,
            ..Identity::default()
        };
        let mut engine = found.engine;
        let declared = bundle.map(|Bundle { declared, annotations, runtime }| {
            let noted = || runtime_name(runtime?.as_bytes());
            identity.runtime = identity.runtime.take().or_else(noted);
            // What the configuration itself says is better than a guess from the supervisor or the path.
            engine = engine_of(&annotations).or(engine);
            if let Some(id) = &identity.id.clone() {
                if engine_files::docker(&self.host, id, &declared, &mut identity) {
                    engine.get_or_insert(Engine::Docker);
                }
                if matches!(engine, Some(Engine::Podman | Engine::CriO)) {
                    engine_files::storage(&self.host, id, Path::new(&declared.bundle), &mut identity);
                }
            }
            fill(&mut identity, &annotations);
            engine.get_or_insert(Engine::None);
            declared
        });
        identity.engine = engine;
        let has_no_bundle = engine.filter(|engine| engine.has_no_bundle());
        match (has_no_bundle, identity.id.take()) {
            (Some(runtime), Some(name)) => identity = resident::identity(runtime, name),
            (_, id) => identity.id = id,
        }
        if let Some((uid, qos)) = pod_in_path(&request.cgroup_path) {
            let pod = identity.pod.get_or_insert_with(Pod::default);
            if pod.uid.is_empty() {
                pod.uid = uid;
            }
            pod.qos = Some(qos);
        }
        let status = match (&identity.id, &declared) {
            (Some(_), Some(_)) => Status::Resolved,
            (Some(_), None) if has_no_bundle.is_some() => Status::Resolved,
            (Some(_), None) if why.is_empty() => Status::Unknown("no bundle was found for its id".to_owned()),
            (None, _) if has_no_bundle.is_some() => Status::Unknown(
                "its runtime is known, but neither its command line nor the cgroup has a name".to_owned(),
            ),
            (None, _) if why.is_empty() => Status::Unknown(
                "no runtime, shim, conmon or runtime state names it, and its cgroup path has no known form"
                    .to_owned(),
            ),
            _ => Status::Unknown(why),
        };
        Update { key: request.key, status, identity, declared, mismatches: Vec::new() }
    }

    fn first_bundle(&self, found: &Found, why: &mut String) -> Option<Bundle> {
        for bundle in &found.bundles {
            let reached = std::iter::once(self.host.path(bundle))
                .chain(found.outside.iter().map(|pid| self.host.path_of(*pid, bundle)));
            for directory in reached {
                match read_bundle(&directory, bundle) {
                    Ok(bundle) => return Some(bundle),
                    // The first reason is about the likeliest place.
                    Err(error) if why.is_empty() => *why = error.to_string(),
                    Err(_) => {}
                }
            }
        }
        None
    }
}

/// The engine of a bundle `…/io.containerd.runtime.v2.task/NAMESPACE/ID`.
fn engine_of_bundle(bundle: &Path) -> Option<Engine> {
    let namespace = bundle.parent()?;
    (namespace.parent()?.file_name()? == TASK_DIR)
        .then(|| engine_of_namespace(&namespace.file_name().unwrap_or_default().to_string_lossy()))
}

/// The runtime's name out of its path.
pub(super) fn runtime_name(path: &[u8]) -> Option<String> {
    let name = path.rsplit(|b| *b == b'/').next()?;
    ["runc", "crun", "youki"]
        .into_iter()
        .find(|known| {
            name.strip_prefix(known.as_bytes())
                .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
