//! What was expected of a process's records against what is there.

use anyhow::{bail, ensure};
use serde_json::Value;

use crate::proof::{self, Level, Proved};
use crate::record::Record;
use crate::runtime::{Container, on_host};
use crate::scenario::{Answer, Expect, Rung, Scenario};

/// Lines of evidence in a failure.
const SHOWN: usize = 12;
/// Characters of each.
const WIDTH: usize = 700;

/// Judges what the daemon said about one act; gives the rows that it proves.
///
/// # Errors
/// Says what is missing, or what should not be there, with the records.
pub fn judge(
    scenario: &Scenario,
    rung: Rung,
    container: &Container,
    records: &[Record],
) -> anyhow::Result<Proved> {
    let expected = match expected(scenario, rung, container, records) {
        found if !scenario.is_unseen(rung) => Some(found?),
        Ok(_) => bail!("what `unseen` names is seen now: take it away"),
        Err(_) => None,
    };
    let is_unwanted = |r: &&Record| match r.class() {
        "finding" => !r.is_grant() && scenario.forbid.covers(r.rule()),
        "event" => scenario.absent.iter().any(|kind| kind == r.event()),
        _ => false,
    };
    let unwanted: Vec<&Record> = records.iter().filter(is_unwanted).collect();
    if !unwanted.is_empty() {
        bail!("forbidden:{}", lines(unwanted.into_iter()));
    }
    match expected {
        Some(expected) => proof::of(scenario, &expected),
        None => Ok(scenario.evasion.iter().map(|code| (code.clone(), Level::Unseen)).collect()),
    }
}

/// The records that were expected.
fn expected<'a>(
    scenario: &Scenario,
    rung: Rung,
    container: &Container,
    records: &'a [Record],
) -> anyhow::Result<Vec<&'a Record>> {
    let mut expected = Vec::new();
    for expect in scenario.expect.iter().filter(|expect| expect.is_on(rung)) {
        let found: Vec<&Record> =
            records.iter().filter(|record| matches(expect, record, container.rootless)).collect();
        if found.len() < expect.count.max(1) {
            let (missing, of) = (describe(expect), found.len());
            bail!("missing {missing}: {of} found; the process's records:{}", show(records, expect));
        }
        for record in &found {
            check_context(record, container)?;
        }
        expected.extend(found);
    }
    Ok(expected)
}

fn matches(expect: &Expect, record: &Record, rootless: bool) -> bool {
    // Records have the ids of the initial user namespace.
    let equals = |name: &str, wanted: &toml::Value, value: &Value| match wanted {
        toml::Value::Integer(id) if rootless && name.ends_with("uid") => value.as_i64() == Some(on_host(*id)),
        _ => equals(wanted, value),
    };
    let among = |wanted: &str, value: &str| wanted.is_empty() || wanted.split('|').any(|word| word == value);
    if expect.rule.is_empty() {
        return record.class() == "event"
            && record.event() == expect.event
            && expect.field.iter().all(|(name, wanted)| equals(name, wanted, record.field(name)))
            && expect.flags.iter().all(|flag| record.flags().any(|set| set == flag))
            && (expect.ancestor.is_empty() || record.has_ancestor(&expect.ancestor));
    }
    let evidence = record.evidence();
    record.class() == "finding"
        && among(&expect.rule, record.rule())
        && among(&expect.result, record.result())
        && among(&expect.severity, record.severity())
        && expect.evidence.iter().all(|fact| match fact.split_once('=') {
            Some((name, value)) => record.observed(name) == Some(value),
            None => evidence.contains(&fact.as_str()),
        })
        && (!expect.compared || record.is_compared())
        && !evidence.is_empty()
}

/// A list is equal if it contains what is wanted.
fn equals(wanted: &toml::Value, value: &Value) -> bool {
    match wanted {
        toml::Value::String(text) => value.as_str() == Some(text),
        toml::Value::Integer(number) => value.as_i64() == Some(*number),
        toml::Value::Boolean(truth) => value.as_bool() == Some(*truth),
        toml::Value::Array(items) => value
            .as_array()
            .is_some_and(|values| items.iter().all(|item| values.iter().any(|value| equals(item, value)))),
        _ => false,
    }
}

/// Every record names its container in full, and the process's ancestry.
fn check_context(record: &Record, container: &Container) -> anyhow::Result<()> {
    let status = record.container_status();
    match record.container_id() {
        Some(id) => ensure!(id == container.id, "container {id}, not {}: {}", container.id, cut(record)),
        None => ensure!(status == "pending", "no container id, and not pending: {}", cut(record)),
    }
    ensure!(record.class() != "finding" || record.has_ancestors(), "no ancestors: {}", cut(record));
    Ok(())
}

fn describe(expect: &Expect) -> String {
    let times = if expect.count > 1 { format!("{} times ", expect.count) } else { String::new() };
    if expect.rule.is_empty() {
        let who = if expect.ancestor.is_empty() { "anybody" } else { expect.ancestor.as_str() };
        let Expect { event, field, flags, .. } = expect;
        return format!("{times}event {event} with {field:?} and flags {flags:?} by {who}");
    }
    let mut text = format!("{times}finding {}", expect.rule);
    for (name, value) in [("result", &expect.result), ("severity", &expect.severity)] {
        if !value.is_empty() {
            text = format!("{text} {name} {value}");
        }
    }
    if !expect.evidence.is_empty() {
        text = format!("{text} with evidence {:?}", expect.evidence);
    }
    if expect.compared {
        text.push_str(" with a declared value");
    }
    text
}

/// What comes nearest first: findings for a finding, events of the kind for an event.
fn show(records: &[Record], expect: &Expect) -> String {
    let is_near = |record: &&Record| match expect.event.as_str() {
        "" => record.class() == "finding",
        kind => record.event() == kind,
    };
    let (near, far): (Vec<_>, Vec<_>) = records.iter().partition(is_near);
    lines(near.into_iter().chain(far))
}

/// Records, one a line, cut.
pub fn lines<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    let mut text = String::new();
    for record in records.take(SHOWN) {
        text.push_str("\n    ");
        text.push_str(&cut(record));
    }
    if text.is_empty() { " none".to_owned() } else { text }
}

fn cut(record: &Record) -> String {
    let class = record.class();
    let what = if class == "finding" { record.rule() } else { record.event() };
    let line = if class == "finding" || class == "event" { record.brief() } else { record.line() };
    format!("{class} {what} {}", line.chars().take(WIDTH).collect::<String>())
}

/// Judges what the actor said that the kernel answered: every step but the last has to succeed.
///
/// # Errors
/// Another answer.
pub fn judge_answers(wanted: &Answer, said: &str) -> anyhow::Result<()> {
    let Answer::Errno(wanted) = wanted else { return Ok(()) };
    let errno =
        |line: &str| line.rsplit_once("errno=").and_then(|(_, number)| number.trim().parse::<i32>().ok());
    let answers: Vec<i32> = said.lines().filter(|line| line.starts_with("pid=")).filter_map(errno).collect();
    let Some((last, before)) = answers.split_last() else { bail!("the actor said nothing: {said:?}") };
    ensure!(
        last == wanted && before.iter().all(|errno| *errno == 0),
        "the kernel answered {}",
        said.trim().replace('\n', "; ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str) -> Record {
        let text = format!(
            r#"{{"type":"finding","rule":{{"id":"{rule}","severity":"critical"}},"result":"succeeded",
            "container":{{"id":"c","status":"resolved"}},
            "process":{{"pid":1,"started":"t","ancestors":[{{"pid":2}}]}},
            "evidence":[{{"name":"uts_ns","declared":"uts:[1]","observed":"uts:[2]"}}]}}"#
        );
        Record::read(&text).expect("JSON")
    }

    fn check(scenario: &str, records: &[Record], wanted: Option<&str>) {
        let head = "name = \"x\"\nabout = \"\"\naction = [\"marker\"]\n";
        let scenario: Scenario = toml::from_str(&format!("{head}{scenario}")).expect("well-formed");
        let container = Container {
            name: "c".to_owned(),
            id: "c".to_owned(),
            cgroup: "c".to_owned(),
            user: 0,
            rootless: false,
        };
        let result = judge(&scenario, Rung::Tracepoint, &container, records);
        match wanted {
            None => assert!(result.is_ok(), "{result:?}"),
            Some(why) => {
                let error = result.expect_err("fails").to_string();
                assert!(error.contains(why), "{error}");
            }
        }
    }

    #[test]
    fn findings() {
        let found = [finding("C01")];
        check("expect = [{ rule = \"C01\", result = \"succeeded\", compared = true }]", &found, None);
        check("expect = [{ rule = \"C06|C01\", evidence = [\"uts_ns\"] }]", &found, None);
        check(
            "expect = [{ rule = \"C01\", result = \"denied\" }]",
            &found,
            Some("missing finding C01 result denied"),
        );
        check("expect = [{ rule = \"C01\", evidence = [\"pid_ns\"] }]", &found, Some("missing"));
        check("expect = [{ rule = \"C01\", evidence = [\"uts_ns=uts:[2]\"] }]", &found, None);
        check("expect = [{ rule = \"C01\", evidence = [\"uts_ns=uts:[1]\"] }]", &found, Some("missing"));
        check("expect = [{ rule = \"C01\", rungs = [\"trampoline\"] }]", &[], None);
        check(
            "expect = [{ rule = \"C01\", count = 2 }]",
            &found,
            Some("missing 2 times finding C01: 1 found"),
        );
        let unseen = |rung| {
            format!("unseen = {{ rungs = [\"{rung}\"], why = \"\" }}\nexpect = [{{ rule = \"C01\" }}]")
        };
        check(&unseen("tracepoint"), &found, Some("is seen now"));
        check(&unseen("tracepoint"), &[], None);
        check(&unseen("trampoline"), &[], Some("missing finding C01"));
        check("forbid = \"any\"", &found, Some("forbidden"));
        check("forbid = [\"C06\"]", &found, None);
        check("forbid = [\"C01\"]", &found, Some("forbidden"));
    }

    #[test]
    fn events() {
        let text = r#"{"type":"event","event":"mount","container":{"id":"c"},"mount":{"op":"mount","ret":0,"flags":["a","b"]}}"#;
        let records = [Record::read(text).expect("JSON")];
        check(
            "expect = [{ event = \"mount\", field = { op = \"mount\", ret = 0, flags = [\"b\"] } }]",
            &records,
            None,
        );
        check(
            "expect = [{ event = \"mount\", field = { ret = -1 } }]",
            &records,
            Some("missing event mount"),
        );
        check("absent = [\"mount\"]", &records, Some("forbidden"));
        check("absent = [\"dns\"]", &records, None);
        check("expect = [{ event = \"umount\" }]", &records, Some("missing event umount"));
    }

    #[test]
    fn answers() {
        let said = "pid=1 verb=a ret=0 errno=0\npid=1 verb=b ret=-1 errno=1\n";
        judge_answers(&Answer::Errno(1), said).expect("the last one is wanted");
        judge_answers(&Answer::Errno(0), said).expect_err("refused");
        judge_answers(&Answer::Errno(0), "").expect_err("silent");
        judge_answers(&Answer::Word("any".to_owned()), "").expect("anything goes");
    }
}
