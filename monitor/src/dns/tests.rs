//! What is read, and what hostile bytes do.

use super::*;

/// `www.example.com`, an answer with two records: a CNAME by a pointer, and an address.
const REPLY: &[u8] = &[
    0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, // header
    3, b'w', b'w', b'w', 7, b'e', b'x', b'a', b'm', b'p', b'l', b'e', 3, b'c', b'o', b'm', 0, 0, 1, 0,
    1, //
    0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 16, // CNAME example.com
    0xc0, 16, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1,
];

/// A message with these counts of questions and answers, and what follows the header.
fn message(flags: u16, questions: u16, answers: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    [flags, questions, answers, 0, 0].iter().for_each(|n| bytes.extend_from_slice(&n.to_be_bytes()));
    bytes.extend_from_slice(rest);
    bytes
}

fn whole(bytes: &[u8]) -> Message<'_> {
    Message::new(bytes, false)
}

/// Asks a message for everything.
fn read(bytes: &[u8], part: bool) -> (usize, bool, bool) {
    let message = Message::new(bytes, part);
    if let Some(question) = message.question() {
        assert!(question.name.as_bytes().len() <= TEXT_MAX);
    }
    let _ = (message.code(), message.has_more());
    (message.answers().count(), message.question().is_some(), message.is_malformed())
}

#[test]
fn a_reply_is_read() {
    let message = whole(REPLY);
    let question = message.question().unwrap();
    assert_eq!(question.name.as_bytes(), b"www.example.com");
    assert_eq!((question.kind.to_string(), question.class.to_string()), ("A".into(), "IN".into()));
    assert_eq!(message.code().unwrap().to_string(), "NOERROR");
    assert!(!message.is_malformed() && !message.has_more());
    let mut answers = message.answers();
    assert!(matches!(answers.next().unwrap().data, Data::Name(n) if n.as_bytes() == b"example.com"));
    assert!(matches!(answers.next().unwrap().data, Data::V4([192, 0, 2, 1])));
    assert!(answers.next().is_none());
}

#[test]
fn a_query_has_no_code_and_unknown_numbers_keep_theirs() {
    let query = message(0x0100, 1, 0, b"\x01a\0\xff\x01\0\x02");
    let question = whole(&query).question().unwrap();
    assert!(whole(&query).code().is_none() && !whole(&query).is_malformed());
    assert_eq!(
        (question.kind.to_string(), question.class.to_string()),
        ("TYPE65281".into(), "CLASS2".into())
    );
    let root = message(0x800c, 1, 0, b"\0\0\x02\0\x01");
    assert_eq!(whole(&root).question().unwrap().name.as_bytes(), b".");
    assert_eq!(whole(&root).code().unwrap().to_string(), "RCODE12");
}

#[test]
fn other_records() {
    let record = |kind: u8, data: &[u8]| {
        let head = [0, 0, kind, 0, 1, 0, 0, 0, 0, 0, data.len() as u8];
        message(0x8000, 0, 1, &[&head[..], data].concat())
    };
    let six = record(28, &[7; 16]);
    assert!(matches!(whole(&six).answers().next().unwrap().data, Data::V6([7, ..])));
    let text = record(16, b"\x02hi\x01x");
    assert!(matches!(whole(&text).answers().next().unwrap().data, Data::Text(b"hi")));
    // A length that is not the type's, a string and a name that reach beyond, a type that is not read.
    for (kind, data) in [(1, &[1, 2, 3][..]), (28, &[0; 4]), (16, b"\x09hi"), (5, b"\x3f"), (15, b"\0\0\0")] {
        let bytes = record(kind, data);
        let answer = whole(&bytes).answers().next().unwrap();
        assert!(matches!(answer.data, Data::Other), "{kind}");
        assert_eq!(answer.kind, Kind(kind.into()));
    }
}

#[test]
fn no_label_passes_for_two() {
    let bytes = message(0, 1, 0, b"\x03a.b\x02c\\\x03d\0\n\0\0\x01\0\x01");
    let name = whole(&bytes).question().unwrap().name;
    assert_eq!(name.as_bytes(), b"a\\.b.c\\\\.d\0\n");
}

#[test]
fn every_cut_gives_less_and_is_named() {
    for len in 0..REPLY.len() {
        let (answers, _, malformed) = read(&REPLY[..len], false);
        assert!(answers < 2 && malformed, "{len}");
        // Cut off by the kernel side, which keeps the question.
        let (_, question, malformed) = read(&REPLY[..len], true);
        assert_eq!(malformed, !question, "{len}");
        assert!(Message::new(&REPLY[..len], true).has_more() || len < HEADER);
    }
    let mut said = REPLY.to_vec();
    said[2] |= 2;
    assert!(!whole(&said[..40]).is_malformed() && whole(&said).has_more());
}

#[test]
fn names_that_lead_nowhere() {
    // To itself, forwards, beyond the end, a label of a kind that was given up, one that breaks off.
    for rest in [&[0xc0, 12, 0, 1, 0, 1][..], &[0xc0, 20, 0, 0], &[0xff, 0xff], &[0x80, 1, 0], &[63; 50], &[]]
    {
        let bytes = message(0, 1, 0, rest);
        assert!(whole(&bytes).question().is_none() && whole(&bytes).is_malformed(), "{rest:?}");
    }
    // To and fro between two pointers.
    let bytes = message(0, 1, 0, &[0xc0, 14, 0xc0, 12, 0, 1, 0, 1]);
    assert!(whole(&bytes).question().is_none());
}

#[test]
fn names_have_255_bytes_and_eight_pointers() {
    let labels = |count: usize, last: usize| {
        let mut rest = [&[63u8][..], &[b'x'; 63]].concat().repeat(count);
        rest.push(last as u8);
        rest.extend(vec![b'y'; last]);
        rest.extend([0, 0, 1, 0, 1]);
        message(0, 1, 0, &rest)
    };
    assert_eq!(whole(&labels(3, 61)).question().unwrap().name.as_bytes().len(), 253);
    assert!(whole(&labels(3, 62)).question().is_none());
    // A chain of pointers, each to the one before; the last leads to the root.
    let chain = |jumps: usize| {
        let mut bytes = message(0x8000, 0, 1, &[0]);
        let mut target = HEADER;
        for _ in 0..jumps {
            let here = bytes.len();
            bytes.extend((0xc000 | target as u16).to_be_bytes());
            target = here;
        }
        name_at(&bytes, target).is_some()
    };
    assert!(chain(JUMPS) && !chain(JUMPS + 1));
}

#[test]
fn counts_that_lie_end_with_the_bytes() {
    let many = message(0x8000, u16::MAX, u16::MAX, &b"\0\0\x01\0\x01".repeat(100));
    assert_eq!(read(&many, false), (0, true, true));
    // More records than are shown.
    let record = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    let many = message(0x8000, 0, 30, &record.repeat(30));
    assert_eq!(read(&many, false), (MAX_ANSWERS, false, false));
    assert!(whole(&many).has_more());
    assert!(whole(&message(0, 0, 0, b"")).is_malformed(), "a query asks for something");
}

#[test]
fn any_bytes_are_taken() {
    // Numbers of a linear congruential generator (Knuth, MMIX): the same in each run.
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..20_000 {
        let mut bytes = REPLY.to_vec();
        for _ in 0..1 + next() % 6 {
            let (at, value) = (next() % bytes.len(), [0, 1, 0xc0, 12, 63, 0xff, next() as u8][next() % 7]);
            bytes[at] = value;
        }
        let extra = next() % 40;
        bytes.extend((0..extra).map(|_| next() as u8));
        bytes.truncate(next() % (bytes.len() + 1));
        read(&bytes, next() % 2 == 0);
    }
}
