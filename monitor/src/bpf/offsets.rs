//! Resolves the offset table against a kernel's type information.

use monitor_common::offsets::{FIELD_COUNT, FIELD_IDS, FieldId, KERNEL_FIELDS, MISSING};

use super::btf::{Btf, BtfError};

/// The offset table, and what this kernel lacks.
pub struct Offsets {
    /// By `FieldId`; [`MISSING`] where this kernel has no such field.
    pub table: [u16; FIELD_COUNT],
    /// Fields that a program which reads them cannot do without, each with the reason why it is missing.
    pub missing_required: Vec<(FieldId, String)>,
    /// Other fields that are absent.
    pub missing_optional: Vec<String>,
}

impl Offsets {
    /// Forgets a field, as if the kernel did not have it: for tests of what becomes of the sensors then.
    ///
    /// # Errors
    /// No field has this name.
    pub fn forget(&mut self, name: &str) -> Result<(), String> {
        let found = FIELD_IDS.iter().zip(KERNEL_FIELDS).find(|(id, _)| format!("{id:?}") == name);
        let (id, field) = found.ok_or_else(|| format!("no kernel field is called {name}"))?;
        self.table[*id as usize] = MISSING;
        if field.required {
            self.missing_required.push((*id, "left out by --without-field".to_owned()));
        } else {
            self.missing_optional.push(format!("{id:?}"));
        }
        Ok(())
    }
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
                out.missing_required.push((*id, reasons.join("; ")));
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
    if let Some(member) = path.strip_suffix("@bit") {
        return btf.bit(name, member);
    }
    let Some((from, to)) = path.split_once("..") else { return btf.offset(name, path) };
    let (from, to) = (btf.offset(name, from)?, btf.offset(name, to)?);
    to.checked_sub(from).ok_or_else(|| BtfError::NoMember(name.into(), path.into()))
}

#[cfg(test)]
mod tests;
