//! Rare calls that reach the kernel itself: what they were given and what came of it (catalogue rows D01, D03, D04,
//! D06 to D10, D15).
//!
//! A trusted runtime makes some of them for every container that it starts (host name, session keyring, device
//! program): those are not reported.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_common::call::Call;
use monitor_common::event::{Bpf, EventKind, PerfEvent, RACED, SensitiveCall, bpf_object};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Ring, STRING_MAX, reserve};
use crate::filter::Subject;
use crate::kernel::{Ptr, bpf, read_kernel, read_user};
use crate::preempt;

const TAIL: usize = STRING_MAX + 8;

/// Calls of which a program may make many (they only bring a notice): they must not fill the critical ring.
#[inline(always)]
fn is_common(call: Call) -> bool {
    matches!(
        call,
        Call::Syslog
            | Call::Adjtimex
            | Call::ClockAdjtime
            | Call::ModifyLdt
            | Call::Quotactl
            | Call::QuotactlFd
            | Call::FanotifyInit
            | Call::Keyctl
            | Call::AddKey
            | Call::RequestKey
            | Call::Userfaultfd
            | Call::IoUringSetup
    )
}

/// The calls of [`SensitiveCall`].
#[inline(always)]
pub(crate) fn leave_sensitive(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime {
        return;
    }
    // Where a call has a string that says what it is about (man 2 of each), or a descriptor of a file.
    let (text, fd) = match call {
        Call::DeleteModule | Call::Swapon | Call::Swapoff | Call::Acct => (args[0], None),
        Call::AddKey | Call::RequestKey | Call::Quotactl => (args[1], None),
        Call::FinitModule | Call::KexecFileLoad | Call::QuotactlFd => (0, Some(args[0] as u32)),
        _ => (0, None),
    };
    // `modes` is the first field of `struct timex` (kernel `include/uapi/linux/timex.h`).
    let detail = match call {
        Call::Adjtimex => read_user::<u32>(args[0]),
        Call::ClockAdjtime => read_user::<u32>(args[1]),
        _ => 0,
    };
    let ring = if is_common(call) { Ring::Bulk } else { Ring::Critical };
    let Some(mut out) = reserve::<SensitiveCall, TAIL>(ring, EventKind::SensitiveCall, subject) else {
        return;
    };
    let proxy = subject.task.nsproxy();
    out.body(SensitiveCall {
        arg0: args[0],
        arg1: args[1],
        arg2: args[2],
        arg3: args[3],
        arg4: args[4],
        detail: u64::from(detail),
        cap_effective: subject.task.cred_ptr().read(F::CredCapEffective),
        op: call as u32,
        ret: ret as i32,
        user_ns: subject.task.user_ns().read(F::UserInum),
        pid_ns: proxy.follow(F::NsproxyPid).read(F::PidInum),
        uts_ns: proxy.follow(F::NsproxyUts).read(F::UtsInum),
        reserved: 0,
    });
    match fd {
        Some(fd) => {
            let dentry = subject.task.file(fd).follow(F::FileDentry);
            out.kernel_string(dentry.follow(F::DentryName).0, 0);
        }
        None => out.user_string(text, RACED),
    }
    out.submit(subject, 0);
}

/// Commands of `bpf(2)` (`enum bpf_cmd`, kernel `include/uapi/linux/bpf.h`).
mod command {
    pub(super) const MAP_CREATE: u32 = 0;
    pub(super) const PROG_LOAD: u32 = 5;
    pub(super) const OBJ_PIN: u32 = 6;
    pub(super) const PROG_ATTACH: u32 = 8;
    pub(super) const PROG_DETACH: u32 = 9;
    /// Commands that read or write elements of maps, or facts of an object whose descriptor the caller has: by bit.
    pub(super) const ON_ELEMENTS: u64 =
        1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 15 | 1 << 21 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 27;
    /// Commands that return a descriptor of a map, program or link: by bit.
    pub(super) const MAKES_DESCRIPTOR: u64 =
        1 << MAP_CREATE | 1 << PROG_LOAD | 1 << 7 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 28 | 1 << 30;
}

#[inline(always)]
fn is_among(number: u32, bits: u64) -> bool {
    number < 64 && bits >> (number & 63) & 1 == 1
}

/// [`leave_sensitive`] as a function of its own, of which each program on a trampoline would else have a copy.
#[inline(never)]
pub(crate) fn leave_rare(subject: &Subject, call: Call, args: &[u64; 6], ret: i64) {
    leave_sensitive(subject, call, args, ret);
}

/// `bpf(2)`.
#[inline(always)]
pub(crate) fn leave_bpf(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    let cmd = args[0] as u32;
    if subject.runtime || is_among(cmd, command::ON_ELEMENTS) {
        return;
    }
    let words = read_user::<[u32; 3]>(args[1]);
    let mut object = bpf::Object::of(Ptr::NULL);
    if ret >= 0 {
        // Where each command keeps the descriptor that it is about (`union bpf_attr`).
        let fd = match cmd {
            _ if is_among(cmd, command::MAKES_DESCRIPTOR) => ret as u32,
            command::OBJ_PIN => words[2],
            command::PROG_ATTACH | command::PROG_DETACH => words[1],
            _ => words[0],
        };
        object = bpf::Object::of(subject.task.file(fd));
    }
    let asked = |load| if object.kind == bpf_object::NONE && cmd == load { words[0] } else { 0 };
    // Programs and foreign objects are what a rule judges.
    let ring = if ret >= 0 && cmd != command::MAP_CREATE { Ring::Critical } else { Ring::Bulk };
    let Some(mut out) = reserve::<Bpf, TAIL>(ring, EventKind::Bpf, subject) else { return };
    out.body(Bpf {
        cmd,
        ret: ret as i32,
        object: object.kind,
        id: object.id,
        wanted: words[0],
        prog_type: object.program.read::<u32>(F::BpfProgType) | asked(command::PROG_LOAD),
        attach_type: object.program.read(F::BpfProgAttach),
        instructions: object.program.read(F::BpfProgLen),
        map_type: object.map.read::<u32>(F::BpfMapType) | asked(command::MAP_CREATE),
        prog_id: if object.kind == bpf_object::LINK { bpf::program_id(object.program) } else { 0 },
    });
    out.kernel_string(object.name(), 0);
    out.submit(subject, 0);
}

/// Places in `struct perf_event_attr` (kernel `include/uapi/linux/perf_event.h`), which never move.
const ATTR_CONFIG: u64 = 8;
const ATTR_BITS: u64 = 40;

/// `perf_event_open(2)`.
#[inline(always)]
pub(crate) fn leave_perf(subject: &Subject, _call: Call, args: &[u64; 6], ret: i64) {
    if subject.runtime {
        return;
    }
    let event = if ret >= 0 { subject.task.file(ret as u32).follow(F::FilePrivate) } else { Ptr::NULL };
    let attr = event.inside(F::PerfAttr);
    let mut record = PerfEvent {
        pid: args[1] as i32,
        cpu: args[2] as i32,
        ret: ret as i32,
        flags: args[4] as u32,
        is_final: 1,
        ..PerfEvent::default()
    };
    if event.is_valid() && attr.is_valid() {
        read_attributes(attr, &mut record);
    } else {
        record.event_type = read_user(args[0]);
        record.config = read_user(args[0].wrapping_add(ATTR_CONFIG));
        record.attributes = read_user(args[0].wrapping_add(ATTR_BITS));
    }
    submit_perf(subject, record, event.follow(F::PerfPmu).follow(F::PmuName));
}

#[inline(always)]
fn read_attributes(attr: Ptr, record: &mut PerfEvent) {
    record.event_type = read_kernel(attr.0);
    record.config = read_kernel(attr.0.wrapping_add(ATTR_CONFIG));
    record.attributes = read_kernel(attr.0.wrapping_add(ATTR_BITS));
    record.object = 1;
}

#[inline(always)]
fn submit_perf(subject: &Subject, record: PerfEvent, unit: Ptr) {
    let Some(mut out) = reserve::<PerfEvent, TAIL>(Ring::Bulk, EventKind::PerfEvent, subject) else { return };
    out.body(record);
    out.kernel_string(unit.0, 0);
    out.submit(subject, 0);
}

/// `int security_perf_event_open(struct perf_event_attr *attr, int type)`, since 6.16 without `attr`; kernel
/// `security/security.c`. For kernels in which the call itself cannot be hooked.
#[fexit(function = "security_perf_event_open")]
fn security_perf_event_open(ctx: FExitContext) -> i32 {
    preempt::off(|| {
        try_perf_open(&ctx);
    });
    0
}

/// `PERF_SECURITY_OPEN` and `PERF_SECURITY_CPU` (kernel `include/linux/perf_event.h`): asked at the beginning, and
/// before an event of every process.
const SECURITY_OPEN: u32 = 0;
const SECURITY_CPU: u32 = 1;

#[inline(always)]
fn try_perf_open(ctx: &FExitContext) -> Option<()> {
    let what = ctx.arg::<u32>(1);
    if what != SECURITY_OPEN && what != SECURITY_CPU {
        return None;
    }
    let subject = Subject::current()?;
    if subject.runtime {
        return None;
    }
    let pid = if what == SECURITY_CPU { -1 } else { 0 };
    let mut record = PerfEvent { pid, cpu: -1, ret: ctx.arg::<i32>(2), ..PerfEvent::default() };
    read_attributes(Ptr(ctx.arg::<u64>(0)), &mut record);
    submit_perf(&subject, record, Ptr::NULL);
    Some(())
}
