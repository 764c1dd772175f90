//! The `container` and `process` objects.

use monitor_common::event::EventRef;
use monitor_common::policy::{KEY_MNT_NS, KEY_V1};

use super::writer::Writer;
use crate::container::{Container, ContainerKey, Engine, Status};
use crate::output::record::Subject;
use crate::output::time::Clock;

/// Labels of one container in the output.
const MAX_LABELS: usize = 64;

/// Id of the container's top cgroup; `None` for a container that is known by its mount namespace.
fn cgroup_id(key: ContainerKey) -> Option<u64> {
    (key.0 & KEY_V1 != 0 || key.0 & KEY_MNT_NS == 0).then_some(key.0 & !KEY_V1)
}

/// `"container":…`, null for the host.
pub(super) fn container(w: &mut Writer<'_>, container: Option<&Container>) {
    let Some(container) = container else {
        return w.null("container");
    };
    let identity = &container.identity;
    let (status, reason) = match &container.status {
        Status::Pending => ("pending", None),
        Status::Resolved => ("resolved", None),
        Status::Unknown(reason) => ("unknown", Some(reason.as_str())),
    };
    w.key("container");
    w.open();
    w.text("status", status);
    for (name, value) in [
        ("id", &identity.id),
        ("name", &identity.name),
        ("image", &identity.image),
        ("runtime", &identity.runtime),
    ] {
        w.optional(name, value.as_deref());
    }
    w.optional("engine", identity.engine.map(Engine::name));
    labels(w, container);
    match &identity.pod {
        Some(pod) => {
            w.key("pod");
            w.open();
            w.text("name", &pod.name);
            w.text("namespace", &pod.namespace);
            w.text("uid", &pod.uid);
            w.close();
        }
        None => w.null("pod"),
    }
    match &identity.swarm {
        Some(swarm) => {
            w.key("swarm");
            w.open();
            w.text("service", &swarm.service);
            w.text("task", &swarm.task);
            w.close();
        }
        None => w.null("swarm"),
    }
    match cgroup_id(container.key) {
        Some(id) => w.field("cgroup_id", id),
        None => w.null("cgroup_id"),
    }
    w.optional("reason", reason);
    w.close();
}

fn labels(w: &mut Writer<'_>, container: &Container) {
    let labels = &container.identity.labels;
    w.key("labels");
    w.open();
    for (name, value) in labels.iter().take(MAX_LABELS) {
        w.string(name);
        w.colon();
        w.string(value);
    }
    w.close();
    if labels.len() > MAX_LABELS {
        w.mark("labels", "_truncated");
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
}

/// `"process":…`: ids from the record's header, the rest from the process table.
pub(super) fn process(w: &mut Writer<'_>, subject: &Subject<'_>, event: &EventRef<'_>, clock: Clock) {
    let header = &event.header;
    w.key("process");
    w.open();
    w.field("pid", header.pid);
    w.field("tid", header.tid);
    match subject.process {
        Some(process) => {
            w.field("ppid", process.ppid);
            w.bytes("exe", &process.exe);
            w.list("argv", process.argv.iter().map(Vec::as_slice), false);
            w.bytes("cwd", &process.cwd);
        }
        None => ["ppid", "exe", "argv", "cwd"].into_iter().for_each(|name| w.null(name)),
    }
    w.field("uid", header.uid);
    w.field("euid", header.euid);
    match subject.process {
        Some(process) => {
            w.field("gid", process.gid);
            w.key("caps_effective");
            w.hex(process.cap_effective);
        }
        None => ["gid", "caps_effective"].into_iter().for_each(|name| w.null(name)),
    }
    w.key("started");
    w.quoted(|out| clock.rfc3339(header.started, out));
    w.key("ancestors");
    w.open_list();
    for ancestor in subject.ancestors {
        w.open();
        w.field("pid", ancestor.key.pid);
        w.bytes("exe", &ancestor.exe);
        w.list("argv", ancestor.argv.iter().map(Vec::as_slice), false);
        w.close();
    }
    w.close_list();
    w.close();
}
