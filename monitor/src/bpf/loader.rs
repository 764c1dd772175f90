//! Loads the object, finds for each sensor the best rung that works, attaches.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use aya::maps::{Array, MapData};
use aya::programs::{BtfTracePoint, Program, ProgramError};
use aya::{Btf as AyaBtf, Ebpf, EbpfLoader, VerifierLogLevel};
use monitor_common::offsets::FIELD_COUNT;
use monitor_common::policy::{Config, SelfTest, daemon as place};

use super::accounts::Accounts;
use super::ahead::Refused;
use super::attach::Attacher;
use super::btf::{Btf, BtfError};
use super::calls::Calls;
use super::cgroup;
use super::control::{Control, Unwanted};
use super::daemon::{Daemon, object_id};
use super::dead_threads::DeadThreads;
use super::kfunc::{self, Functions};
use super::link::Links;
use super::log::KernelLog;
use super::maps::Maps;
use super::needs::Lacking;
use super::offsets;
use super::pins::Pins;
use super::preempt;
use super::probes::{Level, Rung, SENSORS, Sensor};
use super::resume::{Resumed, pin, take_over};
use super::rings::Rings;

/// Where every kernel with BTF keeps it.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// The program of the self-test.
const SELF_TEST: &str = "selftest";

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
    /// Something cannot be pinned, or what is pinned cannot be used.
    #[error("{0}")]
    Pins(String),
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
    /// Where cgroup v2 is mounted, if it is: a mount that nobody sees serves as well.
    pub cgroup_root: Option<&'a Path>,
    /// Maps that are to hold another number of entries than usual.
    pub map_limits: &'a [(String, u32)],
    /// Where programs, maps and links are to stay when the daemon ends, and may be from an earlier one.
    pub pins: Option<&'a Pins>,
    /// Kernel fields to be treated as missing, by name: for tests.
    pub without_fields: &'a [String],
}

/// What became of a sensor.
#[derive(Clone, Debug)]
pub struct SensorState {
    /// The row of the probe table.
    pub sensor: &'static Sensor,
    /// The rung that works; `None` if the sensor is blind.
    pub rung: Option<&'static Rung>,
    /// Optional programs of that rung that could not be attached, and parts of programs that do without a field.
    pub left_out: Vec<&'static str>,
    /// Why better rungs do not, and parts are left out.
    pub refused: Vec<String>,
}

/// The running kernel side. Dropping it detaches everything.
pub struct Loaded {
    /// `None` if the programs are an earlier daemon's.
    pub(super) bpf: Option<Ebpf>,
    /// Kept for as long as the programs run.
    _calls: Calls,
    /// Empty if they are pinned.
    _links: Links,
    /// One a row of the probe table.
    pub sensors: Vec<SensorState>,
    /// Fields that this kernel lacks, and for which others are used, or nothing.
    pub missing_fields: Vec<String>,
    /// Fields that this kernel lacks, and without which the programs that read them are not attached.
    pub lacking_fields: Vec<String>,
    /// True if this kernel has every field that the self-test reads.
    pub self_test_is_whole: bool,
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
    /// Its notes about threads that died.
    pub dead_threads: DeadThreads,
    /// What the daemon says of itself.
    pub daemon: Daemon,
    /// If these are an earlier daemon's programs.
    pub resumed: Option<Resumed>,
}

/// What is made of the maps.
pub(super) struct Parts {
    pub(super) accounts: Accounts,
    pub(super) rings: Rings,
    pub(super) control: Control,
    pub(super) calls: Calls,
    pub(super) unwanted: Unwanted,
    pub(super) dead_threads: DeadThreads,
}

impl Parts {
    pub(super) fn take(maps: &mut Maps) -> Result<Self, String> {
        Ok(Self {
            accounts: Accounts::take(maps)?,
            rings: Rings::take(maps)?,
            control: Control::take(maps)?,
            calls: Calls::take(maps)?,
            unwanted: Unwanted::take(maps)?,
            dead_threads: DeadThreads::take(maps)?,
        })
    }
}

/// Takes the pinned programs of an earlier daemon over, or loads and attaches every sensor. `prepare` fills the maps before the first program runs.
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
    let prepare = match options.pins {
        None => prepare,
        Some(pins) => match take_over(pins, object_id(options.object, &options.config), prepare)? {
            Ok(kernel) => return Ok(kernel),
            Err(prepare) => prepare,
        },
    };
    let raw = std::fs::read(KERNEL_BTF).map_err(LoadError::NoBtf)?;
    let types = Btf::parse(&raw)?;
    let mut table = offsets::resolve(&types);
    for field in options.without_fields {
        table.forget(field).map_err(LoadError::Object)?;
    }
    let lacking = Lacking::of(options.object, table.missing_required).map_err(LoadError::Object)?;
    let kernel = AyaBtf::parse(&raw, aya::Endianness::default())
        .map_err(|error| LoadError::Object(error.to_string()))?;
    let preemptible = preempt::is_possible(&types);
    let functions = Functions::of(&types, kfunc::has_jit());
    let (file_type, mount_type, fd_type) = functions.types();
    let config = Config {
        preemptible: u32::from(preemptible),
        typed: u32::from(types.has_function("bpf_get_current_task_btf")),
        file_type,
        mount_type,
        fd_type,
        // Mount, dentry, name, value, size, flags.
        setxattr_idmap: u32::from(types.arguments_of("security_inode_setxattr") == Some(6)),
        ..options.config
    };
    let mut bpf = create(options, config, &functions.link(options.object), &table.table)?;
    let mut maps = Maps::loaded(&mut bpf);
    if let Some(pins) = options.pins {
        maps.pin(&pins.maps()).map_err(LoadError::Pins)?;
    }
    let Parts { mut accounts, rings, mut control, mut calls, mut unwanted, dead_threads } =
        Parts::take(&mut maps).map_err(LoadError::Object)?;
    let mut daemon = Daemon::take(&mut maps).map_err(LoadError::Object)?;
    daemon.set(place::PID, u64::from(std::process::id())).map_err(LoadError::Object)?;
    prepare(&mut control, &mut unwanted).map_err(LoadError::Object)?;
    let mut sensors = Vec::with_capacity(SENSORS.len());
    let mut links = Links::new();
    let mut attacher = Attacher {
        bpf: &mut bpf,
        links: &mut links,
        calls: &mut calls,
        kernel: &kernel,
        types: &types,
        lacking: &lacking,
        preemptible,
        max: options.max_rung,
        cgroup_root: cgroup::root(options.cgroup_root),
        trampolines: None,
        refused: Refused::default(),
    };
    attacher.load_ahead();
    for sensor in SENSORS {
        let state = attacher.best_rung(sensor);
        if state.rung.is_none() && sensor.required {
            let fields = lacking.of_sensor(sensor);
            if !fields.is_empty() {
                return Err(LoadError::MissingFields(fields));
            }
            let reason = state.refused.join("; ");
            // EPERM for every program, not for trampolines only: BPF itself is refused.
            if reason.contains("Operation not permitted") {
                return Err(LoadError::Refused(reason));
            }
            return Err(LoadError::Required { sensor: sensor.name, reason });
        }
        sensors.push(state);
    }
    let fd_of = |program: &Program| program.fd().ok()?.as_fd().try_clone_to_owned().ok();
    accounts.watch(bpf.programs().filter_map(|(name, program)| Some((name.to_owned(), fd_of(program)?))));
    if let Some(pins) = options.pins {
        daemon.set(place::OBJECT, object_id(options.object, &options.config)).map_err(LoadError::Pins)?;
        daemon.save(&sensors).map_err(LoadError::Pins)?;
        pin(pins, &mut bpf, &rings, std::mem::take(&mut links)).map_err(LoadError::Pins)?;
        daemon.set(place::PINNED, 1).map_err(LoadError::Pins)?;
    }
    let loaded = Loaded {
        bpf: Some(bpf),
        _calls: calls,
        _links: links,
        sensors,
        missing_fields: table.missing_optional,
        self_test_is_whole: lacking.of_program(SELF_TEST).next().is_none(),
        lacking_fields: lacking.names(),
    };
    Ok(Kernel { loaded, rings, control, accounts, unwanted, dead_threads, daemon, resumed: None })
}

fn create(
    options: &LoaderOptions<'_>,
    config: Config,
    object: &[u8],
    table: &[u16; FIELD_COUNT],
) -> Result<Ebpf, LoadError> {
    let cpus = Rings::possible_cpus().map_err(LoadError::Object)?;
    let config = ConfigPod(config);
    let mut loader = EbpfLoader::new();
    loader
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global("CONFIG", &config, true)
        .override_global("OFFSETS", &table[..], true)
        .map_max_entries("BULK", cpus);
    for (map, limit) in options.map_limits {
        loader.map_max_entries(map, *limit);
    }
    loader.load(object).map_err(|error| {
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

impl Loaded {
    /// An earlier daemon's programs, which nothing here keeps alive.
    pub(super) fn resumed(calls: Calls, sensors: Vec<SensorState>) -> Self {
        Self {
            bpf: None,
            _calls: calls,
            _links: Links::new(),
            sensors,
            missing_fields: Vec::new(),
            lacking_fields: Vec::new(),
            self_test_is_whole: true,
        }
    }

    /// True if a program is on a trampoline: detaching each of those takes the kernel a grace period of its tasks
    /// (`synchronize_rcu_tasks()`, a tenth of a second), one after the other.
    pub fn has_trampolines(&self) -> bool {
        self.sensors.iter().any(|state| state.rung.is_some_and(|rung| rung.level == Level::Trampoline))
    }

    /// Attaches the self-test, calls `trigger`, reads what it found.
    ///
    /// # Errors
    /// What the kernel refused, or that the program did not run.
    pub fn selftest(&mut self, trigger: impl FnOnce()) -> Result<SelfTest, String> {
        let bpf = self.bpf.as_mut().ok_or("the programs are an earlier daemon's")?;
        let kernel = AyaBtf::from_sys_fs().map_err(|e| e.to_string())?;
        let program = bpf.program_mut(SELF_TEST).ok_or("no self-test in the eBPF object")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
        program.load("sched_process_fork", &kernel).map_err(explain)?;
        program.attach().map_err(explain)?;
        trigger();
        let map = bpf.map("SELFTEST").ok_or("no self-test map in the eBPF object")?;
        let map: Array<&MapData, SelfTestPod> =
            map.try_into().map_err(|e: aya::maps::MapError| e.to_string())?;
        let found = map.get(&0, 0).map_err(|e| e.to_string())?.0;
        let program = bpf.program_mut(SELF_TEST).ok_or("no self-test in the eBPF object")?;
        let program: &mut BtfTracePoint = program.try_into().map_err(explain)?;
        program.unload().map_err(explain)?;
        if found.done == 1 { Ok(found) } else { Err("the program did not run".into()) }
    }

    /// The kernel side's log lines, if the object was built with them.
    pub fn kernel_log(&mut self) -> Option<KernelLog> {
        KernelLog::take(self.bpf.as_mut()?)
    }
}

/// Beginnings of the lines that follow the verifier's reason, if there is one.
const STATISTICS: [&str; 3] = ["processed", "verification time", "stack depth"];

pub(super) fn explain(error: ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let is_reason = |line: &&str| {
                !line.trim().is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start))
            };
            let last = log.lines().rev().find(is_reason);
            match last {
                Some(line) => format!("the verifier refused it: {io_error}: {}", line.trim()),
                None => format!("the kernel refused it: {io_error}"),
            }
        }
        other => chain(&other),
    }
}
