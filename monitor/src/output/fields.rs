//! Reads the typed fields of a record through its field table, for every format alike.

use std::io::Write;
use std::net::Ipv6Addr;

use monitor_common::event::field::{Field, FieldType, Width};
use monitor_common::event::plain::Plain;
use monitor_common::event::{EventKind, TailString};

use crate::process::append_path;

/// The number in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Without a sign.
    Unsigned(u64),
    /// With a sign.
    Signed(i64),
    /// Sixteen bytes in network order.
    Bytes([u8; 16]),
}

impl Number {
    /// True for 0, and for sixteen zero bytes.
    pub fn is_zero(self) -> bool {
        self.bits() == 0
    }

    /// The bits as one number; a negative one keeps its low 64 bits.
    pub fn bits(self) -> u64 {
        match self {
            Self::Unsigned(n) => n,
            Self::Signed(n) => n.cast_unsigned(),
            Self::Bytes(b) => u64::try_from(u128::from_be_bytes(b)).unwrap_or(u64::MAX),
        }
    }

    /// The number with its sign.
    pub fn signed(self) -> i64 {
        match self {
            Self::Signed(n) => n,
            other => other.bits().cast_signed(),
        }
    }
}

/// Reads `field` from a payload; 0 where the payload is too short, which the decoder has ruled out.
pub fn number(field: &Field, payload: &[u8]) -> Number {
    let at = field.offset;
    match field.width {
        Width::U16 => Number::Unsigned(u16::read(payload, at).unwrap_or(0).into()),
        Width::U32 => Number::Unsigned(u32::read(payload, at).unwrap_or(0).into()),
        Width::U64 => Number::Unsigned(u64::read(payload, at).unwrap_or(0)),
        Width::I32 => Number::Signed(i32::read(payload, at).unwrap_or(0).into()),
        Width::I64 => Number::Signed(i64::read(payload, at).unwrap_or(0)),
        Width::Bytes16 => Number::Bytes(<[u8; 16]>::read(payload, at).unwrap_or([0; 16])),
    }
}

/// The name of a choice's value.
pub fn choice(names: &'static [(u64, &'static str)], value: u64) -> Option<&'static str> {
    names.iter().find(|(number, _)| *number == value).map(|(_, name)| *name)
}

/// The names of the bits that are set, and the bits without a name.
pub fn flags(names: &'static [(u64, &'static str)], value: u64) -> (impl Iterator<Item = &'static str>, u64) {
    let known = names.iter().fold(0, |bits, (bit, _)| bits | bit);
    (
        names.iter().filter(move |(bit, _)| value & bit == *bit && *bit != 0).map(|(_, name)| *name),
        value & !known,
    )
}

/// Major and minor of a kernel device number.
pub const fn device(number: u64) -> (u64, u64) {
    (number >> 20, number & 0xf_ffff)
}

/// Appends an IPv4 or IPv6 address.
pub fn address(out: &mut Vec<u8>, bytes: [u8; 16]) {
    let ip = Ipv6Addr::from(bytes);
    let Some(v4) = ip.to_ipv4_mapped() else {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{ip}");
        return;
    };
    for (at, part) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(itoa::Buffer::new().format(part).as_bytes());
    }
}

/// True if an address field of this record holds one: its `family`, if it has that field, is inet or inet6.
pub fn has_address(kind: EventKind, payload: &[u8]) -> bool {
    let family = kind.fields().iter().find(|f| f.name == "family" && matches!(f.ty, FieldType::Choice(_)));
    family.is_none_or(|f| is_inet(number(f, payload).bits()))
}

/// True for `AF_INET` and `AF_INET6`, whose sockets have addresses.
pub const fn is_inet(family: u64) -> bool {
    matches!(family, 2 | 10)
}

/// Replaces `out` by a path, root first, from its components, leaf first.
pub fn path(out: &mut Vec<u8>, string: TailString<'_>) {
    out.clear();
    append_path(out, string);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_turned_round() {
        for (components, want) in
            [(&b""[..], "/"), (b"sh\0bin\0usr\0", "/usr/bin/sh"), (b"sh\0bin", "/bin/sh"), (b"\0", "/")]
        {
            let mut out = Vec::new();
            path(&mut out, TailString { bytes: components, flags: 0 });
            assert_eq!(String::from_utf8(out).unwrap(), want, "{components:?}");
        }
    }

    #[test]
    fn unknown_bits_are_kept() {
        const NAMES: &[(u64, &str)] = &[(1, "a"), (4, "b")];
        let (names, rest) = flags(NAMES, 0b1_0101);
        assert_eq!((names.collect::<Vec<_>>(), rest), (vec!["a", "b"], 16));
        assert_eq!((choice(NAMES, 4), choice(NAMES, 5)), (Some("b"), None));
    }

    #[test]
    fn addresses() {
        for (text, bytes) in [
            ("10.0.0.1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]),
            ("::1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ("::", [0; 16]),
        ] {
            let mut out = Vec::new();
            address(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
