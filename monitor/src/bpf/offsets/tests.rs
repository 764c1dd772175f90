//! The offset table against type information that is made here, so that any field can be missing.

use std::collections::BTreeMap;

use super::*;

/// The members of a struct, by name; those of a member that is a struct itself within it.
#[derive(Default)]
struct Members(BTreeMap<String, Members>);

impl Members {
    fn add(&mut self, path: &str) {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let inner = self.0.entry(first.to_owned()).or_default();
        if !rest.is_empty() {
            inner.add(rest);
        }
    }
}

/// Writes BTF (kernel `Documentation/bpf/btf.rst`): structs of members of eight bytes, and structs in them.
#[derive(Default)]
struct Maker {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
}

impl Maker {
    fn string(&mut self, text: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn put(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// Number and size of the new type.
    fn make(&mut self, name: &str, members: &Members) -> (u32, u32) {
        // An integer of 64 bits stands for every member that is no struct.
        let inner: Vec<(u32, u32)> =
            members.0.values().map(|m| if m.0.is_empty() { (1, 8) } else { self.make("", m) }).collect();
        let name = if name.is_empty() { 0 } else { self.string(name) };
        let size = inner.iter().map(|(_, size)| size).sum();
        // With bit fields in it, each member has its width beside its place.
        let kind_flag = u32::from(members.0.keys().any(|member| member.ends_with("@bit"))) << 31;
        self.put(&[name, kind_flag | 4 << 24 | members.0.len() as u32, size]);
        let mut bits = 0;
        for (member, (ty, size)) in members.0.keys().zip(inner) {
            let (plain, width) = member.strip_suffix("@bit").map_or((member.as_str(), 0), |name| (name, 1));
            let member = self.string(plain);
            self.put(&[member, ty, width << 24 | bits]);
            bits += size * 8;
        }
        self.count += 1;
        (self.count, size)
    }

    fn btf(structs: &BTreeMap<&str, Members>) -> Vec<u8> {
        let mut this = Self { strings: vec![0], ..Self::default() };
        let int = this.string("long");
        this.put(&[int, 1 << 24, 8, 64]);
        this.count = 1;
        for (name, members) in structs {
            this.make(name, members);
        }
        let (types, strings) = (this.types.len() as u32, this.strings.len() as u32);
        let header = [0x0001_eb9f, 24, 0, types, types, strings].map(u32::to_le_bytes);
        [header.as_flattened(), &this.types, &this.strings].concat()
    }
}

/// A kernel that has the first place of every field, except that the member `without` has another name.
fn kernel(without: (&str, &str)) -> Offsets {
    let mut structs: BTreeMap<&str, Members> = BTreeMap::new();
    for (name, path) in KERNEL_FIELDS.iter().map(|field| field.places[0]) {
        let members = structs.entry(name).or_default();
        let path = if path == "@size" { "something" } else { path };
        for part in path.split("..") {
            members.add(part);
        }
    }
    if let Some(members) = structs.get_mut(without.0)
        && let Some(inner) = members.0.remove(without.1)
    {
        members.0.insert(format!("other_{}", without.1), inner);
    }
    resolve(&Btf::parse(&Maker::btf(&structs)).expect("well-formed"))
}

fn lacking(offsets: &Offsets) -> Vec<FieldId> {
    offsets.missing_required.iter().map(|(field, _)| *field).collect()
}

#[test]
fn a_kernel_with_everything() {
    let offsets = kernel(("", ""));
    assert_eq!((lacking(&offsets), offsets.missing_optional), (vec![], vec![]));
    assert!(!offsets.table.contains(&MISSING));
    assert_ne!(offsets.table[FieldId::CredUid as usize], offsets.table[FieldId::CredSuid as usize]);
}

#[test]
fn a_field_that_is_missing_is_named_and_has_no_offset() {
    let offsets = kernel(("cred", "suid"));
    assert_eq!(lacking(&offsets), [FieldId::CredSuid]);
    assert_eq!(offsets.missing_required[0].1, "struct `cred` has no member `suid`");
    assert_eq!(offsets.table[FieldId::CredSuid as usize], MISSING);
    assert_ne!(offsets.table[FieldId::CredEuid as usize], MISSING);
    let offsets = kernel(("unix_sock", "peer"));
    assert_eq!((lacking(&offsets), offsets.missing_optional), (vec![], vec!["UnixPeer".to_owned()]));
}

#[test]
fn a_field_is_forgotten_by_name_only() {
    let mut offsets = kernel(("", ""));
    assert!(offsets.forget("Nothing").is_err());
    offsets.forget("SocketSk").expect("a field");
    offsets.forget("UnixPeer").expect("a field");
    assert_eq!((lacking(&offsets), offsets.missing_optional.len()), (vec![FieldId::SocketSk], 1));
    assert_eq!(offsets.table[FieldId::SocketSk as usize], MISSING);
}
