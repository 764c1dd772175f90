//! Watches for the records of the start-up canary: proof that each sensor's way is open from hook to decoder.

use std::collections::BTreeSet;

use monitor_common::event::EventRef;
use monitor_common::event::field::FieldType;

/// The canaries that have come back.
#[derive(Debug, Default)]
pub struct CanaryWatch {
    seen: BTreeSet<String>,
}

impl CanaryWatch {
    /// Takes a record of the canary process.
    pub(super) fn see(&mut self, ev: &EventRef<'_>) {
        let (kind, op) = super::canary_name(ev);
        self.seen.insert(kind.to_owned());
        let Some(op) = op else { return };
        let names = ev.kind.fields().iter().find(|f| f.name == "op").map(|f| f.ty);
        if let Some(FieldType::Choice(names)) = names
            && let Some((_, name)) = names.iter().find(|(n, _)| *n == u64::from(op))
        {
            self.seen.insert(format!("{kind}.{name}"));
        }
    }

    /// True if the canary of this name, as the probe table has it, has come back.
    pub fn has(&self, name: &str) -> bool {
        self.seen.contains(name)
    }
}
