//! Resolves the offset table against a kernel's type information.

use monitor_common::offsets::{FIELD_COUNT, FIELD_IDS, KERNEL_FIELDS, MISSING};

use super::btf::{Btf, BtfError};

/// The offset table, and what this kernel lacks.
pub struct Offsets {
    /// By `FieldId`; [`MISSING`] where this kernel has no such field.
    pub table: [u16; FIELD_COUNT],
    /// Fields without which nothing works, as `struct.member: reason`.
    pub missing_required: Vec<String>,
    /// Other fields that are absent, as `struct.member`.
    pub missing_optional: Vec<String>,
}

/// Looks every field up, each in its places in order.
pub fn resolve(btf: &Btf) -> Offsets {
    let mut out =
        Offsets { table: [MISSING; FIELD_COUNT], missing_required: Vec::new(), missing_optional: Vec::new() };
    for (id, field) in FIELD_IDS.iter().zip(KERNEL_FIELDS) {
        let mut reasons = Vec::new();
        for (name, path) in field.places {
            match look(btf, name, path).map(u16::try_from) {
                Ok(Ok(offset)) if offset != MISSING => {
                    out.table[*id as usize] = offset;
                    break;
                }
                Ok(_) => reasons.push(format!("struct `{name}` places `{path}` beyond 64 KiB")),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if out.table[*id as usize] == MISSING {
            if field.required {
                out.missing_required.push(format!("{id:?}: {}", reasons.join("; ")));
            } else {
                out.missing_optional.push(format!("{id:?}"));
            }
        }
    }
    out
}

/// The number that a place of [`KERNEL_FIELDS`] stands for.
fn look(btf: &Btf, name: &str, path: &str) -> Result<u32, BtfError> {
    if path == "@size" {
        return btf.size(name);
    }
    let Some((from, to)) = path.split_once("..") else { return btf.offset(name, path) };
    let (from, to) = (btf.offset(name, from)?, btf.offset(name, to)?);
    to.checked_sub(from).ok_or_else(|| BtfError::NoMember(name.into(), path.into()))
}
