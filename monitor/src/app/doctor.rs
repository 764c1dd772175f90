//! `bulkhead doctor`: loads everything once, and shows sensor by sensor what this kernel allows.

use std::fmt::Write;

use serde_json::json;

use super::start::{self, Host};
use super::{read_object, selftest};
use crate::bpf::{self, Loaded, LoaderOptions};
use crate::cli::{self, DoctorArgs, OutputFormat};
use crate::diag::{Diagnostic, Exit};

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
    let text = match args.format {
        OutputFormat::Json => as_json(&loaded, &host),
        OutputFormat::Text => as_text(&loaded, &host),
    };
    cli::print(&text)?;
    Ok(Exit::Ok)
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn as_json(loaded: &Loaded, host: &Host) -> String {
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
    let mut text = json!({
        "kernel": kernel(),
        "cgroups": host.layout.name(),
        "self_test": "passed",
        "missing_fields": loaded.missing_fields,
        "lacking_fields": loaded.lacking_fields,
        "sensors": sensors,
    })
    .to_string();
    text.push('\n');
    text
}

/// Columns that the report keeps to.
const WIDTH: usize = 78;

fn as_text(loaded: &Loaded, host: &Host) -> String {
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
