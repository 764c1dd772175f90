//! The daemon's JSON lines: the only place that knows the names in them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// One line of the daemon's output.
#[derive(Debug, Clone)]
pub struct Record(Value);

/// What became of the records of a container.
#[derive(Clone, Copy, Debug)]
pub struct ContainerAccount {
    /// All of them.
    pub attempted: u64,
    /// Those that the daemon got.
    pub received: u64,
    /// Those that found their ring full.
    pub ring_full: u64,
    /// Those beyond its budget.
    pub over_budget: u64,
    /// Those that nobody wanted.
    pub filtered: u64,
}

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(line: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        anyhow::ensure!(value.is_object(), "not an object");
        Ok(Self(value))
    }

    fn at(&self, path: &str) -> &Value {
        self.0.pointer(path).unwrap_or(&Value::Null)
    }

    fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or_default()
    }

    /// `event`, `finding`, `container`, `loss`, `status`.
    pub fn class(&self) -> &str {
        self.text("/type")
    }

    /// Which status, of a `status` record.
    pub fn status(&self) -> &str {
        self.text("/status")
    }

    /// True for a loss of runs that the kernel skipped.
    pub fn is_skipped_run(&self) -> bool {
        self.class() == "loss" && self.text("/reason") == "skipped_run"
    }

    /// The rungs that sensors got, of a `coverage` status: sensor, rung, reason.
    pub fn coverage(&self) -> Vec<(String, Option<String>, String)> {
        let text = |sensor: &Value, name: &str| sensor.get(name).and_then(Value::as_str).map(str::to_owned);
        let sensors = self.at("/sensors").as_array().map(Vec::as_slice).unwrap_or_default();
        let row = |s: &Value| {
            (text(s, "sensor").unwrap_or_default(), text(s, "rung"), text(s, "reason").unwrap_or_default())
        };
        sensors.iter().map(row).collect()
    }

    /// When it happened.
    pub fn time(&self) -> Option<SystemTime> {
        let text = self.text("/time");
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        // Days since 1970-01-01, with years that begin in March.
        let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
        let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
        Some(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(number(20..29)?))
    }

    /// Why records were lost, of a `loss`.
    pub fn reason(&self) -> &str {
        self.text("/reason")
    }

    /// A text of the record itself.
    pub fn word(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// True if the record itself has a text of this name.
    pub fn has_text(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(Value::is_string)
    }

    /// A number of the record itself, 0 if it has none of this name.
    pub fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// True if the record itself has this key; `null` is the value of the host as a container.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// True if the record itself says `true` there.
    pub fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// What became of the records of a container, of an `accounts` status.
    pub fn container_account(&self, id: &str) -> Option<ContainerAccount> {
        let rows = self.at("/containers").as_array()?;
        let row = rows.iter().find(|row| row.pointer("/container/id").and_then(Value::as_str) == Some(id))?;
        let number = |name: &str| row.get(name).and_then(Value::as_u64);
        Some(ContainerAccount {
            attempted: number("attempted")?,
            received: number("received")?,
            ring_full: number("ring_full")?,
            over_budget: number("over_budget")?,
            filtered: number("filtered")?,
        })
    }

    /// Kind of an `event` record.
    pub fn event(&self) -> &str {
        self.text("/event")
    }

    /// The flags of an event.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.at("/flags").as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// A field of the event's own object; of the triggering event, for a finding.
    pub fn field(&self, name: &str) -> &Value {
        let object = match self.class() {
            "finding" => self.at("/event").get(self.text("/event/event")),
            _ => self.0.get(self.event()),
        };
        object.and_then(|object| object.get(name)).unwrap_or(&Value::Null)
    }

    /// True if the event has this flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        let flags = self.at("/flags").as_array().map(Vec::as_slice).unwrap_or_default();
        flags.iter().any(|known| known.as_str() == Some(flag))
    }

    /// Acting process: id, and start as the record writes it.
    pub fn process(&self) -> Option<(u64, &str)> {
        Some((self.at("/process/pid").as_u64()?, self.text("/process/started")))
    }

    /// Arguments of a program that was executed.
    pub fn argv(&self) -> Vec<&str> {
        let words = self.field("argv").as_array().map(Vec::as_slice).unwrap_or_default();
        words.iter().filter_map(Value::as_str).collect()
    }

    /// True if the acting process is known with a line of ancestors.
    pub fn has_ancestors(&self) -> bool {
        self.at("/process/ancestors").as_array().is_some_and(|list| !list.is_empty())
    }

    /// True if an ancestor's arguments have this word; a program's path is known by its end, too.
    pub fn has_ancestor(&self, word: &str) -> bool {
        let list = self.at("/process/ancestors").as_array().map(Vec::as_slice).unwrap_or_default();
        let mut words = list.iter().filter_map(|process| process["argv"].as_array()).flatten();
        words.any(|known| known.as_str().is_some_and(|known| known.rsplit('/').next() == Some(word)))
    }

    /// Process id of a child that was made, of a `fork` event.
    pub fn child(&self) -> Option<u64> {
        (self.event() == "fork").then(|| self.field("child_pid").as_u64())?
    }

    /// True if the record is about a container, known or not.
    pub fn in_container(&self) -> bool {
        self.at("/container").is_object()
    }

    /// Full id of the container, if known.
    pub fn container_id(&self) -> Option<&str> {
        self.at("/container/id").as_str()
    }

    /// `pending`, `resolved`, `unknown`.
    pub fn container_status(&self) -> &str {
        self.text("/container/status")
    }

    /// Any text of the container object: `runtime`, `engine`, `name`, `image`.
    pub fn container_text(&self, name: &str) -> Option<&str> {
        self.at("/container").get(name).and_then(Value::as_str)
    }

    /// A field of the container's pod.
    pub fn pod(&self, name: &str) -> &Value {
        self.at("/container/pod").get(name).unwrap_or(&Value::Null)
    }

    /// A text of an object that is a field, by its key.
    pub fn word_in(&self, object: &str, key: &str) -> &str {
        self.0.get(object).and_then(|object| object.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// True if this is a list that is not empty.
    pub fn has_items(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    }

    /// What changed, of a `container` record.
    pub fn change(&self) -> &str {
        self.text("/change")
    }

    /// Rule of a finding.
    pub fn rule(&self) -> &str {
        self.text("/rule/id")
    }

    /// True for a finding about what a container was granted, whatever it does.
    pub fn is_grant(&self) -> bool {
        self.class() == "finding" && (self.rule().starts_with('G') || self.rule().starts_with("X-"))
    }

    /// True if a `posture` record has a finding of this check.
    pub fn finds(&self, check: &str) -> bool {
        self.at("/findings").as_array().is_some_and(|list| list.iter().any(|f| f["id"] == check))
    }

    /// A number anywhere in the record, by its JSON pointer.
    pub fn number_at(&self, pointer: &str) -> u64 {
        self.at(pointer).as_u64().unwrap_or(0)
    }

    /// The line as JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// `succeeded`, `denied`, `attempted`.
    pub fn result(&self) -> &str {
        self.text("/result")
    }

    /// Severity of a finding.
    pub fn severity(&self) -> &str {
        self.text("/rule/severity")
    }

    /// Rows of the catalogue that a finding names.
    pub fn behaviours(&self) -> Vec<&str> {
        let rows = self.at("/rule/behaviours").as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().filter_map(Value::as_str).collect()
    }

    /// Names of the facts of a finding.
    pub fn evidence(&self) -> Vec<&str> {
        let facts = self.at("/evidence").as_array().map(Vec::as_slice).unwrap_or_default();
        facts.iter().filter_map(|fact| fact.get("name").and_then(Value::as_str)).collect()
    }

    /// What was observed of a fact of a finding.
    pub fn observed(&self, fact: &str) -> Option<&str> {
        let facts = self.at("/evidence").as_array()?;
        facts.iter().find(|known| known["name"] == fact)?.get("observed")?.as_str()
    }

    /// True if a fact of a finding has a declared value beside the observed one.
    pub fn is_compared(&self) -> bool {
        let facts = self.at("/evidence").as_array().map(Vec::as_slice).unwrap_or_default();
        facts.iter().any(|fact| fact.get("declared").is_some() && fact.get("observed").is_some())
    }

    /// For a person: the line without what is the same in all records of a process.
    pub fn brief(&self) -> String {
        let mut value = self.0.clone();
        if let Some(object) = value.as_object_mut() {
            for name in ["container", "process", "node", "seq", "type", "first_seen", "last_seen"] {
                object.remove(name);
            }
        }
        let pid = self.process().map_or(0, |(pid, _)| pid);
        let container = self.container_id().unwrap_or("-");
        format!("pid {pid} container {container} {value}")
    }

    /// For a person: the line as it came.
    pub fn line(&self) -> String {
        self.0.to_string()
    }
}
