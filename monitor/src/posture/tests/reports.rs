//! What is written: it fits the schema, the terminal, and nothing of a container breaks out of it.

use super::*;
use crate::bounded::Unanswered;
use crate::container::{Container, ContainerKey, Engine, Identity, Status};
use crate::output::escape::is_hidden;
use crate::output::format::{Format as _, JsonFormat};
use crate::output::line::{Style, width};
use crate::output::schema::schema;
use crate::output::testing::fixtures::CLOCK;
use crate::output::testing::validate::validate;
use crate::output::{Body, Class, Common, Record};
use crate::posture::report::{Judged, explained, overview};

/// What would break out of a string, a line or a terminal.
const HOSTILE: &str = "a\"b\\c\n\u{1b}[31m\u{202e}日本 x";

fn subject(baseline: Baseline) -> Subject {
    let identity = Identity {
        id: Some("0123".to_owned()),
        name: Some(HOSTILE.to_owned()),
        engine: Some(Engine::Docker),
        labels: [(HOSTILE.to_owned(), HOSTILE.to_owned())].into(),
        ..Identity::default()
    };
    let container = Container {
        key: ContainerKey(5),
        revision: 0,
        status: Status::Resolved,
        identity,
        cgroup_path: format!("/{HOSTILE}"),
        declared: None,
        baseline: None,
        mismatches: Vec::new(),
    };
    Subject { container, baseline, unread: None }
}

fn hostile() -> Subject {
    let mut b = quiet();
    host_users(&mut b);
    (b.permitted, b.seccomp, b.root_tasks) = (1 << 21, 0, 1);
    mount(&mut b, "200 100 254:0 /etc /x\\012\\033[31m rw - ext4 /dev/vda rw\n");
    b.sockets.push(SocketSeen { path: HOSTILE.to_owned(), mount: "/x\n\u{1b}[31m".to_owned() });
    b.label = Some(HOSTILE.repeat(20));
    node(&mut b, &format!("/dev/{HOSTILE}"), true, 8, 0);
    subject(b)
}

#[test]
fn objects_fit_the_schema() {
    let schema = schema(Class::Posture);
    let mut format = JsonFormat::new(CLOCK);
    for (subject, in_full, worst) in
        [(hostile(), true, "critical"), (hostile(), false, "critical"), (subject(quiet()), false, "")]
    {
        let judged = Judged::new(&subject, &host(), in_full);
        let mut out = Vec::new();
        let body = Body::Posture { container: &judged.subject.container, posture: judged.record() };
        format.encode(&Record { common: Common { time: 1, seq: 2, node: "n" }, body }, &mut out);
        let line = String::from_utf8(out).unwrap();
        assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(is_hidden), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        validate(&schema, &schema, &value, "posture").unwrap();
        assert_eq!(value["worst"].as_str().unwrap_or_default(), worst);
        assert_eq!(value["container"]["name"], HOSTILE);
        assert_eq!(value["grants"].is_array(), in_full);
    }
}

#[test]
fn text_stays_within_its_columns() {
    let (bad, good) = (hostile(), subject(quiet()));
    for (columns, color) in [(80, false), (80, true), (60, false), (120, false)] {
        let style = Style { color, width: Some(columns) };
        let judged = [Judged::new(&bad, &host(), true), Judged::new(&good, &host(), true)];
        for text in [overview(&judged, style), explained(&judged, style)] {
            assert_eq!(text.contains('\x1b'), color);
            let plain = ["\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"]
                .iter()
                .fold(text, |text, sequence| text.replace(sequence, ""));
            for line in plain.lines() {
                assert!(!line.chars().any(is_hidden), "{line:?}");
                // The table is of one width.
                assert!(width(line) <= columns.max(66), "{columns}: {line:?}");
            }
        }
    }
    assert_eq!(overview(&[], Style { color: false, width: None }), "no container is running\n");
}

#[test]
fn everything_that_is_found_is_explained() {
    let subject = hostile();
    let judged = Judged::new(&subject, &host(), true);
    for (finding, item) in judged.findings.iter().flat_map(|f| f.items.iter().map(move |item| (f, item))) {
        let told = judged
            .grants
            .iter()
            .find(|grant| grant.name == item.what && grant.verdict.checks.contains(&finding.check.id));
        assert!(told.is_some(), "{} {}", finding.check.id, item.what);
    }
    for (kind, name, severity) in [
        ("capability", "CAP_SYS_ADMIN", Some(Severity::Critical)),
        ("capability", "CAP_KILL", None),
        ("namespace", "pid namespace", None),
        ("mask", "/proc/kcore", None),
        ("mount", "/data", None),
        ("device", "/dev/null char 1:3", None),
        ("confinement", "seccomp", Some(Severity::Critical)),
    ] {
        let grant = judged.grants.iter().find(|grant| grant.name == name).unwrap();
        assert_eq!((grant.kind, grant.verdict.severity), (kind, severity), "{name}");
    }
}

#[test]
fn a_container_that_was_not_looked_at_says_so_and_does_not_pass() {
    let mut late = subject(Baseline { pid: 7, ..Baseline::default() });
    late.unread = Some(Unread::Unanswered(Unanswered::Late));
    let judged = [Judged::new(&late, &host(), true)];
    assert!(judged[0].findings.is_empty() && judged[0].grants.is_empty());
    assert!(judged[0].fails(Severity::Critical) && judged[0].worst().is_none());
    assert_eq!(judged[0].record().unread, Some(Unanswered::Late.reason()));
    for write in [overview, explained] {
        let text = write(&judged, Style { color: false, width: Some(200) });
        assert!(text.contains("not looked at: a file system"), "{text}");
    }
}
