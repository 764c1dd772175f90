//! State records that no sensor wrote: of a container found running, as its start would have given it, and of one whose
//! baseline is known already, for what is found out about it later.

use monitor_common::event::{
    EventKind, HEADER_LEN, Header, Record, STRING_PREFIX, State, flags, state_reason,
};

use crate::container::{Baseline, ContainerKey, Scanned};
use crate::process::ProcessKey;

/// Writes the state record of a scanned container's first process to `out`, which is used again.
pub(super) fn state_record(scanned: &Scanned, out: &mut Vec<u8>) {
    let first = scanned.processes.get(scanned.first);
    let header = Header {
        flags: flags::SCANNED,
        time: first.map_or(0, |p| p.key.started),
        container: scanned.key.0,
        cgroup: scanned.cgroup_ids.first().copied().unwrap_or(0),
        uid: first.map_or(0, |p| p.uid),
        euid: first.map_or(0, |p| p.euid),
        ..of(first.map(|p| p.key).unwrap_or_default())
    };
    write(header, &super::scan_state(&scanned.baseline), out);
}

/// Writes the state record of a container's first process to `out` once more.
pub(super) fn baseline_record(
    container: ContainerKey,
    first: ProcessKey,
    baseline: &Baseline,
    out: &mut Vec<u8>,
) {
    let is_scanned = baseline.state.reason == state_reason::SCAN;
    let header = Header {
        flags: if is_scanned { flags::SCANNED } else { 0 },
        time: baseline.entered,
        container: container.0,
        uid: baseline.uid,
        euid: baseline.euid,
        ..of(first)
    };
    write(header, &baseline.state, out);
}

fn of(first: ProcessKey) -> Header {
    Header { pid: first.pid, tid: first.pid, started: first.started, ..Header::default() }
}

fn write(header: Header, state: &State, out: &mut Vec<u8>) {
    let len = HEADER_LEN + State::SIZE + STRING_PREFIX;
    out.clear();
    out.resize(len, 0);
    let mut head = [0; HEADER_LEN];
    Header { kind: EventKind::State as u16, len: len as u16, ..header }.write(&mut head);
    out[..HEADER_LEN].copy_from_slice(&head);
    state.write(&mut out[HEADER_LEN..]);
}
