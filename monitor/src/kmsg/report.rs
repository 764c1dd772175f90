//! Reports about faults of the kernel: put together from their lines.

use monitor_common::event::fault_report;

use super::line::{Line, cut, cut_last, number};
use super::title::{Title, is_function};

/// Reports that may be under way at once, where the kernel says who prints: one a thread.
const OPEN: usize = 8;
/// Lines from the first one to that with the task: KFENCE and KMSAN print stacks before, of 64 lines each.
const BEFORE_TASK: u32 = 256;
/// Lines from there to the end: registers, code, modules, a stack.
const AFTER_TASK: u32 = 64;
/// A report whose next line does not come within so long is told as it is, nanoseconds; one without a task is none.
const SILENCE: u64 = 200_000_000;
const NO_TASK: u64 = 2_000_000_000;
/// Bytes that are kept of a line, and of a part of one.
const LINE: usize = 256;
const PART: usize = 128;

/// The letters of `Tainted: `, by bit (kernel `kernel/panic.c`, `taint_flags`). `G` stands for the first one unset.
const LETTERS: &[u8] = b"PFSRMBUDAWCIOELKXTNJ";

/// The process of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Its id in the initial pid namespace.
    pub pid: u32,
    /// When it started, nanoseconds since boot, to a clock tick; `None` if it is gone.
    pub started: Option<u64>,
}

/// A fault of the kernel, with the task that it was in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// One of [`fault_report`].
    pub report: u32,
    /// When its first line was printed, nanoseconds since boot, at the latest.
    pub at: u64,
    /// CPU.
    pub cpu: u32,
    /// The thread, in the initial pid namespace; 0 for the idle one.
    pub tid: u32,
    /// Its process, if it is known whose thread that is.
    pub process: Option<Whose>,
    /// Taints of the kernel, by bit.
    pub taints: u64,
    /// It was in an interrupt.
    pub interrupt: bool,
    /// The first line.
    pub title: Vec<u8>,
    /// The function.
    pub function: Vec<u8>,
    /// Source file and line.
    pub place: Vec<u8>,
    /// The name of the task.
    pub comm: Vec<u8>,
}

impl Fault {
    /// True for what the kernel only warns of: the task goes on, and may do it again.
    pub fn is_warning(&self) -> bool {
        matches!(self.report, fault_report::WARNING | fault_report::UBSAN)
    }
}

/// A report of which not all has been read.
#[derive(Debug, Default)]
struct Open {
    fault: Fault,
    /// Who prints it.
    caller: Vec<u8>,
    /// The line with the task has been read.
    has_task: bool,
    /// Lines since the first one, and since the one with the task.
    lines: u32,
    /// When the last one was printed.
    last: u64,
    /// The next line is the first of the stack.
    at_stack: bool,
}

impl Open {
    /// When it has waited for its next line for too long.
    fn due(&self) -> u64 {
        self.last.saturating_add(if self.has_task { SILENCE } else { NO_TASK })
    }
}

/// Puts reports together. Holds a few of them, each of a bounded size.
#[derive(Debug)]
pub struct Reports {
    /// With what the kernel ends the line with the task: its release and the beginning of its version.
    build: Vec<u8>,
    open: Vec<Open>,
}

impl Reports {
    /// Of a kernel that calls itself so (`uname -r`, `uname -v`).
    pub fn new(release: &[u8], version: &[u8]) -> Self {
        let number = version.split(|byte| *byte == b' ').next().unwrap_or_default();
        Self { build: [release, number].join(&b' '), open: Vec::new() }
    }

    /// Takes a line that was `printed` then, nanoseconds since boot; gives a report that it ends. `whose` is asked which
    /// process a thread belongs to, as soon as the thread is known: it may be about to end.
    pub fn line(
        &mut self,
        line: &Line<'_>,
        printed: u64,
        whose: impl FnOnce(u32) -> Option<Whose>,
    ) -> Option<Fault> {
        if !line.is_kernel {
            return None;
        }
        let caller = line.caller.unwrap_or_default();
        let known = self.open.iter().position(|open| open.caller == caller);
        if let Some(title) = Title::read(line.text) {
            return self.begin(&title, line, printed, known, whose);
        }
        let at = known?;
        let open = self.open.get_mut(at)?;
        open.lines += 1;
        open.last = printed;
        if open.is_last(line.text, &self.build, whose) {
            let open = self.open.swap_remove(at);
            return open.has_task.then_some(open.fault);
        }
        None
    }

    /// When the first of those that wait has waited for too long, nanoseconds since boot.
    pub fn due(&self) -> Option<u64> {
        self.open.iter().map(Open::due).min()
    }

    /// Gives up waiting for those whose next line has not come until `now`: what has a task is told as it is.
    pub fn silence(&mut self, now: u64) -> Vec<Fault> {
        let given_up = self.open.extract_if(.., |open| open.due() <= now);
        given_up.filter(|open| open.has_task).map(|open| open.fault).collect()
    }

    /// Lines are missing: a task that comes now may be another report's.
    pub fn gap(&mut self) -> Vec<Fault> {
        self.silence(u64::MAX)
    }

    /// A first line: of a new report, or one more of the same, as `Oops: 0002 [#1]` after `BUG: kernel NULL pointer …`.
    fn begin(
        &mut self,
        title: &Title<'_>,
        line: &Line<'_>,
        printed: u64,
        known: Option<usize>,
        whose: impl FnOnce(u32) -> Option<Whose>,
    ) -> Option<Fault> {
        if let Some(open) = known.and_then(|at| self.open.get_mut(at))
            && !open.has_task
            && title.task.is_none()
        {
            (open.lines, open.last) = (0, printed);
            return None;
        }
        let before = known.map(|at| self.open.swap_remove(at)).filter(|open| open.has_task);
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        let mut open = Open {
            fault: Fault {
                report: title.report,
                at: printed,
                title: head(line.text, LINE),
                function: head(title.function, PART),
                place: head(title.place, PART),
                ..Fault::default()
            },
            caller: line.caller.unwrap_or_default().to_vec(),
            last: printed,
            ..Open::default()
        };
        if let Some((cpu, tid)) = title.task {
            (open.fault.cpu, open.fault.tid, open.has_task) = (cpu, tid, true);
            open.fault.process = whose(tid);
        }
        self.open.push(open);
        before.map(|open| open.fault)
    }
}

impl Open {
    /// Takes a line that is not the first; true if nothing more is wanted.
    fn is_last(&mut self, text: &[u8], build: &[u8], whose: impl FnOnce(u32) -> Option<Whose>) -> bool {
        if let Some(task) = Task::read(text, build) {
            return self.task(&task, whose);
        }
        if !self.has_task {
            return self.lines >= BEFORE_TASK;
        }
        if self.at_stack {
            // Other stacks than the task's come first.
            self.fault.interrupt = matches!(text.trim_ascii(), b"<IRQ>" | b"<SOFTIRQ>" | b"<NMI>");
            return true;
        }
        if self.fault.function.is_empty()
            && let Some(function) = function(text)
        {
            self.fault.function = head(function, PART);
        }
        self.at_stack = matches!(text.trim_ascii(), b"Call Trace:" | b"Call trace:");
        text.starts_with(b"---[ end trace ") || self.lines >= AFTER_TASK
    }

    /// The line with the task.
    fn task(&mut self, task: &Task<'_>, whose: impl FnOnce(u32) -> Option<Whose>) -> bool {
        if self.has_task && (self.fault.tid != task.tid || !self.fault.comm.is_empty()) {
            // Somebody else's, who prints at the same time.
            return self.lines >= AFTER_TASK;
        }
        if !self.has_task {
            self.fault.process = whose(task.tid);
        }
        (self.fault.cpu, self.fault.tid, self.has_task) = (task.cpu, task.tid, true);
        self.fault.taints = task.taints;
        self.fault.comm = task.comm();
        self.lines = 0;
        false
    }
}

/// `CPU: 0 PID: 1 Comm: name Not tainted 5.10.0 #1 …`, from 6.11 on with `UID: 0 ` before `PID` (kernel `lib/dump_stack.c`,
/// `dump_stack_print_info()`).
struct Task<'a> {
    cpu: u32,
    tid: u32,
    comm: &'a [u8],
    taints: u64,
}

impl<'a> Task<'a> {
    fn read(text: &'a [u8], build: &[u8]) -> Option<Self> {
        let (cpu, rest) = cut(text.strip_prefix(b"CPU: ")?, b" ")?;
        let rest = match rest.strip_prefix(b"UID: ") {
            Some(rest) => {
                let (uid, rest) = cut(rest, b" ")?;
                number(uid)?;
                rest
            }
            None => rest,
        };
        let (tid, rest) = cut(rest.strip_prefix(b"PID: ")?, b" Comm: ")?;
        // The last one: the name may be any, and what comes after is the kernel's.
        let clean = cut_last(rest, b" Not tainted ").map(|(comm, after)| (comm, after, 0));
        let tainted = cut_last(rest, b" Tainted: ").map(|(comm, after)| {
            let letters = after.iter().take_while(|c| c.is_ascii_uppercase() || **c == b' ').count();
            (comm, &after[letters..], taints(&after[..letters]))
        });
        let (comm, after, taints) = clean.into_iter().chain(tainted).max_by_key(|(comm, ..)| comm.len())?;
        // Then what distributions and 6.15 add, in words. A rule of a firewall that logs begins a line of the kernel as it
        // likes, and has `IN=` come after that (`net/netfilter/nf_log_syslog.c`).
        let more = after.strip_prefix(build)?;
        if !(more.is_empty() || more.starts_with(b" ")) || more.contains(&b'=') {
            return None;
        }
        let comm = comm.strip_suffix(b" Kdump: loaded").unwrap_or(comm);
        let number = |digits| u32::try_from(number(digits)?).ok();
        Some(Self { cpu: number(cpu)?, tid: number(tid)?, comm, taints })
    }

    /// The name with the bytes that it has.
    fn comm(&self) -> Vec<u8> {
        let mut name = Vec::new();
        let mut rest = &self.comm[..self.comm.len().min(PART)];
        while let [first, more @ ..] = rest {
            let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
            let escaped = rest.strip_prefix(b"\\x").and_then(|digits| hex(digits.get(..2)?));
            name.push(escaped.unwrap_or(*first));
            rest = if escaped.is_some() { &rest[4..] } else { more };
        }
        name
    }
}

/// The bits of the letters.
fn taints(letters: &[u8]) -> u64 {
    let bits = letters.iter().filter_map(|letter| LETTERS.iter().position(|l| l == letter));
    bits.fold(0, |bits, bit| bits | 1 << bit)
}

/// The function of `RIP: 0010:function+0x1/0x2` in kernel mode (`arch/x86/kernel/dumpstack.c`), or of
/// `pc : function+0x1/0x2` (`arch/arm64/kernel/process.c`).
fn function(text: &[u8]) -> Option<&[u8]> {
    let found = text.strip_prefix(b"RIP: 0010:").or_else(|| text.strip_prefix(b"pc : "))?.trim_ascii_end();
    is_function(found).then_some(found)
}

fn head(text: &[u8], len: usize) -> Vec<u8> {
    text[..text.len().min(len)].to_vec()
}
