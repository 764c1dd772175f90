//! io_uring: set-up, and the operations that make no system call (catalogue row D05, evasion T2).

use core::hint::black_box;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use monitor_common::event::{EventKind, IoUring, IoUringOp};
use monitor_common::offsets::FieldId as F;

use crate::emit::{Ring, reserve};
use crate::filter::Subject;
use crate::kernel::Ptr;
use crate::preempt;

/// The operations that are reported (`enum io_uring_op`, kernel `include/uapi/linux/io_uring.h`), by bit: those
/// that open, name, connect or command, and never plain reading, writing, polling or receiving.
const REPORTED: u64 = bits(&[9, 16, 18, 28, 30, 35, 36, 37, 38, 39, 41, 42, 45, 46, 48, 54, 56, 57]);
/// Those of them for which the kernel looks a descriptor up (`needs_file`, kernel `io_uring/opdef.c`).
const ON_FILE: u64 = bits(&[9, 16, 30, 41, 46, 48, 54, 56, 57]);

const fn bits(operations: &[u32]) -> u64 {
    let (mut all, mut n) = (0, 0);
    // As many rounds as the list is long, at compile time.
    while n < operations.len() {
        all |= 1 << operations[n];
        n += 1;
    }
    all
}

/// `TP_PROTO(int fd, void *ctx, u32 sq_entries, u32 cq_entries, u32 flags)`, kernel
/// `include/trace/events/io_uring.h`.
#[btf_tracepoint(function = "io_uring_create")]
fn uring_create(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        try_create(&ctx);
    });
    0
}

#[inline(always)]
fn try_create(ctx: &BtfTracePointContext) -> Option<()> {
    let subject = Subject::current()?;
    let mut out = reserve::<IoUring, 0>(Ring::Bulk, EventKind::IoUring, &subject)?;
    out.body(IoUring {
        sq_entries: ctx.arg::<u64>(2) as u32,
        cq_entries: ctx.arg::<u64>(3) as u32,
        flags: ctx.arg::<u64>(4) as u32,
        fd: ctx.arg::<u64>(0) as i32,
    });
    out.submit(&subject, 0);
    Some(())
}

/// `TP_PROTO(struct io_kiocb *req)`, kernel `include/trace/events/io_uring.h`, 6.3 and later.
#[btf_tracepoint(function = "io_uring_submit_req")]
fn uring_submit_req(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        submitted_request(Ptr(ctx.arg::<u64>(0)));
    });
    0
}

/// `TP_PROTO(struct io_kiocb *req, bool force_nonblock)`, 6.0 to 6.2. As with the two below, the last argument is
/// read so that the verifier refuses the program where the prototype has fewer.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
fn uring_submit_sqe2(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        black_box(ctx.arg::<u64>(1));
        submitted_request(Ptr(ctx.arg::<u64>(0)));
    });
    0
}

/// `TP_PROTO(void *ctx, u8 opcode, u64 user_data, bool force_nonblock, bool sq_thread)`, 5.10.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
fn uring_submit_sqe5(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        black_box(ctx.arg::<u64>(4));
        submitted(ctx.arg::<u64>(1) as u8, -1);
    });
    0
}

/// `TP_PROTO(void *ctx, void *req, u8 opcode, u64 user_data, u32 flags, bool force_nonblock, bool sq_thread)`, 5.15
/// to 5.19.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
fn uring_submit_sqe7(ctx: BtfTracePointContext) -> i32 {
    preempt::off_at_tracepoint(|| {
        black_box(ctx.arg::<u64>(6));
        submitted(ctx.arg::<u64>(2) as u8, -1);
    });
    0
}

#[inline(always)]
fn submitted_request(request: Ptr) -> Option<()> {
    let op = request.read::<u8>(F::KiocbOpcode);
    let fd = if ON_FILE >> (op & 63) & 1 == 1 { request.read::<i32>(F::KiocbFd) } else { -1 };
    submitted(op, fd)
}

/// In the submitting task, or in the kernel thread that polls its queue, which is of the same process.
#[inline(always)]
fn submitted(op: u8, fd: i32) -> Option<()> {
    if op > 63 || REPORTED >> (op & 63) & 1 == 0 {
        return None;
    }
    let subject = Subject::current()?;
    let mut out = reserve::<IoUringOp, 0>(Ring::Bulk, EventKind::IoUringOp, &subject)?;
    out.body(IoUringOp { op: u32::from(op), fd });
    out.submit(&subject, 0);
    Some(())
}
