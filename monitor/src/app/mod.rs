//! Puts the parts together for the verbs that watch the kernel: the order of starting and of stopping.

mod adopt;
pub mod canary;
mod canary_files;
mod delivery;
mod doctor;
mod edge;
mod ends;
mod engines;
mod hash;
mod hot;
mod inspect;
mod kmsg;
mod network;
mod pins;
mod posture;
mod ready;
mod sinks;
mod start;
mod trust;
mod watch;

use std::io::Write as _;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use doctor::doctor;
pub use pins::unpin;
pub use posture::posture;

use crate::bpf::{self, Kernel, Loaded, LoaderOptions};
use crate::cli::{RunArgs, find_rule};
use crate::container::{HostPaths, Registry, Resolver};
use crate::detect::{ControlSocket, DetectConfig, Detector, NetworkFacts, RULES};
use crate::diag::{Code, Diagnostic, Exit};
use crate::ingest::Received;
use crate::output::Status;
use crate::pipeline::Pipeline;
use edge::Edge;
use hot::{Edges, Mailbox, Source, Wake};
use monitor_common::policy::Config;
use start::{Host, boot_now};

/// The eBPF object, embedded; empty if it had not been built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bulkhead-ebpf.o"));

/// How long the end of a thread may take that has no more work: a round of its own.
const END: Duration = Duration::from_millis(500);
/// Questions about containers that may wait for the edge.
const QUESTIONS: usize = 1024;

/// Control sockets of engines, where they are usually found.
const CONTROL_SOCKETS: &[&str] = &[
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/lib/kubelet/pod-resources/kubelet.sock",
];

/// Watches until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting.
pub fn run(args: &RunArgs) -> Result<Exit, Diagnostic> {
    for id in &args.disabled_rules {
        // An invariant stands for every rule that checks it.
        if !RULES.iter().any(|rule| rule.invariant == Some(id)) {
            find_rule(id)?;
        }
    }
    let inspector = inspect::prepare(args)?;
    start::require_privileges()?;
    start::raise_memlock();
    let signals = sinks::Signals::block()?;
    let host = Host::read()?;
    let mut sinks = sinks::Sinks::open(args, host.boot_to_epoch_ns)?;
    let emitter = sinks.emitter(args)?;
    let addresses = network::read();
    let detector = Detector::new(detect_config(args, &host, &addresses));
    let registry = Registry::new(host.boot_to_epoch_ns);
    let mut pipeline = Pipeline::new(detector, registry, emitter);
    pipeline.want_environment(args.environment());
    if args.hash.is_some() {
        pipeline.want_hashes(host.boot_to_epoch_ns);
    }
    if inspector.is_some() {
        pipeline.want_postures(inspect::rules(args));
    }
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    pipeline.status(boot_now(), Status::Starting { version: env!("CARGO_PKG_VERSION"), kernel: &kernel });

    let pins = args.pin.as_deref().map(pins::open).transpose()?;
    let object = read_object(args.object.as_deref())?;
    let trusted = trust::find(&args.runtimes);
    let config = Config {
        bulk_budget: args.budget.limit(),
        critical_budget: args.critical_budget.limit(),
        environ: u32::from(args.environment.is_some()),
        ..host.config
    };
    let options = LoaderOptions {
        object: &object,
        config,
        max_rung: start::max_rung(args.rung),
        cgroup_root: host.layout.v2_mount(),
        map_limits: &args.map_limits,
        pins: pins.as_ref(),
        without_fields: &args.without_field,
    };
    let nobody = pipeline.unwanted();
    let Kernel { mut loaded, rings, mut control, mut accounts, unwanted, dead_threads, daemon, resumed } =
        bpf::load(&options, |control, unwanted| {
            unwanted.set(nobody)?;
            trusted.values().try_for_each(|(file, what)| control.trust(*file, *what))?;
            watch::fill(control, trusted.values().map(|(file, _)| *file))?;
            network::watch(control, &addresses)
        })
        .map_err(|e| start::explain(&e))?;
    let resolver = Resolver::new(HostPaths::default()).with_state_roots(args.state_roots.clone());
    let mut received = Received::default();
    let mut found = None;
    let mut told = Vec::new();
    match resumed {
        None => selftest(&mut loaded, &host)?,
        Some(resumed) => {
            received = pins::resume(&mut pipeline, &rings, &mut accounts, &resumed)?;
            // What waits in the rings is about containers that somebody knew.
            let running = adopt::find(&resolver);
            adopt::tell(&mut control, adopt::known(&running, &host.config))?;
            found = Some(running.len());
            told = engines::known(&running);
            for adopt::Running { scanned, update } in running {
                // At once, and not by the edge: their records are next.
                pipeline.scanned(boot_now(), scanned, update);
            }
        }
    }
    if args.bench {
        loaded.load_flood().map_err(|e| Diagnostic::new(Code::BpfRefused).note(e))?;
    }
    return_memory();
    let kernel_log = kmsg::open(&mut loaded);

    let (mailbox, inbox) = Mailbox::new().map_err(no_resources)?;
    let (ask, questions) = sync_channel(QUESTIONS);
    let source = Source { rings, unwanted, pinned: pins.is_some().then_some(daemon), received };
    let hashes = args.hash.map(|limit| hash::start(limit << 20, mailbox.clone())).transpose()?;
    let postures = inspector.map(|inspector| inspect::start(inspector, mailbox.clone())).transpose()?;
    let edges = Edges { names: ask, hashes, postures };
    let hot = spawn("hot", move || hot::run(source, pipeline, &inbox, &edges))?;
    let running = match found {
        Some(running) => running,
        None => {
            let found = adopt::find(&resolver);
            let (running, known) = (found.len(), adopt::known(&found, &host.config));
            told = engines::known(&found);
            // First, so that the hot thread knows them when their records come.
            mailbox.send(Wake::Running(found));
            adopt::tell(&mut control, known)?;
            running
        }
    };
    let outcome = ready::prove(&loaded, &mut control, host.layout.mount(), &mailbox, running);
    if let Some(log) = kernel_log {
        // Behind the status that says that it is there.
        kmsg::start(log, dead_threads, loaded.sensors.clone(), mailbox.clone())?;
    }
    let keys = trusted.keys().copied().collect();
    let log = loaded.kernel_log();
    let accounts = Arc::new(Mutex::new(accounts));
    let (to_engines, engines) = engines::start(args, &resolver, &mailbox)?.unzip();
    if let Some(engines) = &to_engines {
        // Whoever finds no room is named as far as the files go.
        told.into_iter().for_each(|known| drop(engines.try_send(known)));
    }
    let edge = Edge {
        engines: to_engines,
        control,
        accounts: Arc::clone(&accounts),
        written: args.accounts.map(Duration::from_secs),
        resolver,
        runtimes: args.runtimes.clone(),
        trusted: keys,
        log,
    };
    let answers = mailbox.clone();
    let edge = spawn("edge", move || edge.run(&questions, &answers))?;

    let reason = match &outcome {
        Ok(()) => sinks.wait(signals)?,
        Err(_) => "failed to start",
    };
    if pins.is_none() && loaded.has_trampolines() {
        let why = "the kernel lets go of the programs one by one, which takes some ten seconds";
        let _ = writeln!(std::io::stderr(), "bulkhead: {reason}: {why}");
    }
    // Detach first: nothing that happens from here on is seen. What is pinned stays, and goes on.
    drop(loaded);
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    let last = if pins.is_some() { accounts.look(boot_now()) } else { accounts.last_look(boot_now()) };
    drop(accounts);
    if let Ok(last) = last {
        mailbox.send(Wake::Looked(Box::new(last)));
    }
    mailbox.send(Wake::Stop(reason));
    let joined = hot.join().and(end(edge)).and(engines.map_or(Ok(()), end));
    let written = sinks.finish();
    outcome?;
    joined.map_err(|_| Diagnostic::new(Code::NoResources).note("a thread ended by a panic"))?;
    written?;
    Ok(Exit::Ok)
}

fn read_object(path: Option<&std::path::Path>) -> Result<std::borrow::Cow<'static, [u8]>, Diagnostic> {
    match path {
        None => Ok(OBJECT.into()),
        Some(path) => std::fs::read(path)
            .map(Into::into)
            .map_err(|e| Diagnostic::new(Code::ObjectMissing).note(format!("{}: {e}", path.display()))),
    }
}

fn detect_config(args: &RunArgs, host: &Host, addresses: &NetworkFacts) -> DetectConfig {
    let usual = CONTROL_SOCKETS.iter().map(std::path::Path::new);
    let control_sockets = usual
        .chain(args.control_sockets.iter().map(AsRef::as_ref))
        .chain(args.engines.iter().map(|engine| engine.socket.as_path()))
        .map(|path| ControlSocket {
            path: std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec(),
            file: start::file_id(path).ok(),
        })
        .collect();
    DetectConfig {
        disabled: args.disabled_rules.iter().cloned().collect(),
        control_sockets,
        host: host.facts,
        network: addresses.clone(),
    }
}

/// Gives back what reading the kernel's type information took for a moment: glibc would keep it.
fn return_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no safe wrapper")]
    // SAFETY: `malloc_trim(3)` may be called at any time, and is thread-safe.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Compares what the offsets read with what is true, before anything they read is believed.
fn selftest(loaded: &mut Loaded, host: &Host) -> Result<(), Diagnostic> {
    let failed = |e: String| Diagnostic::new(Code::SelfTestFailed).note(e);
    let found = loaded
        .selftest(|| {
            // A new thread passes `sched_process_fork` in this process.
            let _ = thread::spawn(|| {}).join();
        })
        .map_err(failed)?;
    let truth = start::truth(&host.layout).map_err(|e| failed(format!("{e:#}")))?;
    bpf::verify(&found, &truth, loaded.self_test_is_whole).map_err(|e| match e {
        bpf::SelfTestError::Abi { .. } => Diagnostic::new(Code::AbiMismatch).note(e.to_string()),
        bpf::SelfTestError::Mismatch { .. } => failed(e.to_string()),
    })
}

/// Puts this thread before ordinary work: a finding must not wait behind the flood that hides it. What it may take is
/// bounded by the containers' budgets. If the kernel refuses, it takes its turn like everybody.
fn come_first() {
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), -15);
}

/// For a thread that can be kept busy from outside, and whose work can wait.
fn come_last() {
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), 10);
}

/// Waits for the end of a thread that has nothing left to do; one that looks at files of a container may be kept waiting,
/// and is left to the end of the process.
fn end(thread: thread::JoinHandle<()>) -> thread::Result<()> {
    let began = Instant::now();
    while !thread.is_finished() {
        if began.elapsed() > END {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    thread.join()
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, Diagnostic> {
    thread::Builder::new().name(name.into()).spawn(body).map_err(no_resources)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn no_resources(error: std::io::Error) -> Diagnostic {
    Diagnostic::new(Code::NoResources).note(error.to_string())
}
