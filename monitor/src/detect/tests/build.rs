//! Makes records, and a container for them to happen in.

use std::collections::BTreeMap;

use monitor_common::event::{
    EventKind, EventRef, HEADER_LEN, Header, Record, STRING_PREFIX, State, Tail, flags, state_reason,
};

use crate::container::{Baseline, Container, ContainerKey, Declared, Identity, Status};
use crate::detect::{
    ControlSocket, DetectConfig, Detector, Emitted, HostFacts, Lineage, Outcome, Severity, Value,
};
use crate::process::{Process, ProcessKey, Program};

/// Key of the container under test.
pub(super) const OWN: u64 = 0x77;
/// Key of its neighbour.
pub(super) const OTHER: u64 = 0x99;
/// When the container entered, seconds since the epoch.
pub(super) const ENTERED: i64 = 1_700_000_000;

/// Device of the container's root.
pub(super) const ROOT_DEV: u32 = 45;

pub(super) const HOST: HostFacts = HostFacts {
    mnt_ns: 1,
    pid_ns: 2,
    net_ns: 3,
    ipc_ns: 4,
    uts_ns: 5,
    cgroup_ns: 6,
    time_ns: 7,
    user_ns: 8,
    devtmpfs_dev: 6,
    daemon_pid: 99,
};

/// The state of the container's first program; time and user namespace are the host's, as is usual.
pub(super) fn base_state() -> State {
    State {
        reason: state_reason::CHANGE,
        mnt_ns: 101,
        pid_ns: 102,
        net_ns: 103,
        ipc_ns: 104,
        uts_ns: 105,
        cgroup_ns: 106,
        time_ns: 7,
        user_ns: 8,
        root_mnt_ns: 101,
        cwd_mnt_ns: 101,
        cap_permitted: 0xff,
        cap_bounding: (1 << 41) - 1,
        root_dev: ROOT_DEV,
        ..State::default()
    }
}

/// A record, as the kernel side would write it.
#[derive(Clone, Debug)]
pub(super) struct Rec {
    header: Header,
    payload: Vec<u8>,
    tail: Vec<u8>,
}

pub(super) fn rec<R: Record>(kind: EventKind, payload: R) -> Rec {
    let mut bytes = vec![0; R::SIZE];
    payload.write(&mut bytes);
    let header = Header {
        kind: kind as u16,
        container: OWN,
        pid: 500,
        tid: 500,
        started: 9,
        time: 1_000,
        uid: 1000,
        euid: 1000,
        ..Header::default()
    };
    Rec { header, payload: bytes, tail: Vec::new() }
}

impl Rec {
    /// Changes the header.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }

    /// A record of a trusted runtime's task.
    pub(super) fn by_runtime(self) -> Self {
        self.with(|h| h.flags |= flags::RUNTIME)
    }

    /// A record of a host process.
    pub(super) fn by_host(self) -> Self {
        self.with(|h| h.container = 0)
    }

    pub(super) fn by_pid(self, pid: u32) -> Self {
        self.with(|h| h.pid = pid)
    }

    pub(super) fn at(self, time: u64) -> Self {
        self.with(|h| h.time = time)
    }

    /// Adds a string to the tail.
    pub(super) fn text(self, bytes: &[u8]) -> Self {
        self.string(bytes, 0)
    }

    /// Adds a string with its flags to the tail.
    pub(super) fn string(mut self, bytes: &[u8], flags: u16) -> Self {
        self.tail.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_ne_bytes());
        self.tail.extend_from_slice(&flags.to_ne_bytes());
        self.tail.extend_from_slice(bytes);
        self
    }

    /// Exchanges the second string of the tail, which is empty, and leaves the others out.
    pub(super) fn bytes_of_argv(mut self, bytes: &[u8]) -> Self {
        let first = Tail::new(&self.tail).nth_string(0).bytes.len();
        self.tail.truncate(STRING_PREFIX + first);
        self.text(bytes)
    }

    /// Adds a path to the tail, last component first.
    pub(super) fn path(self, path: &str) -> Self {
        let mut bytes = Vec::new();
        for part in path.split('/').rev().filter(|p| !p.is_empty()) {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0);
        }
        self.text(&bytes)
    }

    fn bytes(&self) -> Vec<u8> {
        let kind = EventKind::from_raw(self.header.kind).unwrap();
        let mut tail = self.tail.clone();
        // A test names only the strings that it is about.
        let named = Tail::new(&tail).count();
        tail.resize(tail.len() + STRING_PREFIX * kind.tail_fields().len().saturating_sub(named), 0);
        let len = HEADER_LEN + self.payload.len() + tail.len();
        let mut head = [0; HEADER_LEN];
        Header { len: u16::try_from(len).unwrap(), ..self.header }.write(&mut head);
        [&head[..], &self.payload, &tail].concat()
    }
}

#[derive(Debug, Default)]
pub(super) struct Procs(pub(super) BTreeMap<u32, Process>);

impl Lineage for Procs {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.0.get(&pid)
    }
}

/// A detector, and what the records are about.
#[derive(Debug)]
pub(super) struct World {
    pub(super) detector: Detector,
    pub(super) container: Container,
    pub(super) process: Option<Process>,
    pub(super) procs: Procs,
}

/// What a test compares of a finding.
pub(super) type Brief = (&'static str, Severity, Outcome);

impl World {
    pub(super) fn new() -> Self {
        Self::without(&[])
    }

    /// With some rules disabled.
    pub(super) fn without(disabled: &[&str]) -> Self {
        let file = monitor_common::policy::FileId { ino: 4242, dev: 24, reserved: 0 };
        let detector = Detector::new(DetectConfig {
            disabled: disabled.iter().map(|id| (*id).to_owned()).collect(),
            control_sockets: vec![ControlSocket { path: b"/run/engine/api".to_vec(), file: Some(file) }],
            host: HOST,
            network: super::network::facts(),
        });
        let container = Container {
            revision: 0,
            key: ContainerKey(OWN),
            status: Status::Resolved,
            identity: Identity::default(),
            cgroup_path: "/test".to_owned(),
            declared: Some(Declared {
                readonly_paths: vec!["/proc/sys".to_owned()],
                masked_paths: vec!["/proc/kcore".to_owned()],
                ..Declared::default()
            }),
            mismatches: Vec::new(),
            baseline: Some(Baseline {
                state: base_state(),
                entered: 500,
                entered_epoch: ENTERED,
                ..Baseline::default()
            }),
        };
        let mut world = Self { detector, container, process: None, procs: Procs::default() };
        world.procs.0.insert(1, process(1, b"/sbin/init"));
        world
    }

    /// Judges a record; a host record has no container.
    pub(super) fn feed(&mut self, rec: &Rec) -> Vec<Emitted> {
        let bytes = rec.bytes();
        let ev = EventRef::decode(&bytes).unwrap();
        let container = (rec.header.container != 0).then_some(&self.container);
        let mut out = Vec::new();
        self.detector.on_event(&ev, container, self.process.as_ref(), &self.procs, &mut out);
        out
    }

    /// Judges records in turn; the findings of the last one are `expected`.
    #[track_caller]
    pub(super) fn check(&mut self, records: &[Rec], expected: &[Brief]) -> Vec<Emitted> {
        let (last, before) = records.split_last().unwrap();
        for rec in before {
            self.feed(rec);
        }
        let found = self.feed(last);
        let briefs: Vec<Brief> = found.iter().map(brief).collect();
        assert_eq!(briefs, expected, "{found:#?}");
        found
    }
}

pub(super) fn brief(e: &Emitted) -> Brief {
    (e.finding.rule.id, e.finding.severity, e.finding.outcome)
}

pub(super) fn process(pid: u32, exe: &[u8]) -> Process {
    Process {
        key: ProcessKey { pid, started: 9 },
        program: Program::new(exe.to_vec(), Vec::new(), Vec::new()).into(),
        ..Process::default()
    }
}

/// The declared and the observed value of a fact.
#[track_caller]
pub(super) fn fact<'a>(e: &'a Emitted, name: &str) -> (Option<&'a Value>, &'a Value) {
    let list = &e.finding.evidence;
    let found = list.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("no `{name}` in {list:#?}"));
    (found.declared.as_ref(), &found.observed)
}
