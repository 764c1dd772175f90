//! The tools: how each is started for a workload, when it is ready, and what it saw.
//!
//! They watch tracepoints, which need a tracefs; each gets one in a mount namespace of its own.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;

use crate::bench::load::LoadKind;
use crate::bench::process;
use crate::bench::rate;
use crate::bench::rig::Rig;
use crate::live::child::Guarded;
use crate::live::daemon::{Daemon, Output};
use crate::live::lines::{Lines, Next};
use crate::live::stop;
use crate::project::find_program;

/// How long a tool may take until it has attached, and then to be still.
const READY: Duration = Duration::from_secs(20);
const STILL: Duration = Duration::from_millis(500);
/// Gives the tool a tracefs, where the initial mount namespace need not have one.
const WRAP: &str = "mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec \"$@\"";

/// How a tool tells what it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// By lines on standard output.
    Lines,
    /// By a file that `perf script` reads.
    PerfData,
}

/// A tool.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// What is looked for; empty for Bulkhead itself.
    program: &'static str,
    /// Arguments for a workload, `FOLDER` standing for one of the bench's own; `None` if it has nothing for it.
    args: fn(LoadKind) -> Option<&'static [&'static str]>,
    tells: Tells,
    /// Why it must not be started on this machine.
    unsafe_because: fn() -> Option<String>,
}

/// Every tool, Bulkhead first.
pub(crate) const ALL: &[Tool] = &[
    Tool {
        name: "bulkhead",
        program: "",
        args: |load| match load {
            LoadKind::Exec => Some(&["--events", "exec"]),
            LoadKind::Connect => Some(&["--events", "connect"]),
            LoadKind::Open => Some(&["--events", "file_open"]),
            _ => None,
        },
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "bpftrace",
        program: "bpftrace",
        args: |load| match load {
            LoadKind::Exec => Some(&[
                "-e",
                "tracepoint:syscalls:sys_enter_execve { printf(\"%d %s \", pid, comm); join(args->argv); }",
            ]),
            LoadKind::Connect => Some(&[
                "-e",
                "tracepoint:syscalls:sys_enter_connect { printf(\"%d %s %d\\n\", pid, comm, args->fd); }",
            ]),
            LoadKind::Open => Some(&[
                "-e",
                "tracepoint:syscalls:sys_enter_openat { printf(\"%d %s %s\\n\", pid, comm, str(args->filename)); }",
            ]),
            _ => None,
        },
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "execsnoop",
        program: "execsnoop",
        args: |load| (load == LoadKind::Exec).then_some(&[]),
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "opensnoop",
        program: "opensnoop",
        args: |load| (load == LoadKind::Open).then_some(&[]),
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "perf trace",
        program: "perf",
        args: |load| match load {
            LoadKind::Exec => Some(&["trace", "-a", "-o", "/dev/stdout", "-e", "execve"]),
            LoadKind::Connect => Some(&["trace", "-a", "-o", "/dev/stdout", "-e", "connect"]),
            LoadKind::Open => Some(&["trace", "-a", "-o", "/dev/stdout", "-e", "openat"]),
            _ => None,
        },
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "perf record",
        program: "perf",
        args: |load| match load {
            LoadKind::Exec => {
                Some(&["record", "-q", "-a", "-o", "FOLDER/perf.data", "-e", "sched:sched_process_exec"])
            }
            LoadKind::Connect => {
                Some(&["record", "-q", "-a", "-o", "FOLDER/perf.data", "-e", "syscalls:sys_enter_connect"])
            }
            LoadKind::Open => {
                Some(&["record", "-q", "-a", "-o", "FOLDER/perf.data", "-e", "syscalls:sys_enter_openat"])
            }
            _ => None,
        },
        tells: Tells::PerfData,
        unsafe_because: || None,
    },
    Tool {
        name: "falco",
        program: "falco",
        args: |load| match load {
            LoadKind::Exec => Some(&["-A", "-U", "-o", "engine.kind=modern_ebpf", "-r", "FOLDER/exec.yaml"]),
            LoadKind::Connect => {
                Some(&["-A", "-U", "-o", "engine.kind=modern_ebpf", "-r", "FOLDER/connect.yaml"])
            }
            _ => None,
        },
        tells: Tells::Lines,
        unsafe_because: || None,
    },
    Tool {
        name: "auditd",
        program: "auditctl",
        // It is measured by no workload yet: where it may be started, it runs already, and is not ours.
        args: |_| Some(&[]),
        tells: Tells::Lines,
        unsafe_because: audit,
    },
];

/// Why auditing is left alone.
///
/// Turning it on sets `audit_ever_enabled` (kernel `kernel/audit.c`), after which every new task of the machine goes the
/// audited way through each system call until the next boot, and there is one audit daemon a machine.
fn audit() -> Option<String> {
    let told = Command::new(find_program("auditctl")?).arg("-s").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let number = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(match (number("enabled"), number("pid")) {
        (Some(0), _) => "auditing is off, and turning it on slows every task until the next boot".to_owned(),
        (Some(_), Some(pid)) if pid > 0 => format!("the machine's own audit daemon is process {pid}"),
        (Some(_), _) => "the audit netlink belongs to the machine, and nobody has it".to_owned(),
        _ => "auditctl -s tells nothing".to_owned(),
    })
}

/// A rule of Falco for every event of a kind, in its own language.
fn falco_rule(name: &str) -> String {
    let calls = if name == "exec" { "execve, execveat" } else { "connect" };
    format!(
        "- rule: bench {name}\n  desc: every {name}\n  condition: evt.type in ({calls})\n  \
         output: {name} %proc.name\n  priority: INFO\n"
    )
}

/// A tool at work.
pub(crate) enum Running {
    /// Bulkhead.
    Ours(Daemon, LoadKind),
    /// Another.
    Theirs { process: Guarded, lines: Lines, seen: Arc<AtomicU64>, tells: Tells, needle: &'static str },
}

impl Running {
    /// Starts a tool and waits until it has attached; or says why it is left out.
    pub(crate) fn start(rig: &Rig, tool: &Tool, load: LoadKind) -> anyhow::Result<Result<Self, String>> {
        let Some(args) = (tool.args)(load) else { return Ok(Err("has nothing for it".to_owned())) };
        if tool.program.is_empty() {
            return Ok(Ok(Self::Ours(rig.daemon(Output::Counted, args)?, load)));
        }
        let Some(program) = find_program(tool.program) else {
            return Ok(Err(format!("{} is not there", tool.program)));
        };
        if let Some(why) = (tool.unsafe_because)() {
            return Ok(Err(why));
        }
        for name in ["exec", "connect"] {
            std::fs::write(rig.folder.join(format!("{name}.yaml")), falco_rule(name))?;
        }
        let log = rig.folder.join("peer.log");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", WRAP, "sh"]).arg(program);
        let folder = rig.folder.join("");
        let folder = folder.to_string_lossy();
        command.args(args.iter().map(|word| word.replace("FOLDER/", &folder)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut process = Guarded::spawn(&mut command, Signal::INT)?;
        let needle = if load == LoadKind::Exec { "busybox" } else { "xtask" };
        let pipe = process.child.stdout.take().context("a tool's output is piped")?;
        let (lines, seen) = Lines::counting(move |line| contains(line, needle.as_bytes()), pipe);
        if !attached(&mut process)? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            return Ok(Err(format!("does not attach: {}", said.trim())));
        }
        Ok(Ok(Self::Theirs { process, lines, seen, tells: tool.tells, needle }))
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(daemon, _) => daemon.pid(),
            Self::Theirs { process, .. } => process.pid(),
        }
    }

    /// CPU time of all its threads.
    pub(crate) fn cpu_ns(&self) -> anyhow::Result<f64> {
        process::cpu_ns(self.pid())
    }

    /// Lets it finish what it has.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        if let Self::Ours(daemon, _) = self {
            return rate::settle(daemon);
        }
        stop::pass(STILL)
    }

    /// Ends it, and says how much it saw; `None` where it reports nothing of the kind, as it should.
    pub(crate) fn finish(self, rig: &Rig) -> anyhow::Result<Option<f64>> {
        match self {
            Self::Ours(daemon, load) => {
                let seen = daemon.events() as f64;
                rig.stop(daemon)?;
                // A container's own files are judged in the kernel and not reported.
                Ok((load != LoadKind::Open).then_some(seen))
            }
            Self::Theirs { mut process, lines, seen, tells, needle } => {
                process.end()?;
                let deadline = Instant::now() + READY;
                // Counted lines do not come; the end does.
                while let Next::Line(..) = lines.next(deadline)? {}
                if tells == Tells::PerfData {
                    return Ok(Some(perf_data(&rig.folder.join("perf.data"), needle)?));
                }
                Ok(Some(seen.load(Ordering::Relaxed) as f64))
            }
        }
    }
}

/// Waits until a process has attached something to the kernel, and no more comes; false if it ends or does not.
fn attached(process: &mut Guarded) -> anyhow::Result<bool> {
    let deadline = Instant::now() + READY;
    let (mut count, mut since) = (0, Instant::now());
    while Instant::now() < deadline {
        if process.child.try_wait()?.is_some() {
            return Ok(false);
        }
        let now = attachments(process.pid());
        if now != count {
            (count, since) = (now, Instant::now());
        } else if count > 0 && since.elapsed() > STILL {
            return Ok(true);
        }
        stop::pass(Duration::from_millis(20))?;
    }
    Ok(false)
}

/// Descriptors of perf events and BPF links.
fn attachments(pid: u32) -> usize {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets
        .filter(|to| {
            [Path::new("anon_inode:[perf_event]"), Path::new("anon_inode:bpf_link")].contains(&to.as_path())
        })
        .count()
}

/// Records about the workload in a file of perf's.
fn perf_data(file: &Path, needle: &str) -> anyhow::Result<f64> {
    let perf = find_program("perf").context("perf is gone")?;
    let told = Command::new(perf)
        .args(["script", "-F", "comm,pid,event", "-i"])
        .arg(file)
        .stderr(Stdio::null())
        .output()
        .context("perf script")?;
    Ok(told.stdout.split(|byte| *byte == b'\n').filter(|line| contains(line, needle.as_bytes())).count()
        as f64)
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found() {
        assert!(contains(b"12 busybox true", b"busybox"));
        assert!(!contains(b"bus", b"busybox") && !contains(b"", b"busybox"));
    }

    #[test]
    fn every_tool_but_ours_has_a_program_and_all_differ() {
        let mut names: Vec<&str> = ALL.iter().map(|tool| tool.name).collect();
        assert!(ALL.iter().skip(1).all(|tool| !tool.program.is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
