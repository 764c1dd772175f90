//! What only a `posture` record has.

use super::words;
use super::writer::Writer;
use crate::container::Container;
use crate::detect::Severity;
use crate::output::record::Posture;
use crate::posture::{Finding, Grant, Item};

pub(super) fn write(w: &mut Writer<'_>, container: &Container, posture: &Posture<'_>) {
    w.field("pid", posture.pid);
    w.text("cgroup_path", &container.cgroup_path);
    w.optional("config", posture.config);
    w.optional("unread", posture.unread);
    w.optional("worst", posture.worst().map(Severity::name));
    w.key("findings");
    w.open_list();
    for found in posture.findings {
        finding(w, found);
    }
    w.close_list();
    if posture.grants.is_empty() {
        return;
    }
    w.key("grants");
    w.open_list();
    for granted in posture.grants {
        grant(w, granted);
    }
    w.close_list();
}

fn finding(w: &mut Writer<'_>, finding: &Finding) {
    let check = finding.check;
    w.open();
    w.text("id", check.id);
    w.text("title", check.title);
    w.text("severity", finding.severity.name());
    words(w, "rows", check.rows);
    words(w, "cis", check.cis);
    words(w, "pss", check.pss);
    w.key("checklist");
    w.open_list();
    for point in check.checklist {
        w.number(*point);
    }
    w.close_list();
    w.text("change", check.change);
    w.key("items");
    w.open_list();
    for granted in &finding.items {
        item(w, granted);
    }
    w.close_list();
    w.close();
}

fn item(w: &mut Writer<'_>, item: &Item) {
    w.open();
    w.text("severity", item.severity.name());
    w.text("what", &item.what);
    w.optional("declared", item.declared.as_deref());
    w.text("observed", &item.observed);
    w.text("source", &item.source.to_string());
    w.close();
}

fn grant(w: &mut Writer<'_>, grant: &Grant) {
    w.open();
    w.text("kind", grant.kind);
    w.text("name", &grant.name);
    w.optional("declared", grant.declared.as_deref());
    w.text("observed", &grant.observed);
    w.text("verdict", grant.verdict.severity.map_or("ok", Severity::name));
    words(w, "checks", &grant.verdict.checks);
    w.close();
}
