//! Which records `tail` shows.

use serde_json::Value;

use crate::detect::Severity;
use crate::diag::Diagnostic;
use crate::output::{Class, Kinds};
use monitor_common::event::EventKind;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    containers: Vec<String>,
    kinds: Kinds,
    severity: Option<Severity>,
    setup: bool,
}

impl Filter {
    /// From the flags: patterns of containers, `--kind`, `--severity`. What trusted runtimes do is left out.
    ///
    /// # Errors
    /// A kind that does not exist.
    pub fn new(
        containers: &[String],
        kind: Option<&str>,
        severity: Option<Severity>,
    ) -> Result<Self, Diagnostic> {
        let kinds = match (kind, severity) {
            (Some(kind), _) => Kinds::parse(kind)?,
            (None, Some(_)) => Kinds::NONE,
            (None, None) => Kinds::ALL,
        };
        let kinds = if severity.is_some() { kinds.with(Class::Finding) } else { kinds };
        Ok(Self { containers: containers.to_vec(), kinds, severity, setup: false })
    }

    /// Also lets pass what trusted runtimes do while they set containers up and join them.
    pub fn with_setup(self, setup: bool) -> Self {
        Self { setup, ..self }
    }

    /// True if the record is to be shown.
    pub fn passes(&self, record: &Value) -> bool {
        self.kind(record) && self.container(record) && (self.setup || !is_setup(record))
    }

    fn kind(&self, record: &Value) -> bool {
        let ty = record["type"].as_str().unwrap_or_default();
        match Class::ALL.iter().find(|class| class.name() == ty) {
            Some(Class::Event) => {
                let kind = EventKind::ALL.iter().find(|kind| record["event"] == kind.name());
                kind.map_or(self.kinds == Kinds::ALL, |kind| self.kinds.event(*kind))
            }
            Some(Class::Finding) => {
                let severity = severity(&record["rule"]["severity"]);
                self.kinds.class(Class::Finding) && self.severity.is_none_or(|least| severity >= least)
            }
            // Whoever filters must know that the filter did not see everything.
            Some(Class::Loss) => true,
            Some(class) => self.kinds.class(*class),
            // A newer daemon's.
            None => self.kinds == Kinds::ALL,
        }
    }

    fn container(&self, record: &Value) -> bool {
        let Some(container) = record.get("container").filter(|_| !self.containers.is_empty()) else {
            return true;
        };
        let names = [
            &container["name"],
            &container["id"],
            &container["pod"]["name"],
            &container["swarm"]["service"],
            &container["compose"]["service"],
        ];
        self.containers.iter().any(|pattern| match container {
            Value::Null => pattern == "host",
            _ => names.iter().filter_map(|name| name.as_str()).any(|name| matches(pattern, name)),
        })
    }
}

/// True for what a trusted runtime does: some fifty mounts and more for each container.
fn is_setup(record: &Value) -> bool {
    record["type"] == "event"
        && record["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "runtime"))
}

/// The severity of that name; the highest for one that is not known, so that it is shown.
pub(super) fn severity(name: &Value) -> Severity {
    let all = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Critical];
    all.into_iter().find(|s| name == s.name()).unwrap_or(Severity::Critical)
}

/// A pattern with `*` or `?` must match all of `name`; another one must be a part of it.
pub fn matches(pattern: &str, name: &str) -> bool {
    if pattern.contains(['*', '?']) {
        glob(pattern.as_bytes(), name.as_bytes())
    } else {
        name.contains(pattern)
    }
}

/// Goes back to the last `*` only, which is enough, so the time is bounded by the product of the lengths.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn set_up_is_shown_only_when_asked_for() {
        let mount = |flags: Value| json!({"type": "event", "event": "mount", "flags": flags});
        let filter = Filter::new(&[], None, None).unwrap();
        assert!(filter.passes(&mount(json!([]))));
        assert!(!filter.passes(&mount(json!(["runtime"]))));
        assert!(filter.with_setup(true).passes(&mount(json!(["runtime"]))));
    }

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("web", "my-web-1", true),
            ("web*", "my-web-1", false),
            ("*web*", "my-web-1", true),
            ("w?b", "web", true),
            ("w?b", "webb", false),
            ("*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaac", false),
            ("*", "", true),
            ("", "x", true),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    fn shown(containers: &[&str], kind: Option<&str>, severity: Option<Severity>) -> Vec<String> {
        let web = json!({"name": "web", "id": "abc", "pod": {"name": "front"}, "swarm": null});
        let records = [
            json!({"type": "event", "event": "exec", "container": web, "seq": "exec"}),
            json!({"type": "event", "event": "mount", "container": null, "seq": "host-mount"}),
            json!({"type": "event", "event": "future", "container": null, "seq": "future"}),
            json!({"type": "finding", "rule": {"severity": "warning"}, "container": web, "seq": "warning"}),
            json!({"type": "finding", "rule": {"severity": "info"}, "container": null, "seq": "info"}),
            json!({"type": "loss", "seq": "loss"}),
            json!({"type": "loss", "container": null, "seq": "host-loss"}),
            json!({"type": "status", "seq": "status"}),
            json!({"type": "posture", "container": web, "seq": "posture"}),
        ];
        let containers: Vec<String> = containers.iter().map(ToString::to_string).collect();
        let filter = Filter::new(&containers, kind, severity).unwrap();
        let passing = records.iter().filter(|r| filter.passes(r));
        passing.map(|r| r["seq"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn filters() {
        assert_eq!(shown(&[], None, None).len(), 9);
        assert_eq!(shown(&["fro*"], None, None), ["exec", "warning", "loss", "status", "posture"]);
        assert_eq!(shown(&["host"], Some("event"), None), ["host-mount", "loss", "host-loss"]);
        assert_eq!(shown(&[], Some("exec,status"), None), ["exec", "loss", "host-loss", "status"]);
        assert_eq!(shown(&[], None, Some(Severity::Warning)), ["warning", "loss", "host-loss"]);
        assert_eq!(shown(&["web"], Some("exec"), Some(Severity::Warning)), ["exec", "warning", "loss"]);
    }
}
