//! Loads the object, finds for each sensor the best rung that works, attaches.

use std::io;
use std::path::Path;

use aya::maps::{Array, MapData};
use aya::programs::{BtfTracePoint, FExit, Program, ProgramError};
use aya::{Btf as AyaBtf, Ebpf, EbpfLoader, VerifierLogLevel};
use monitor_common::call::Call;
use monitor_common::offsets::FIELD_COUNT;
use monitor_common::policy::{Config, SelfTest};

use super::accounts::Accounts;
use super::btf::{Btf, BtfError};
use super::calls::Calls;
use super::cgroup;
use super::control::{Control, Unwanted};
use super::log::KernelLog;
use super::offsets;
use super::probes::{Attach, Level, Probe, Rung, SENSORS, Sensor};
use super::rings::Rings;

/// Where every kernel with BTF keeps it.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why the kernel side could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The daemon was built without the eBPF object.
    #[error("this binary was built without the eBPF object")]
    NoObject,
    /// The kernel has no type information.
    #[error("{KERNEL_BTF}: {0}")]
    NoBtf(#[source] io::Error),
    /// The kernel's type information cannot be read.
    #[error("{KERNEL_BTF}: {0}")]
    BadBtf(#[from] BtfError),
    /// The kernel lacks fields that every sensor needs.
    #[error("the kernel's type information lacks: {}", .0.join(", "))]
    MissingFields(Vec<String>),
    /// Maps or the object were refused.
    #[error("the kernel refused the eBPF maps: {0}")]
    Object(String),
    /// The kernel does not let this process use BPF.
    #[error("the kernel refuses bpf(2): {0}")]
    Refused(String),
    /// A sensor without which nothing works has no rung.
    #[error("sensor `{sensor}` has no rung on this kernel: {reason}")]
    Required {
        /// The sensor.
        sensor: &'static str,
        /// Why each rung failed.
        reason: String,
    },
}

/// The highest rung that may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxRung {
    /// Whatever works.
    #[default]
    Auto,
    /// Nothing that needs trampolines.
    NoTrampoline,
}

/// What the loader needs to know.
pub struct LoaderOptions<'a> {
    /// The eBPF object.
    pub object: &'a [u8],
    /// Facts of this host for the kernel side.
    pub config: Config,
    /// The highest rung that may be used.
    pub max_rung: MaxRung,
    /// Where cgroup v2 is mounted, if it is.
    pub cgroup_root: Option<&'a Path>,
    /// Maps that are to hold another number of entries than usual.
    pub map_limits: &'a [(String, u32)],
}

/// What became of a sensor.
#[derive(Clone, Debug)]
pub struct SensorState {
    /// The row of the probe table.
    pub sensor: &'static Sensor,
    /// The rung that works; `None` if the sensor is blind.
    pub rung: Option<&'static Rung>,
    /// Optional programs of that rung that could not be attached.
    pub left_out: Vec<&'static str>,
    /// Why better rungs do not.
    pub refused: Vec<String>,
}

/// The running kernel side. Dropping it detaches everything.
pub struct Loaded {
    bpf: Ebpf,
    /// Kept for as long as the programs run.
    _calls: Calls,
    /// One a row of the probe table.
    pub sensors: Vec<SensorState>,
    /// Fields that this kernel lacks.
    pub missing_fields: Vec<String>,
}

/// Everything that was loaded, by who uses it.
pub struct Kernel {
    /// The programs.
    pub loaded: Loaded,
    /// Where records come from.
    pub rings: Rings,
    /// The maps that both sides write.
    pub control: Control,
    /// The kernel side's accounts.
    pub accounts: Accounts,
    /// What the kernel side leaves out.
    pub unwanted: Unwanted,
}

/// Loads and attaches every sensor. `prepare` fills the maps before the first program runs.
///
/// # Errors
/// [`LoadError`]; a sensor that is not required and has no rung is no error but a blind [`SensorState`].
pub fn load(
    options: &LoaderOptions<'_>,
    prepare: impl FnOnce(&mut Control, &mut Unwanted) -> Result<(), String>,
) -> Result<Kernel, LoadError> {
    if options.object.is_empty() {
        return Err(LoadError::NoObject);
    }
    let raw = std::fs::read(KERNEL_BTF).map_err(LoadError::NoBtf)?;
    let types = Btf::parse(&raw)?;
    let table = offsets::resolve(&types);
    if !table.missing_required.is_empty() {
        return Err(LoadError::MissingFields(table.missing_required));
    }
    let kernel = AyaBtf::parse(&raw, aya::Endianness::default())
        .map_err(|error| LoadError::Object(error.to_string()))?;
    let mut bpf = create(options, &table.table)?;
    let mut accounts = Accounts::take(&mut bpf).map_err(LoadError::Object)?;
    let rings = Rings::take(&mut bpf).map_err(LoadError::Object)?;
    let mut control = Control::take(&mut bpf).map_err(LoadError::Object)?;
    let mut calls = Calls::take(&mut bpf).map_err(LoadError::Object)?;
    let mut unwanted = Unwanted::take(&mut bpf).map_err(LoadError::Object)?;
    prepare(&mut control, &mut unwanted).map_err(LoadError::Object)?;
    let mut sensors = Vec::with_capacity(SENSORS.len());
    let mut attacher = Attacher {
        bpf: &mut bpf,
        calls: &mut calls,
        kernel: &kernel,
        types: &types,
        max: options.max_rung,
        cgroup_root: options.cgroup_root,
        trampolines: None,
    };
    for sensor in SENSORS {
        let state = attacher.best_rung(sensor);
        if state.rung.is_none() && sensor.required {
            let reason = state.refused.join("; ");
            // EPERM for every program, not for trampolines only: BPF itself is refused.
            if reason.contains("Operation not permitted") {
                return Err(LoadError::Refused(reason));
            }
            return Err(LoadError::Required { sensor: sensor.name, reason });
        }
        sensors.push(state);
    }
    accounts.watch(&bpf);
    let loaded = Loaded { bpf, _calls: calls, sensors, missing_fields: table.missing_optional };
    Ok(Kernel { loaded, rings, control, accounts, unwanted })
}

fn create(options: &LoaderOptions<'_>, table: &[u16; FIELD_COUNT]) -> Result<Ebpf, LoadError> {
    let cpus = Rings::possible_cpus().map_err(LoadError::Object)?;
    let config = ConfigPod(options.config);
    let mut loader = EbpfLoader::new();
    loader
        .verifier_log_level(VerifierLogLevel::DISABLE)
        .override_global("CONFIG", &config, true)
        .override_global("OFFSETS", &table[..], true)
        .map_max_entries("BULK", cpus);
    for (map, limit) in options.map_limits {
        loader.map_max_entries(map, *limit);
    }
    loader.load(options.object).map_err(|error| {
        let text = chain(&error);
        if text.contains("Operation not permitted") {
            LoadError::Refused(text)
        } else {
            LoadError::Object(text)
        }
    })
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct ConfigPod(Config);
#[expect(unsafe_code, reason = "marks a plain struct as plain for aya")]
// SAFETY: `Config` is `repr(C)`, has no padding and no invalid bit pattern.
unsafe impl aya::Pod for ConfigPod {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct SelfTestPod(SelfTest);
#[expect(unsafe_code, reason = "marks a plain struct as plain for aya")]
// SAFETY: as above.
unsafe impl aya::Pod for SelfTestPod {}

struct Attacher<'a> {
    bpf: &'a mut Ebpf,
    calls: &'a mut Calls,
    kernel: &'a AyaBtf,
    types: &'a Btf,
    max: MaxRung,
    cgroup_root: Option<&'a Path>,
    /// Set once a trampoline was refused for a reason that holds for all of them.
    trampolines: Option<String>,
}

impl Attacher<'_> {
    fn best_rung(&mut self, sensor: &'static Sensor) -> SensorState {
        let mut state = SensorState { sensor, rung: None, left_out: Vec::new(), refused: Vec::new() };
        for rung in sensor.rungs {
            if rung.level == Level::Trampoline {
                if self.max == MaxRung::NoTrampoline {
                    state.refused.push("trampoline: switched off by --rung".into());
                    continue;
                }
                if let Some(reason) = &self.trampolines {
                    state.refused.push(reason.clone());
                    continue;
                }
            }
            match self.attach_all(rung) {
                Ok(left_out) => {
                    state.rung = Some(rung);
                    state.left_out = left_out;
                    break;
                }
                Err(reason) => state.refused.push(format!("{}: {reason}", rung.level.name())),
            }
        }
        state
    }

    fn attach_all(&mut self, rung: &Rung) -> Result<Vec<&'static str>, String> {
        let (mut done, mut left_out) = (Vec::new(), Vec::new());
        for probe in rung.probes {
            if let Err(reason) = self.attach(probe) {
                if probe.optional && self.trampolines.is_none() {
                    left_out.push(probe.program);
                    continue;
                }
                for program in done {
                    self.unload(program, rung.level);
                }
                return Err(format!("{}: {reason}", probe.program));
            }
            done.push(probe.program);
        }
        Ok(left_out)
    }

    fn attach(&mut self, probe: &Probe) -> Result<(), String> {
        match probe.attach {
            Attach::TpBtf(tracepoint) => {
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
                program.load(tracepoint, self.kernel).map_err(explain)?;
                program.attach().map_err(explain)?;
            }
            Attach::Fexit(functions) => {
                let function = functions
                    .iter()
                    .find(|f| self.types.has_function(f))
                    .ok_or_else(|| format!("the kernel has none of {}", functions.join(", ")))?;
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                let program: &mut FExit = program.try_into().map_err(explain)?;
                let result = program.load(function, self.kernel).and_then(|()| program.attach());
                if let Err(error) = result {
                    let reason = explain(error);
                    if reason.contains("Operation not permitted") {
                        self.trampolines = Some(format!("trampoline: the kernel refuses them ({reason})"));
                    }
                    return Err(reason);
                }
            }
            Attach::Cgroup => {
                let program = self.bpf.program_mut(probe.program).ok_or("not in the eBPF object")?;
                cgroup::attach(program, self.cgroup_root)?;
            }
            Attach::Calls(calls) => {
                // A call that this kernel does not have must not put the program at the end of every other one.
                let calls: Vec<Call> =
                    calls.iter().copied().filter(|call| has_call(self.types, call.name())).collect();
                if calls.is_empty() {
                    return Err("the kernel has no such call".into());
                }
                self.calls.connect(self.bpf, self.kernel, probe.program, &calls)?;
            }
        }
        Ok(())
    }

    /// Takes a program of a failed rung down again; shared ones (of system calls) serve other sensors and stay.
    fn unload(&mut self, program: &str, level: Level) {
        if level == Level::Syscall {
            return;
        }
        match self.bpf.program_mut(program) {
            // A program that is not loaded needs no unloading.
            Some(Program::FExit(program)) => drop(program.unload()),
            Some(program) => cgroup::unload(program),
            None => {}
        }
    }
}

/// True if the kernel has a system call of this name, or if its type information names no system calls.
fn has_call(types: &Btf, name: &str) -> bool {
    let known =
        |name: &str| ["__x64_sys_", "__arm64_sys_"].iter().any(|p| types.has_function(&format!("{p}{name}")));
    known(name) || !known("mount")
}

pub(super) fn explain(error: ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|l| !l.trim().is_empty() && !l.starts_with("processed"));
            match last {
                Some(line) => format!("the verifier refused it: {io_error}: {}", line.trim()),
                None => format!("the kernel refused it: {io_error}"),
            }
        }
        other => chain(&other),
    }
}

impl Loaded {
    /// Attaches the self-test, calls `trigger`, reads what it found.
    ///
    /// # Errors
    /// What the kernel refused, or that the program did not run.
    pub fn selftest(&mut self, trigger: impl FnOnce()) -> Result<SelfTest, String> {
        let kernel = AyaBtf::from_sys_fs().map_err(|e| e.to_string())?;
        let program = self.bpf.program_mut("selftest").ok_or("no self-test in the eBPF object")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
        program.load("sched_process_fork", &kernel).map_err(explain)?;
        program.attach().map_err(explain)?;
        trigger();
        let map = self.bpf.map("SELFTEST").ok_or("no self-test map in the eBPF object")?;
        let map: Array<&MapData, SelfTestPod> =
            map.try_into().map_err(|e: aya::maps::MapError| e.to_string())?;
        let found = map.get(&0, 0).map_err(|e| e.to_string())?.0;
        let program = self.bpf.program_mut("selftest").ok_or("no self-test in the eBPF object")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
        program.unload().map_err(explain)?;
        if found.done == 1 { Ok(found) } else { Err("the program did not run".into()) }
    }

    /// The kernel side's log lines, if the object was built with them.
    pub fn kernel_log(&mut self) -> Option<KernelLog> {
        KernelLog::take(&mut self.bpf)
    }
}
