//! The findings of one container, counted into a table.

use std::collections::BTreeMap;

use serde_json::Value;

/// What was found, by rule and result.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: BTreeMap<(String, String), Row>,
}

#[derive(Debug, Default)]
struct Row {
    severity: String,
    title: String,
    count: u64,
}

impl Summary {
    /// Takes a record; false if it is no finding of that container.
    pub(crate) fn take(&mut self, record: &Value, container: &str) -> bool {
        if record["type"] != "finding" || record["container"]["id"] != container {
            return false;
        }
        let rule = &record["rule"];
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let row = self.rows.entry((text(&rule["id"]), text(&record["result"]))).or_default();
        row.severity = text(&rule["severity"]);
        row.title = text(&rule["title"]);
        row.count += 1;
        true
    }

    /// True if there is a finding of this rule.
    pub(crate) fn has(&self, rule: &str) -> bool {
        self.rows.keys().any(|(id, _)| id == rule)
    }

    /// The table, a line a row; everything in it comes from Bulkhead's own rules, nothing from the container.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{:<5} {:<9} {:<10} {:>5}  {}", "rule", "severity", "result", "count", "what")];
        for ((rule, result), row) in &self.rows {
            let Row { severity, title, count } = row;
            lines.push(format!("{rule:<5} {severity:<9} {result:<10} {count:>5}  {title}"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(rule: &str, container: &str) -> Value {
        json!({
            "type": "finding", "result": "succeeded", "container": { "id": container },
            "rule": { "id": rule, "severity": "critical", "title": "T" },
        })
    }

    #[test]
    fn counts_findings_of_one_container() {
        let mut summary = Summary::default();
        assert!(summary.take(&finding("C01", "a"), "a"));
        assert!(summary.take(&finding("C01", "a"), "a"));
        assert!(!summary.take(&finding("B02", "b"), "a"));
        assert!(!summary.take(&json!({ "type": "event", "container": null }), "a"));
        assert!(summary.has("C01") && !summary.has("B02"));
        assert_eq!(summary.lines().last().map(String::as_str), Some("C01   critical  succeeded      2  T"));
    }
}
