//! Programs that read their input from the network (catalogue row E09), seen where they are executed: how the socket came
//! to be descriptor 0 does not matter.

use monitor_common::event::{EventKind, Stdio};
use monitor_common::network::mapped;
use monitor_common::offsets::{FieldId as F, STDIO};

use crate::emit::{Ring, reserve};
use crate::filter::Subject;
use crate::kernel::sock::{self, AF_INET, AF_INET6};
use crate::kernel::{Ptr, file, offset};

/// `S_IFMT` and `S_IFSOCK` (kernel `include/uapi/linux/stat.h`).
const TYPE: u32 = 0o170_000;
const SOCKET: u32 = 0o140_000;

/// The socket of IPv4 or IPv6 that a descriptor is, or nothing.
#[inline(always)]
fn socket(subject: &Subject, fd: u32) -> Option<(Ptr, u16)> {
    let opened = subject.task.file(fd);
    if u32::from(file::inode_of(opened).read::<u16>(F::InodeMode)) & TYPE != SOCKET {
        return None;
    }
    let socket = sock::of_file(opened);
    let family = sock::family(socket);
    (family == AF_INET || family == AF_INET6).then_some((socket, family))
}

/// Reports standard input, if it is a socket: seven reads of kernel objects where it is none.
#[inline(never)]
pub(crate) fn look(subject: &Subject) {
    let _ = try_look(subject);
}

#[inline(always)]
fn try_look(subject: &Subject) -> Option<()> {
    // A program of a sensor that everything needs does without this part (`monitor/src/bpf/needs.rs`).
    if STDIO.iter().any(|field| offset(*field).is_none()) {
        return None;
    }
    let (input, family) = socket(subject, 0)?;
    let mut out = reserve::<Stdio, 0>(Ring::Critical, EventKind::Stdio, subject)?;
    out.body(Stdio {
        addr: if family == AF_INET { mapped(sock::peer_v4(input)) } else { sock::peer_v6(input) },
        family: u32::from(family),
        port: u32::from(sock::peer_port(input)),
        local_port: u32::from(sock::local_port(input)),
        output: u32::from(socket(subject, 1).is_some()),
        error: u32::from(socket(subject, 2).is_some()),
        net_ns: subject.task.net_ns_inum(),
    });
    out.submit(subject, 0);
    Some(())
}
