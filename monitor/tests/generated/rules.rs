//! `docs/rules.md`: every rule, from the table that `bulkhead rules` shows.

use std::fmt::Write;

use monitor::detect::RULES;

use super::{GENERATED, head, row, slug};

/// The page.
pub(crate) fn page() -> String {
    let mut page = format!(
        "# Rules\n\n{GENERATED}\n\
         What is checked, and when a finding is benign; `bulkhead rules explain ID` shows the same. The severity is \
         that of the ordinary case: an act that the kernel denied, or one that is common in some images, is rated \
         lower, and the text says so. `--disable-rule ID` leaves a rule out, or all rules of an invariant.\n"
    );
    page.push_str(&head(&["Id", "Severity", "Title", "Behaviours", "ATT&CK", "Invariant"]));
    for rule in RULES {
        let link = format!("[{}](#{})", rule.id, slug(&heading(rule.id, rule.title)));
        let (behaviours, attack) = (rule.behaviours.join(", "), rule.attack.join(", "));
        let invariant = rule.invariant.unwrap_or("");
        page.push_str(&row(&[&link, rule.severity.name(), rule.title, &behaviours, &attack, invariant]));
    }
    for rule in RULES {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n**When it is benign.** {}\n",
            heading(rule.id, rule.title),
            rule.what,
            rule.benign
        );
    }
    page
}

fn heading(id: &str, title: &str) -> String {
    format!("{id}: {title}")
}
