//! An OCI runtime for engines on machines whose root lacks CAP_SYS_RESOURCE: takes out of the configuration what the
//! kernel would refuse, then becomes the real runtime.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Resource;
use serde_json::Value;

/// The runner's first word when it is called by the script.
pub const WORD: &str = "--oci-shim";

/// What a pure version 2 layout can limit; it is nowhere else.
const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.controllers";

/// Writes the script that engines call.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(work: &Path, real: &Path) -> anyhow::Result<PathBuf> {
    let script = work.join("runc-with-less");
    let own = std::env::current_exe()?;
    let text = format!("#!/bin/sh\nexec '{}' {WORD} '{}' \"$@\"\n", own.display(), real.display());
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// Becomes the real runtime: the first of `words`, with the others as its arguments.
///
/// # Errors
/// The configuration cannot be rewritten, or the runtime cannot be executed.
pub fn become_runtime(words: &[OsString]) -> anyhow::Result<()> {
    let (real, args) = words.split_first().context("the runtime's path is missing")?;
    if let Some(file) = configuration(args)
        && file.is_file()
    {
        let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
        if lacks_controllers(&fs::read_to_string(CONTROLLERS).unwrap_or_else(|_| "cpu".to_owned())) {
            keep_devices(&mut config);
        }
        let limit = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        lessen(&mut config, limit);
        fs::write(&file, serde_json::to_vec(&config)?)?;
    }
    Err(Command::new(real).args(args).exec()).context("cannot execute the runtime")
}

/// The file that tells what to run: of the bundle for `create` and `run`, of the process for `exec`.
fn configuration(args: &[OsString]) -> Option<PathBuf> {
    let value = |long: &str, short: &str| {
        args.iter().enumerate().find_map(|(at, word)| {
            let word = word.to_string_lossy();
            match word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
                Some(value) => Some(PathBuf::from(value)),
                None if word == long || word == short => args.get(at + 1).map(PathBuf::from),
                None => None,
            }
        })
    };
    value("--process", "-p").or_else(|| value("--bundle", "-b").map(|bundle| bundle.join("config.json")))
}

fn lessen(config: &mut Value, limit: u64) {
    // `exec` gives the process alone.
    let process = if config.get("process").is_some() { &mut config["process"] } else { config };
    if let Some(process) = process.as_object_mut() {
        process.remove("oomScoreAdj");
    }
    if let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) {
        for names in sets.values_mut().filter_map(Value::as_array_mut) {
            names.retain(|name| name != "CAP_SYS_RESOURCE");
        }
    }
    let limits = process.get_mut("rlimits").and_then(Value::as_array_mut);
    for rlimit in limits.into_iter().flatten().filter(|rlimit| rlimit["type"] == "RLIMIT_NOFILE") {
        for name in ["hard", "soft"] {
            let asked = rlimit[name].as_u64().unwrap_or(limit);
            rlimit[name] = asked.min(limit).into();
        }
    }
}

/// True where version 1 has the controllers, and a view of version 2 alone has none.
fn lacks_controllers(controllers: &str) -> bool {
    !controllers.split_whitespace().any(|name| name == "cpu")
}

/// Of all limits only those of devices, which need no controller.
fn keep_devices(config: &mut Value) {
    let resources = config.pointer_mut("/linux/resources").and_then(Value::as_object_mut);
    if let Some(resources) = resources {
        resources.retain(|name, _| name == "devices");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn asks_for_less() {
        let process = json!({
            "oomScoreAdj": -998,
            "capabilities": { "bounding": ["CAP_SYS_RESOURCE", "CAP_KILL"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1_000_000, "soft": 10 }],
        });
        let wanted = json!({
            "capabilities": { "bounding": ["CAP_KILL"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 20, "soft": 10 }],
        });
        let mut alone = process.clone();
        lessen(&mut alone, 20);
        assert_eq!(alone, wanted);
        let mut whole = json!({ "process": process });
        lessen(&mut whole, 20);
        assert_eq!(whole["process"], wanted);
    }

    #[test]
    fn limits_without_controllers() {
        assert!(
            lacks_controllers("") && lacks_controllers("hugetlb\n") && !lacks_controllers("cpuset cpu io\n")
        );
        let mut config = json!({ "linux": { "resources": { "cpu": { "shares": 2 }, "devices": [] } } });
        keep_devices(&mut config);
        assert_eq!(config, json!({ "linux": { "resources": { "devices": [] } } }));
    }

    #[test]
    fn finds_the_configuration() {
        let check = |words: &[&str], wanted: Option<&str>| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(configuration(&words), wanted.map(PathBuf::from));
        };
        check(&["--root", "r", "create", "--bundle", "b", "id"], Some("b/config.json"));
        check(&["exec", "--process=p.json", "id"], Some("p.json"));
        check(&["delete", "id"], None);
    }
}
