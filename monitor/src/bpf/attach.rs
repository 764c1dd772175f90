//! Finds for each sensor the best rung that works on this kernel, by trying.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, FExit, Program, ProgramError};
use aya::{Btf as AyaBtf, Ebpf};
use monitor_common::call::Call;

use super::ahead::{self, Refused};
use super::btf::Btf;
use super::calls::{Calls, Load};
use super::cgroup;
use super::link::Links;
use super::loader::{MaxRung, SensorState, explain};
use super::needs::Lacking;
use super::probes::{Attach, Level, Probe, Rung, SENSORS, Sensor};

/// What trying needs.
pub(super) struct Attacher<'a> {
    pub(super) bpf: &'a mut Ebpf,
    pub(super) links: &'a mut Links,
    pub(super) calls: &'a mut Calls,
    pub(super) kernel: &'a AyaBtf,
    pub(super) types: &'a Btf,
    pub(super) lacking: &'a Lacking,
    /// True if programs of tracepoints can be preempted.
    pub(super) preemptible: bool,
    pub(super) max: MaxRung,
    /// The root of cgroup v2, or why there is none.
    pub(super) cgroup_root: Result<OwnedFd, String>,
    /// Set once a trampoline was refused for a reason that holds for all of them.
    pub(super) trampolines: Option<String>,
    /// What could not be loaded ahead.
    pub(super) refused: Refused,
}

impl Attacher<'_> {
    /// Loads what the first rung of every sensor needs, all at once. Whether there are trampolines is found out with one
    /// program before that.
    pub(super) fn load_ahead(&mut self) {
        if self.max != MaxRung::NoTrampoline {
            let functions = SENSORS.iter().flat_map(|sensor| sensor.rungs).flat_map(|rung| rung.probes);
            let mut tried =
                functions.filter(|probe| self.is_possible(probe)).filter(|probe| match probe.attach {
                    Attach::Fexit(names) => names.iter().any(|name| self.types.has_function(name)),
                    _ => false,
                });
            if let Some(probe) = tried.next() {
                let before = self.links.len();
                // What it is refused for, if it is, comes up again where it is needed.
                let _ = self.attach(probe);
                self.links.truncate(before);
                // Old kernels attach a program only once: after that it must be loaded anew
                // (`bpf_tracing_prog_attach()`, kernel `kernel/bpf/syscall.c`).
                self.unload(probe.program);
            }
        }
        let rungs =
            SENSORS.iter().filter_map(|sensor| sensor.rungs.iter().find(|rung| self.refusal(rung).is_none()));
        let probes: Vec<&Probe> =
            rungs.flat_map(|rung| rung.probes).filter(|probe| self.is_possible(probe)).collect();
        let probes = probes.into_iter();
        self.refused = ahead::load(self.bpf, self.kernel, self.types, self.preemptible, probes);
    }

    /// True if the kernel has every field that a program reads.
    fn is_possible(&self, probe: &Probe) -> bool {
        self.lacking.check(probe).is_ok()
    }

    /// Why a rung need not be tried.
    fn refusal(&self, rung: &Rung) -> Option<String> {
        match rung.level {
            Level::Trampoline if self.max == MaxRung::NoTrampoline => {
                Some("trampoline: switched off by --rung".into())
            }
            Level::Trampoline => self.trampolines.clone(),
            _ => None,
        }
    }

    /// Attaches the best rung that works.
    pub(super) fn best_rung(&mut self, sensor: &'static Sensor) -> SensorState {
        let mut state = SensorState { sensor, rung: None, left_out: Vec::new(), refused: Vec::new() };
        for rung in sensor.rungs {
            if let Some(reason) = self.refusal(rung) {
                state.refused.push(reason);
                continue;
            }
            match self.attach_all(rung) {
                Ok(left_out) => {
                    state.rung = Some(rung);
                    state.left_out = left_out;
                    for (part, reason) in self.lacking.parts(rung) {
                        state.left_out.push(part);
                        state.refused.push(reason);
                    }
                    break;
                }
                Err(reason) => state.refused.push(format!("{}: {reason}", rung.level.name())),
            }
        }
        state
    }

    fn attach_all(&mut self, rung: &Rung) -> Result<Vec<&'static str>, String> {
        let (mut done, mut left_out) = (Vec::new(), Vec::new());
        let mut first_reason = None;
        let before = self.links.len();
        for probe in rung.probes {
            if let Err(reason) = self.lacking.check(probe).and_then(|()| self.attach(probe)) {
                if probe.optional && self.trampolines.is_none() {
                    left_out.push(probe.program);
                    first_reason.get_or_insert(format!("{}: {reason}", probe.program));
                    continue;
                }
                // Detached first, then unloaded.
                self.links.truncate(before);
                for probe in rung.probes {
                    self.unload(probe.program);
                }
                return Err(format!("{}: {reason}", probe.program));
            }
            done.push(probe.program);
        }
        // A rung of which nothing is attached sees nothing.
        match first_reason {
            Some(reason) if done.is_empty() => Err(reason),
            _ => Ok(left_out),
        }
    }

    fn attach(&mut self, probe: &Probe) -> Result<(), String> {
        if let Some(reason) = self.refused.reason(probe.program) {
            return Err(reason);
        }
        match probe.attach {
            Attach::Second(_) if !self.preemptible => {}
            Attach::TpBtf(tracepoint) | Attach::Second(tracepoint) => {
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
                unless_loaded(program.load(tracepoint, self.kernel)).map_err(explain)?;
                let id = program.attach().map_err(explain)?;
                self.links
                    .push((probe.program, FdLink::from(program.take_link(id).map_err(explain)?).into()));
            }
            Attach::Fexit(functions) => {
                let function = functions
                    .iter()
                    .find(|f| self.types.has_function(f))
                    .ok_or_else(|| format!("the kernel has none of {}", functions.join(", ")))?;
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                let program: &mut FExit = program.try_into().map_err(explain)?;
                let result =
                    unless_loaded(program.load(function, self.kernel)).and_then(|()| program.attach());
                match result.and_then(|id| program.take_link(id)) {
                    Ok(link) => self.links.push((probe.program, FdLink::from(link).into())),
                    Err(error) => {
                        let reason = explain(error);
                        if reason.contains("Operation not permitted") {
                            self.trampolines =
                                Some(format!("trampoline: the kernel refuses them ({reason})"));
                        }
                        return Err(reason);
                    }
                }
            }
            Attach::Cgroup => {
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                let root = self.cgroup_root.as_ref().map_err(Clone::clone)?;
                let link = cgroup::attach(program, root.as_fd())?;
                self.links.push((probe.program, link));
            }
            Attach::Calls(calls) => {
                // A call that this kernel does not have must not put the program at the end of every other one.
                let calls: Vec<Call> =
                    calls.iter().copied().filter(|call| has_call(self.types, call.name())).collect();
                if calls.is_empty() {
                    return Err("the kernel has no such call".into());
                }
                let load =
                    Load { bpf: self.bpf, links: self.links, kernel: self.kernel, twice: self.preemptible };
                self.calls.connect(load, probe.program, &calls)?;
            }
        }
        Ok(())
    }

    /// Takes a program of a failed rung down again; those of system calls may serve other sensors and stay.
    fn unload(&mut self, program: &str) {
        match self.bpf.program_mut(program) {
            // A program that is not loaded needs no unloading.
            Some(Program::FExit(program)) => drop(program.unload()),
            Some(program) => cgroup::unload(program),
            None => {}
        }
    }
}

/// A program that was loaded ahead needs no loading.
pub(super) fn unless_loaded(loaded: Result<(), ProgramError>) -> Result<(), ProgramError> {
    match loaded {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other,
    }
}

/// True if the kernel has a system call of this name, or if its type information names no system calls.
fn has_call(types: &Btf, name: &str) -> bool {
    let known =
        |name: &str| ["__x64_sys_", "__arm64_sys_"].iter().any(|p| types.has_function(&format!("{p}{name}")));
    // `kernel/events/` was long built without function tracing, and then has no types of functions.
    known(name) || !known("mount") || name == "perf_event_open"
}
