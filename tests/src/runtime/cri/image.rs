//! The image of the containers and of the pods' sandboxes, as an archive that `ctr images import` takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::json;

use crate::process;
use crate::runtime::{Env, image};

/// Its name. The domain is one that does not exist (RFC 2606).
pub const NAME: &str = "registry.example/bulkhead/scenarios:1";

/// Writes it: a layer, its configuration, and the list of both (the format of `docker save`).
pub(super) fn archive(env: &Env, folder: &Path) -> anyhow::Result<PathBuf> {
    let parts = folder.join("image");
    fs::create_dir_all(&parts)?;
    let layer = image(env)?;
    fs::copy(&layer, parts.join("layer.tar"))?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        // A sandbox runs it as it is; containers are told what to run.
        "config": { "Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(env, &layer)?)] },
    });
    fs::write(parts.join("config.json"), config.to_string())?;
    let manifest = json!([{ "Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"] }]);
    fs::write(parts.join("manifest.json"), manifest.to_string())?;
    let archive = folder.join("image.tar");
    let mut command = Command::new("tar");
    command.arg("-C").arg(&parts).arg("-cf").arg(&archive).args([
        "manifest.json",
        "config.json",
        "layer.tar",
    ]);
    process::run(&mut command, env.limit)?;
    Ok(archive)
}

fn sha256(env: &Env, file: &Path) -> anyhow::Result<String> {
    let said = process::run(Command::new("sha256sum").arg(file), env.limit)?;
    Ok(said.split_whitespace().next().context("no hash")?.to_owned())
}
