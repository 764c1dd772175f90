//! Pages of files that go into pipes and sockets without being copied (catalogue row B29): who may not write a file writes
//! its pages all the same where a kernel's code takes them for its own.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{EventKind, Splice, splice_to, splice_why, why};
use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{KEY_CANARY, task_flags};

use super::change::setid;
use super::memory;
use crate::emit::{PATH_MAX, Ring, reserve};
use crate::filter::Subject;
use crate::kernel::sock::{self, AF_ALG, AF_INET, AF_INET6};
use crate::kernel::task::Task;
use crate::kernel::{Cast, Known, Object, Ptr, file, overlay};
use crate::{preempt, watch};

/// `S_IFMT` and types of inodes (kernel `include/uapi/linux/stat.h`).
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FIFO: u32 = 0o010_000;
const SOCKET: u32 = 0o140_000;
const ANY_EXECUTE: u32 = 0o111;
/// `O_ACCMODE`; 0 is `O_RDONLY`.
const ACCESS: u32 = 3;
/// `IPPROTO_TCP`, `IPPROTO_UDP`.
const TCP: u16 = 6;
const UDP: u16 = 17;
/// The name of the kernel's `espintcp_ulp` (kernel `net/xfrm/espintcp.c`): these eight bytes and a NUL.
const ESPINTCP: u64 = u64::from_ne_bytes(*b"espintcp");

/// What is worth a record of pages that went from one open file to another.
#[derive(Clone, Copy)]
struct Verdict {
    /// [`splice_to`].
    to: u32,
    /// [`splice_why`].
    why: u32,
}

#[inline(always)]
fn mode_of<P: Object>(opened: P) -> u32 {
    u32::from(file::inode_of(opened).read::<u16>(F::InodeMode))
}

/// Where pages come from.
#[derive(Clone, Copy)]
struct Source {
    is_pipe: bool,
    /// [`splice_why`].
    why: u32,
}

impl Source {
    /// `None` if pages of it are nothing of note: they are no file's.
    #[inline(always)]
    fn of<P: Object>(from: P) -> Option<Self> {
        let mode = mode_of(from);
        let mut why = 0;
        if mode & TYPE == REGULAR {
            // Who could write to the file needs no such way.
            if mode & ANY_EXECUTE != 0 && from.read::<u32>(F::FileFlags) & ACCESS == 0 {
                why = splice_why::EXECUTABLE;
                if setid(mode) & why::SETID != 0 {
                    why |= splice_why::SETID;
                }
            }
        } else if mode & TYPE != FIFO {
            return None;
        }
        Some(Self { is_pipe: mode & TYPE == FIFO, why })
    }

    #[inline(always)]
    fn into<P: Object>(self, to: P) -> Option<Verdict> {
        let to = match mode_of(to) & TYPE {
            FIFO if self.why != 0 => splice_to::PIPE,
            SOCKET => sink(sock::of_file(to.address()), self.is_pipe || self.why != 0)?,
            _ => return None,
        };
        Some(Verdict { to, why: self.why })
    }
}

/// Which of the sockets it is whose code has written into pages that were lent to it. `any` lets all of them count.
#[inline(always)]
fn sink(sock: Ptr, any: bool) -> Option<u32> {
    match sock::family(sock) {
        AF_ALG => Some(splice_to::ALG),
        AF_INET | AF_INET6 if any => match sock.read::<u16>(F::SkProtocol) {
            UDP => Some(splice_to::UDP),
            TCP if is_espintcp(sock) => Some(splice_to::ESPINTCP),
            _ => None,
        },
        _ => None,
    }
}

/// `struct tcp_ulp_ops`, kernel `include/net/tcp.h`.
#[inline(always)]
fn is_espintcp(sock: Ptr) -> bool {
    let ops = sock.follow(F::IcskUlpOps);
    ops != Ptr::NULL && ops.read::<u64>(F::UlpName) == ESPINTCP
}

#[inline(always)]
fn report(subject: &Subject, call: Call, from: Ptr, verdict: Verdict, ret: i64) -> Option<()> {
    if subject.runtime || subject.container == 0 {
        return None;
    }
    // The ways on which they were found are no longer told apart.
    let unknown = i64::from(subject.tid);
    let verdict = Verdict {
        to: watch::hidden(u64::from(verdict.to), unknown) as u32,
        why: watch::hidden(u64::from(verdict.why), unknown) as u32,
    };
    // Programs that copy by pipes do this for each piece of a file.
    let common = verdict.to == splice_to::PIPE && verdict.why & splice_why::SETID == 0;
    if common && subject.container != KEY_CANARY {
        memory::once(subject, task_flags::SAID_SPLICE)?;
    }
    let ring = if common { Ring::Bulk } else { Ring::Critical };
    write(subject, ring, u64::from(call as u32) << 32 | u64::from(ret as u32), from, verdict)
}

#[inline(always)]
fn write(subject: &Subject, ring: Ring, result: u64, from: Ptr, verdict: Verdict) -> Option<()> {
    let inode = file::inode_of(from);
    let facts = file::inode(inode);
    let is_file = facts.mode & TYPE == REGULAR;
    let mut out = reserve::<Splice, { PATH_MAX + 16 }>(ring, EventKind::Splice, subject)?;
    let body = Splice {
        op: (result >> 32) as u32,
        to: verdict.to,
        why: verdict.why,
        ret: result as i32,
        ..Splice::default()
    };
    if is_file {
        out.body(Splice {
            ino: facts.ino,
            magic: facts.magic,
            dev: facts.dev,
            mode: facts.mode,
            file_uid: facts.uid,
            layer: overlay::layer_of(inode, facts.magic),
            ..body
        });
        out.path((from.follow(F::FileMnt), from.follow(F::FileDentry)), subject.task.root());
    } else {
        out.body(body);
        out.empty();
    }
    out.submit(subject, 0);
    Some(())
}

/// `ssize_t do_splice(struct file *in, loff_t *off_in, struct file *out, loff_t *off_out, size_t len, unsigned int
/// flags)`, kernel `fs/splice.c`: by the call of either size, and by io_uring.
#[fexit(function = "do_splice")]
fn do_splice(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_splice(&ctx);
    });
    0
}

#[inline(always)]
fn try_splice(ctx: &FExitContext) -> Option<()> {
    let from = ctx.arg::<u64>(0);
    let verdict = Source::of(Known::argument(from))?.into(Known::argument(ctx.arg::<u64>(2)))?;
    report(&Subject::current()?, Call::Splice, Ptr(from), verdict, ctx.arg::<i64>(6))
}

/// What to report of a call, and the file that its pages come from. Servers send files that nobody may execute all the
/// time: only of the others it is asked where they go.
#[inline(always)]
fn judge(call: Call, args: &[u64; 6]) -> Option<(Ptr, Verdict)> {
    let task = Task::known();
    let (from, to) = if call == Call::Splice { (args[0], args[2]) } else { (args[1], args[0]) };
    let from = task.file(from as u32);
    let source = Source::of(Cast::file(from))?;
    if call == Call::Sendfile && source.why == 0 {
        return None;
    }
    Some((from, source.into(Cast::file(task.file(to as u32)))?))
}

/// The end of a `sendfile` on a trampoline: judged before anything is asked about the task.
#[inline(always)]
pub(crate) fn leave_sendfile(args: &[u64; 6], compat: bool, ret: i64) -> Option<()> {
    let (from, verdict) = judge(Call::Sendfile, args)?;
    let subject = Subject { compat, ..Subject::current()? };
    report(&subject, Call::Sendfile, from, verdict, ret)
}

/// True if there is something to report.
#[inline(always)]
pub(crate) fn is_wanted(call: Call, args: &[u64; 6]) -> bool {
    judge(call, args).is_some()
}

/// `splice(from, offset, to, offset, length, flags)` and `sendfile(to, from, offset, count)` at their end.
#[inline(always)]
pub(crate) fn leave_splice(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if let Some((from, verdict)) = judge(call, args) {
        let _ = report(subject, call, from, verdict, ret);
    }
}
