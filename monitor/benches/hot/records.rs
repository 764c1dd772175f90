//! Records of busy containers, as the kernel side would write them: shells that start short programs, which
//! open files and connect, beside servers that live long. No rule matches any of them.

use monitor_common::event::{
    EventKind, Exec, Exit, FileOpen, Fork, HEADER_LEN, Header, Record, STRING_PREFIX, Socket, State, layer,
    state_reason, transition,
};

/// Key of the first container; the others follow it.
pub(crate) const FIRST_KEY: u64 = 10_000;
/// Pid of the first container's first program.
const FIRST_PID: u32 = 1000;
/// Pids kept free for the long-lived programs of one container.
const PIDS_EACH: u32 = 8;
/// Rings that records come through: the critical one, and two CPUs'.
pub(crate) const RINGS: usize = 3;
/// Records of one drain.
pub(crate) const ROUND: usize = 256;

/// Records one after another, in rounds; each round has what every ring gave.
#[derive(Default)]
pub(crate) struct Recording {
    bytes: Vec<u8>,
    /// Begin of each record in `bytes`, and one more at the end.
    starts: Vec<usize>,
    /// The time up to which each round may be released, by the number of its last record.
    rounds: Vec<(usize, u64)>,
}

impl Recording {
    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The rounds: the records of each, in the order of the rings, and its horizon.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = (impl Iterator<Item = &[u8]>, u64)> {
        let mut from = 0;
        self.rounds.iter().map(move |(end, horizon)| {
            let range = from..*end;
            from = *end;
            (range.map(|n| &self.bytes[self.starts[n]..self.starts[n + 1]]), *horizon)
        })
    }
}

/// One program that runs.
#[derive(Clone, Copy)]
struct Task {
    pid: u32,
    started: u64,
}

/// Writes records.
pub(crate) struct Maker {
    pub(crate) containers: u32,
    time: u64,
    next_pid: u32,
    turn: u32,
    seq: u64,
    /// Records of the round, with the ring of each.
    round: Vec<(usize, Vec<u8>)>,
}

impl Maker {
    /// For so many containers.
    pub(crate) fn new(containers: u32) -> Self {
        Self {
            containers,
            time: 100_000_000_000,
            next_pid: FIRST_PID + containers * PIDS_EACH,
            turn: 0,
            seq: 0,
            round: Vec::new(),
        }
    }

    /// The containers start: each a first program with three children.
    pub(crate) fn start(&mut self) -> Recording {
        let mut recording = Recording::default();
        for n in 0..self.containers {
            let init = self.long_lived(n, 0);
            self.entry(n, init);
            for child in 1..4 {
                let child = self.long_lived(n, child);
                self.fork(n, init, child);
                self.exec(n, child, init.pid, &["server", "sbin", "usr"], SERVER);
            }
            self.close_round(&mut recording);
        }
        recording.starts.push(recording.bytes.len());
        recording
    }

    /// So many records and a few more, over all containers in turn.
    pub(crate) fn run(&mut self, records: usize) -> Recording {
        let mut recording = Recording::default();
        while recording.starts.len() < records {
            let n = self.turn % self.containers;
            self.turn += 1;
            self.work(n);
            if self.round.len() >= ROUND {
                self.close_round(&mut recording);
            }
        }
        self.close_round(&mut recording);
        recording.starts.push(recording.bytes.len());
        recording
    }

    /// So many children of one shell that all stay, with their own children.
    pub(crate) fn bomb(&mut self, children: u32) -> Recording {
        let mut recording = Recording::default();
        let mut parent = self.long_lived(0, 1);
        for _ in 0..children {
            let child = self.child();
            self.fork(0, parent, child);
            self.open(0, child, &["urandom", "dev"]);
            parent = child;
            if self.round.len() >= ROUND {
                self.close_round(&mut recording);
            }
        }
        self.close_round(&mut recording);
        recording.starts.push(recording.bytes.len());
        recording
    }

    /// A new process.
    fn child(&mut self) -> Task {
        self.next_pid += 1;
        if self.next_pid > 4_000_000 {
            self.next_pid = FIRST_PID + self.containers * PIDS_EACH;
        }
        self.time += 20_000;
        Task { pid: self.next_pid, started: self.time }
    }

    /// The life of a short program, and what its container's server does meanwhile: 12 records.
    fn work(&mut self, n: u32) {
        let shell = self.long_lived(n, 1);
        let server = self.long_lived(n, 2);
        let child = self.child();
        self.fork(n, shell, child);
        self.exec(n, child, shell.pid, &["curl", "bin", "usr"], CURL);
        for path in [
            &["ld.so.cache", "etc"][..],
            &["libc.so.6", "lib"],
            &["ca-certificates.crt", "certs", "ssl", "etc"],
        ] {
            self.open(n, child, path);
        }
        self.connect(n, child, 443);
        self.open(n, server, &["index.html", "www", "var"]);
        self.open(n, server, &["access.log", "log", "var"]);
        self.connect(n, server, 5432);
        self.connect(n, server, 6379);
        self.open(n, child, &["resolv.conf", "etc"]);
        self.exit(n, child);
    }

    fn long_lived(&self, n: u32, which: u32) -> Task {
        Task {
            pid: FIRST_PID + n * PIDS_EACH + which,
            started: 50_000_000_000 + u64::from(n) * 1_000_000_000 / 100,
        }
    }

    fn entry(&mut self, n: u32, init: Task) {
        let state = State {
            reason: state_reason::ENTRY,
            mnt_ns: mnt_ns(n),
            pid_ns: mnt_ns(n) + 1,
            net_ns: mnt_ns(n) + 2,
            ipc_ns: mnt_ns(n) + 3,
            uts_ns: mnt_ns(n) + 4,
            cgroup_ns: mnt_ns(n) + 5,
            time_ns: 4_026_531_834,
            user_ns: 4_026_531_837,
            root_mnt_ns: mnt_ns(n),
            cwd_mnt_ns: mnt_ns(n),
            ..State::default()
        };
        self.put(EventKind::State, n, init, 0, &state, &[b""]);
        let exec = Exec {
            transition: transition::ENTRY,
            exe_nlink: 1,
            exe_layer: layer::LOWER,
            exe_mnt_ns: mnt_ns(n),
            ppid: 900,
            ..Exec::default()
        };
        self.put(
            EventKind::Exec,
            n,
            init,
            0,
            &exec,
            &[&reversed(&["tini", "sbin"]), b"tini\0--\0run\0", b"", b""],
        );
    }

    fn fork(&mut self, n: u32, parent: Task, child: Task) {
        let fork = Fork {
            child_started: child.started,
            child_cgroup: FIRST_KEY + u64::from(n),
            child_pid: child.pid,
            child_ppid: parent.pid,
        };
        self.put(EventKind::Fork, n, parent, 1, &fork, &[]);
    }

    fn exec(&mut self, n: u32, task: Task, ppid: u32, exe: &[&str], argv: &[u8]) {
        let exec = Exec {
            exe_ino: 1_234_567,
            exe_ctime: 1_700_000_000,
            exe_magic: 0x794c_7630,
            ppid,
            exe_dev: 0x2b,
            exe_nlink: 1,
            exe_layer: layer::LOWER,
            exe_mode: 0o100_755,
            exe_mnt_ns: mnt_ns(n),
            old_euid: 0,
            old_known: 1,
            ..Exec::default()
        };
        self.put(
            EventKind::Exec,
            n,
            task,
            0,
            &exec,
            &[&reversed(exe), argv, &reversed(&["app", "srv"]), b""],
        );
    }

    fn open(&mut self, n: u32, task: Task, path: &[&str]) {
        let open = FileOpen {
            ino: 77_000,
            magic: 0x794c_7630,
            file_mnt_ns: mnt_ns(n),
            mnt_ns: mnt_ns(n),
            dev: 0x2b,
            mode: 0o100_644,
            flags: 0x8_8000,
            ret: 3,
            ..FileOpen::default()
        };
        self.put(EventKind::FileOpen, n, task, 1, &open, &[&reversed(path)]);
    }

    fn connect(&mut self, n: u32, task: Task, port: u32) {
        let mut addr = [0; 16];
        addr[10..].copy_from_slice(&[255, 255, 10, 0, (n % 250) as u8, 7]);
        let socket = Socket { addr, family: 2, port, is_final: 1, ..Socket::default() };
        self.put(EventKind::Connect, n, task, 2, &socket, &[b""]);
    }

    fn exit(&mut self, n: u32, task: Task) {
        self.put(EventKind::Exit, n, task, 2, &Exit { code: 0, ppid: 1 }, &[]);
    }

    fn put<R: Record>(
        &mut self,
        kind: EventKind,
        n: u32,
        task: Task,
        ring: usize,
        payload: &R,
        tail: &[&[u8]],
    ) {
        self.time += 900;
        self.seq += 1;
        let mut bytes = vec![0; HEADER_LEN + R::SIZE];
        payload.write(&mut bytes[HEADER_LEN..]);
        for string in tail {
            bytes.extend_from_slice(&(string.len() as u16).to_ne_bytes());
            bytes.extend_from_slice(&[0; STRING_PREFIX - 2]);
            bytes.extend_from_slice(string);
        }
        let header = Header {
            kind: kind as u16,
            len: bytes.len() as u16,
            cpu: ring as u16 % 2,
            seq: self.seq,
            time: self.time,
            container: FIRST_KEY + u64::from(n),
            cgroup: FIRST_KEY + u64::from(n),
            pid: task.pid,
            tid: task.pid,
            started: task.started,
            ..Header::default()
        };
        let mut head = [0; HEADER_LEN];
        header.write(&mut head);
        bytes[..HEADER_LEN].copy_from_slice(&head);
        self.round.push((ring, bytes));
    }

    fn close_round(&mut self, recording: &mut Recording) {
        for ring in 0..RINGS {
            for (_, bytes) in self.round.iter().filter(|(of, _)| *of == ring) {
                recording.starts.push(recording.bytes.len());
                recording.bytes.extend_from_slice(bytes);
            }
        }
        self.round.clear();
        // The youngest records wait for the next round, as they do for records of other rings.
        recording.rounds.push((recording.starts.len(), self.time - 50_000));
    }
}

const SERVER: &[u8] = b"/usr/sbin/server\0--config\0/etc/server.conf\0--foreground\0";
const CURL: &[u8] = b"curl\0-fsS\0--max-time\x005\0http://127.0.0.1/v1/items?limit=50\0";

fn mnt_ns(n: u32) -> u32 {
    4_026_532_000 + n * 8
}

fn reversed(components: &[&str]) -> Vec<u8> {
    components.iter().flat_map(|c| c.bytes().chain([0])).collect()
}
