//! Reads the facts: `/proc` of each container's first process, its cgroups, its OCI configuration, and the host.
//!
//! Everything may vanish while it is read, and everything inside a container may be hostile: paths of a container are
//! resolved in its root, no magic link is followed, and nothing is opened but for its kind and number. A file system in it
//! that does not answer is asked as little as can be, by a thread that is left behind at a deadline.

mod cgroups;
mod device_program;
mod inside;
mod inspect;
mod versions;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Subject;
use super::baseline::{Baseline, Host, IdRange, NAMESPACES, Object};
use super::config::Config;
use super::judge::{self, link_layers};
use super::mountinfo::{Mount, host_path, leads_through_remote, parse_mounts};
use super::question::Unread;
use crate::bounded::{LOOK, Unanswered, Worker};
use crate::container::{
    Container, Declared, HostPaths, Layout, LayoutError, ResolveRequest, Resolver, Scanned, Update,
    initial_namespace, read_file, read_start,
};
use inside::Inside;

pub use inspect::Inspector;

/// Bytes of one file of `/proc` that are read.
const MAX_TEXT: u64 = 4 << 20;
/// Variables of an environment that are kept.
const MAX_VARIABLES: usize = 4096;

/// What is to be looked at beside what is known.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the host's files are.
    pub host: HostPaths,
    /// Further state directories of OCI runtimes.
    pub state_roots: Vec<PathBuf>,
    /// Where engines have their control sockets.
    pub control_sockets: Vec<PathBuf>,
}

/// Where containers are read from.
#[derive(Debug)]
struct Source {
    resolver: Resolver,
    paths: HostPaths,
    layout: Layout,
    control_sockets: Vec<PathBuf>,
}

impl Source {
    fn new(options: Options) -> Result<Self, LayoutError> {
        let Options { host, state_roots, control_sockets } = options;
        Ok(Self {
            layout: Layout::read(&host)?,
            resolver: Resolver::new(host.clone()).with_state_roots(state_roots),
            paths: host,
            control_sockets,
        })
    }

    /// Who a container is.
    fn identity(self: &Arc<Self>, worker: &mut Worker, of: &ResolveRequest) -> Result<Update, Unanswered> {
        let (source, of) = (Arc::clone(self), of.clone());
        worker.run(LOOK, move || source.resolver.resolve(&of))
    }
}

/// Reads the host and every container that runs; of one that keeps whoever reads it waiting it is said.
///
/// # Errors
/// Containers cannot be told apart, because no cgroup file system is mounted.
pub fn gather(options: Options) -> Result<(Host, Vec<Subject>), LayoutError> {
    let source = Arc::new(Source::new(options)?);
    let paths = &source.paths;
    let mut worker = Worker::new("posture-files");
    let scanned = source.resolver.scan_within(&mut worker, &mut BTreeSet::new());
    let mut host = read_host(paths);
    let shared = Arc::new((host.clone(), inside::known_sockets(paths, &source.control_sockets)));
    let mut subjects = Vec::new();
    for scanned in scanned.into_iter().map(Arc::new) {
        let (asked, of, shared) = (Arc::clone(&source), Arc::clone(&scanned), Arc::clone(&shared));
        let identity = source.identity(&mut worker, &scanned.request);
        let read = identity.clone().and_then(|update| {
            worker.run(LOOK, move || {
                let (host, sockets) = &*shared;
                Reader { source: &asked, host, sockets }.facts(&of, &update)
            })
        });
        let (baseline, unread) = match read {
            Ok(Some(baseline)) => (baseline, None),
            Ok(None) => continue,
            Err(why) => {
                let baseline = Baseline { pid: scanned.request.pid, ..Baseline::default() };
                (baseline, Some(Unread::Unanswered(why)))
            }
        };
        let update = identity.unwrap_or_else(|why| source.resolver.unread(&scanned.request, why.reason()));
        subjects.push(Subject { container: container(&scanned, update), baseline, unread });
    }
    if paths.root == Path::new("/") {
        let runtimes: BTreeSet<String> = subjects.iter().filter_map(|s| s.baseline.runtime.clone()).collect();
        host.versions =
            runtimes.into_iter().filter_map(|name| Some((name.clone(), versions::of(&name)?))).collect();
    }
    let read: Vec<&mut Subject> = subjects.iter_mut().filter(|subject| subject.unread.is_none()).collect();
    let names: Vec<String> = read.iter().map(|subject| name(&subject.container)).collect();
    let (mut baselines, places): (Vec<Baseline>, Vec<&mut Baseline>) =
        read.into_iter().map(|s| (std::mem::take(&mut s.baseline), &mut s.baseline)).unzip();
    link_layers(&mut baselines, &names, &host);
    for (place, baseline) in places.into_iter().zip(baselines) {
        *place = baseline;
    }
    Ok((host, subjects))
}

fn container(scanned: &Scanned, update: Update) -> Container {
    Container {
        key: scanned.key,
        revision: 0,
        status: update.status,
        identity: update.identity,
        cgroup_path: scanned.cgroup_path.clone(),
        declared: update.declared,
        baseline: None,
        mismatches: Vec::new(),
    }
}

/// What a person calls a container: its name, else its id, else its cgroup.
pub fn name(container: &Container) -> String {
    let identity = &container.identity;
    identity.name.clone().or_else(|| identity.id.clone()).unwrap_or_else(|| container.cgroup_path.clone())
}

fn text(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&read_start(path, MAX_TEXT).ok()?).into_owned())
}

fn namespaces(paths: &HostPaths, pid: u32) -> [u32; 8] {
    NAMESPACES.map(|(name, _)| {
        let link = std::fs::read_link(paths.proc.join(pid.to_string()).join("ns").join(name)).ok();
        let number = link.and_then(|link| link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok());
        number.unwrap_or(0)
    })
}

/// Those of the host: where process 1 does not let itself be looked at, the first kernel thread does, and most types have
/// an inode that never changes.
fn host_namespaces(paths: &HostPaths) -> [u32; 8] {
    let (first, second) = (namespaces(paths, 1), namespaces(paths, 2));
    std::array::from_fn(|at| {
        let known = [first[at], second[at], initial_namespace(NAMESPACES[at].0)];
        known.into_iter().find(|inode| *inode != 0).unwrap_or(0)
    })
}

fn read_host(paths: &HostPaths) -> Host {
    let of = |name: &str| paths.proc.join("1").join(name);
    let mounts = parse_mounts(&text(&of("mountinfo")).unwrap_or_default());
    let status = text(&of("status")).unwrap_or_default();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    Host {
        namespaces: host_namespaces(paths),
        bounding: bounding.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX),
        apparmor: text(&paths.path(Path::new("/sys/module/apparmor/parameters/enabled")))
            .is_some_and(|enabled| enabled.starts_with('Y')),
        selinux: paths.path(Path::new("/sys/fs/selinux/enforce")).exists(),
        peer_groups: mounts.iter().filter_map(|mount| mount.shared).collect(),
        mounts,
        versions: Default::default(),
    }
}

/// The document that a declaration was read from.
fn configuration(
    resolver: &Resolver,
    request: &ResolveRequest,
    declared: Option<&Declared>,
) -> Option<Config> {
    let declared = declared?;
    let bytes = resolver.configuration(request, declared)?;
    let path = Path::new(&declared.bundle).join("config.json").display().to_string();
    Config::parse(&path, &bytes).ok()
}

/// Reads containers.
struct Reader<'a> {
    source: &'a Source,
    host: &'a Host,
    sockets: &'a [String],
}

impl Reader<'_> {
    /// The facts of a container that is known as that.
    fn facts(&self, scanned: &Scanned, known: &Update) -> Option<Baseline> {
        let config = configuration(&self.source.resolver, &scanned.request, known.declared.as_ref());
        self.baseline(scanned, config, known.identity.runtime.clone())
    }

    fn baseline(
        &self,
        scanned: &Scanned,
        config: Option<Config>,
        runtime: Option<String>,
    ) -> Option<Baseline> {
        let Source { resolver, paths, layout, .. } = self.source;
        let first = scanned.processes.get(scanned.first)?;
        let pid = first.key.pid;
        let of = |name: &str| paths.proc.join(pid.to_string()).join(name);
        let mut mounts = parse_mounts(&text(&of("mountinfo"))?);
        for mount in &mut mounts {
            mount.host_path = host_path(mount, &self.host.mounts);
        }
        let label = ["attr/apparmor/current", "attr/current"].iter().find_map(|name| text(&of(name)));
        let state = &scanned.baseline;
        let device_rules = cgroups::device_rules(paths, self.host, pid);
        let device_program = || {
            let (directory, _) = cgroups::unified(paths, layout, pid)?;
            device_program::is_in_force(&directory)
        };
        let mut baseline = Baseline {
            pid,
            namespaces: namespaces(paths, pid),
            tasks: scanned.tasks.len(),
            root_tasks: scanned.tasks.iter().filter(|task| task.euid == 0).count(),
            uid: first.euid,
            effective: state.cap_effective,
            permitted: state.cap_permitted,
            bounding: state.cap_bounding,
            seccomp: state.seccomp,
            no_new_privs: state.no_new_privs != 0,
            uid_map: uid_map(&text(&of("uid_map")).unwrap_or_default()),
            label: label.map(|label| label.trim_end_matches(['\0', '\n']).to_owned()),
            mounts,
            limits: cgroups::limits(paths, layout, self.host, pid),
            device_program: device_rules.is_none().then(device_program).flatten(),
            device_rules,
            environment: environment(&of("environ")),
            runtime,
            config,
            ..Baseline::default()
        };
        if let Some(inside) = Inside::open(paths, pid) {
            // An engine may have mounts of its own, which only its runtime, shim or conmon shows.
            let outside = resolver.ancestors_from_proc(pid);
            let outside: Vec<u32> = outside.iter().map(|process| process.key.pid).collect();
            self.look_inside(&inside, &outside, &mut baseline);
        }
        Some(baseline)
    }

    fn look_inside(&self, inside: &Inside, outside: &[u32], b: &mut Baseline) {
        let mut wanted: BTreeSet<String> =
            judge::masks::paths().chain(judge::devices::paths()).map(str::to_owned).collect();
        let declared = b.config.as_ref().map(|config| (config.lists_of_masks(), config.binds()));
        let (masks, binds) = declared.unwrap_or_default();
        wanted.extend(masks);
        // What a server shows there is not the kernel's, whatever it is.
        wanted.retain(|path| !leads_through_remote(&b.mounts, path));
        for path in wanted {
            if let Some((object, _)) = inside.look(&path) {
                b.objects.insert(path, object);
            }
        }
        b.nodes = inside.devices(&b.mounts);
        for (source, destination) in binds {
            if leads_through_remote(&b.mounts, &destination) {
                continue;
            }
            let point = inside.look(&destination).map(|(_, id)| id);
            let source_at = Path::new(&source);
            let views = std::iter::once(self.source.paths.path(source_at))
                .chain(outside.iter().map(|pid| self.source.paths.path_of(*pid, source_at)));
            let mut seen = views.filter_map(|path| inside::id_of(&path)).peekable();
            let first = seen.peek().copied();
            if let Some(id) = seen.find(|id| Some(*id) == point).or(first) {
                b.source_ids.insert(source, id);
            }
            b.point_ids.extend(point.map(|id| (destination, id)));
        }
        b.sockets = inside.sockets(&b.mounts, self.sockets);
    }
}

fn uid_map(text: &str) -> Vec<IdRange> {
    let range = |line: &str| {
        let mut words = line.split_ascii_whitespace().map(|word| word.parse().ok());
        Some(IdRange { inside: words.next()??, outside: words.next()??, count: words.next()?? })
    };
    text.lines().filter_map(range).collect()
}

fn environment(path: &Path) -> Vec<String> {
    let bytes = read_start(path, MAX_TEXT).unwrap_or_default();
    let variables = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty()).take(MAX_VARIABLES);
    variables.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// True for a mount that cannot hold a socket or a directory of somebody's.
fn is_kernel(mount: &Mount) -> bool {
    ["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue"].contains(&mount.fstype.as_str())
}

/// The kind of a file, by its mode and device number.
fn object(status: &rustix::fs::Statx) -> Object {
    use rustix::fs::FileType;
    let number = (status.stx_rdev_major, status.stx_rdev_minor);
    match FileType::from_raw_mode(status.stx_mode.into()) {
        FileType::Directory => Object::Directory,
        FileType::RegularFile => Object::File,
        FileType::CharacterDevice => Object::Char(number.0, number.1),
        FileType::BlockDevice => Object::Block(number.0, number.1),
        FileType::Socket => Object::Socket,
        FileType::Symlink => Object::Link,
        _ => Object::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_maps() {
        assert_eq!(
            uid_map("         0     100000      65536\n1 x 3\n"),
            [IdRange { inside: 0, outside: 100_000, count: 65_536 }]
        );
    }

    #[test]
    fn this_machine_is_read() {
        let host = read_host(&HostPaths::default());
        assert!(host.bounding != 0 && !host.mounts.is_empty() && host.namespace("mnt") != 0);
    }
}
