//! Tests of the renderer: through the JSON format, as the daemon would write it.

use monitor_common::event::{Dns, Header, Record as _};

use super::*;
use crate::output::format::{Format, JsonFormat, TextFormat};
use crate::output::line::width;
use crate::output::testing::fixtures::{CLOCK, Fixture, hostile, ordinary, record_bytes};

fn rendered(fixture: &Fixture, style: Style) -> Vec<String> {
    let mut renderer = Renderer::new(style);
    let mut format = JsonFormat::new(CLOCK);
    let mut all = Vec::new();
    fixture.each(|record| {
        let mut json = Vec::new();
        format.encode(record, &mut json);
        let mut text = String::new();
        renderer.render(&serde_json::from_slice(&json).unwrap(), &mut text);
        all.push(text);
    });
    all
}

#[test]
fn looks_like_the_text_format() {
    for width in [Some(80), Some(40), None] {
        let style = Style { color: false, width };
        let (mut text, fixture) = (TextFormat::new(CLOCK, style), ordinary());
        let mut all = rendered(&fixture, style).into_iter();
        fixture.each(|record| {
            let mut want = Vec::new();
            text.encode(record, &mut want);
            let line = all.next().unwrap();
            assert_eq!(line.lines().next().unwrap(), String::from_utf8(want).unwrap().trim_end_matches('\n'));
        });
    }
}

#[test]
fn a_dns_message_in_both() {
    let answer = b"\0\0\x81\x80\0\x01\0\x03\0\0\0\0\x01a\x04test\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\0\0\x04\x01b\xc0\x0e\
        \xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01\
        \xc0\x0c\0\x0f\0\x01\0\0\0\0\0\x02\0\0";
    let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x05\x1b[2J\n\0\0\x10\0\x01";
    let addr = monitor_common::network::mapped([10, 0, 0, 53]);
    for (op, message, want) in [
        (Dns::ANSWER, &answer[..], "answer protocol=udp port=53 A a.test NOERROR: b.test, 192.0.2.1, MX"),
        (Dns::ANSWER, &answer[..50], "answer protocol=udp port=53 A a.test NOERROR: b.test … malformed"),
        (Dns::QUERY, query, r"query protocol=udp port=53 TXT \u{1b}[2J\n"),
        (Dns::QUERY, b"\0", "query protocol=udp port=53 malformed"),
    ] {
        let mut payload = vec![0; Dns::SIZE];
        Dns { op, addr, protocol: 17, port: 53, len: 1 }.write(&mut payload);
        let record = record_bytes(EventKind::Dns, Header::default(), &payload, &[(message, 0)]);
        let fixture = Fixture { records: vec![record], ..ordinary() };
        let style = Style { color: false, width: None };
        let line = rendered(&fixture, style).swap_remove(0);
        assert!(line.trim_end().ends_with(&format!("10.0.0.53 {want}")), "{line:?}");
        let (mut text, mut lines) = (TextFormat::new(CLOCK, style), Vec::new());
        fixture.each(|record| text.encode(record, &mut lines));
        assert!(String::from_utf8(lines).unwrap().starts_with(&line), "{line:?}");
    }
}

#[test]
fn a_finding_at_80_and_40_columns() {
    let style = Style { color: false, width: Some(80) };
    assert_eq!(
        rendered(&ordinary(), style)[1],
        "20:30:00.123 CRITICAL  web            mount[4242] C01 denied: Mount after start…\n\
         \x20   mnt_ns: declared mnt:[1] observed mnt:[2]; magic: observed 0xef53; target: …\n"
    );
    let style = Style { width: Some(40), ..style };
    assert_eq!(rendered(&ordinary(), style)[1], "20:30:00 CRITICAL web    C01 denied: Mo…\n");
    let style = Style { color: true, width: Some(40) };
    let line = &rendered(&ordinary(), style)[1];
    assert!(
        line.contains("\x1b[1;31mCRITICAL\x1b[0m") && line.ends_with("\x1b[1;31mC01 denied: Mo…\x1b[0m\n"),
        "{line:?}"
    );
}

#[test]
fn hostile_records_stay_in_their_line() {
    for (color, columns) in [(false, 80), (false, 40), (true, 80), (true, 40)] {
        let style = Style { color, width: Some(columns) };
        for text in rendered(&hostile(), style) {
            let ours = [
                "\x1b[0m",
                "\x1b[2m",
                "\x1b[1m",
                "\x1b[1;31m",
                "\x1b[1;35m",
                "\x1b[32m",
                "\x1b[33m",
                "\x1b[36m",
            ];
            let plain =
                ours.iter().fold(text.clone(), |t, escape| if color { t.replace(escape, "") } else { t });
            assert!(plain.ends_with('\n') && plain.lines().count() <= 2, "{plain:?}");
            for line in plain.lines() {
                assert!(!line.chars().any(escape::is_hidden), "{line:?}");
                assert!(width(line) <= columns, "{line}");
            }
        }
    }
}

#[test]
fn any_json_is_rendered() {
    let mut renderer = Renderer::new(Style { color: false, width: Some(80) });
    for json in [
        "null",
        "[]",
        "{}",
        r#"{"type":"event","event":"exec"}"#,
        r#"{"type":"event","event":"mount","mount":[1],"process":{"pid":"x"},"container":3}"#,
        r#"{"type":"finding","rule":7,"evidence":[1,{"name":null}],"time":"2026-11-23Tüüüüüüüüüüü"}"#,
        r#"{"type":"status","status":"coverage","sensors":3}"#,
        r#"{"type":"po\u001bture","container":null}"#,
    ] {
        let mut out = String::new();
        renderer.render(&serde_json::from_str(json).unwrap(), &mut out);
        assert!(
            out.ends_with('\n') && !out.trim_end().chars().any(|c| c != '\n' && escape::is_hidden(c)),
            "{out:?}"
        );
    }
}
