//! The OCI configuration as a document, so that what it grants can be named by its JSON pointer (RFC 6901).

use serde_json::Value;

use crate::container::capability_bit;

/// Elements of one list that are looked at.
const MAX_ELEMENTS: usize = 4096;

/// Pointer of what is declared of the root file system.
pub(super) const ROOT: &str = "/root";

/// A `config.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The host's path of the file.
    pub path: String,
    value: Value,
}

/// A mount as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredMount<'a> {
    pub(super) pointer: String,
    pub(super) destination: &'a str,
    pub(super) source: &'a str,
    pub(super) fstype: &'a str,
    pub(super) options: Vec<&'a str>,
}

impl DeclaredMount<'_> {
    pub(super) fn is_bind(&self) -> bool {
        self.fstype == "bind" || self.options.iter().any(|option| ["bind", "rbind"].contains(option))
    }
}

/// A device that is made or allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredDevice<'a> {
    pub(super) pointer: String,
    /// `None` for both kinds.
    pub(super) block: Option<bool>,
    /// `None` for all.
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) path: &'a str,
}

impl DeclaredDevice<'_> {
    pub(super) fn is_all(&self) -> bool {
        self.major.is_none()
    }

    pub(super) fn grants(&self, block: bool, major: u32, minor: u32) -> bool {
        self.block.is_none_or(|b| b == block)
            && self.major == Some(major)
            && self.minor.is_none_or(|m| m == minor)
    }
}

impl Config {
    /// Reads the bytes of the file at `path`.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self { path: path.to_owned(), value: serde_json::from_slice(bytes)? })
    }

    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or_default()
    }

    fn list<'a>(&'a self, pointer: &str) -> impl Iterator<Item = (String, &'a Value)> {
        let list = self.at(pointer).as_array().map(Vec::as_slice).unwrap_or_default();
        let pointer = pointer.to_owned();
        list.iter().take(MAX_ELEMENTS).enumerate().map(move |(n, value)| (format!("{pointer}/{n}"), value))
    }

    /// The strings of a list, each with its pointer.
    pub(super) fn strings(&self, pointer: &str) -> Vec<(String, &str)> {
        self.list(pointer).filter_map(|(pointer, value)| Some((pointer, value.as_str()?))).collect()
    }

    /// The names and strings of an object, each with its pointer.
    pub(super) fn entries(&self, pointer: &str) -> Vec<(String, &str, &str)> {
        let object = self.at(pointer).as_object().into_iter().flatten().take(MAX_ELEMENTS);
        let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
        object
            .filter_map(|(key, value)| {
                Some((format!("{pointer}/{}", escaped(key)), key.as_str(), value.as_str()?))
            })
            .collect()
    }

    /// The capabilities of a set (`effective`, `permitted`, `bounding`) with their pointers.
    pub(super) fn capabilities(&self, set: &str) -> Vec<(String, u32)> {
        let names = self.strings(&format!("/process/capabilities/{set}"));
        names.into_iter().filter_map(|(pointer, name)| Some((pointer, capability_bit(name)?))).collect()
    }

    /// Where a capability is declared, in the strongest set that has it.
    pub(super) fn capability(&self, bit: u32) -> Option<String> {
        let sets = ["effective", "permitted", "bounding", "inheritable", "ambient"];
        sets.iter().find_map(|set| {
            let declared = self.capabilities(set);
            declared.into_iter().find(|(_, declared)| *declared == bit).map(|(pointer, _)| pointer)
        })
    }

    /// The namespace of a type: pointer and path, empty for a new one. `None` if the host's is kept.
    pub(super) fn namespace(&self, kind: &str) -> Option<(String, &str)> {
        let is_one = |value: &Value| {
            let name = value["type"].as_str().unwrap_or_default();
            name == kind || (kind == "mount" && name == "mnt")
        };
        let found = self.list("/linux/namespaces").find(|(_, value)| is_one(value));
        found.map(|(pointer, value)| (pointer, value["path"].as_str().unwrap_or_default()))
    }

    pub(super) fn mounts(&self) -> Vec<DeclaredMount<'_>> {
        self.list("/mounts")
            .map(|(pointer, value)| DeclaredMount {
                pointer,
                destination: value["destination"].as_str().unwrap_or_default(),
                source: value["source"].as_str().unwrap_or_default(),
                fstype: value["type"].as_str().unwrap_or_default(),
                options: value["options"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
            })
            .collect()
    }

    /// Every path that is declared as masked or read-only.
    pub(super) fn lists_of_masks(&self) -> Vec<String> {
        let lists = ["/linux/maskedPaths", "/linux/readonlyPaths"].into_iter();
        lists.flat_map(|list| self.strings(list)).map(|(_, path)| path.to_owned()).collect()
    }

    /// Source and destination of every bind mount.
    pub(super) fn binds(&self) -> Vec<(String, String)> {
        let binds = self.mounts().into_iter().filter(DeclaredMount::is_bind);
        binds.map(|mount| (mount.source.to_owned(), mount.destination.to_owned())).collect()
    }

    /// The last mount that is declared at a place.
    pub(super) fn mount(&self, destination: &str) -> Option<DeclaredMount<'_>> {
        let clean = |path: &str| path.trim_end_matches('/').to_owned();
        // Engines write /var/run where the image has a link to /run.
        let wanted = [clean(destination), clean(&destination.replacen("/run/", "/var/run/", 1))];
        self.mounts().into_iter().rev().find(|mount| wanted.contains(&clean(mount.destination)))
    }

    /// True if there are rules that keep some devices away.
    pub(super) fn has_device_rules(&self) -> bool {
        self.list("/linux/resources/devices").next().is_some()
            && !self.devices().iter().any(DeclaredDevice::is_all)
    }

    /// The devices that are made, and those that a rule lets be read or written.
    pub(super) fn devices(&self) -> Vec<DeclaredDevice<'_>> {
        let number = |value: &Value| value.as_i64().and_then(|n| u32::try_from(n).ok());
        let block = |value: &Value| match value["type"].as_str() {
            Some("b") => Some(true),
            Some("c" | "u") => Some(false),
            _ => None,
        };
        let allowed = |value: &Value| {
            value["allow"].as_bool() == Some(true)
                && value["access"].as_str().unwrap_or("rwm").chars().any(|c| c != 'm')
        };
        let made = self.list("/linux/devices");
        let rules = self.list("/linux/resources/devices").filter(|(_, value)| allowed(value));
        made.chain(rules)
            .map(|(pointer, value)| DeclaredDevice {
                pointer,
                block: block(value),
                major: number(&value["major"]),
                minor: number(&value["minor"]),
                path: value["path"].as_str().unwrap_or_default(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_pointer() {
        let text = r#"{"process":{"capabilities":{"bounding":["CAP_KILL","CAP_SYS_ADMIN"],"effective":null}},
            "mounts":[{"destination":"/proc","type":"proc"},
                {"destination":"/var/run/docker.sock","source":"/s","options":["rbind","ro"]}],
            "annotations":{"a/b~c":"x","n":1},
            "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],
                "devices":[{"path":"/dev/kvm","type":"c","major":10,"minor":232}],
                "resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"access":"m"},
                    {"allow":true,"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":-1}]}}}"#;
        let config = Config::parse("/b/config.json", text.as_bytes()).unwrap();
        assert_eq!(config.capability(21).as_deref(), Some("/process/capabilities/bounding/1"));
        assert_eq!(config.capability(0), None);
        assert_eq!(config.namespace("pid"), Some(("/linux/namespaces/0".to_owned(), "")));
        assert_eq!(config.namespace("network").map(|n| n.1), Some("/n"));
        assert_eq!(config.namespace("ipc"), None);
        let socket = config.mount("/run/docker.sock").unwrap();
        assert_eq!((socket.pointer.as_str(), socket.is_bind()), ("/mounts/1", true));
        assert_eq!(config.entries("/annotations"), [("/annotations/a~1b~0c".to_owned(), "a/b~c", "x")]);
        let devices = config.devices();
        let pointers: Vec<_> = devices.iter().map(|d| d.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/linux/devices/0", "/linux/resources/devices/2", "/linux/resources/devices/3"]
        );
        assert!(devices[0].grants(false, 10, 232) && devices[1].is_all() && devices[2].grants(true, 8, 9));
    }

    #[test]
    fn odd_documents_grant_nothing() {
        for text in
            ["{}", "[]", "3", r#"{"mounts":3,"process":{"capabilities":[1]},"linux":{"namespaces":[7]}}"#]
        {
            let config = Config::parse("x", text.as_bytes()).unwrap();
            assert!(config.mounts().is_empty() && config.devices().is_empty());
            assert!(config.capabilities("bounding").is_empty() && config.namespace("pid").is_none());
        }
        assert!(Config::parse("x", b"{").is_err());
    }
}
