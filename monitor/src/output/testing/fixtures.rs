//! One set of records for every format: of each type one, and the hostile one.

use monitor_common::event::field::TailType;
use monitor_common::event::plain::Plain;
use monitor_common::event::{
    EventKind, EventRef, HEADER_LEN, Header, Mount, RACED, Record as Payload, TRUNCATED, UNREACHABLE,
};

use crate::container::{
    Baseline, Compose, Container, ContainerKey, Declared, Engine, Identity, Mismatch, Node, Owner, Pod, Qos,
    Status, Swarm,
};
use crate::detect::{Evidence, Finding, Outcome, RuleInfo, Severity, Value};
use crate::output::queue::Shed;
use crate::output::record::{
    Body, Change, Common, Loss, Place, Posture, Record, SensorCoverage, Subject, loss_reason,
};
use crate::output::{Accounts, Class, Clock, ContainerCounts, Counts, EngineStatus, record};
use crate::posture::{self, Grant, Item, Source, Verdict};
use crate::process::{Executable, Hashed, Outcome as Hashing, Process, ProcessKey, Program};

/// 2026-11-23T20:30:00Z minus 1000 s.
pub(crate) const CLOCK: Clock = Clock { boot_to_epoch_ns: 1_795_464_800_000_000_000 };
const TIME: u64 = 1_000_123_456_789;

/// Everything that breaks something somewhere.
pub(crate) const HOSTILE: &[u8] =
    b"new\nline \0 nul \x1b[2J\x1b]0;title\x07 | = \" ] \\ \r\t\x7f \xff\xfe\xc3 \xe2\x80\xae rtl \xe2\x80\xa8 \xc2\x9b {\"a\":1},";

/// A DNS answer whose name, and text, are hostile.
const DNS_MESSAGE: &[u8] =
    b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x0b\x1b[2J\xff\n.\xe2\x80\xae\"\0\0\x01\0\x01\
    \xc0\x0c\0\x10\0\x01\0\0\0\0\0\x05\x04\x1b\n\xff\"\xc0\x0c\0\x05\0\x01\0\0\0\0\0\x02\xc0\x0c";

static RULE: RuleInfo = RuleInfo {
    id: "C01",
    title: "Mount after start",
    severity: Severity::Critical,
    behaviours: &["C01", "C02"],
    attack: &["T1611"],
    invariant: Some("I-3"),
    what: "",
    benign: "",
};

/// The bytes of a record.
pub(crate) fn record_bytes(
    kind: EventKind,
    mut header: Header,
    payload: &[u8],
    tail: &[(&[u8], u16)],
) -> Vec<u8> {
    let mut rest = payload.to_vec();
    for (string, flags) in tail {
        rest.extend(u16::try_from(string.len()).unwrap().to_ne_bytes());
        rest.extend(flags.to_ne_bytes());
        rest.extend(*string);
    }
    header.kind = kind as u16;
    header.len = u16::try_from(HEADER_LEN + rest.len()).unwrap();
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    [&head[..], &rest].concat()
}

/// The owned data that records borrow from.
pub(crate) struct Fixture {
    pub(crate) container: Container,
    pub(crate) process: Process,
    pub(crate) parent: Process,
    pub(crate) finding: Finding,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) shed: Shed,
}

fn header() -> Header {
    Header {
        pid: 4242,
        tid: 4243,
        started: 900_000_000_000,
        uid: 1000,
        euid: 0,
        flags: 0b1_0000,
        ..Header::default()
    }
}

/// Ordinary records.
pub(crate) fn ordinary() -> Fixture {
    let mount = Mount {
        op: 1,
        ret: -1,
        dev: 8 << 20 | 1,
        magic: 0xef53,
        mnt_ns: 4_026_532_000,
        object: 1,
        ..Mount::default()
    };
    let mut payload = vec![0; Mount::SIZE];
    mount.write(&mut payload);
    let tail = [(&b"/mnt"[..], 0), (b"/dev/sda1", 0), (b"ext4", 0)];
    let process = |pid, exe: &str, argv: &[&str]| Process {
        key: ProcessKey { pid, started: 1 },
        program: Program::new(exe.into(), argv.iter().map(|a| (*a).into()).collect(), b"/".to_vec()).into(),
        cap_effective: 0x1ff,
        ..Process::default()
    };
    let observed = |name, declared, observed| Evidence { name, declared, observed };
    Fixture {
        container: Container {
            revision: 0,
            key: ContainerKey(77),
            status: Status::Resolved,
            identity: Identity {
                id: Some("0123456789abcdef".repeat(4)),
                name: Some("web".into()),
                image: Some("docker.io/library/nginx:1".into()),
                runtime: Some("runc".into()),
                engine: Some(Engine::Docker),
                labels: [("tier".into(), "front".into())].into(),
                pod: Some(Pod::default()),
                swarm: Some(Swarm::default()),
                compose: Some(Compose { project: "shop".into(), service: "web".into() }),
                image_id: Some("sha256:0123".into()),
                image_digest: None,
            },
            cgroup_path: "/docker/0123".into(),
            declared: Some(Declared { bundle: "/run/b".into(), ..Declared::default() }),
            baseline: Some(Baseline { entered: 5, ..Baseline::default() }),
            mismatches: Vec::new(),
        },
        process: process(4242, "/usr/bin/mount", &["mount", "/dev/sda1", "/mnt"]),
        parent: process(4200, "/bin/sh", &["sh"]),
        finding: Finding {
            rule: &RULE,
            severity: Severity::Critical,
            outcome: Outcome::Denied,
            evidence: vec![
                observed("mnt_ns", Some(Value::Namespace("mnt", 1)), Value::Namespace("mnt", 2)),
                observed("magic", None, Value::Hex(0xef53)),
                observed("target", Some(Value::Word("none")), Value::Bytes(b"/mnt".to_vec())),
                observed("count", Some(Value::Number(0)), Value::Text("1".into())),
            ],
        },
        records: vec![record_bytes(EventKind::Mount, header(), &payload, &tail)],
        shed: Shed::default(),
    }
}

/// Every string is hostile, every number is extreme, and there is a record of each kind of event.
pub(crate) fn hostile() -> Fixture {
    let mut f = ordinary();
    let text = || String::from_utf8_lossy(HOSTILE).into_owned();
    let mut long = HOSTILE.repeat(64 * 1024 / HOSTILE.len() + 1);
    long.truncate(64 * 1024);
    f.container.key = ContainerKey(u64::MAX);
    f.container.status = Status::Unknown(text());
    f.container.identity = Identity {
        id: Some(text()),
        name: Some(text()),
        image: Some(text().repeat(1000)),
        runtime: Some(text()),
        engine: None,
        labels: (0..100).map(|n| (format!("{n}{}", text()), text())).collect(),
        pod: Some(Pod {
            name: text(),
            namespace: text(),
            uid: text(),
            qos: Some(Qos::Burstable),
            sandbox: Some(text()),
            attempt: Some(u32::MAX),
            owner: Some(Owner { kind: text(), name: text() }),
            node: Some(Node {
                name: text(),
                labels: (0..100).map(|n| (format!("{n}{}", text()), text())).collect(),
            }),
            labels: (0..100).map(|n| (format!("{n}{}", text()), text())).collect(),
            annotations: (0..100).map(|n| (format!("{n}{}", text()), text())).collect(),
        }),
        swarm: None,
        compose: Some(Compose { project: text(), service: text() }),
        image_id: Some(text()),
        image_digest: Some(text()),
    };
    f.container.cgroup_path = text().repeat(1000);
    let (engine, said, observed) = (text(), text().repeat(1000), text());
    f.container.mismatches = vec![Mismatch { engine, what: "pid", said, observed }];
    for process in [&mut f.process, &mut f.parent] {
        let mut argv = vec![HOSTILE.to_vec(), long.clone(), Vec::new(), b"last".to_vec()];
        argv.extend(vec![Vec::new(); 100_000]);
        process.program = Program::new(long.clone(), argv, HOSTILE.to_vec()).into();
    }
    f.finding.evidence[2].observed = Value::Bytes(HOSTILE.to_vec());
    f.finding.evidence[3].observed = Value::Text(text());
    let component = HOSTILE.split(|b| *b == 0).collect::<Vec<_>>().concat();
    f.records = EventKind::ALL
        .iter()
        .filter(|kind| !kind.is_part())
        .map(|kind| {
            let path = [&component[..], b"\0", &component, b"\0"].concat();
            let list = HOSTILE.repeat(100);
            let tail: Vec<(&[u8], u16)> = kind
                .tail_fields()
                .iter()
                .map(|field| match field.ty {
                    TailType::Path => (&path[..], UNREACHABLE),
                    TailType::List => (&list[..], TRUNCATED | RACED),
                    TailType::Bytes => (HOSTILE, TRUNCATED),
                    TailType::Dns => (DNS_MESSAGE, TRUNCATED),
                })
                .collect();
            let mut payload = vec![0xff; kind.payload_size()];
            for field in kind.fields().iter().filter(|f| f.name == "family") {
                10u32.write(&mut payload, field.offset);
            }
            record_bytes(*kind, Header { flags: u16::MAX, time: u64::MAX, ..header() }, &payload, &tail)
        })
        .collect();
    f.shed.add(Class::Finding);
    f
}

impl Fixture {
    /// Numbers the programs, as the process table does.
    pub(crate) fn number_programs(&mut self) {
        for (id, process) in [(7, &mut self.process), (8, &mut self.parent)] {
            let mut program = (*process.program).clone();
            program.id = id;
            process.program = program.into();
        }
    }

    /// Something that a container was granted.
    fn granted(&self) -> posture::Finding {
        let text = self.container.cgroup_path.clone();
        let item = Item {
            severity: Severity::Critical,
            what: text.clone(),
            declared: Some(text.clone()),
            observed: text.clone(),
            source: Source::Mount(text),
        };
        posture::Finding { check: &posture::CHECKS[4], severity: Severity::Critical, items: vec![item] }
    }

    /// Calls `each` with every record of the set.
    pub(crate) fn each(&self, mut each: impl FnMut(&Record<'_>)) {
        let ancestors = [&self.parent];
        let whole =
            Subject { container: Some(&self.container), process: Some(&self.process), ancestors: &ancestors };
        let mut give = |body: Body<'_>| {
            each(&Record { common: Common { time: TIME, seq: 7, node: "node-1" }, body });
        };
        for bytes in &self.records {
            let event = &EventRef::decode(bytes).unwrap();
            for subject in [whole, Subject::default()] {
                give(Body::Event { subject, event });
                let (first_seen, last_seen) = (TIME - 1, TIME);
                give(Body::Finding {
                    subject,
                    event,
                    finding: &self.finding,
                    count: 3,
                    exe_sha256: subject.process.map(|_| [0x5a; 32]),
                    first_seen,
                    last_seen,
                });
            }
        }
        for change in Change::ALL {
            give(Body::Container { container: &self.container, change: *change });
        }
        let file = Executable { path: self.process.program.exe.clone(), dev: 0x2b, ..Executable::default() };
        for (outcome, size) in [(Hashing::Hashed([0xa5; 32]), Some(9)), (Hashing::Gone, None)] {
            let hashed = Hashed { file: file.clone(), size, outcome, files_read: 3, is_news: true };
            give(Body::Executable { container: Some(&self.container), hashed: &hashed });
        }
        let findings = [self.granted()];
        let grants = [Grant {
            kind: "mount",
            name: self.container.cgroup_path.clone(),
            declared: None,
            observed: self.container.cgroup_path.clone(),
            verdict: Verdict { severity: None, checks: vec!["G05"] },
        }];
        for (findings, grants, unread) in [
            (&findings[..], &grants[..], None),
            (&findings[..], &[][..], None),
            (&[][..], &[][..], Some("gone")),
        ] {
            let config = unread.is_none().then_some("/run/b/config.json");
            let posture = Posture { pid: 7, config, unread, findings, grants };
            give(Body::Posture { container: &self.container, posture });
        }
        let full = Loss { reason: loss_reason::RING_FULL, count: 12, ..Loss::default() };
        give(Body::Loss(full));
        give(Body::Loss(Loss { place: Place::Host, cpu: Some(3), ring: Some("bulk"), ..full }));
        let (sensor, sink, by_type) = (Some("exec"), Some("stdout"), Some(&self.shed));
        give(Body::Loss(Loss { place: Place::Container(&self.container), sensor, sink, by_type, ..full }));
        give(Body::Status(record::Status::Starting { version: "0.1.0", kernel: "6.1.0" }));
        let seen = SensorCoverage {
            sensor: "exec",
            rung: Some("tracepoint"),
            unseen: &["32-bit calls"],
            reason: None,
        };
        let blind = SensorCoverage { sensor: "ptrace", rung: None, unseen: &["all"], reason: Some("EPERM") };
        give(Body::Status(record::Status::Coverage { sensors: &[seen, blind] }));
        give(Body::Loss(Loss { map: Some(("TASKS", 32_768)), reason: loss_reason::MAP_FULL, ..full }));
        let (program, between, event) = (Some("exit_mount"), Some((1, 2)), Some(EventKind::Fork));
        give(Body::Loss(Loss { program, between, event, reason: loss_reason::SKIPPED_RUN, ..full }));
        let counts = Counts { attempted: 3, submitted: 2, received: 2, ring_full: 1, ..Counts::default() };
        let (received, ring_full, filtered) = (2, 1, 4);
        let container =
            ContainerCounts { container: &self.container, received, ring_full, over_budget: 0, filtered };
        give(Body::Status(record::Status::Accounts(Accounts {
            total: counts,
            balanced: true,
            events: &[(EventKind::Exec, Some("process"), counts)],
            cpus: &[(1, counts)],
            containers: &[container],
            ..Accounts::default()
        })));
        let text = self.container.identity.image.clone().unwrap_or_default();
        give(Body::Status(record::Status::Engine(EngineStatus {
            engine: "docker",
            socket: &text,
            version: Some("28.2.2"),
            containers: Some(2),
            reason: Some(&text),
            asked: 3,
            ..EngineStatus::default()
        })));
        give(Body::Status(record::Status::Resumed { since: 1, gap: 2_000_000, waiting: 3 }));
        give(Body::Status(record::Status::Ready { attached: 1, sensors: 2, containers: 3 }));
        give(Body::Status(record::Status::Stopping { reason: "SIGINT", received: 9, findings: 1, lost: 0 }));
    }
}
