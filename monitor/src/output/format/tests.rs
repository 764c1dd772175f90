//! Every format over one set of records; the JSON format against its schema.

use serde_json::Value;

use super::*;
use crate::output::escape::is_hidden;
use crate::output::kinds::Class;
use crate::output::line::{Style, width};
use crate::output::schema::schema;
use crate::output::testing::check_generated;
use crate::output::testing::fixtures::{CLOCK, Fixture, HOSTILE, hostile, ordinary};
use crate::output::testing::validate::validate;

/// Encodes every record; each must be one harmless line, and none may grow the buffer of the one before.
fn lines(format: &mut impl Format, fixture: &Fixture, colors: bool) -> Vec<String> {
    let mut all = Vec::new();
    fixture.each(|record| {
        let mut out = b"before\n".to_vec();
        format.encode(record, &mut out);
        let text = String::from_utf8(out).expect("output is UTF-8");
        let line = text.strip_prefix("before\n").unwrap().strip_suffix('\n').expect("ends with a newline");
        let hidden = line.chars().find(|c| is_hidden(*c) && !(colors && *c == '\x1b'));
        assert_eq!(hidden, None, "{line:?}");
        all.push(line.to_owned());
    });
    all
}

fn json(fixture: &Fixture) -> Vec<Value> {
    let lines = lines(&mut JsonFormat::new(CLOCK), fixture, false);
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn json_fits_its_schema() {
    for fixture in [ordinary(), hostile()] {
        for value in json(&fixture) {
            let class = *Class::ALL.iter().find(|c| value["type"] == c.name()).unwrap();
            let schema = schema(class);
            validate(&schema, &schema, &value, class.name()).unwrap();
        }
    }
}

#[test]
fn schemas_are_up_to_date() {
    for class in Class::ALL {
        let text = serde_json::to_string_pretty(&schema(*class)).unwrap();
        check_generated(&format!("schema/{}.json", class.name()), &(text + "\n"));
    }
}

#[test]
fn the_validator_is_not_blind() {
    let value = json(&ordinary()).remove(0);
    let schema = schema(Class::Event);
    for (key, bad) in
        [("seq", Value::Null), ("event", "nothing".into()), ("extra", 1.into()), ("mount", 1.into())]
    {
        let mut value = value.clone();
        value[key] = bad;
        assert!(validate(&schema, &schema, &value, "").is_err(), "{key}");
    }
    let mut value = value;
    value.as_object_mut().unwrap().remove("mount");
    assert!(validate(&schema, &schema, &value, "").is_err());
}

#[test]
fn json_says_what_the_contract_says() {
    let all = json(&ordinary());
    let event = &all[0];
    assert_eq!(event["time"], "2026-11-23T20:30:00.123456789Z");
    assert_eq!(
        (&event["node"], &event["seq"], &event["event"]),
        (&"node-1".into(), &7.into(), &"mount".into())
    );
    let mount = &event["mount"];
    let facts = ["op", "errno", "dev", "magic", "source"].map(|k| mount[k].as_str().unwrap());
    assert_eq!(facts, ["mount", "EPERM", "8:1", "0xef53", "/dev/sda1"]);
    assert_eq!((&mount["ret"], &mount["mnt_ns"]), (&(-1).into(), &4_026_532_000_u32.into()));
    assert_eq!(event["flags"], serde_json::json!(["scanned"]));
    assert_eq!(event["container"]["cgroup_id"], 77);
    assert_eq!(event["container"]["labels"]["tier"], "front");
    let process = &event["process"];
    assert_eq!(
        (&process["pid"], &process["tid"], &process["uid"]),
        (&4242.into(), &4243.into(), &1000.into())
    );
    assert_eq!(process["ancestors"][0], serde_json::json!({"pid": 4200, "exe": "/bin/sh", "argv": ["sh"]}));
    assert_eq!(process["started"], "2026-11-23T20:28:20.000000000Z");
    let finding = &all[1];
    assert_eq!(
        (&finding["rule"]["id"], &finding["result"], &finding["count"]),
        (&"C01".into(), &"denied".into(), &3.into())
    );
    assert_eq!(
        finding["evidence"][0],
        serde_json::json!({"name": "mnt_ns", "declared": "mnt:[1]", "observed": "mnt:[2]"})
    );
    assert_eq!(finding["event"]["mount"], *mount);
    let stranger = &all[2];
    assert!(stranger["container"].is_null() && stranger["process"]["exe"].is_null());
    assert_eq!(stranger["process"]["pid"], 4242);
}

#[test]
fn hostile_bytes_come_back() {
    let unhex = |text: &Value| -> Vec<u8> {
        let text = text.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let all = json(&hostile());
    let process = &all[0]["process"];
    assert_eq!(unhex(&process["cwd_raw"]), HOSTILE);
    assert_eq!(unhex(&process["argv_raw"][0]), HOSTILE);
    assert_eq!((&process["argv_truncated"], &process["exe_truncated"]), (&true.into(), &true.into()));
    assert_eq!(all[0]["container"]["labels_truncated"], true);
    let exec = &all[0]["exec"];
    assert_eq!((&exec["exe_unreachable"], &exec["argv_raced"]), (&true.into(), &true.into()));
    assert_eq!(exec["transition"], "unknown(4294967295)");
    assert!(exec["exe"].as_str().unwrap().starts_with("/new\nline"));
}

#[test]
fn text_fits_the_terminal() {
    for fixture in [ordinary(), hostile()] {
        for columns in [1, 10, 40, 59, 60, 80, 200] {
            let style = Style { color: false, width: Some(columns) };
            for line in lines(&mut TextFormat::new(CLOCK, style), &fixture, false) {
                assert!(width(&line) <= columns, "{} > {columns}: {line}", width(&line));
            }
        }
        let style = Style { color: true, width: Some(80) };
        lines(&mut TextFormat::new(CLOCK, style), &fixture, true);
    }
}

#[test]
fn text_looks_like_this() {
    let style = Style { color: false, width: Some(80) };
    let all = lines(&mut TextFormat::new(CLOCK, style), &ordinary(), false).join("\n");
    let want = "\
20:30:00.123 mount     web            mount[4242] mount target=/mnt source=/dev…
20:30:00.123 CRITICAL  web            mount[4242] C01 denied: Mount after start…
20:30:00.123 mount     host           [4242] mount target=/mnt source=/dev/sda1…
20:30:00.123 CRITICAL  host           [4242] C01 denied: Mount after start ×3
20:30:00.123 container web            created docker.io/library/nginx:1 runc do…
20:30:00.123 container web            entered docker.io/library/nginx:1 runc do…
20:30:00.123 container web            updated docker.io/library/nginx:1 runc do…
20:30:00.123 container web            gone docker.io/library/nginx:1 runc docker
20:30:00.123 file      web            /usr/bin/mount sha256 a5a5a5a5a5a5a5a5a5a…
20:30:00.123 file      web            /usr/bin/mount not hashed: gone
20:30:00.123 posture   web            critical: G05 Sensitive directory of the …
20:30:00.123 posture   web            critical: G05 Sensitive directory of the …
20:30:00.123 posture   web            not known: gone
20:30:00.123 LOSS      12 records lost: ring_full
20:30:00.123 LOSS      host           12 records lost: ring_full, ring bulk, cp…
20:30:00.123 LOSS      web            12 records lost: ring_full, sensor exec, …
20:30:00.123 status    starting: bulkhead 0.1.0 on 6.1.0
20:30:00.123 status    coverage: 2 sensors, not attached: ptrace
20:30:00.123 LOSS      12 entries lost: map_full, map TASKS, which holds 32768:…
20:30:00.123 LOSS      12 runs lost: skipped_run, event fork, program exit_mount
20:30:00.123 status    accounts: 3 attempted, 2 submitted, 2 received, 1 ring_f…
20:30:00.123 status    engine: docker at docker.io/library/nginx:1, version 28.…
20:30:00.123 status    resumed: nobody looked for 2 ms, 3 records waited
20:30:00.123 status    ready: 1 of 2 sensors, 3 containers running
20:30:00.123 status    stopping: SIGINT; 9 records, 1 findings, 0 lost";
    assert_eq!(all, want, "\n{all}");
    let wide = Style { color: true, width: None };
    let all = lines(&mut TextFormat::new(CLOCK, wide), &ordinary(), true);
    assert!(all[0].ends_with("mount target=/mnt source=/dev/sda1 fstype=ext4 = EPERM"), "{}", all[0]);
    assert!(all[1].contains("\x1b[1;31mCRITICAL\x1b[0m"), "{}", all[1]);
}

/// What is kept between lines changes none of them, and is not used once it is out of date.
#[test]
fn json_is_the_same_with_what_was_rendered_earlier() {
    let mut fixture = ordinary();
    let plain = lines(&mut JsonFormat::new(CLOCK), &fixture, false);
    fixture.container.revision = 5;
    fixture.number_programs();
    let mut format = JsonFormat::new(CLOCK);
    for _ in 0..2 {
        assert_eq!(lines(&mut format, &fixture, false), plain);
    }
    fixture.container.identity.name = Some("other".to_owned());
    assert_eq!(lines(&mut format, &fixture, false)[0], plain[0], "nobody said that it changed");
    fixture.container.revision = 6;
    assert!(lines(&mut format, &fixture, false)[0].contains("\"name\":\"other\""));
}
