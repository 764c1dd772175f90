//! Bytes that are no record, or not quite: every kind, every way to be wrong.

use monitor_common::event::{RACED, STRING_PREFIX};

use super::*;

/// A record of this kind with a string in every place, and where its strings begin.
fn whole(kind: EventKind) -> (Vec<u8>, usize) {
    let strings = HEADER_LEN + kind.payload_size();
    let mut bytes = vec![0; strings];
    for _ in kind.tail_fields() {
        bytes.extend_from_slice(&3u16.to_ne_bytes());
        bytes.extend_from_slice(&RACED.to_ne_bytes());
        bytes.extend_from_slice(b"ab\0");
    }
    set_header(&mut bytes, |_| {});
    set_header(&mut bytes, |header| header.kind = kind as u16);
    (bytes, strings)
}

/// Writes the header again, with the length of the bytes unless `change` says otherwise.
fn set_header(bytes: &mut [u8], change: impl FnOnce(&mut Header)) {
    let known = Header::read(bytes).expect("long enough");
    let len = bytes.len() as u16;
    let mut header = Header { len, container: 9, pid: 50, tid: 50, started: 5, time: 20, ..known };
    change(&mut header);
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    bytes[..HEADER_LEN].copy_from_slice(&head);
}

/// Feeds the bytes as a ring would give them; what is said must be one loss with this reason, and nothing else.
#[track_caller]
fn is_lost(kind: EventKind, bytes: &[u8], reason: &str) {
    let found = lines(|p| {
        let mut order = crate::ingest::Order::new();
        order.push(bytes);
        order.release(u64::MAX, |record| p.record(record));
        p.short(20, order.take_short());
    });
    let said: Vec<_> = found.iter().map(|l| (&l["type"], &l["reason"], &l["count"])).collect();
    let want = (&"loss".into(), &reason.into(), &1.into());
    assert_eq!(said, [want], "{} of {} bytes", kind.name(), bytes.len());
}

#[test]
fn a_whole_record_is_none_of_it() {
    for kind in EventKind::ALL {
        let (bytes, _) = whole(*kind);
        let found = lines(|p| p.record(&bytes));
        assert!(found.iter().all(|l| l["type"] != "loss"), "{found:?}");
    }
}

#[test]
fn short() {
    for kind in EventKind::ALL {
        let (bytes, strings) = whole(*kind);
        // The slot ends before the header, the payload, the strings.
        for len in 0..bytes.len() {
            let reason = if len < HEADER_LEN { "short_record" } else { "bad_length" };
            is_lost(*kind, &bytes[..len], reason);
        }
        // The record says that it ends there.
        for len in 0..bytes.len() {
            let mut cut = bytes.clone();
            set_header(&mut cut, |header| header.len = len as u16);
            is_lost(*kind, &cut, if len < strings { "bad_length" } else { "bad_strings" });
        }
    }
}

#[test]
fn long() {
    for kind in EventKind::ALL {
        let (bytes, _) = whole(*kind);
        // It says that it is longer than the slot.
        for more in [1, 8, 1000, u16::MAX as usize - bytes.len()] {
            let mut long = bytes.clone();
            set_header(&mut long, |header| header.len += more as u16);
            is_lost(*kind, &long, "bad_length");
        }
        // There is something behind the last string.
        let mut more = bytes.clone();
        more.extend_from_slice(&[0; 5]);
        set_header(&mut more, |header| header.kind = *kind as u16);
        is_lost(*kind, &more, "bad_strings");
        // A slot is longer than its record as a rule: what is behind it is nobody's.
        let mut slot = bytes.clone();
        slot.extend_from_slice(&[0xaa; 100]);
        let mut order = crate::ingest::Order::new();
        order.push(&slot);
        order.release(u64::MAX, |record| assert_eq!(record, bytes));
    }
}

#[test]
fn unknown_kinds() {
    let (bytes, _) = whole(EventKind::Exec);
    let known = |raw: &u16| EventKind::from_raw(*raw).is_some();
    for raw in (0..2000).chain([u16::MAX]).filter(|raw| !known(raw)) {
        let mut odd = bytes.clone();
        set_header(&mut odd, |header| header.kind = raw);
        is_lost(EventKind::Exec, &odd, "unknown_kind");
    }
}

#[test]
fn strings_beyond_the_end() {
    for kind in EventKind::ALL {
        let (bytes, strings) = whole(*kind);
        for n in 0..kind.tail_fields().len() {
            let at = strings + n * (STRING_PREFIX + 3);
            // All the lengths that do not add up; one that is just short shifts the rest.
            for len in [4u16, 255, 4096, u16::MAX] {
                let mut odd = bytes.clone();
                odd[at..at + 2].copy_from_slice(&len.to_ne_bytes());
                is_lost(*kind, &odd, "bad_strings");
            }
        }
    }
}

#[test]
fn many_are_one_line_each_reason() {
    let (bytes, _) = whole(EventKind::Connect);
    let found = lines(|p| {
        for _ in 0..1000 {
            p.record(&bytes[..10]);
            p.record(&[0xff; 200]);
        }
        p.flush(30);
    });
    let said: Vec<_> = found.iter().map(|l| (l["reason"].as_str().unwrap(), l["count"].as_u64())).collect();
    assert_eq!(said, [("short_record", Some(1000)), ("unknown_kind", Some(1000))]);
}
