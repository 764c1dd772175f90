//! Records made by hand, for the tests of what reads them.

use monitor_common::event::{EventKind, EventRef, HEADER_LEN, Header, Record, STRING_PREFIX};

/// The bytes of a record: header (kind and length filled in), payload, strings.
pub(crate) fn record<R: Record>(kind: EventKind, header: Header, payload: &R, tail: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN + R::SIZE];
    payload.write(&mut bytes[HEADER_LEN..]);
    for string in tail {
        let len = u16::try_from(string.len()).expect("short string");
        bytes.extend_from_slice(&len.to_ne_bytes());
        bytes.extend_from_slice(&[0; STRING_PREFIX - 2]);
        bytes.extend_from_slice(string);
    }
    let header =
        Header { kind: kind as u16, len: u16::try_from(bytes.len()).expect("short record"), ..header };
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    bytes[..HEADER_LEN].copy_from_slice(&head);
    bytes
}

/// Decodes what [`record`] made.
pub(crate) fn event(bytes: &[u8]) -> EventRef<'_> {
    EventRef::decode(bytes).expect("a valid record")
}

/// Strings as the kernel side writes lists: each ended by a NUL.
pub(crate) fn list(items: &[&str]) -> Vec<u8> {
    items.iter().flat_map(|item| item.bytes().chain([0])).collect()
}
