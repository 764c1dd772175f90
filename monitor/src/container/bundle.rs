//! Reads an OCI bundle's `config.json`: what the container was granted, and the annotations that name it.
//!
//! Only the fields that are used, and lenient: `null` counts as absent, unknown fields are skipped.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::capability::capability_set;
use super::host::read_file;
use super::{Declared, DeclaredDevice, DeclaredMount};

/// Why a bundle gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not an OCI configuration.
    #[error("{path} is not an OCI configuration: {source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// What a bundle says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// What the container is granted.
    pub declared: Declared,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Program of the runtime, as a shim of containerd's notes it beside the configuration.
    pub runtime: Option<String>,
}

/// Reads `config.json` in `directory`, which is where this process reaches the bundle; `named` is the host's
/// path for it.
pub fn read_bundle(directory: &Path, named: &Path) -> Result<Bundle, BundleError> {
    let path = directory.join("config.json");
    let bytes = match read_file(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(BundleError::Read { path, source }),
    };
    let bundle = parse_bundle(&bytes, named).map_err(|source| BundleError::Parse { path, source })?;
    Ok(Bundle { runtime: shim_runtime(directory), ..bundle })
}

/// What a shim was told to run: `WriteRuntime` in containerd's `runtime/v2/runc/container.go`. Told nothing, it writes
/// an empty file and runs runc.
fn shim_runtime(directory: &Path) -> Option<String> {
    let named = String::from_utf8(read_file(&directory.join("runtime")).ok()?).ok()?;
    Some(if named.is_empty() { "runc".to_owned() } else { named })
}

/// Reads the bytes of a `config.json` whose bundle is `directory`.
pub fn parse_bundle(bytes: &[u8], directory: &Path) -> Result<Bundle, serde_json::Error> {
    let config: Config = serde_json::from_slice(bytes)?;
    let Config { process, root, mounts, linux, annotations } = config;
    let mut declared = Declared {
        bundle: directory.display().to_string(),
        rootfs: directory.join(&root.path).display().to_string(),
        uid: process.user.uid,
        cap_bounding: capability_set(&process.capabilities.bounding),
        devices: devices(&linux.devices, &linux.resources.devices),
        masked_paths: linux.masked_paths,
        readonly_paths: linux.readonly_paths,
        seccomp: linux.seccomp.is_some(),
        no_new_privileges: process.no_new_privileges,
        cgroups_path: Some(linux.cgroups_path).filter(|path| !path.is_empty()),
        ..Declared::default()
    };
    for Namespace { kind, path } in linux.namespaces {
        if path.is_empty() {
            declared.new_namespaces.push(kind);
        } else {
            declared.joined_namespaces.push((kind, path));
        }
    }
    declared.mounts = mounts
        .into_iter()
        .map(|m| DeclaredMount {
            destination: m.destination,
            source: m.source,
            fstype: m.fstype,
            options: m.options,
        })
        .collect();
    Ok(Bundle { declared, annotations, runtime: None })
}

/// The devices that are made, and those that a rule allows; a rule that allows only `mknod` grants nothing.
fn devices(made: &[Device], rules: &[Device]) -> Vec<DeclaredDevice> {
    let allowed = rules.iter().filter(|rule| rule.allow && rule.access.chars().any(|c| c != 'm'));
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    made.iter()
        .chain(allowed)
        .map(|device| DeclaredDevice {
            block: match device.kind.as_str() {
                "b" => Some(true),
                "c" | "u" => Some(false),
                _ => None,
            },
            major: number(device.major),
            minor: number(device.minor),
        })
        .collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(deserialize_with = "nullable")]
    process: Process,
    #[serde(deserialize_with = "nullable")]
    root: Root,
    #[serde(deserialize_with = "nullable")]
    mounts: Vec<Mount>,
    #[serde(deserialize_with = "nullable")]
    linux: Linux,
    #[serde(deserialize_with = "nullable")]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Process {
    #[serde(deserialize_with = "nullable")]
    user: User,
    #[serde(deserialize_with = "nullable")]
    capabilities: Capabilities,
    #[serde(rename = "noNewPrivileges", deserialize_with = "nullable")]
    no_new_privileges: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "nullable")]
    uid: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    #[serde(deserialize_with = "nullable")]
    bounding: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Root {
    #[serde(deserialize_with = "nullable")]
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mount {
    #[serde(deserialize_with = "nullable")]
    destination: String,
    #[serde(deserialize_with = "nullable")]
    source: String,
    #[serde(rename = "type", deserialize_with = "nullable")]
    fstype: String,
    #[serde(deserialize_with = "nullable")]
    options: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Linux {
    #[serde(deserialize_with = "nullable")]
    namespaces: Vec<Namespace>,
    seccomp: Option<IgnoredAny>,
    #[serde(deserialize_with = "nullable")]
    devices: Vec<Device>,
    #[serde(deserialize_with = "nullable")]
    resources: Resources,
    #[serde(deserialize_with = "nullable")]
    masked_paths: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    readonly_paths: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    cgroups_path: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resources {
    #[serde(deserialize_with = "nullable")]
    devices: Vec<Device>,
}

/// A device to make, or a rule about devices.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Device {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    /// -1 or absent in a rule about all.
    major: Option<i64>,
    minor: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    allow: bool,
    #[serde(deserialize_with = "nullable")]
    access: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    path: String,
}

/// Go writes nil slices and maps as `null`.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration() {
        let text = br#"{"ociVersion":"1.0.2","process":{"user":{"uid":7,"gid":8},"noNewPrivileges":true,
            "capabilities":{"bounding":["CAP_CHOWN","CAP_KILL","CAP_FUTURE"],"effective":null}},
            "root":{"path":"rootfs","readonly":true},"hooks":{"prestart":[{"path":"/x"}]},
            "mounts":[{"destination":"/proc","type":"proc","source":"proc","options":null},
                      {"destination":"/d","type":"bind","source":"/s","options":["rbind","ro"]}],
            "linux":{"namespaces":[{"type":"mount"},{"type":"network","path":"/proc/1/ns/net"}],
                     "seccomp":{"defaultAction":"SCMP_ACT_ERRNO"},"maskedPaths":["/proc/kcore"],
                     "readonlyPaths":null,"cgroupsPath":"/t1"},
            "annotations":{"a":"b"}}"#;
        let bundle = parse_bundle(text, Path::new("/b")).expect("valid");
        let d = &bundle.declared;
        assert_eq!(
            (d.bundle.as_str(), d.rootfs.as_str(), d.uid, d.cap_bounding),
            ("/b", "/b/rootfs", 7, 0b10_0001)
        );
        assert_eq!(d.new_namespaces, ["mount"]);
        assert_eq!(d.joined_namespaces, [("network".to_owned(), "/proc/1/ns/net".to_owned())]);
        assert_eq!(d.mounts[1].options, ["rbind", "ro"]);
        assert!(d.seccomp && d.no_new_privileges && d.readonly_paths.is_empty());
        assert_eq!((d.masked_paths.len(), d.cgroups_path.as_deref()), (1, Some("/t1")));
        assert_eq!(bundle.annotations["a"], "b");
    }

    #[test]
    fn devices_that_are_granted() {
        let text = br#"{"linux":{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229}],
            "resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","access":"m"},
                {"allow":true,"type":"b","major":8,"minor":-1,"access":"r"},{"allow":true,"access":"rwm"}]}}}"#;
        let devices = parse_bundle(text, Path::new("/b")).expect("valid").declared.devices;
        let granted = |block, major, minor| devices.iter().any(|d| d.grants(block, major, minor));
        assert_eq!(devices.len(), 3);
        assert!(granted(false, 10, 229) && !granted(true, 10, 229) && !granted(false, 10, 200));
        assert!(granted(true, 8, 3) && !granted(true, 7, 0));
        assert!(devices[2].grants_all(true) && devices[2].grants_all(false) && !devices[1].grants_all(true));
    }

    #[test]
    fn odd_configurations() {
        for text in ["{}", r#"{"process":null,"mounts":null,"linux":{"namespaces":null,"seccomp":null}}"#] {
            let bundle = parse_bundle(text.as_bytes(), Path::new("/b")).expect("lenient");
            assert!(!bundle.declared.seccomp && bundle.declared.cgroups_path.is_none());
        }
        let deep = "[".repeat(100_000);
        for text in ["", "[]x", "{\"mounts\":3}", deep.as_str(), "\u{0}"] {
            assert!(parse_bundle(text.as_bytes(), Path::new("/b")).is_err());
        }
        let none = read_bundle(Path::new("/nonexistent"), Path::new("/n")).expect_err("no file");
        assert!(none.to_string().contains("/nonexistent/config.json"));
    }
}
