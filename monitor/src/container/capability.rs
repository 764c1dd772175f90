//! Names of capabilities as OCI configurations write them.

/// The names without `CAP_`, in the order of the bits (`include/uapi/linux/capability.h`).
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The bit number of a capability, with or without `CAP_`, in any case; `None` if the name is unknown.
pub fn capability_bit(name: &str) -> Option<u32> {
    let bare = match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
        _ => name,
    };
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(bare)).map(|bit| bit as u32)
}

/// The name of a capability with `CAP_`; `CAP_n` for one that is not known here.
pub fn capability_name(bit: u32) -> String {
    match NAMES.get(bit as usize) {
        Some(name) => format!("CAP_{name}"),
        None => format!("CAP_{bit}"),
    }
}

/// The set that a list of names makes; unknown names count for nothing.
pub fn capability_set<S: AsRef<str>>(names: &[S]) -> u64 {
    names.iter().filter_map(|name| capability_bit(name.as_ref())).fold(0, |set, bit| set | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_to_bits() {
        for (name, want) in [
            ("CAP_CHOWN", Some(0)),
            ("SYS_ADMIN", Some(21)),
            ("cap_sys_admin", Some(21)),
            ("CAP_CHECKPOINT_RESTORE", Some(40)),
            ("CAP_", None),
            ("", None),
            ("äö", None),
            ("CAP_NEW", None),
        ] {
            assert_eq!(capability_bit(name), want, "{name}");
        }
        assert_eq!((capability_name(21), capability_name(63)), ("CAP_SYS_ADMIN".into(), "CAP_63".into()));
        assert_eq!(capability_set(&["CAP_CHOWN", "?", "CAP_KILL"]), 0b10_0001);
    }
}
