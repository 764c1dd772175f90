//! What engines keep on disk about a container besides its bundle: Docker's `config.v2.json`, and the list of
//! containers of the storage that Podman and CRI-O share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::bundle::nullable;
use super::host::{HostPaths, read_file};
use super::{Declared, Identity, identity};

/// Fills name, image and labels from Docker's own configuration of container `id`, found beside the files
/// that Docker mounts into every container.
pub(super) fn docker(host: &HostPaths, id: &str, declared: &Declared, into: &mut Identity) -> bool {
    declared.mounts.iter().any(|mount| {
        let usual = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&mount.destination.as_str());
        usual
            && docker_home(Path::new(&mount.source), id)
                .is_some_and(|home| docker_config(host, &home, id, into))
    })
}

/// `ROOT/containers/ID` for a file of this or another container: those that share a network share the files.
fn docker_home(source: &Path, id: &str) -> Option<PathBuf> {
    let containers = source.parent()?.parent()?;
    (containers.file_name()? == "containers" && !id.contains('/')).then(|| containers.join(id))
}

fn docker_config(host: &HostPaths, home: &Path, id: &str, into: &mut Identity) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct File {
        #[serde(rename = "ID")]
        id: String,
        #[serde(default, deserialize_with = "nullable")]
        name: String,
        #[serde(default, deserialize_with = "nullable")]
        config: Config,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Config {
        #[serde(deserialize_with = "nullable")]
        image: String,
        #[serde(deserialize_with = "nullable")]
        labels: BTreeMap<String, String>,
    }
    let Ok(bytes) = read_file(&host.path(&home.join("config.v2.json"))) else { return false };
    let Ok(file) = serde_json::from_slice::<File>(&bytes) else { return false };
    // A user of Docker may mount any file there: it counts only if it is this container's.
    if file.id != id {
        return false;
    }
    let name = file.name.trim_start_matches('/');
    into.name = Some(name.to_owned()).filter(|name| !name.is_empty());
    into.image = Some(file.config.image).filter(|image| !image.is_empty());
    identity::fill(into, &file.config.labels);
    true
}

/// Fills name and image from the storage's list, `../../containers.json` of a bundle `DIR/<id>/userdata`.
pub(super) fn storage(host: &HostPaths, id: &str, bundle: &Path, into: &mut Identity) {
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default, deserialize_with = "nullable")]
        names: Vec<String>,
        #[serde(default, deserialize_with = "nullable")]
        metadata: String,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(rename = "image-name", default, deserialize_with = "nullable")]
        image: String,
    }
    let Some(directory) = bundle.parent().and_then(Path::parent) else { return };
    for file in ["containers.json", "volatile-containers.json"] {
        let Ok(bytes) = read_file(&host.path(&directory.join(file))) else { continue };
        let Ok(entries) = serde_json::from_slice::<Vec<Entry>>(&bytes) else { continue };
        let Some(entry) = entries.into_iter().find(|entry| entry.id == id) else { continue };
        let metadata: Metadata = serde_json::from_str(&entry.metadata).unwrap_or_default();
        // What it was started as may not be what it is called now.
        into.name = entry.names.into_iter().next().or_else(|| into.name.take());
        into.image = into.image.take().or(Some(metadata.image).filter(|image| !image.is_empty()));
        return;
    }
}
