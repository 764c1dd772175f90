//! A task changed its credentials, or tried to.

use super::record::record;

/// Which call; the numbers are [`crate::call::Call`]'s. 0: the credentials differ from those last seen, and no watched
/// call explains it.
const CRED_OPS: &[(u64, &str)] = &[
    (0, "unseen"),
    (20, "setuid"),
    (21, "setgid"),
    (22, "setreuid"),
    (23, "setregid"),
    (24, "setresuid"),
    (25, "setresgid"),
    (26, "setfsuid"),
    (27, "setfsgid"),
    (28, "setgroups"),
    (29, "capset"),
];

record! {
    /// The set*id family and `capset(2)` (kernel `kernel/sys.c`, `kernel/capability.c`).
    pub struct Cred {
        /// Permitted capabilities before the call.
        old_cap_permitted: u64 as Capabilities,
        /// Permitted capabilities after it.
        cap_permitted: u64 as Capabilities,
        /// Effective capabilities after it.
        cap_effective: u64 as Capabilities,
        /// Which call.
        op: u32 as Choice(CRED_OPS),
        /// Result of the call.
        ret: i32 as Return,
        /// First argument: the wanted id for the set*id family.
        wanted: u32 as Number,
        /// Real uid before the call.
        old_uid: u32 as Number,
        /// Effective uid before the call.
        old_euid: u32 as Number,
        /// Saved uid before the call.
        old_suid: u32 as Number,
        /// Real uid after the call.
        new_uid: u32 as Number,
        /// Effective uid after the call.
        new_euid: u32 as Number,
        /// Saved uid after the call.
        new_suid: u32 as Number,
        /// File-system uid after the call.
        new_fsuid: u32 as Number,
        /// Group id after the call.
        new_gid: u32 as Number,
        /// Effective group id after the call.
        new_egid: u32 as Number,
        /// User namespace of the credentials.
        user_ns: u32 as Namespace,
        /// Uid 0 of that namespace as seen from the initial one; `u32::MAX` if it is not mapped.
        ns_root: u32 as Number,
    }
    tail {}
}
