//! `bulkhead doctor`: loads everything once, and shows sensor by sensor what this kernel allows.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use super::start::{self, Host};
use super::{kmsg, no_resources, read_object, selftest};
use crate::bpf::{self, Loaded, LoaderOptions};
use crate::cli::{self, DoctorArgs, OutputFormat};
use crate::diag::{Diagnostic, Exit};
use crate::engine::{Endpoint, EngineKind, Fault, Probe, node_name, probe, usual};
use crate::output::escape;

/// Says what each sensor gets on this kernel, and what is therefore not seen.
///
/// # Errors
/// Everything that keeps it from finding out.
pub fn doctor(args: &DoctorArgs) -> Result<Exit, Diagnostic> {
    start::require_privileges()?;
    start::raise_memlock();
    let host = Host::read()?;
    let object = read_object(args.object.as_deref())?;
    let options = LoaderOptions {
        object: &object,
        config: host.config,
        max_rung: start::max_rung(args.rung),
        cgroup_root: host.layout.v2_mount(),
        map_limits: &[],
        pins: None,
        without_fields: &args.without_field,
    };
    let kernel = bpf::load(&options, |_, _| Ok(())).map_err(|e| start::explain(&e))?;
    let mut loaded = kernel.loaded;
    selftest(&mut loaded, &host)?;
    kmsg::open(&mut loaded);
    let engines = ask_engines(args)?;
    let text = match args.format {
        OutputFormat::Json => as_json(&loaded, &host, &engines),
        OutputFormat::Text => as_text(&loaded, &host, &engines),
    };
    cli::print(&text)?;
    Ok(Exit::Ok)
}

/// An engine that was asked, and what came of it.
type Asked = (Endpoint, Result<Probe, Fault>);

/// Asks every engine that there is, or that somebody named.
fn ask_engines(args: &DoctorArgs) -> Result<Vec<Asked>, Diagnostic> {
    let found = if args.no_engines { Vec::new() } else { usual(Path::new("/run")) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_resources)?;
    let mut out: Vec<Asked> = Vec::new();
    for endpoint in args.engines.iter().cloned().chain(found) {
        if out.iter().any(|(known, _)| known.kind == endpoint.kind && known.socket == endpoint.socket) {
            continue;
        }
        let result = runtime.block_on(probe(&endpoint, &node_name(None)));
        let absent = result.as_ref().is_err_and(Fault::is_absent);
        if endpoint.given || !absent {
            out.push((endpoint, result));
        }
    }
    // Nobody waits for a name that is being looked up.
    runtime.shutdown_background();
    Ok(out)
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn as_json(loaded: &Loaded, host: &Host, engines: &[Asked]) -> String {
    let sensors: Vec<_> = loaded
        .sensors
        .iter()
        .map(|s| {
            json!({
                "sensor": s.sensor.name,
                "about": s.sensor.about,
                "rung": s.rung.map(|r| r.level.name()),
                "unseen": s.rung.map_or(s.sensor.about, |r| r.unseen),
                "left_out": s.left_out,
                "refused": s.refused,
            })
        })
        .collect();
    let engines: Vec<_> = engines
        .iter()
        .map(|(endpoint, result)| {
            let found = result.as_ref().ok();
            json!({
                "engine": endpoint.kind.name(),
                "socket": endpoint.socket.to_string_lossy(),
                "version": found.map(|probe| &probe.version),
                "containers": found.map(|probe| probe.containers),
                "owner": found.map(|probe| probe.owner),
                "reason": result.as_ref().err().map(ToString::to_string),
            })
        })
        .collect();
    let mut text = json!({
        "kernel": kernel(),
        "cgroups": host.layout.name(),
        "self_test": "passed",
        "missing_fields": loaded.missing_fields,
        "lacking_fields": loaded.lacking_fields,
        "sensors": sensors,
        "engines": engines,
    })
    .to_string();
    text.push('\n');
    text
}

/// Columns that the report keeps to.
const WIDTH: usize = 78;

fn as_text(loaded: &Loaded, host: &Host, engines: &[Asked]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "kernel {}, cgroups {}, self-test passed\n", kernel(), host.layout.name());
    let mut why = Vec::new();
    for s in &loaded.sensors {
        let rung = s.rung.map_or("NONE", |r| r.level.name());
        let _ = writeln!(out, "{:14} {:11} {}", s.sensor.name, rung, s.sensor.about);
        let unseen = s.rung.map_or("everything above", |r| r.unseen);
        wrap(&mut out, COLUMN, "unseen: ", unseen);
        if !s.left_out.is_empty() {
            wrap(&mut out, COLUMN, "left out: ", &s.left_out.join(", "));
        }
        for reason in &s.refused {
            if !why.contains(reason) {
                why.push(reason.clone());
            }
        }
    }
    out.push_str("\nEngines that name containers:\n");
    if engines.is_empty() {
        wrap(&mut out, 2, "", "none: containers are named by files alone");
    }
    for (endpoint, result) in engines {
        let said = match result {
            Ok(probe) if endpoint.kind == EngineKind::Kubernetes => {
                format!("version {}, {} pods on this node", probe.version, probe.containers)
            }
            Ok(probe) => format!("version {}, {} containers run", probe.version, probe.containers),
            Err(fault) => fault.to_string(),
        };
        let mut shown = String::new();
        escape::terminal(&mut shown, &said);
        let socket = endpoint.socket.display();
        wrap(&mut out, 2, "", &format!("{} at {socket}: {shown}", endpoint.kind.name()));
    }
    if !why.is_empty() {
        out.push_str("\nWhy not a better rung:\n");
        for reason in why {
            wrap(&mut out, 2, "", &reason);
        }
    }
    if !loaded.missing_fields.is_empty() {
        out.push_str("\nKernel fields that this kernel does not have (others are used instead):\n");
        wrap(&mut out, 2, "", &loaded.missing_fields.join(", "));
    }
    if !loaded.lacking_fields.is_empty() {
        out.push_str("\nKernel fields that this kernel lacks; what needs them is not attached:\n");
        for field in &loaded.lacking_fields {
            wrap(&mut out, 2, "", field);
        }
    }
    out
}

/// Where the third column begins.
const COLUMN: usize = 27;

/// Adds a paragraph that is indented by so many columns.
fn wrap(out: &mut String, indent: usize, label: &str, text: &str) {
    let mut column = indent + label.len();
    let _ = write!(out, "{:indent$}{label}", "");
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 && column + 1 + word.len() > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if n > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}
