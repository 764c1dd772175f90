//! The targets: functions that must take any bytes. Each panics if they do not, and otherwise gives a number
//! that differs with what came out, so that inputs that lead somewhere new are kept.
//!
//! Shared with `monitor/tests/corpus.rs`, which replays `fuzz/corpus/` on every `cargo test`.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use monitor::bpf::btf::Btf;
use monitor::bpf::offsets;
use monitor::container::bundle::parse_bundle;
use monitor::container::{Layout, Registry, container_in_path, runtime};
use monitor::detect::{DetectConfig, Detector, HostFacts};
use monitor::dns::{MAX_ANSWERS, Message};
use monitor::kmsg::{Line, Reports};
use monitor::output::format::{Format, JsonFormat, TextFormat};
use monitor::output::line::Style;
use monitor::output::{
    Body, Clock, Common, Emitter, Kinds, Lane, LaneFormat, Limits, Record, Sequence, Subject, queue,
};
use monitor::pipeline::Pipeline;
use monitor_common::event::{Dns, EventKind, EventRef, HEADER_LEN, Header, Record as _, TRUNCATED};

/// Takes any bytes; gives a number that stands for what came out.
pub(crate) type Target = fn(&[u8]) -> u64;

/// Every target, by the name of its folder in `fuzz/corpus/`.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("record", record),
    ("pipeline", pipeline),
    ("btf", btf),
    ("bundle", bundle),
    ("argv", argv),
    ("cgroup_path", cgroup_path),
    ("layout", layout),
    ("dns", dns),
    ("kmsg", kmsg),
];

fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A record of the kernel side: decoded, and written in both formats.
fn record(bytes: &[u8]) -> u64 {
    let event = match EventRef::decode(bytes) {
        Ok(event) => event,
        Err(error) => return number(error.to_string()),
    };
    assert!(event.payload().is_some(), "a decoded record has a payload");
    let common = Common { time: event.header.time, seq: 1, node: "node" };
    let line = Record { common, body: Body::Event { subject: Subject::default(), event: &event } };
    let mut json = Vec::new();
    JsonFormat::new(Clock::default()).encode(&line, &mut json);
    one_line(&json);
    let value: serde_json::Value = match serde_json::from_slice(&json) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&json)),
    };
    assert_eq!(value["event"], event.kind.name());
    for width in [None, Some(80)] {
        let mut text = Vec::new();
        TextFormat::new(Clock::default(), Style { color: false, width }).encode(&line, &mut text);
        one_line(&text);
        let text = String::from_utf8_lossy(&text);
        assert!(!text.trim_end_matches('\n').contains(char::is_control), "{text:?}");
    }
    let body = value[event.kind.name()].as_object();
    number((event.kind, event.header.flags, body.map(|b| b.keys().cloned().collect::<Vec<_>>())))
}

fn one_line(bytes: &[u8]) {
    assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1, "{}", String::from_utf8_lossy(bytes));
    assert_eq!(bytes.last(), Some(&b'\n'));
}

/// Several records, each behind its length in two bytes, through the whole pipeline.
fn pipeline(bytes: &[u8]) -> u64 {
    let mut emitter = Emitter::new("node", Clock::default(), Sequence::default());
    let (outbox, _inbox) = queue(Limits::default());
    emitter.add(Lane { name: "fuzz", format: LaneFormat::Json, kinds: Kinds::ALL, demand: None, outbox });
    let host = HostFacts { mnt_ns: 1, pid_ns: 2, ..HostFacts::default() };
    let config = DetectConfig {
        disabled: Default::default(),
        control_sockets: Vec::new(),
        host,
        network: Default::default(),
    };
    let mut pipeline = Pipeline::new(Detector::new(config), Registry::new(0), emitter);
    let mut rest = bytes;
    let mut records = 0u8;
    while let [low, high, more @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        pipeline.record(&more[..len]);
        rest = &more[len..];
        records = records.saturating_add(1);
        if records == 64 {
            break;
        }
    }
    let questions = std::iter::from_fn(|| pipeline.question()).count();
    pipeline.flush(0);
    number((records.min(8), questions, pipeline.containers()))
}

/// Type information of a kernel: read, and asked for everything that Bulkhead asks for.
fn btf(bytes: &[u8]) -> u64 {
    let types = match Btf::parse(bytes) {
        Ok(types) => types,
        Err(error) => return number(error.to_string()),
    };
    let offsets = offsets::resolve(&types);
    let function = types.has_function("security_file_open");
    let tracepoint = types.has_tracepoint("sched_process_exec");
    let enumerator = types.enumerator("cgroup_subsys_id", "pids_cgrp_id").is_some();
    let missing: Vec<String> = offsets.missing_required.into_iter().map(|(_, why)| why).collect();
    number((missing, function, tracepoint, enumerator))
}

/// The configuration of an OCI bundle.
fn bundle(bytes: &[u8]) -> u64 {
    match parse_bundle(bytes, Path::new("/run/bundle")) {
        Ok(bundle) => number((
            bundle.declared.mounts.len(),
            bundle.declared.new_namespaces.len(),
            bundle.declared.seccomp,
            bundle.annotations.len(),
        )),
        Err(error) => number((error.classify() as u8, error.line())),
    }
}

/// The command line of an OCI runtime: working directory and arguments, each ended by a NUL.
fn argv(bytes: &[u8]) -> u64 {
    let mut parts = bytes.split(|b| *b == 0);
    let cwd = parts.next().unwrap_or_default();
    let argv: Vec<&[u8]> = parts.collect();
    let Some(found) = runtime::parse(&argv, cwd) else { return 0 };
    if cwd.starts_with(b"/") {
        assert!(found.bundle.as_ref().is_none_or(|bundle| bundle.is_absolute()), "{found:?}");
    }
    number((format!("{:?}", found.command), found.id.is_some(), found.bundle.is_some(), found.root.is_some()))
}

/// A path in the cgroup tree.
fn cgroup_path(bytes: &[u8]) -> u64 {
    let path = String::from_utf8_lossy(bytes);
    let Some(found) = container_in_path(&path) else { return 0 };
    assert!(path.starts_with(found.top), "{found:?} in {path:?}");
    assert!(found.top.contains(found.id) && !found.id.is_empty(), "{found:?} in {path:?}");
    number((found.engine.map(monitor::container::Engine::name), found.id.len()))
}

/// The cgroup layout of a host: `mountinfo`, `/proc/cgroups` and `/proc/self/cgroup`, each ended by a NUL.
fn layout(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let mut part = || parts.next().unwrap_or_default();
    let (mounts, controllers, own) = (part(), part(), part());
    match Layout::detect(mounts, controllers, own) {
        Ok(layout) => number((layout.name(), layout.hierarchy(), layout.path_in(own).is_some())),
        Err(error) => number(format!("{error:?}").len()),
    }
}

/// A DNS message, alone and in its record; the first byte says whether it was cut off.
fn dns(bytes: &[u8]) -> u64 {
    let [first, bytes @ ..] = bytes else { return 0 };
    let bytes = &bytes[..bytes.len().min(1024)];
    let part = first & 1 == 1;
    let message = Message::new(bytes, part);
    let answers = message.answers().count();
    assert!(answers <= MAX_ANSWERS);
    assert!(message.is_malformed() || message.question().is_some() || message.code().is_some());
    let mut out = vec![0; HEADER_LEN + Dns::SIZE];
    Dns { op: Dns::ANSWER, protocol: 17, port: 53, ..Dns::default() }.write(&mut out[HEADER_LEN..]);
    out.extend_from_slice(&(bytes.len() as u16).to_ne_bytes());
    out.extend_from_slice(&(if part { TRUNCATED } else { 0 }).to_ne_bytes());
    out.extend_from_slice(bytes);
    let header = Header { kind: EventKind::Dns as u16, len: out.len() as u16, ..Header::default() };
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
    let name = message.question().map(|question| question.name.as_bytes().len());
    number((record(&out), answers, name, message.is_malformed(), message.has_more()))
}

/// Records of the kernel's log, one a line.
fn kmsg(bytes: &[u8]) -> u64 {
    let mut reports = Reports::new(b"6.1.0", b"#1 SMP");
    let mut faults = Vec::new();
    for record in bytes.split(|byte| *byte == b'\n') {
        let Some(line) = Line::read(record) else { continue };
        faults.extend(reports.line(&line, line.stamp, |_| None));
        faults.extend(reports.silence(line.stamp));
    }
    let ended = faults.len();
    faults.extend(reports.gap());
    assert_eq!(reports.due(), None);
    for fault in &faults {
        let parts = [&fault.title, &fault.function, &fault.place, &fault.comm];
        assert!(parts.iter().all(|part| part.len() <= 256), "{fault:?}");
    }
    let kinds: Vec<_> =
        faults.iter().map(|fault| (fault.report, fault.interrupt, fault.taints != 0)).collect();
    number((ended, kinds))
}
