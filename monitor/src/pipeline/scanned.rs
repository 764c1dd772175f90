//! A container found running, as the record that its start would have given.

use monitor_common::event::{EventKind, HEADER_LEN, Header, Record, STRING_PREFIX, State, flags};

use crate::container::Scanned;

/// Writes the state record of a scanned container's first process to `out`, which is used again.
pub(super) fn state_record(scanned: &Scanned, out: &mut Vec<u8>) {
    let len = HEADER_LEN + State::SIZE + STRING_PREFIX;
    out.clear();
    out.resize(len, 0);
    let first = scanned.processes.get(scanned.first);
    let header = Header {
        kind: EventKind::State as u16,
        len: len as u16,
        flags: flags::SCANNED,
        time: first.map_or(0, |p| p.key.started),
        container: scanned.key.0,
        cgroup: scanned.cgroup_ids.first().copied().unwrap_or(0),
        pid: first.map_or(0, |p| p.key.pid),
        tid: first.map_or(0, |p| p.key.pid),
        started: first.map_or(0, |p| p.key.started),
        uid: first.map_or(0, |p| p.uid),
        euid: first.map_or(0, |p| p.euid),
        ..Header::default()
    };
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
    super::scan_state(&scanned.baseline).write(&mut out[HEADER_LEN..]);
}
