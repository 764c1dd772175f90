//! Records on demand, written the way that every record is: `cargo xtask bench` measures that way with it, and drives
//! the rings at a rate of its choice.
//!
//! It is attached to nothing and loaded only by the hidden `--bench`: whoever holds its descriptor runs it
//! (`BPF_PROG_TEST_RUN`, kernel `net/bpf/test_run.c`).

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use monitor_common::event::{EventKind, Exit, Socket};

use crate::emit::{Ring, reserve};
use crate::filter::Subject;

/// Most records of one run: bounds the loop for the verifier, which looks at each round.
const MOST: u32 = 64;

/// Arguments: how many records; 0 for the smallest record about the calling task, which is filtered like any other
/// task, or else the container, the process and the thread that a record of a connection is to be about.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn flood(ctx: RawTracePointContext) -> i32 {
    let (wanted, container) = (ctx.arg::<u64>(0) as u32, ctx.arg::<u64>(1));
    if container == 0 {
        own(wanted);
    } else {
        told(wanted, container, ctx.arg::<u64>(2) as u32, ctx.arg::<u64>(3) as u32);
    }
    0
}

#[inline(always)]
fn own(wanted: u32) {
    for round in 0..MOST {
        if round >= wanted {
            break;
        }
        let Some(subject) = Subject::current() else { break };
        let Some(mut out) = reserve::<Exit, 0>(Ring::Bulk, EventKind::Exit, &subject) else { continue };
        out.body(Exit { code: 0, ppid: subject.pid });
        out.submit(&subject, 0);
    }
}

#[inline(always)]
fn told(wanted: u32, container: u64, pid: u32, tid: u32) {
    let subject = Subject { container, pid, tid, ..Subject::anyone() };
    for round in 0..MOST {
        if round >= wanted {
            break;
        }
        let Some(mut out) = reserve::<Socket, 16>(Ring::Bulk, EventKind::Connect, &subject) else { continue };
        out.body(Socket {
            peer_ino: 0,
            // ::ffff:127.0.0.1
            addr: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1],
            family: 2,
            port: 8080,
            ret: 0,
            is_final: 1,
            is_abstract: 0,
            peer_dev: 0,
            ..Socket::default()
        });
        out.empty();
        out.submit(&subject, 0);
    }
}
