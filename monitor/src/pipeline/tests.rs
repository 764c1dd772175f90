//! The way of a record, from bytes to lines.

use monitor_common::event::{
    EventKind, Exec, HEADER_LEN, Header, Mount, Record, State, state_reason, transition,
};

use super::*;
use crate::bounded::Unanswered;
use crate::detect::DetectConfig;
use crate::output::{Clock, Kinds, Lane, LaneFormat, Limits, Sequence, queue};

mod bad_input;

pub(super) fn bytes(kind: EventKind, payload: &impl Record, header: Header, strings: &[&[u8]]) -> Vec<u8> {
    fn size<R: Record>(_: &R) -> usize {
        R::SIZE
    }
    let mut out = vec![0; HEADER_LEN + size(payload)];
    payload.write(&mut out[HEADER_LEN..]);
    for string in strings {
        out.extend_from_slice(&(string.len() as u16).to_ne_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(string);
    }
    let mut head = [0; HEADER_LEN];
    Header { kind: kind as u16, len: out.len() as u16, container: 9, pid: 50, tid: 50, started: 5, ..header }
        .write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
    out
}

pub(super) fn lines(feed: impl FnOnce(&mut Pipeline)) -> Vec<serde_json::Value> {
    let (outbox, mut inbox) = queue(Limits::default());
    let mut emitter = Emitter::new("n", Clock::default(), Sequence::default());
    let format = LaneFormat::Json;
    emitter.add(Lane { name: "stdout", format, kinds: Kinds::ALL, demand: None, outbox });
    let detector = Detector::new(DetectConfig::default());
    let mut pipeline = Pipeline::new(detector, Registry::new(0), emitter);
    feed(&mut pipeline);
    pipeline.flush(0);
    drop(pipeline);
    let mut found = Vec::new();
    while let Some(batch) = inbox.recv_blocking() {
        found.extend(
            batch
                .bytes
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .map(|l| serde_json::from_slice::<serde_json::Value>(l).unwrap()),
        );
    }
    found
}

pub(super) fn entry(time: u64) -> Vec<Vec<u8>> {
    let state = State { reason: state_reason::ENTRY, mnt_ns: 100, user_ns: 1, ..State::default() };
    let exec = Exec { transition: transition::ENTRY, exe_mnt_ns: 100, exe_nlink: 1, ..Exec::default() };
    let header = Header { time, ..Header::default() };
    vec![
        bytes(EventKind::State, &state, header, &[b"/"]),
        bytes(EventKind::Exec, &exec, header, &[b"sh\0bin\0", b"sh\0-c\0x\0", b"", b""]),
    ]
}

#[test]
fn a_mount_after_entry_gives_event_and_finding_with_process_and_container() {
    let mount = Mount { op: 1, flags: 1 << 12, ..Mount::default() };
    let mount =
        bytes(EventKind::Mount, &mount, Header { time: 20, ..Header::default() }, &[b"/t", b"/s", b""]);
    let found = lines(|p| {
        for record in entry(10) {
            p.record(&record);
        }
        p.record(&mount);
    });
    let finding = found.iter().find(|l| l["type"] == "finding").unwrap();
    assert_eq!(finding["rule"]["id"], "B02");
    assert_eq!(finding["process"]["exe"], "/bin/sh");
    assert_eq!(finding["process"]["argv"], serde_json::json!(["sh", "-c", "x"]));
    assert_eq!(finding["container"]["status"], "pending");
    assert!(found.iter().any(|l| l["event"] == "mount" && l["type"] == "event"));
}

#[test]
fn any_bytes_are_counted_and_never_a_panic() {
    let found = lines(|p| {
        p.record(&[]);
        p.record(&[0xff; 200]);
    });
    let reasons: Vec<_> = found.iter().map(|l| l["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["short_record", "unknown_kind"]);
}

#[test]
fn the_canary_is_seen_and_not_said() {
    let mount = Mount { op: 5, ..Mount::default() };
    let header = Header { time: 20, ..Header::default() };
    let mut record = bytes(EventKind::Mount, &mount, header, &[b"", b"", b""]);
    let mut head = [0; HEADER_LEN];
    let header = Header::read(&record).unwrap();
    Header { container: KEY_CANARY, ..header }.write(&mut head);
    record[..HEADER_LEN].copy_from_slice(&head);
    let found = lines(|p| {
        p.record(&record);
        assert!(p.canary().has("mount.fsopen") && p.canary().has("mount") && !p.canary().has("mount.mount"));
    });
    assert_eq!(found, Vec::<serde_json::Value>::new());
}

#[test]
fn a_container_found_running_is_told_once_and_judged_from_then_on() {
    use crate::container::{ContainerKey, Identity, ResolveRequest, Scanned, Status};
    use crate::process::{Process, ProcessKey, Program};

    let program = Program::new(b"/bin/sh".to_vec(), Vec::new(), Vec::new()).into();
    let first = Process { key: ProcessKey { pid: 50, started: 5 }, program, ..Process::default() };
    let key = ContainerKey(9);
    let scanned = Scanned {
        key,
        cgroup_path: "/c".into(),
        cgroup_ids: vec![9],
        tasks: Vec::new(),
        baseline: State { mnt_ns: 100, user_ns: 1, ..State::default() },
        first: 0,
        request: ResolveRequest { key, cgroup_path: "/c".into(), pid: 50, runtime: None },
        processes: vec![first],
        ancestors: Vec::new(),
    };
    let update = Update {
        key,
        status: Status::Resolved,
        identity: Identity { id: Some("full".into()), ..Identity::default() },
        declared: None,
        mismatches: Vec::new(),
    };
    let mount = Mount { op: 1, object: 1, magic: 0x9fa0, ..Mount::default() };
    let header = Header { time: 20, ..Header::default() };
    let mount = bytes(EventKind::Mount, &mount, header, &[b"/t", b"p", b"proc"]);
    let found = lines(|p| {
        p.scanned(0, scanned, Some(update));
        assert!(p.question().is_none(), "it is known");
        p.record(&mount);
    });
    let told: Vec<_> = found.iter().filter(|l| l["type"] == "container").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["change"], "entered");
    assert!(found.iter().filter(|l| l["container"].is_object()).all(|l| l["container"]["id"] == "full"));
    let finding = found.iter().find(|l| l["type"] == "finding").unwrap();
    assert_eq!((&finding["rule"]["id"], &finding["process"]["exe"]), (&"I-7".into(), &"/bin/sh".into()));
}

#[test]
fn what_a_container_was_granted_is_told_and_found_once_it_is_looked_at() {
    use crate::container::{Identity, Status, Update};
    use crate::detect::Severity;
    use crate::posture::{Answer, CHECKS, Item, Source, Unread};

    let found_as = |at: usize, severity| crate::posture::Finding {
        check: &CHECKS[at],
        severity,
        items: vec![Item {
            severity,
            what: "thing".into(),
            declared: None,
            observed: "there".into(),
            source: Source::Kernel("file"),
        }],
    };
    let answer = |findings| Answer {
        key: ContainerKey(9),
        pid: 50,
        started: 5,
        config: Some("/b/config.json".into()),
        findings,
        identity: Update {
            key: ContainerKey(9),
            status: Status::Resolved,
            identity: Identity { id: Some("full".into()), ..Identity::default() },
            declared: None,
            mismatches: Vec::new(),
        },
    };
    let three = || {
        let critical = [0, 1].map(|at| found_as(at, Severity::Critical));
        critical.into_iter().chain([found_as(8, Severity::Info)]).collect::<Vec<_>>()
    };
    let start = |p: &mut Pipeline| {
        for record in entry(10) {
            p.record(&record);
        }
        p.postures()
    };
    let told = lines(|p| {
        p.want_postures(PostureRules {
            least: Some(Severity::Warning),
            disabled: [CHECKS[0].id.to_owned()].into(),
        });
        let questions = start(p);
        assert_eq!(questions.len(), 1);
        assert_eq!((questions[0].request.pid, questions[0].started, questions[0].state.mnt_ns), (50, 5, 100));
        p.inspected(30, &answer(Ok(three())));
    });
    let posture = told.iter().find(|l| l["type"] == "posture").unwrap();
    assert_eq!(posture["findings"].as_array().unwrap().len(), 3);
    assert_eq!((&posture["container"]["id"], &posture["worst"]), (&"full".into(), &"critical".into()));
    let findings: Vec<_> = told.iter().filter(|l| l["type"] == "finding").collect();
    // One is left out, and one is not severe enough.
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["rule"]["id"], CHECKS[1].id);
    assert_eq!(findings[0]["process"]["exe"], "/bin/sh");
    assert_eq!(findings[0]["event"]["state"]["mnt_ns"], 100);
    assert_eq!(findings[0]["evidence"][0]["observed"], "thing: there (file)");

    let told = lines(|p| {
        p.want_postures(PostureRules::default());
        start(p);
        p.inspected(30, &answer(Err(Unread::Gone)));
        p.inspected(31, &answer(Err(Unread::Unanswered(Unanswered::Late))));
        p.not_inspected();
    });
    let posture = told.iter().find(|l| l["type"] == "posture").unwrap();
    assert_eq!(
        (&posture["unread"], &posture["worst"]),
        (&Unread::Gone.reason().into(), &serde_json::Value::Null)
    );
    let late = told.iter().rfind(|l| l["type"] == "posture").unwrap();
    assert_eq!(late["unread"], Unanswered::Late.reason());
    assert!(told.iter().any(|l| l["reason"] == "unanswered" && l["count"] == 1));
    assert!(told.iter().any(|l| l["reason"] == "uninspected" && l["count"] == 1));
    assert!(told.iter().all(|l| l["type"] != "finding"));

    let told = lines(|p| {
        assert!(start(p).is_empty(), "nobody wants to know");
        p.inspected(30, &answer(Ok(three())));
    });
    assert!(told.iter().all(|l| l["type"] != "finding"));
}

#[test]
fn a_question_waits_until_there_is_room_and_what_is_never_answered_says_so() {
    let told = lines(|p| {
        for record in entry(10) {
            p.record(&record);
        }
        let question = p.question().unwrap();
        assert!(p.question().is_none(), "each container is asked about once at a time");
        p.put_back(&question);
        assert_eq!(p.question().unwrap().key, ContainerKey(9));
        p.stopping(40, "test");
    });
    let last = told.iter().rfind(|l| l["type"] == "container").unwrap();
    assert_eq!((&last["change"], &last["container"]["status"]), (&"updated".into(), &"unknown".into()));
    assert!(last["container"]["reason"].as_str().unwrap().contains("stopped"));
}
