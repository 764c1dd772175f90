//! Pieces that come whole, with gaps, late, and never.

use monitor_common::event::{EventKind, HEADER_LEN, Header, Record};

use super::*;

fn record<R: Record>(kind: EventKind, payload: R, started: u64, strings: &[(&[u8], u16)]) -> Vec<u8> {
    let mut body = vec![0; R::SIZE];
    payload.write(&mut body);
    let mut tail = Vec::new();
    for (bytes, flags) in strings {
        push(&mut tail, [*bytes], *flags);
    }
    let len = u16::try_from(HEADER_LEN + body.len() + tail.len()).unwrap();
    let mut head = [0; HEADER_LEN];
    Header { kind: kind as u16, len, pid: 7, started, ..Header::default() }.write(&mut head);
    [&head[..], &body, &tail].concat()
}

fn piece_of(exec_id: u64, part: u32, offset: usize, total: usize, bytes: &[u8]) -> Vec<u8> {
    let (offset, total) = (u32::try_from(offset).unwrap(), u32::try_from(total).unwrap());
    record(EventKind::ExecArgs, ExecArgs { exec_id, part, offset, total, reserved: 0 }, 9, &[(bytes, 0)])
}

fn piece(part: u32, offset: usize, total: usize, bytes: &[u8]) -> Vec<u8> {
    piece_of(3, part, offset, total, bytes)
}

/// The record of exec number 3, as it is written when the environment is wanted.
fn exec(argv: &[u8]) -> Vec<u8> {
    let payload = Exec { exec_id: 3, ..Exec::default() };
    record(EventKind::Exec, payload, 9, &[(b"sh\0", 0), (argv, TRUNCATED), (b"tmp\0", 0), (b"", TRUNCATED)])
}

fn joined(arguments: &mut Arguments, pieces: &[Vec<u8>], exec: &[u8]) -> Vec<(Vec<u8>, u16)> {
    for piece in pieces {
        arguments.take(&EventRef::decode(piece).unwrap());
    }
    let ev = EventRef::decode(exec).unwrap();
    let ev = arguments.join(&ev).shown;
    assert_eq!(ev.string(0).bytes, b"sh\0");
    assert_eq!(ev.string(2), TailString { bytes: b"tmp\0", flags: 0 });
    [1, 3].map(|n| (ev.string(n).bytes.to_vec(), ev.string(n).flags)).into()
}

#[test]
fn pieces_are_put_together() {
    let mut arguments = Arguments::new(Environment::Names(vec![b"PATH".to_vec(), b"B".to_vec()]));
    let pieces = [
        piece(0, 4, 10, b"bc\0"),
        piece(0, 7, 10, b"de\0"),
        piece(1, 0, 20, b"A=secret\0PA"),
        piece(1, 11, 20, b"TH=/\0B\0C\0"),
    ];
    let strings = joined(&mut arguments, &pieces, &exec(b"sh\0a"));
    assert_eq!(strings, [(b"sh\0abc\0de\0".to_vec(), 0), (b"PATH=/\0B\0".to_vec(), 0)]);
    assert!(arguments.is_empty() && arguments.take_dropped() == 0);

    let mut arguments = Arguments::new(Environment::Whole);
    let strings = joined(&mut arguments, &[piece(1, 0, 4, b"A=b\0")], &exec(b"sh\0a"));
    assert_eq!(strings, [(b"sh\0a".to_vec(), TRUNCATED), (b"A=b\0".to_vec(), 0)]);
    // Programs that an earlier daemon had write the environment: nobody wants it now.
    let strings = joined(&mut Arguments::default(), &[piece(1, 0, 4, b"A=b\0")], &exec(b"sh\0a"));
    assert_eq!(strings[1], (Vec::new(), 0));
}

#[test]
fn more_than_the_most_is_cut_and_says_so() {
    let half = vec![b'x'; exec_args::MOST / 2];
    let total = 40_000;
    let pieces = [piece(1, 0, total, &half), piece(1, half.len(), total, &half)];
    let strings = joined(&mut Arguments::new(Environment::Whole), &pieces, &exec(b"sh\0a"));
    assert_eq!((strings[1].0.len(), strings[1].1), (exec_args::MOST, TRUNCATED));
    // A kernel side that does not keep to it fills no memory.
    let pieces = [&pieces[..], &[piece(1, exec_args::MOST, total, &half)]].concat();
    let strings = joined(&mut Arguments::new(Environment::Whole), &pieces, &exec(b"sh\0a"));
    assert_eq!((strings[1].0.len(), strings[1].1), (exec_args::MOST, TRUNCATED));
}

#[test]
fn a_missing_piece_leaves_the_record_truncated() {
    let mut arguments = Arguments::new(Environment::Whole);
    let pieces = [piece(0, 4, 12, b"bc\0"), piece(0, 9, 12, b"x"), piece(1, 0, 6, b"A=b\0")];
    let strings = joined(&mut arguments, &pieces, &exec(b"sh\0a"));
    assert_eq!(strings, [(b"sh\0abc\0".to_vec(), TRUNCATED), (b"A=b\0".to_vec(), TRUNCATED)]);
    // The first one; then none at all.
    let unjoined = [(b"sh\0a".to_vec(), TRUNCATED), (Vec::new(), TRUNCATED)];
    assert_eq!(joined(&mut arguments, &[piece(0, 7, 12, b"de\0")], &exec(b"sh\0a")), unjoined);
    assert_eq!(joined(&mut arguments, &[], &exec(b"sh\0a")), unjoined);
    // One whose memory could not be read is empty.
    let pieces = [piece(0, 4, 7, b""), piece(0, 7, 7, b"x"), piece(1, 0, 8, b""), piece(1, 4, 8, b"B=c\0")];
    assert_eq!(joined(&mut arguments, &pieces, &exec(b"sh\0a")), unjoined);
}

#[test]
fn pieces_of_another_exec_of_the_same_process_are_never_joined() {
    let mut arguments = Arguments::default();
    // Its record was lost, and the pieces of the next one were.
    let strings = joined(&mut arguments, &[piece_of(2, 0, 4, 7, b"bc\0")], &exec(b"sh\0a"));
    assert_eq!(strings[0], (b"sh\0a".to_vec(), TRUNCATED));
    assert_eq!((arguments.take_dropped(), arguments.is_empty()), (1, true));
    // Both sent pieces: each record gets its own.
    let pieces = [piece_of(2, 0, 4, 7, b"no\0"), piece(0, 4, 7, b"ye\0")];
    let strings = joined(&mut arguments, &pieces, &exec(b"sh\0a"));
    assert_eq!(strings[0], (b"sh\0aye\0".to_vec(), 0));
    assert_eq!(arguments.take_dropped(), 1);
}

#[test]
fn pieces_without_a_record_do_not_pile_up() {
    let mut arguments = Arguments::default();
    for started in 0..1000 {
        let payload = ExecArgs { offset: 4, total: 9, ..ExecArgs::default() };
        let bytes = record(EventKind::ExecArgs, payload, started, &[(b"x", 0)]);
        arguments.take(&EventRef::decode(&bytes).unwrap());
    }
    assert_eq!(arguments.waiting.len(), WAITING);
    arguments.drop_all();
    assert_eq!((arguments.take_dropped(), arguments.is_empty()), (1000, true));
    assert!(arguments.spare.len() <= WAITING);
}
