//! Has the kernel verify programs ahead, several at a time: that is most of the time to `ready`, and one CPU's work a
//! program. What cannot be loaded here is tried again, and reported, where it is attached.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::programs::Program;
use aya::{Btf as AyaBtf, Ebpf};

use super::attach::unless_loaded;
use super::btf::Btf;
use super::calls::{self, Calls};
use super::cgroup;
use super::loader::explain;
use super::probes::{Attach, Probe};

/// Most CPUs that are used: with more of them it is the longest program that takes the time.
const MAX_THREADS: usize = 4;

/// How a program is loaded.
#[derive(Clone, Copy)]
enum Load<'a> {
    /// On a typed tracepoint.
    Tracepoint(&'a str),
    /// At the end of a function.
    Function(&'a str),
    /// As its section says.
    Section,
}

/// Programs that the kernel refused, with its reasons.
#[derive(Default)]
pub(super) struct Refused(BTreeMap<String, String>);

impl Refused {
    /// Why a program cannot be loaded, if that was tried.
    pub(super) fn reason(&self, program: &str) -> Option<String> {
        self.0.get(program).cloned()
    }
}

/// Loads the programs of these probes, in no order, and waits until each is loaded or refused.
pub(super) fn load<'a>(
    bpf: &mut Ebpf,
    kernel: &AyaBtf,
    types: &Btf,
    preemptible: bool,
    probes: impl Iterator<Item = &'a Probe>,
) -> Refused {
    let mut wanted = BTreeMap::new();
    for probe in probes {
        match probe.attach {
            Attach::Second(_) if !preemptible => {}
            Attach::TpBtf(tracepoint) | Attach::Second(tracepoint) => {
                wanted.insert(probe.program, Load::Tracepoint(tracepoint));
            }
            Attach::Fexit(functions) => {
                if let Some(function) = functions.iter().find(|function| types.has_function(function)) {
                    wanted.insert(probe.program, Load::Function(function));
                }
            }
            Attach::Cgroup => {
                wanted.insert(probe.program, Load::Section);
            }
            Attach::Calls(_) => {
                let all = Calls::dispatchers(preemptible).chain([probe.program]);
                wanted.extend(all.map(|program| (program, Load::Tracepoint(calls::TRACEPOINT))));
            }
        }
    }
    let mut work: Vec<(&str, &mut Program, Load<'_>)> =
        bpf.programs_mut().filter_map(|(name, program)| Some((name, program, *wanted.get(name)?))).collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let refused = Mutex::new(BTreeMap::new());
    let queue = Mutex::new(work.drain(..));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((name, program, how)) = next else { return };
                    if let Err(reason) = one(program, how, kernel) {
                        let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
                        refused.insert(name.to_owned(), reason);
                    }
                }
            });
        }
    });
    drop(queue);
    Refused(refused.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn one(program: &mut Program, how: Load<'_>, kernel: &AyaBtf) -> Result<(), String> {
    match (program, how) {
        (Program::BtfTracePoint(program), Load::Tracepoint(tracepoint)) => {
            unless_loaded(program.load(tracepoint, kernel)).map_err(explain)
        }
        (Program::FExit(program), Load::Function(function)) => {
            unless_loaded(program.load(function, kernel)).map_err(explain)
        }
        (program, _) => cgroup::load(program),
    }
}
