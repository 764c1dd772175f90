//! Programs that do nothing, on the hooks that the daemon uses: what the statistics' two reads of the clock and the
//! way into a program cost there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::Context as _;

use crate::bench::bpf::{self, Hook, ProgramInfo};
use crate::bench::bytecode;

/// A noop on each hook of some programs, for as long as this lives.
pub(crate) struct Noops {
    /// By hook: the program and its attachment.
    attached: Vec<(Hook, OwnedFd, OwnedFd)>,
    /// The hooks of each program of the daemon.
    hooks: BTreeMap<u32, Hook>,
}

/// What noops took, by hook, since a look before.
pub(crate) type Looks = BTreeMap<Hook, (f64, f64)>;

impl Noops {
    /// Attaches them beside the programs of these ids; hooks that take no noop are left out.
    pub(crate) fn beside(programs: &BTreeSet<u32>) -> anyhow::Result<Self> {
        let hooks: BTreeMap<u32, Hook> =
            bpf::hooks().into_iter().filter(|(id, _)| programs.contains(id)).collect();
        let kinds: BTreeMap<u32, u32> = bpf::programs().into_iter().map(|p| (p.id, p.kind)).collect();
        let mut attached: Vec<(Hook, OwnedFd, OwnedFd)> = Vec::new();
        for (id, hook) in &hooks {
            if attached.iter().any(|(other, ..)| other == hook) {
                continue;
            }
            let (program, link) = match hook {
                Hook::Tracepoint(name) => {
                    let program = bpf::load(bpf::PROG_RAW_TRACEPOINT, 0, &bytecode::noop(0))?;
                    let link = bpf::attach_tracepoint(&program, name)?;
                    (program, link)
                }
                Hook::Cgroup(attach) => {
                    let kind = kinds.get(id).copied().context("a program went away")?;
                    let program = bpf::load(kind, *attach, &bytecode::noop(1))?;
                    let link = bpf::attach_cgroup(&program, &root_cgroup()?, *attach)?;
                    (program, link)
                }
            };
            attached.push((hook.clone(), program, link));
        }
        Ok(Self { attached, hooks })
    }

    /// Time and runs of each so far.
    pub(crate) fn look(&self) -> anyhow::Result<Looks> {
        let mut looks = Looks::new();
        for (hook, program, _) in &self.attached {
            let info = bpf::program_info(program)?;
            looks.insert(hook.clone(), (info.time, info.runs));
        }
        Ok(looks)
    }

    /// Nanoseconds of a run of the noop on a program's hook between two looks; `None` without one that ran.
    pub(crate) fn ns(&self, program: &ProgramInfo, before: &Looks, after: &Looks) -> Option<f64> {
        let hook = self.hooks.get(&program.id)?;
        let ((time, runs), (old_time, old_runs)) = (after.get(hook)?, before.get(hook)?);
        let runs = runs - old_runs;
        (runs > 0.0).then(|| (time - old_time) / runs)
    }

    /// The hook of a program, as tables say it.
    pub(crate) fn hook_name(&self, program: &ProgramInfo) -> String {
        match self.hooks.get(&program.id) {
            Some(Hook::Tracepoint(name)) => name.clone(),
            Some(Hook::Cgroup(attach)) => format!("cgroup hook {attach}"),
            None => "-".to_owned(),
        }
    }
}

/// The root of the cgroup v2 hierarchy.
fn root_cgroup() -> anyhow::Result<OwnedFd> {
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let at = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| at.to_owned())
    });
    let at = at.context("no cgroup v2 is mounted")?;
    Ok(File::open(&at).with_context(|| format!("cannot open {at}"))?.into())
}
