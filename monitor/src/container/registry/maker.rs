//! Who made a container, as far as records told: the run of a runtime that is trusted.

use crate::container::resident::{self, Resident};
use crate::container::{Identity, ResolveRequest, RuntimeInvocation, container_in_path, runtime};
use crate::process::{Process, ProcessTable};

/// A task and its ancestors, as far as they are a trusted runtime's, the nearest first.
fn runtimes(pid: u32, procs: &ProcessTable) -> impl Iterator<Item = &Process> {
    procs.get(pid).into_iter().chain(procs.ancestors(pid)).filter(|process| process.runtime)
}

/// The run of a runtime with bundles that makes a container, from the nearest of a task and its ancestors.
pub(super) fn invocation(pid: u32, procs: &ProcessTable) -> Option<RuntimeInvocation> {
    runtimes(pid, procs).find_map(|process| {
        let program = &process.program;
        let sets_up = Resident::parse(&program.argv).is_none()
            && runtime::parse(&program.argv, &program.cwd).is_some_and(|i| i.command.sets_up());
        sets_up.then(|| RuntimeInvocation {
            pid: process.key.pid,
            exe: program.exe.clone(),
            argv: program.argv.clone(),
            cwd: program.cwd.clone(),
        })
    })
}

/// The full id of a container as far as it is known before a file was read: what its runtime was given, or the 64 digits
/// that engines put into the cgroup's path.
pub(super) fn id(request: &ResolveRequest) -> Option<String> {
    let given = |run: &RuntimeInvocation| runtime::parse(&run.argv, &run.cwd)?.id;
    let in_path = || {
        let found = container_in_path(&request.cgroup_path)?;
        let is_whole = found.id.len() == 64 && found.id.bytes().all(|b| b.is_ascii_hexdigit());
        is_whole.then(|| found.full_id())
    };
    request.runtime.as_ref().and_then(given).or_else(in_path)
}

/// Who a container is whose runtime stays beside it: no file knows more. `path` is that of its cgroup, if it is known.
pub(super) fn resident(pid: u32, path: &str, procs: &ProcessTable) -> Option<Identity> {
    let runtime = runtimes(pid, procs).next()?;
    let Resident { engine, name, otherwise } = Resident::parse(&runtime.program.argv)?;
    let in_path = || {
        let found = container_in_path(path).filter(|found| found.engine == Some(engine))?;
        Some(found.full_id())
    };
    let name = name.or_else(in_path).or_else(|| resident::in_scope(path)).or(otherwise)?;
    Some(resident::identity(engine, name))
}
