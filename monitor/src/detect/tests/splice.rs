//! B29.

use monitor_common::event::{EventKind, Splice, splice_to as to, splice_why as why};

use super::build::{Rec, World, fact, rec};
use crate::detect::Outcome::{Denied, Succeeded};
use crate::detect::Severity::{Critical, Notice, Warning};
use crate::detect::Value;

const SECOND: u64 = 1_000_000_000;

/// Pages of a file.
pub(super) fn file(to: u32, why: u32, ret: i32) -> Rec {
    let splice = Splice { op: 230, to, why, ret, ino: 7, dev: 9, mode: 0o104_755, ..Splice::default() };
    rec(EventKind::Splice, splice).path("/usr/bin/su").at(SECOND)
}

/// Pages out of a pipe.
fn pipe(to: u32, time: u64) -> Rec {
    rec(EventKind::Splice, Splice { op: 230, to, ret: 4, ..Splice::default() }).path("").at(time)
}

#[test]
fn a_set_user_id_program_in_a_pipe_is_a_warning() {
    let mut world = World::new();
    let found =
        world.check(&[file(to::PIPE, why::SETID | why::EXECUTABLE, 4)], &[("B29", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "file").1, &Value::Bytes(b"/usr/bin/su".to_vec()));
    World::new().check(&[file(to::PIPE, why::SETID, -1)], &[("B29", Notice, Denied)]);
    // As busybox copies.
    let by_sendfile = Splice { op: 231, to: to::PIPE, why: why::SETID, ret: 4, ino: 7, ..Splice::default() };
    let by_sendfile = rec(EventKind::Splice, by_sendfile).path("/bin/bbsuid").at(SECOND);
    World::new().check(&[by_sendfile], &[("B29", Notice, Succeeded)]);
    // What a copying program does with any other.
    World::new().check(&[file(to::PIPE, why::EXECUTABLE, 4)], &[]);
}

#[test]
fn files_in_sockets_that_write_into_them() {
    for sink in [to::ALG, to::UDP, to::ESPINTCP] {
        World::new().check(&[file(sink, why::EXECUTABLE, 4)], &[("B29", Critical, Succeeded)]);
    }
    World::new().check(&[file(to::ALG, 0, 4)], &[("B29", Warning, Succeeded)]);
}

#[test]
fn a_pipe_is_judged_by_what_went_into_it() {
    for sink in [to::ALG, to::UDP, to::ESPINTCP] {
        let mut world = World::new();
        world.check(&[file(to::PIPE, why::EXECUTABLE, 4)], &[]);
        let found = world.check(&[pipe(sink, 3 * SECOND)], &[("B29", Critical, Succeeded)]);
        assert_eq!(fact(&found[0], "piped_ino").1, &Value::Number(7));
    }
    World::new().check(&[pipe(to::UDP, SECOND)], &[]);
    World::new().check(&[pipe(to::ALG, SECOND)], &[("B29", Warning, Succeeded)]);
    World::new().check(&[pipe(to::ESPINTCP, SECOND)], &[("B29", Warning, Succeeded)]);
    // What was refused is in no pipe.
    let mut world = World::new();
    world.check(&[file(to::PIPE, why::EXECUTABLE, -9)], &[]);
    world.check(&[pipe(to::UDP, SECOND)], &[]);
}

#[test]
fn another_process_counts_for_ten_seconds() {
    let other = |rec: Rec| rec.by_pid(4242);
    let mut world = World::new();
    world.check(&[file(to::PIPE, why::EXECUTABLE, 4)], &[]);
    world.check(&[other(pipe(to::UDP, 12 * SECOND))], &[]);
    world.check(&[other(pipe(to::UDP, 11 * SECOND))], &[("B29", Critical, Succeeded)]);
    let mut world = World::new();
    world.check(&[file(to::PIPE, why::EXECUTABLE, 4)], &[]);
    world.check(&[pipe(to::UDP, 100 * SECOND)], &[("B29", Critical, Succeeded)]);
}
