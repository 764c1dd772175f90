//! The entry: takes each record with its container and process, and asks the checks that concern it.

use std::collections::BTreeSet;

use monitor_common::event::{EventKind, EventRef, Payload, flags, state_reason};
use monitor_common::policy::FileId;

use super::context::{Context, Lineage, Sink};
use super::dedup::{Dedup, Emitted, Subject};
use super::memory::{HostFacts, Memory, NsSet};
use super::network::{self, NetworkFacts};
use super::rules::Rule;
use super::{
    cgroup, change, confine, control, crash, cred, kernel, mask, mount, namespace, open, outside, program,
    secure, socket, splice, tracing,
};
use crate::container::{Baseline, Container, ContainerKey};
use crate::process::{Process, ProcessKey};

/// A socket by which a container engine or kubelet is controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSocket {
    /// Path on the host; it is matched as the path in a container, too.
    pub path: Vec<u8>,
    /// The socket's file, which is the same under any path; `None` if it does not exist.
    pub file: Option<FileId>,
}

/// What the detector is told at start.
#[derive(Clone, Debug, Default)]
pub struct DetectConfig {
    /// Rules to leave out, by id or by invariant: `I-1` leaves out every rule that checks it.
    pub disabled: BTreeSet<String>,
    /// The control sockets of this host.
    pub control_sockets: Vec<ControlSocket>,
    /// The host's own namespaces.
    pub host: HostFacts,
    /// The addresses that matter.
    pub network: NetworkFacts,
}

/// Judges records. Same records in, same findings out.
#[derive(Debug)]
pub struct Detector {
    enabled: Vec<bool>,
    control_sockets: Vec<ControlSocket>,
    host: HostFacts,
    network: NetworkFacts,
    memory: Memory,
    dedup: Dedup,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(config: DetectConfig) -> Self {
        let DetectConfig { disabled, control_sockets, host, network } = config;
        let is_off = |rule: &Rule| {
            let info = rule.info();
            disabled.contains(info.id) || info.invariant.is_some_and(|i| disabled.contains(i))
        };
        Self {
            enabled: Rule::ALL.iter().map(|rule| !is_off(rule)).collect(),
            control_sockets,
            host,
            network,
            memory: Memory::new(&host),
            dedup: Dedup::default(),
        }
    }

    /// True if a rule may judge records of this kind, or learn from them. The kernel side need not write the
    /// others unless somebody else wants them.
    pub const fn judges(kind: EventKind) -> bool {
        !matches!(
            kind,
            EventKind::Fork
                | EventKind::Bind
                | EventKind::Listen
                | EventKind::Memfd
                | EventKind::ExecArgs
                | EventKind::ExecFailed
        )
    }

    /// Judges one record. `container` and `process` are those of the record's header; findings are added to
    /// `out`, which the caller clears. Nothing is allocated if there are none.
    pub fn on_event(
        &mut self,
        ev: &EventRef<'_>,
        container: Option<&Container>,
        process: Option<&Process>,
        procs: &dyn Lineage,
        out: &mut Vec<Emitted>,
    ) {
        if ev.header.has(flags::CANARY) || !Self::judges(ev.kind) {
            return;
        }
        let Some(payload) = ev.payload() else { return };
        if let Payload::Exit(e) = &payload
            && !crash::is_fault(e)
        {
            return;
        }
        let mut sink = Sink {
            enabled: &self.enabled,
            dedup: &mut self.dedup,
            subject: Subject {
                container: ContainerKey(ev.header.container),
                process: process
                    .map_or(ProcessKey { pid: ev.header.pid, started: ev.header.started }, |p| p.key),
                exe: process.map_or(&[], |p| &p.program.exe),
                time: ev.header.time,
            },
            out,
        };
        if let Payload::Cgroup(c) = &payload {
            if let Some(gone) = cgroup::removed_container(c) {
                self.forget(gone);
            } else if !ev.header.has(flags::RUNTIME) {
                cgroup::check(ev, c, procs, &mut sink);
            }
            return;
        }
        if ev.header.has(flags::RUNTIME) {
            return;
        }
        if let Payload::HostExec(e) = &payload {
            program::check_host(ev, e, procs, &mut sink);
            return;
        }
        let Some(container) = container else { return };

        // The records that carry a baseline may come before the container has it.
        let own;
        let base = match (&payload, &container.baseline) {
            (Payload::State(s), known)
                if s.reason == state_reason::ENTRY || (s.reason == state_reason::SCAN && known.is_none()) =>
            {
                own = Baseline { state: *s, ..Baseline::default() };
                &own
            }
            (_, Some(base)) => base,
            (_, None) => return,
        };
        let base_ns = NsSet::of_state(&base.state);
        let cx = Context { ev, container, base, base_ns, process, procs, host: &self.host };
        match &payload {
            Payload::State(s) => {
                namespace::check_state(&cx, s, &mut self.memory, &mut sink);
                confine::check_state(&cx, s, &mut self.memory, &mut sink);
            }
            Payload::Namespace(n) => namespace::check(&cx, n, &mut self.memory, &mut sink),
            Payload::Mount(m) => {
                mount::check(&cx, m, &mut self.memory, &mut sink);
                mount::check_user_namespace(&cx, m, &self.memory, &mut sink);
                mask::check(&cx, m, &mut sink);
            }
            Payload::Root(r) => mount::check_root(&cx, r, &self.memory, &mut sink),
            Payload::Cred(c) => {
                cred::check(&cx, c, &self.memory, &mut sink);
                cred::check_unseen(&cx, c, &mut sink);
                confine::check_cred(&cx, c, &self.memory, &mut sink);
            }
            Payload::Exec(e) => {
                cred::check_exec(&cx, e, &self.memory, &mut sink);
                cred::check_unseen_exec(&cx, e, &mut sink);
                secure::check_exec(&cx, e, &mut sink);
                confine::check_exec(&cx, e, &self.memory, &mut sink);
                program::check_exec(&cx, e, &mut sink);
            }
            Payload::FileOpen(f) => open::check(&cx, f, &self.memory, &mut sink),
            Payload::Ptrace(p) => outside::check_ptrace(&cx, p, &mut sink),
            Payload::Signal(s) => outside::check_signal(&cx, s, &mut sink),
            Payload::Control(c) => outside::check_control(&cx, c, &mut sink),
            Payload::Memory(m) => program::check_memory(&cx, m, &mut sink),
            Payload::Connect(s) => {
                socket::check(&cx, s, &self.control_sockets, &mut sink);
                network::check_peer(&cx, s, &self.network, &mut sink);
            }
            Payload::Stdio(s) => network::check_stdio(&cx, s, &mut sink),
            Payload::Send(s) => network::check_peer(&cx, s, &self.network, &mut sink),
            Payload::Socket(s) => network::check_created(&cx, s, &mut sink),
            Payload::FileReceive(f) => network::check_received(&cx, f, &self.memory, &mut sink),
            Payload::SensitiveCall(c) => kernel::check(&cx, c, &mut sink),
            Payload::Module(m) => kernel::check_module(&cx, m, &mut sink),
            Payload::Bpf(b) => tracing::check_bpf(&cx, b, &mut sink),
            Payload::PerfEvent(p) => tracing::check_perf(&cx, p, &mut sink),
            Payload::IoUring(r) => tracing::check_ring(&cx, r, &mut sink),
            Payload::IoUringOp(o) => tracing::check_operation(&cx, o, &mut sink),
            Payload::Exit(e) => crash::check(&cx, e, &mut self.memory, &mut sink),
            Payload::KernelFault(f) => crash::check_kernel(&cx, f, &mut sink),
            Payload::Fork(_)
            | Payload::Bind(_)
            | Payload::Listen(_)
            | Payload::Memfd(_)
            | Payload::ExecArgs(_)
            | Payload::ExecFailed(_) => {}
            Payload::FileChange(c) => change::check(&cx, c, &mut sink),
            Payload::Splice(s) => splice::check(&cx, s, &mut self.memory, &mut sink),
            Payload::Ioctl(i) => control::check_ioctl(&cx, i, &mut sink),
            Payload::Fanotify(f) => control::check_fanotify(&cx, f, &mut sink),
            Payload::Dns(d) => network::check_name(&cx, d, &mut sink),
            Payload::Sysctl(_) => control::check_setting(&cx, &mut sink),
            Payload::Cgroup(_) | Payload::HostExec(_) => {}
        }
    }

    /// Forgets a container that is gone. The record of its cgroup's removal does the same.
    pub fn forget(&mut self, container: ContainerKey) {
        self.memory.forget(container);
        self.dedup.forget(container);
    }
}
