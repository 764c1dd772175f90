//! Where the corpus begins: one well-formed input of each kind, so that mutations start behind the first checks.

use monitor_common::event::{EventKind, HEADER_LEN, Header};

/// Name of the target, name of the seed, bytes.
pub(crate) type Seed = (&'static str, String, Vec<u8>);

/// Every seed.
pub(crate) fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut stream = Vec::new();
    for kind in EventKind::ALL {
        for (name, fill) in [("zero", 0u8), ("one", 1), ("high", 0xff)] {
            let bytes = record(*kind, fill);
            stream.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            stream.extend_from_slice(&bytes);
            seeds.push(("record", format!("{}-{name}", kind.name()), bytes));
        }
    }
    seeds.push(("pipeline", "every-kind".into(), stream));
    seeds.push(("btf", "small".into(), btf()));
    seeds.push(("bundle", "typical".into(), BUNDLE.into()));
    for (n, words) in ARGV.iter().enumerate() {
        let words: Vec<u8> = words.split(' ').flat_map(|word| word.bytes().chain([0])).collect();
        seeds.push(("argv", format!("call-{n}"), words));
    }
    for (n, path) in PATHS.iter().enumerate() {
        let path = path.replace("ID", &"0123456789abcdef".repeat(4));
        seeds.push(("cgroup_path", format!("path-{n}"), path.into_bytes()));
    }
    for (n, parts) in LAYOUTS.iter().enumerate() {
        seeds.push(("layout", format!("host-{n}"), parts.join("\0").into_bytes()));
    }
    for (n, message) in DNS.iter().enumerate() {
        seeds.push(("dns", format!("message-{n}"), message.to_vec()));
    }
    for (n, log) in LOGS.iter().enumerate() {
        seeds.push(("kmsg", format!("log-{n}"), log.as_bytes().to_vec()));
    }
    seeds
}

/// A record whose payload is full of one byte, with a string in each place of the tail.
fn record(kind: EventKind, fill: u8) -> Vec<u8> {
    let mut tail = Vec::new();
    for (n, _) in kind.tail_fields().iter().enumerate() {
        let text = [&b"b\xc3\xa4d\x1b[31m\0"[..], b"run\0tmp\0", b"\xff\"\\\n"][n % 3];
        tail.extend_from_slice(&(text.len() as u16).to_ne_bytes());
        tail.extend_from_slice(&u16::from(fill & 7).to_ne_bytes());
        tail.extend_from_slice(text);
    }
    let len = (HEADER_LEN + kind.payload_size() + tail.len()) as u16;
    let header = Header {
        kind: kind as u16,
        len,
        flags: u16::from(fill & 1),
        time: 1_000_000_000,
        container: u64::from(fill),
        cgroup: u64::from(fill),
        pid: 100,
        tid: 100,
        started: 500_000_000,
        ..Header::default()
    };
    let mut start = [0; HEADER_LEN];
    header.write(&mut start);
    let mut bytes = start.to_vec();
    bytes.resize(HEADER_LEN + kind.payload_size(), fill);
    bytes.extend_from_slice(&tail);
    bytes
}

/// Type information with a struct, an anonymous union in it, a typedef, an enum and a function.
fn btf() -> Vec<u8> {
    let mut strings = vec![0u8];
    let mut types: Vec<u8> = Vec::new();
    let mut name = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let mut put = |words: &[u32]| words.iter().for_each(|word| types.extend_from_slice(&word.to_le_bytes()));
    let kind = |kind: u32, vlen: u32| kind << 24 | vlen;
    // 1: int
    put(&[name("int"), kind(1, 0), 4, 32]);
    // 2: an anonymous union of two members
    put(&[0, kind(5, 2), 4, name("euid"), 1, 0, name("suid"), 1, 0]);
    // 3: struct cred { int uid; int gid; union { … }; }
    put(&[name("cred"), kind(4, 3), 12, name("uid"), 1, 0, name("gid"), 1, 32, 0, 2, 64]);
    // 4: const struct cred, 5: pointer to it
    put(&[0, kind(10, 0), 3]);
    put(&[0, kind(2, 0), 4]);
    // 6: struct task_struct { int pid; int tgid; const struct cred *cred; struct cred own; }
    put(&[name("task_struct"), kind(4, 4), 28, name("pid"), 1, 0, name("tgid"), 1, 32, name("cred"), 5, 64]);
    put(&[name("seccomp"), 3, 128]);
    // 7: enum, 8: function prototype, 9: function, 10: typedef
    put(&[name("cgroup_subsys_id"), kind(6, 1), 4, name("pids_cgrp_id"), 11]);
    put(&[0, kind(13, 1), 1, name("file"), 5]);
    put(&[name("security_file_open"), kind(12, 0), 8]);
    put(&[name("btf_trace_sched_process_exec"), kind(8, 0), 8]);
    let header = [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    header.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.extend_from_slice(&types);
    bytes.extend_from_slice(&strings);
    bytes
}

const BUNDLE: &str = r#"{"ociVersion":"1.0.2","process":{"user":{"uid":1000,"gid":1000},"args":["sh"],"cwd":"/",
"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_ADMIN"],"effective":[]},"noNewPrivileges":true},
"root":{"path":"rootfs","readonly":true},"hostname":"h",
"mounts":[{"destination":"/proc","type":"proc","source":"proc"},
{"destination":"/data","type":"bind","source":"/srv/data","options":["rbind","ro"]}],
"annotations":{"io.kubernetes.cri.container-type":"container"},
"linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"network","path":"/proc/1/ns/net"}],
"cgroupsPath":"/docker/x","maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],
"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229}],
"resources":{"devices":[{"allow":false,"access":"rwm"}]},"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"}}}"#;

/// Working directory, then the arguments.
const ARGV: &[&str] = &[
    "/run/b runc --root /run/runc --log /l create --bundle /run/b --pid-file /p id1",
    "/run/b crun --root=/run/crun --systemd-cgroup run -b bundle -d id2",
    "/ runc exec --process /tmp/p.json --detach id3",
    "/ runc start id4",
    "rel runc --debug delete --force id5",
];

const PATHS: &[&str] = &[
    "/docker/ID",
    "/system.slice/docker-ID.scope",
    "/kubepods/besteffort/pod0a1b/ID",
    "/kubepods.slice/kubepods-pod0a.slice/cri-containerd-ID.scope",
    "/machine.slice/libpod-ID.scope/container",
    "/docker/ID/docker/ID/init",
    "/user.slice/user-1000.slice",
];

/// `mountinfo`, `/proc/cgroups`, `/proc/self/cgroup`.
const LAYOUTS: &[[&str; 3]] = &[
    [
        "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\npids\t0\t1\t1\n",
        "0::/user.slice\n",
    ],
    [
        "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
         31 1 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\npids\t4\t1\t1\nmemory\t5\t1\t1\n",
        "4:pids:/docker/a\n0::/\n",
    ],
    ["31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "memory\t5\t1\t1\n", "5:memory:/\n"],
];

/// One byte, then a DNS message: a query; an answer with a CNAME, addresses and a text; pointers in a chain.
const DNS: &[&[u8]] = &[
    b"\0\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x1c\0\x01",
    b"\x01\x12\x34\x81\x80\0\x01\0\x04\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
      \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x10\xc0\x10\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01\
      \xc0\x10\0\x1c\0\x01\0\0\0\x3c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
      \xc0\x10\0\x10\0\x01\0\0\0\x3c\0\x04\x03a\\\xff",
    b"\0\0\0\x80\x03\0\x01\0\0\0\0\0\0\0\xc0\x0c\xc0\x0d\xc0\x0f\xc0\x11\0\x01\0\x01",
];

/// The kernel's log: an oops, warnings of old and new kernels, a sanitizer's report, a process that is called like one.
const LOGS: &[&str] = &[
    "4,1,1,-;BUG: kernel NULL pointer dereference, address: 0000000000000010\n4,2,1,-;Oops: 0002 [#1] PREEMPT SMP\n\
     4,3,1,-;CPU: 1 UID: 0 PID: 77 Comm: a\\x0ab Tainted: G    B D W  OE      6.1.0 #1 Debian\n\
     4,4,1,-;RIP: 0010:f+0x1/0x20 [m]\n4,5,1,-;Call Trace:\n4,6,1,-; <IRQ>\n4,7,1,-;---[ end trace 0000000000000000 ]---\n",
    "4,1,1,-,caller=T7;WARNING: CPU: 0 PID: 7 at mm/x.c:1 f+0x1/0x20\n SUBSYSTEM=x\n\
     4,2,1,-,caller=T7;CPU: 0 PID: 7 Comm: x Not tainted 6.1.0 #1\n4,3,1,-;WARNING: mm/x.c:1 at f+0x1/0x20, CPU#2: a/b/8\n",
    "4,1,1,-;BUG: KASAN: use-after-free in f+0x1/0x20\n4,2,1,-;CPU: 0 PID: 7 Comm: x Not tainted 6.1.0 #1\n\
     4,3,1,-;general protection fault: 0000 [#2]\n4,4,1,-;CPU: 0 PID: 8 Comm: y Kdump: loaded Not tainted 6.1.0 #1\n",
    "6,1,1,-;Oops: 0000 [#1][77]: segfault at 0 ip 0 sp 0 error 4 in x[1+2]\n12,2,1,-;kernel BUG at a.c:1!\n\
     4,3,1,-;CPU: 0 PID: 1 C[7]: segfault\n4,4,1,-;kernel BUG at mm/slub.c:1!\n4,5,1,-;UBSAN: shift-out-of-bounds in a.c:1:2\n",
];
