//! `docs/posture.md`: every check of `bulkhead posture`, from the table that it judges by.

use std::fmt::Write;

use monitor::posture::{CHECKS, Check, check};

use super::{GENERATED, head, row, slug};

/// The page.
pub(crate) fn page() -> String {
    let mut page = format!(
        "# Posture\n\n{GENERATED}\n\
         What `bulkhead posture`, and `bulkhead run` as containers start, check of each container ([guide](guide.md#what-each-container-was-granted-posture)). \
         Ids are rows of `docs/catalogue.tsv`; those that begin with X compare what the OCI configuration declared with what \
         the kernel shows. The severity is the highest that a check reports; the text says how cases are rated. CIS is the \
         Docker Benchmark 1.6.0, PSS the Kubernetes Pod Security Standards with the profile, and the last column the points \
         of the [practitioner's checklist](guide.md#the-practitioners-checklist).\n"
    );
    page.push_str(&head(&["Id", "Severity", "Title", "Rows", "CIS", "PSS", "Checklist"]));
    for check in CHECKS {
        let link = format!("[{}](#{})", check.id, slug(&heading(check)));
        let points: Vec<String> = check.checklist.iter().map(u8::to_string).collect();
        page.push_str(&row(&[
            &link,
            check.severity.name(),
            check.title,
            &check.rows.join(", "),
            &check.cis.join(", "),
            &check.pss.join(", "),
            &points.join(", "),
        ]));
    }
    for check in CHECKS {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n**What to change.** {}\n",
            heading(check),
            check.what,
            check.change
        );
    }
    page
}

fn heading(check: &Check) -> String {
    format!("{}: {}", check.id, check.title)
}

/// The part of `docs/coverage.md` about rows that are a state and no act, each with what it is. The checks are proved by
/// tests of their own, and by the check `posture` of the scenarios, which `docs/proofs.tsv` does not count.
pub(crate) fn granted<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut part = String::from(
        "\n## Rows that `bulkhead posture` reports\n\nWhat a container was granted, read once and without a daemon: \
         [posture.md](posture.md). Proved by unit tests of each row with its quiet twin, and as far as runc, Docker, \
         Podman and containerd can be asked for it by the checks `posture` and `granted_at_start` of the scenarios; neither is counted by kernel or rung.\n",
    );
    part.push_str(&head(&["Row", "Behaviour", "Highest severity"]));
    for (id, text) in rows {
        let severity = check::find(id).map_or("", |check| check.severity.name());
        part.push_str(&row(&[id, text, severity]));
    }
    part
}
