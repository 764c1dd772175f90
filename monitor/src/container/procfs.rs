//! Reads what `/proc` says about a process. Everything may vanish or be odd at any time: `None`, never a
//! panic.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};

use super::host::{cached_status, read_file, read_start};
use crate::process::{MAX_ARGS, MAX_ARGV_BYTES, Process, ProcessKey, Program, TICK_NS};

/// The fields of `/proc/<pid>/status` that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TaskStatus {
    pub(super) uid: u32,
    pub(super) euid: u32,
    pub(super) suid: u32,
    pub(super) gid: u32,
    pub(super) cap_permitted: u64,
    pub(super) cap_effective: u64,
    pub(super) cap_bounding: u64,
    pub(super) seccomp: u32,
    pub(super) no_new_privs: u32,
    /// Process that the thread is of.
    pub(super) tgid: u32,
    /// Process id in its innermost pid namespace.
    pub(super) inner_pid: u32,
}

/// When a process or a thread started that runs under this number, nanoseconds since boot, floored to 10 ms.
pub fn started(tid: u32) -> Option<u64> {
    Proc::new(Path::new("/proc")).stat(tid).map(|(_, started)| started)
}

/// The process of a thread that runs, and when the thread started.
pub fn thread(tid: u32) -> Option<(u32, u64)> {
    let started = started(tid)?;
    let status = Proc::new(Path::new("/proc")).status(tid, tid)?;
    Some((status.tgid, started))
}

/// A procfs.
#[derive(Clone, Debug)]
pub(super) struct Proc {
    root: PathBuf,
    /// Leaves out what a process can make wait.
    careful: bool,
}

impl Proc {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), careful: false }
    }

    /// The same without what a process can make wait: its arguments, which are in its memory, and its root.
    pub(super) fn careful(&self) -> Self {
        Self { careful: true, ..self.clone() }
    }

    fn of(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    /// Every process id, in order.
    pub(super) fn pids(&self) -> Vec<u32> {
        numbers(&self.root)
    }

    /// The thread ids of a process.
    pub(super) fn threads(&self, pid: u32) -> Vec<u32> {
        numbers(&self.of(pid, "task"))
    }

    /// Status of one thread.
    pub(super) fn status(&self, pid: u32, tid: u32) -> Option<TaskStatus> {
        let bytes = read_file(&self.of(pid, "task").join(tid.to_string()).join("status")).ok()?;
        Some(parse_status(&bytes))
    }

    /// Parent, and start in nanoseconds since boot, floored to 10 ms.
    pub(super) fn stat(&self, pid: u32) -> Option<(u32, u64)> {
        parse_stat(&read_file(&self.of(pid, "stat")).ok()?)
    }

    /// Inode of a namespace, by its name in `/proc/<pid>/ns`.
    pub(super) fn namespace(&self, pid: u32, name: &str) -> Option<u32> {
        let link = fs::read_link(self.of(pid, "ns").join(name)).ok()?;
        link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
    }

    /// The numbers of `NSpid` (proc(5)) but for the first.
    pub(super) fn inner_pids(&self, pid: u32) -> Vec<u32> {
        let text = read_file(&self.of(pid, "status")).unwrap_or_default();
        let numbers = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"));
        let numbers = String::from_utf8_lossy(numbers.unwrap_or_default()).into_owned();
        numbers.split_ascii_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect()
    }

    /// Text of `/proc/<pid>/cgroup`.
    pub(super) fn cgroup(&self, pid: u32) -> Option<String> {
        Some(String::from_utf8_lossy(&read_file(&self.of(pid, "cgroup")).ok()?).into_owned())
    }

    /// Arguments, as many as a [`Process`] keeps.
    pub(super) fn argv(&self, pid: u32) -> Vec<Vec<u8>> {
        if self.careful {
            return Vec::new();
        }
        let mut bytes = read_start(&self.of(pid, "cmdline"), MAX_ARGV_BYTES as u64).unwrap_or_default();
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Vec::new();
        }
        bytes.split(|b| *b == 0).take(MAX_ARGS).map(<[u8]>::to_vec).collect()
    }

    /// A symbolic link of a process, such as `exe` or `cwd`.
    pub(super) fn link(&self, pid: u32, name: &str) -> Vec<u8> {
        fs::read_link(self.of(pid, name)).map(|path| path.into_os_string().into_vec()).unwrap_or_default()
    }

    /// Kernel device number and inode of the root directory.
    ///
    /// The device is the superblock's, out of mountinfo, where the root is a mount point: `stat` gives
    /// another one on btrfs.
    pub(super) fn root(&self, pid: u32) -> Option<(u32, u64)> {
        if self.careful {
            return None;
        }
        let status = cached_status(CWD, self.of(pid, "root"), AtFlags::empty()).ok()?;
        let stat_dev = kernel_dev(status.stx_dev_major, status.stx_dev_minor);
        let mounts = read_start(&self.of(pid, "mountinfo"), 1 << 20).unwrap_or_default();
        let dev = mounts.split(|b| *b == b'\n').filter_map(root_mount_dev).next_back();
        Some((dev.unwrap_or(stat_dev), status.stx_ino))
    }

    /// The process as the table keeps it; its container is left to the caller.
    pub(super) fn process(&self, pid: u32) -> Option<Process> {
        let (ppid, started) = self.stat(pid)?;
        let status = self.status(pid, pid)?;
        Some(Process {
            key: ProcessKey { pid, started },
            ppid,
            program: Program::new(self.link(pid, "exe"), self.argv(pid), self.link(pid, "cwd")).into(),
            uid: status.uid,
            euid: status.euid,
            gid: status.gid,
            cap_effective: status.cap_effective,
            ..Process::default()
        })
    }
}

fn numbers(directory: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut out: Vec<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    out.sort_unstable();
    out
}

fn kernel_dev(major: u32, minor: u32) -> u32 {
    major << 20 | minor
}

fn root_mount_dev(line: &[u8]) -> Option<u32> {
    let mut words = line.split(|b| *b == b' ');
    let dev = std::str::from_utf8(words.nth(2)?).ok()?;
    if words.nth(1)? != b"/" {
        return None;
    }
    let (major, minor) = dev.split_once(':')?;
    Some(kernel_dev(major.parse().ok()?, minor.parse().ok()?))
}

fn parse_stat(bytes: &[u8]) -> Option<(u32, u64)> {
    // The name is in parentheses and may hold any byte, parentheses too.
    let after = bytes.iter().rposition(|b| *b == b')')?;
    let text = std::str::from_utf8(&bytes[after + 1..]).ok()?;
    let mut words = text.split_ascii_whitespace();
    let ppid = words.nth(1)?.parse().ok()?;
    let ticks: u64 = words.nth(17)?.parse().ok()?;
    Some((ppid, ticks.saturating_mul(TICK_NS)))
}

fn parse_status(bytes: &[u8]) -> TaskStatus {
    let mut status = TaskStatus::default();
    for line in bytes.split(|b| *b == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut words = value.split_ascii_whitespace();
        let mut number = || words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
        let hex = || u64::from_str_radix(value.trim(), 16).unwrap_or(0);
        match name {
            "Uid" => {
                status.uid = number();
                status.euid = number();
                status.suid = number();
            }
            "Gid" => status.gid = number(),
            "Tgid" => status.tgid = number(),
            "CapPrm" => status.cap_permitted = hex(),
            "CapEff" => status.cap_effective = hex(),
            "CapBnd" => status.cap_bounding = hex(),
            "Seccomp" => status.seccomp = number(),
            "NoNewPrivs" => status.no_new_privs = number(),
            "NSpid" => status.inner_pid = words.next_back().and_then(|w| w.parse().ok()).unwrap_or(0),
            _ => {}
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_an_odd_name() {
        let text = b"7 (a) R 9 (\xff) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 100 5 x";
        assert_eq!(parse_stat(text), Some((5, 12_340_000_000)));
        for text in [b"".as_slice(), b")", b"1 (x) S", b"1 (x) S a", b"1 x S 5"] {
            assert_eq!(parse_stat(text), None);
        }
    }

    #[test]
    fn status_fields() {
        let text = b"Name:\tx\nTgid:\t899\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t900\t1\nCapPrm:\tff\nCapEff:\t0f\nCapBnd:\t1f\nNoNewPrivs:\t1\nSeccomp:\t2\n\xff:\nUid";
        let s = parse_status(text);
        assert_eq!((s.uid, s.euid, s.suid, s.gid, s.tgid, s.inner_pid), (1, 2, 3, 5, 899, 1));
        assert_eq!(
            (s.cap_permitted, s.cap_effective, s.cap_bounding, s.seccomp, s.no_new_privs),
            (255, 15, 31, 2, 1)
        );
    }

    #[test]
    fn numbers_in_other_namespaces() {
        let folder = tempfile::tempdir().expect("a folder");
        let proc = Proc::new(folder.path());
        std::fs::create_dir(folder.path().join("9")).expect("made");
        for (line, want) in [("NSpid:\t9\t70\t1\n", &[70, 1][..]), ("NSpid:\t9\n", &[]), ("", &[])] {
            std::fs::write(folder.path().join("9/status"), format!("Name:\tx\n{line}")).expect("written");
            assert_eq!(proc.inner_pids(9), want);
        }
    }

    #[test]
    fn this_process() {
        let proc = Proc::new(Path::new("/proc"));
        let pid = std::process::id();
        let p = proc.process(pid).expect("we run");
        assert!(p.key.started > 0 && !p.program.argv.is_empty() && p.program.exe.starts_with(b"/"));
        assert!(proc.namespace(pid, "mnt").is_some());
        assert!(proc.threads(pid).contains(&pid));
        assert!(proc.root(pid).is_some());
        assert!(proc.process(u32::MAX).is_none());
        let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let (process, began) = thread(own).unwrap();
        assert_eq!(process, pid);
        assert!(own != pid && began >= p.key.started && began == started(own).unwrap());
        assert_eq!((thread(u32::MAX), started(u32::MAX)), (None, None));
    }
}
