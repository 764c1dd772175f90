//! C07, C08.

use monitor_common::event::{Cgroup, EventKind, cgroup_op};
use monitor_common::policy::KEY_V1;

use super::build::{Brief, OTHER, OWN, Rec, World, fact, rec};
use super::namespace::{setns, unshare_mnt};
use crate::container::ContainerKey;
use crate::detect::Outcome::Succeeded;
use crate::detect::Severity::{Critical, Warning};
use crate::detect::Value;

pub(super) fn moved(op: u32, from: u64, to: u64, change: impl FnOnce(&mut Cgroup)) -> Rec {
    let mut c = Cgroup {
        op,
        id: 5,
        task_container: from,
        dst_container: to,
        task_pid: 1,
        task_tid: 1,
        ..Cgroup::default()
    };
    change(&mut c);
    rec(EventKind::Cgroup, c).text(b"/elsewhere")
}

fn check(rec: Rec, expected: &[Brief]) -> Vec<crate::detect::Emitted> {
    World::new().check(&[rec], expected)
}

#[test]
fn moved_out() {
    use cgroup_op::ATTACH;
    let critical = &[("C07", Critical, Succeeded)];
    let found = check(moved(ATTACH, OWN, 0, |_| ()), critical);
    assert_eq!(fact(&found[0], "cgroup_container"), (Some(&Value::Hex(OWN)), &Value::Word("host")));
    assert_eq!(fact(&found[0], "task_exe").1, &Value::Bytes(b"/sbin/init".to_vec()));
    check(moved(ATTACH, OWN, OTHER, |_| ()), critical);
    // By a process of the host: about the container all the same.
    let found = check(moved(ATTACH, OWN, 0, |_| ()).by_host(), &[("C07", Warning, Succeeded)]);
    assert_eq!(found[0].container, ContainerKey(OWN));

    check(moved(ATTACH, OWN, OWN, |_| ()), &[]);
    check(moved(ATTACH, OWN, 0, |c| c.mover_trusted = 1).by_host(), &[]);
    check(moved(ATTACH, OWN, 0, |c| c.task_runtime = 1).by_host(), &[]);
    check(moved(ATTACH, OWN, 0, |_| ()).by_runtime(), &[]);
    check(moved(cgroup_op::MKDIR, OWN, 0, |_| ()), &[]);
}

#[test]
fn born_elsewhere() {
    use cgroup_op::BORN;
    check(moved(BORN, OWN, 0, |_| ()), &[("C08", Critical, Succeeded)]);
    check(moved(BORN, OWN, OTHER, |_| ()), &[("C08", Critical, Succeeded)]);
    check(moved(BORN, OWN, OWN, |_| ()), &[]);
    // `runc exec` puts its child into the container's cgroup at birth.
    check(moved(BORN, 0, OWN, |_| ()).by_runtime(), &[]);
}

#[test]
fn brought_in() {
    use cgroup_op::{ATTACH, BORN, MKDIR};
    let found = check(moved(ATTACH, 0, OWN, |_| ()).by_host(), &[("C10", Warning, Succeeded)]);
    assert_eq!(fact(&found[0], "cgroup_container"), (Some(&Value::Word("host")), &Value::Hex(OWN)));
    assert_eq!(found[0].container, ContainerKey(OWN));
    check(moved(BORN, 0, OWN, |_| ()).by_host(), &[("C10", Warning, Succeeded)]);

    check(moved(ATTACH, 0, OWN, |c| c.mover_trusted = 1).by_host(), &[]);
    check(moved(ATTACH, 0, OWN, |c| c.task_runtime = 1).by_host(), &[]);
    check(moved(ATTACH, 0, 0, |_| ()).by_host(), &[]);
    check(moved(MKDIR, 0, OWN, |_| ()).by_host(), &[]);
}

#[test]
fn a_baseline_is_not_needed() {
    let mut world = World::new();
    world.container.baseline = None;
    world.check(&[moved(cgroup_op::ATTACH, OWN, 0, |_| ())], &[("C07", Critical, Succeeded)]);
}

#[test]
fn a_removed_container_is_forgotten() {
    let joins = setns(900, 0, |n| n.mnt_ns = 900);
    for key in [OWN, OWN | KEY_V1] {
        let mut world = World::new();
        world.container.key = ContainerKey(key);
        world.feed(&unshare_mnt());
        assert!(world.feed(&joins).is_empty());
        // A cgroup below is not the container.
        world.feed(&moved(cgroup_op::RMDIR, 0, key, |c| c.id = 6).by_host());
        assert!(world.feed(&joins).is_empty());
        world.feed(&moved(cgroup_op::RMDIR, 0, key, |c| c.id = OWN).by_host().by_runtime());
        assert_eq!(world.feed(&joins).len(), 1);
    }
}
