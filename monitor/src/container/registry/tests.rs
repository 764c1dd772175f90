//! Tests of the registry.

use monitor_common::event::{Exec, Fork, flags};

use super::super::Engine;
use super::*;
use crate::process::testing::{event, list, record};

const KEY: u64 = 500;

struct World {
    registry: Registry,
    procs: ProcessTable,
}

impl World {
    fn new() -> Self {
        Self { registry: Registry::new(1_000_000_000_000), procs: ProcessTable::default() }
    }

    fn feed(&mut self, bytes: &[u8]) -> Option<Change> {
        let ev = event(bytes);
        self.procs.apply(&ev);
        self.registry.apply(&ev, &self.procs)
    }

    fn cgroup(&mut self, payload: Cgroup, path: &str) -> Option<Change> {
        let head = Header { pid: 1, started: 1, ..Header::default() };
        self.feed(&record(EventKind::Cgroup, head, &payload, &[path.as_bytes()]))
    }

    fn attach(&mut self, key: u64) -> Option<Change> {
        let payload = Cgroup {
            id: key & !KEY_V1,
            dst_container: key,
            op: cgroup_op::ATTACH,
            task_pid: 20,
            task_runtime: 1,
            ..Cgroup::default()
        };
        self.cgroup(payload, "/docker/x")
    }

    fn rmdir(&mut self, id: u64, key: u64) -> Option<Change> {
        self.cgroup(Cgroup { id, dst_container: key, op: cgroup_op::RMDIR, ..Cgroup::default() }, "/docker/x")
    }

    fn state(&mut self, key: u64, reason: u32) -> Option<Change> {
        self.state_of(20, key, reason)
    }

    fn state_of(&mut self, pid: u32, key: u64, reason: u32) -> Option<Change> {
        let head = Header {
            pid,
            started: 2_000_000_000,
            time: 5_500_000_000,
            container: key,
            uid: 7,
            ..Header::default()
        };
        self.feed(&record(EventKind::State, head, &State { reason, mnt_ns: 9, ..State::default() }, &[b""]))
    }

    fn runtime(&mut self) {
        let head = Header { pid: 20, started: 1, flags: flags::RUNTIME, ..Header::default() };
        let argv = list(&["runc", "create", "--bundle", "b", "c1"]);
        self.feed(&record(
            EventKind::Exec,
            head,
            &Exec::default(),
            &[&list(&["runc"]), &argv, &list(&["w"]), b""],
        ));
    }
}

#[test]
fn a_runtime_that_stays_says_who_it_is() {
    let run = |argv: &[&str], path: &str| {
        let mut w = World::new();
        let head = Header { pid: 19, started: 1, flags: flags::RUNTIME, ..Header::default() };
        let strings: [&[u8]; 4] = [b"/usr/bin/lxc-start", &list(argv), b"/", b""];
        w.feed(&record(EventKind::Exec, head, &Exec::default(), &strings));
        let child = Fork { child_started: 2_000_000_000, child_pid: 20, child_ppid: 19, ..Fork::default() };
        w.feed(&record(EventKind::Fork, head, &child, &[]));
        w.cgroup(Cgroup { id: KEY, op: cgroup_op::MKDIR, ..Cgroup::default() }, path);
        assert_eq!(w.state(KEY, state_reason::ENTRY), Some(Change::Entered(ContainerKey(KEY))));
        let asked = w.registry.ask(ContainerKey(KEY));
        let container = w.registry.get(ContainerKey(KEY)).expect("entered").clone();
        assert_eq!(asked, container.status != Status::Resolved);
        (container.identity.id, container.identity.engine.map(Engine::name))
    };
    let own = |name: &str| Some(name.to_owned());
    // A cgroup that was there already gave it a number.
    assert_eq!(run(&["lxc-start", "-n", "run"], "/lxc.payload.run-1"), (own("run"), Some("lxc")));
    assert_eq!(run(&["lxc-autostart"], "/lxc.payload.db"), (own("db"), Some("lxc")));
    let unit = "/machine.slice/systemd-nspawn@db.service/payload";
    assert_eq!(run(&["systemd-nspawn", "-D", "/t"], unit), (own("db"), Some("systemd-nspawn")));
    assert_eq!(run(&["systemd-nspawn", "-D", "/t"], "/x"), (own("t"), Some("systemd-nspawn")));
    // What is left open is for the edge.
    assert_eq!(run(&["lxc-autostart"], "/docker/x"), (None, None));
    assert_eq!(run(&["runc", "run", "c1"], "/lxc.payload.db"), (own("c1"), None));
}

#[test]
fn a_life() {
    let key = ContainerKey(KEY);
    let mut w = World::new();
    w.runtime();
    assert_eq!(w.attach(KEY), Some(Change::Created(key)));
    assert_eq!(w.attach(KEY), None);
    let hint = w.registry.hint(key).expect("known");
    assert_eq!((hint.pid, hint.cgroup_path.as_str()), (20, "/docker/x"));
    let run = hint.runtime.as_ref().expect("found");
    assert_eq!(
        (run.exe.as_slice(), run.cwd.as_slice(), run.argv.len()),
        (b"/runc".as_slice(), b"/w".as_slice(), 5)
    );
    assert_eq!(w.state(KEY, state_reason::CHANGE), None);
    assert_eq!(w.state(KEY, state_reason::ENTRY), Some(Change::Entered(key)));
    assert_eq!(w.state(KEY, state_reason::SCAN), None, "a scan does not replace what was seen");
    let b = w.registry.get(key).and_then(|c| c.baseline).expect("entered");
    assert_eq!((b.state.mnt_ns, b.uid, b.entered, b.entered_epoch), (9, 7, 5_500_000_000, 1005));
    assert_eq!(w.rmdir(501, KEY), None, "a cgroup inside it");
    assert_eq!(w.rmdir(KEY, KEY), Some(Change::Gone(key)));
    assert_eq!(w.rmdir(KEY, KEY), None);
    assert!(w.registry.is_gone(key) && w.registry.get(key).is_some());
    assert_eq!(w.registry.iter().count(), 0);
    assert_eq!(w.state(KEY, state_reason::CHANGE), None, "a late record makes nothing new");
    assert_eq!(w.attach(KEY), Some(Change::Created(key)), "the number is used again");
    assert!(w.registry.get(key).expect("new").baseline.is_none());
}

#[test]
fn an_id_is_there_before_any_file_was_read() {
    let id_of = |w: &World, key: u64| w.registry.get(ContainerKey(key)).and_then(|c| c.identity.id.clone());
    let mut w = World::new();
    w.runtime();
    w.attach(KEY);
    assert_eq!(id_of(&w, KEY).as_deref(), Some("c1"), "as the runtime was told");
    assert_eq!(w.registry.get(ContainerKey(KEY)).map(|c| c.status.clone()), Some(Status::Pending));
    // What could not be found out takes it away from nobody.
    let unknown = Update {
        key: ContainerKey(KEY),
        status: Status::Unknown("gone".into()),
        identity: Identity::default(),
        declared: None,
        mismatches: Vec::new(),
    };
    assert!(w.registry.update(unknown));
    assert_eq!(id_of(&w, KEY).as_deref(), Some("c1"));

    let by_path = |path: &str| {
        let mut w = World::new();
        w.cgroup(Cgroup { id: KEY, op: cgroup_op::MKDIR, ..Cgroup::default() }, path);
        w.state(KEY, state_reason::ENTRY);
        id_of(&w, KEY)
    };
    let full = "5f".repeat(32);
    assert_eq!(by_path(&format!("/system.slice/docker-{full}.scope")), Some(full));
    // A name, which the runtime may have made another one of.
    assert_eq!(by_path("/lxc.payload.run-1"), None);
}

#[test]
fn a_lost_attach() {
    let mut w = World::new();
    w.cgroup(Cgroup { id: KEY, op: cgroup_op::MKDIR, ..Cgroup::default() }, "/made");
    assert_eq!(w.state(KEY, state_reason::ENTRY), Some(Change::Entered(ContainerKey(KEY))));
    assert_eq!(w.registry.get(ContainerKey(KEY)).expect("known").cgroup_path, "/made");
    assert_eq!(w.state(KEY + 1, state_reason::CHANGE), Some(Change::Created(ContainerKey(KEY + 1))));
    assert_eq!(w.state(KEY + 1, state_reason::JOIN), None);
    let keys: Vec<u64> = w.registry.iter().map(|c| c.key.0).collect();
    assert_eq!(keys, [KEY, KEY + 1]);
}

#[test]
fn scanned_and_v1_keys() {
    let mut w = World::new();
    let key = KEY | KEY_V1;
    assert_eq!(w.state(key, state_reason::SCAN), Some(Change::Entered(ContainerKey(key))));
    let b = w.registry.get(ContainerKey(key)).and_then(|c| c.baseline).expect("entered");
    assert_eq!((b.entered, b.entered_epoch), (2_000_000_000, 1002));
    assert_eq!(w.rmdir(KEY, key), Some(Change::Gone(ContainerKey(key))));
    let request = ResolveRequest { key: ContainerKey(3), cgroup_path: "/s".into(), pid: 4, runtime: None };
    assert!(w.registry.insert_scanned(request.clone()));
    assert!(!w.registry.insert_scanned(request));
}

#[test]
fn host_moves_make_no_container() {
    let mut w = World::new();
    let attach = Cgroup { id: 5, op: cgroup_op::ATTACH, task_pid: 3, ..Cgroup::default() };
    for payload in [
        Cgroup { task_runtime: 1, ..attach },
        Cgroup { dst_container: 5, ..attach },
        Cgroup { dst_container: 5, task_container: 6, task_runtime: 1, ..attach },
    ] {
        assert_eq!(w.cgroup(payload, "/x"), None);
    }
    assert!(w.registry.is_empty());
}

#[test]
fn updates_do_not_lose_what_is_known() {
    let mut w = World::new();
    let key = ContainerKey(KEY);
    let update = |status: Status, id: &str| Update {
        key,
        status,
        identity: Identity { id: Some(id.to_owned()), ..Identity::default() },
        declared: None,
        mismatches: Vec::new(),
    };
    assert!(!w.registry.update(update(Status::Resolved, "a")));
    w.attach(KEY);
    assert!(w.registry.update(update(Status::Unknown("x".into()), "a")));
    assert!(w.registry.update(update(Status::Resolved, "b")));
    assert!(!w.registry.update(update(Status::Resolved, "b")));
    assert!(!w.registry.update(update(Status::Unknown("late".into()), "c")));
    assert_eq!(w.registry.get(key).expect("known").identity.id.as_deref(), Some("b"));
}

#[test]
fn bounded() {
    let mut w = World::new();
    for n in 0..CAPACITY as u64 + 10 {
        w.attach(1000 + n);
    }
    assert_eq!((w.registry.len(), w.registry.refused()), (CAPACITY, 10));
    for n in 0..2000 {
        w.rmdir(1000 + n, 1000 + n);
    }
    assert_eq!(w.registry.len(), CAPACITY - 2000 + GONE_KEPT);
    assert!(w.attach(9_999_999).is_some());
    // None was ever known: those that are forgotten say so, and are told once.
    let unanswered = w.registry.take_unanswered();
    assert_eq!(unanswered.len(), 2000 - GONE_KEPT);
    assert!(unanswered.iter().all(|c| matches!(&c.status, Status::Unknown(why) if why == FORGOTTEN)));
    assert!(w.registry.take_unanswered().is_empty());
    assert_eq!(w.registry.give_up("end").len(), w.registry.len());
}

#[test]
fn each_is_asked_about_once_at_a_time() {
    let mut w = World::new();
    let key = ContainerKey(KEY);
    assert!(!w.registry.ask(key), "not there");
    w.attach(KEY);
    assert!(w.registry.ask(key) && !w.registry.ask(key));
    w.state(KEY, state_reason::ENTRY);
    assert_eq!(w.registry.question(key).map(|q| q.pid), Some(20), "what is known when it is put");
    assert!(w.registry.ask(key));
    let identity = Identity::default();
    w.registry.update(Update {
        key,
        status: Status::Resolved,
        identity,
        declared: None,
        mismatches: Vec::new(),
    });
    assert!(w.registry.question(key).is_none(), "known meanwhile");
    assert!(!w.registry.ask(key));
}

#[test]
fn a_child_born_in_a_new_cgroup_makes_a_container() {
    let mut w = World::new();
    w.runtime();
    w.cgroup(Cgroup { id: KEY, op: cgroup_op::MKDIR, ..Cgroup::default() }, "/born");
    // The record of the fork comes later: who made it is the acting task.
    let born = Cgroup {
        id: KEY,
        dst_container: KEY,
        op: cgroup_op::BORN,
        task_pid: 21,
        task_runtime: 1,
        ..Cgroup::default()
    };
    let head = Header { pid: 20, started: 1, flags: flags::RUNTIME, ..Header::default() };
    let change = w.feed(&record(EventKind::Cgroup, head, &born, &[b""]));
    assert_eq!(change, Some(Change::Created(ContainerKey(KEY))));
    let hint = w.registry.hint(ContainerKey(KEY)).expect("known");
    assert_eq!((hint.pid, hint.cgroup_path.as_str()), (21, "/born"));
    assert_eq!(hint.runtime.as_ref().map(|run| run.pid), Some(20));
}

#[test]
fn a_container_without_a_process_is_gone_until_one_comes() {
    let key = ContainerKey(KEY);
    let mut w = World::new();
    w.runtime();
    w.attach(KEY);
    w.state(KEY, state_reason::ENTRY);
    w.registry.tally(key).unwrap().received += 7;
    let procs = ProcessTable::default();
    let suspects = w.registry.suspects(&procs, false);
    assert_eq!((suspects.len(), suspects[0].key, suspects[0].received), (1, key, 7));
    assert_eq!(suspects[0].cgroup_path, "/docker/x");
    let suspect = suspects[0].clone();
    let older = Suspect { received: 6, ..suspect.clone() };
    assert!(!w.registry.end(&older), "a record came meanwhile");
    let another = Suspect { entered: suspect.entered - 1, ..suspect.clone() };
    assert!(!w.registry.end(&another), "another one is in its place");
    assert!(w.registry.end(&suspect) && w.registry.is_gone(key));
    assert!(!w.registry.end(&suspect) && w.registry.suspects(&procs, true).is_empty());
    assert_eq!(
        w.state(KEY, state_reason::CHANGE),
        Some(Change::Created(key)),
        "a process is there after all"
    );
    assert!(!w.registry.is_gone(key) && w.registry.get(key).is_some_and(|c| c.baseline.is_some()));
    assert!(w.registry.end(&suspect));
    assert_eq!(w.rmdir(KEY, KEY), None, "it is said once");
    assert_eq!(w.state(KEY, state_reason::ENTRY), Some(Change::Entered(key)), "another one in its place");
    assert_eq!(w.rmdir(KEY, KEY), Some(Change::Gone(key)));
}

#[test]
fn containers_without_a_cgroup_are_asked_about_with_their_processes() {
    let key = KEY | KEY_MNT_NS;
    let mut w = World::new();
    w.state(key, state_reason::ENTRY);
    assert!(w.registry.suspects(&w.procs, false).is_empty(), "its first process lives");
    let suspects = w.registry.suspects(&w.procs, true);
    assert_eq!((suspects.len(), suspects[0].processes.len()), (1, 1));
    assert!(w.registry.end(&suspects[0]));
}

#[test]
fn the_number_of_a_mount_namespace_is_given_again() {
    let key = KEY | KEY_MNT_NS;
    let mut w = World::new();
    w.state(key, state_reason::ENTRY);
    w.registry.tally(ContainerKey(key)).unwrap().received += 7;
    let first = w.registry.suspects(&w.procs, true).remove(0);
    assert_eq!(w.state(key, state_reason::SCAN), None);
    assert!(w.registry.take_replaced().is_empty());
    // Nobody had told of the first one's end.
    assert_eq!(w.state(key, state_reason::ENTRY), Some(Change::Entered(ContainerKey(key))));
    let replaced = w.registry.take_replaced();
    assert_eq!((replaced.len(), replaced[0].key), (1, ContainerKey(key)));
    assert_eq!((w.registry.len(), w.registry.tally(ContainerKey(key)).copied()), (1, Some(Tally::default())));
    // What was known to have ended is not told of twice.
    assert!(!w.registry.end(&first), "the other one is not meant");
    let second = w.registry.suspects(&w.procs, true).remove(0);
    assert!(w.registry.end(&second));
    assert_eq!(w.state(key, state_reason::ENTRY), Some(Change::Entered(ContainerKey(key))));
    assert!(w.registry.take_replaced().is_empty());
    // One that was found running, and is entered while that is looked at, is still the same.
    let key = key + 1;
    w.state_of(30, key, state_reason::SCAN);
    w.state_of(30, key, state_reason::ENTRY);
    assert!(w.registry.take_replaced().is_empty());
    // Another one is entered in the place of one that was found running.
    let key = key + 1;
    w.state_of(30, key, state_reason::SCAN);
    assert_eq!(w.state_of(40, key, state_reason::ENTRY), Some(Change::Entered(ContainerKey(key))));
    assert_eq!(w.registry.take_replaced().len(), 1);
    // A container's own cgroup is not given again.
    w.runtime();
    w.attach(KEY);
    w.state(KEY, state_reason::ENTRY);
    assert_eq!(w.state(KEY, state_reason::ENTRY), None);
}
