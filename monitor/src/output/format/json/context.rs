//! The `container` and `process` objects.
//!
//! What does not change from one record to the next is rendered once and kept: a container until its identity
//! changes, a program as long as somebody runs it.

use std::collections::BTreeMap;

use monitor_common::event::EventRef;
use monitor_common::policy::{KEY_MNT_NS, KEY_V1};

use super::fragments::Fragments;
use super::writer::Writer;
use crate::container::{Container, ContainerKey, Engine, Qos, Status};
use crate::output::record::Subject;
use crate::output::time::Clock;
use crate::process::Program;

/// Labels of one container in the output.
const MAX_LABELS: usize = 64;

/// Id of the container's top cgroup; `None` for a container that is known by its mount namespace.
fn cgroup_id(key: ContainerKey) -> Option<u64> {
    (key.0 & KEY_V1 != 0 || key.0 & KEY_MNT_NS == 0).then_some(key.0 & !KEY_V1)
}

/// The objects that were rendered already.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    containers: Fragments,
    programs: Fragments,
}

/// `"container":…`, null for the host.
pub(super) fn container(w: &mut Writer<'_>, container: Option<&Container>) {
    match container {
        Some(container) => {
            w.key("container");
            object(w, container);
        }
        None => w.null("container"),
    }
}

fn object(w: &mut Writer<'_>, container: &Container) {
    let identity = &container.identity;
    let (status, reason) = match &container.status {
        Status::Pending => ("pending", None),
        Status::Resolved => ("resolved", None),
        Status::Unknown(reason) => ("unknown", Some(reason.as_str())),
    };
    w.open();
    w.text("status", status);
    for (name, value) in [
        ("id", &identity.id),
        ("name", &identity.name),
        ("image", &identity.image),
        ("image_id", &identity.image_id),
        ("image_digest", &identity.image_digest),
        ("runtime", &identity.runtime),
    ] {
        w.optional(name, value.as_deref());
    }
    w.optional("engine", identity.engine.map(Engine::name));
    labels(w, "labels", &identity.labels);
    match &identity.pod {
        Some(pod) => {
            w.key("pod");
            w.open();
            w.text("name", &pod.name);
            w.text("namespace", &pod.namespace);
            w.text("uid", &pod.uid);
            w.optional("qos", pod.qos.map(Qos::name));
            w.optional("sandbox", pod.sandbox.as_deref());
            match pod.attempt {
                Some(attempt) => w.field("attempt", attempt),
                None => w.null("attempt"),
            }
            match &pod.owner {
                Some(owner) => {
                    w.key("owner");
                    w.open();
                    w.text("kind", &owner.kind);
                    w.text("name", &owner.name);
                    w.close();
                }
                None => w.null("owner"),
            }
            w.optional("node", pod.node.as_ref().map(|node| node.name.as_str()));
            labels(w, "labels", &pod.labels);
            w.close();
        }
        None => w.null("pod"),
    }
    match &identity.swarm {
        Some(swarm) => {
            w.key("swarm");
            w.open();
            for (name, value) in [
                ("service", &swarm.service),
                ("service_id", &swarm.service_id),
                ("task", &swarm.task),
                ("task_id", &swarm.task_id),
                ("node", &swarm.node),
                ("node_id", &swarm.node_id),
                ("stack", &swarm.stack),
            ] {
                w.text(name, value);
            }
            w.close();
        }
        None => w.null("swarm"),
    }
    match &identity.compose {
        Some(compose) => {
            w.key("compose");
            w.open();
            w.text("project", &compose.project);
            w.text("service", &compose.service);
            w.close();
        }
        None => w.null("compose"),
    }
    match cgroup_id(container.key) {
        Some(id) => w.field("cgroup_id", id),
        None => w.null("cgroup_id"),
    }
    w.optional("reason", reason);
    w.close();
}

fn labels(w: &mut Writer<'_>, key: &'static str, labels: &BTreeMap<String, String>) {
    w.key(key);
    w.open();
    for (name, value) in labels.iter().take(MAX_LABELS) {
        w.string(name);
        w.colon();
        w.string(value);
    }
    w.close();
    if labels.len() > MAX_LABELS {
        w.mark(key, "_truncated");
    }
}

/// What only a `container` record has.
pub(super) fn particulars(w: &mut Writer<'_>, container: &Container, clock: Clock) {
    w.text("cgroup_path", &container.cgroup_path);
    w.optional("bundle", container.declared.as_ref().map(|d| d.bundle.as_str()));
    match &container.baseline {
        Some(baseline) => {
            w.key("entered");
            w.quoted(|out| clock.rfc3339(baseline.entered, out));
        }
        None => w.null("entered"),
    }
    match &container.identity.pod {
        Some(pod) => labels(w, "pod_annotations", &pod.annotations),
        None => w.null("pod_annotations"),
    }
    match container.identity.pod.as_ref().and_then(|pod| pod.node.as_ref()) {
        Some(node) => labels(w, "node_labels", &node.labels),
        None => w.null("node_labels"),
    }
    w.key("mismatches");
    w.open_list();
    for mismatch in &container.mismatches {
        w.open();
        w.text("engine", &mismatch.engine);
        w.text("what", mismatch.what);
        w.text("said", &mismatch.said);
        w.text("observed", &mismatch.observed);
        w.close();
    }
    w.close_list();
}

/// `,"container":…,"process":…`: ids from the record's header, the rest from the tables.
pub(super) fn who(
    w: &mut Writer<'_>,
    kept: &mut Kept,
    subject: &Subject<'_>,
    event: &EventRef<'_>,
    clock: Clock,
) {
    w.literal(",\"container\":");
    match subject.container {
        Some(container) => {
            let render = |out: &mut Vec<u8>| {
                object(&mut Writer::new(out), container);
                0
            };
            w.piece(kept.containers.get(container.revision, render).0);
        }
        None => w.literal("null"),
    }
    let header = &event.header;
    w.literal(",\"process\":{\"pid\":");
    w.unsigned(header.pid.into());
    w.literal(",\"tid\":");
    w.unsigned(header.tid.into());
    w.literal(",\"ppid\":");
    match subject.process {
        Some(process) => {
            w.unsigned(process.ppid.into());
            w.literal(",");
            w.piece(program(kept, &process.program).0);
        }
        None => w.literal("null,\"exe\":null,\"argv\":null,\"cwd\":null"),
    }
    w.literal(",\"uid\":");
    w.unsigned(header.uid.into());
    w.literal(",\"euid\":");
    w.unsigned(header.euid.into());
    w.literal(",\"gid\":");
    match subject.process {
        Some(process) => {
            w.unsigned(process.gid.into());
            w.literal(",\"caps_effective\":");
            w.hex_digits(process.cap_effective);
        }
        None => w.literal("null,\"caps_effective\":null"),
    }
    w.literal(",\"started\":\"");
    clock.rfc3339(header.started, w.out());
    w.literal("\",\"ancestors\":[");
    for (at, ancestor) in subject.ancestors.iter().enumerate() {
        w.literal(if at == 0 { "{\"pid\":" } else { ",{\"pid\":" });
        w.unsigned(ancestor.key.pid.into());
        w.literal(",");
        let (piece, without_cwd) = program(kept, &ancestor.program);
        w.piece(&piece[..without_cwd]);
        w.literal("}");
    }
    w.literal("]}");
}

/// `"exe":…,"argv":…,"cwd":…`, and where the part without `cwd` ends.
fn program<'k>(kept: &'k mut Kept, program: &Program) -> (&'k [u8], usize) {
    kept.programs.get(program.id, |out| {
        let mut w = Writer::new(out);
        if program.exe.is_empty() && program.argv.is_empty() {
            ["exe", "argv"].into_iter().for_each(|name| w.null(name));
            let end = w.out().len();
            w.null("cwd");
            return end;
        }
        w.bytes("exe", &program.exe);
        w.list("argv", program.argv.iter().map(Vec::as_slice), program.argv_cut);
        let end = w.out().len();
        w.bytes("cwd", &program.cwd);
        end
    })
}
