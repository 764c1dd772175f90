//! G04: namespaces that are the host's.

use super::{Item, Source};
use crate::detect::Severity;
use crate::posture::baseline::{Baseline, Host, NAMESPACES};
use crate::posture::check::Check;

const SYS_PTRACE: u32 = 19;

pub(in crate::posture) const G04: Check = Check {
    id: "G04",
    title: "Shares namespaces with the host",
    severity: Severity::Critical,
    rows: &["G04"],
    cis: &["5.10", "5.16", "5.17", "5.21", "5.31"],
    pss: &["baseline: Host Namespaces"],
    checklist: &[9, 10],
    what: "A namespace is the host's. Mounts: critical. Processes, network, IPC: warning; processes together with \
           CAP_SYS_PTRACE: critical, because every process of the host can be taken over, unless users have a namespace of \
           their own. Host name: notice. Users and \
           cgroups: worth knowing, because most engines share them unless they are told otherwise. The namespace of time \
           is not judged.",
    change: "Leave --pid=host, --network=host, --ipc=host, --uts=host (hostPID, hostNetwork, hostIPC) out.",
    judge: g04,
};

fn g04(b: &Baseline, host: &Host) -> Vec<Item> {
    // In a user namespace of its own the capability reaches no process outside of that.
    let may_trace = (b.effective | b.permitted) >> SYS_PTRACE & 1 == 1 && b.has_host_users(host);
    let shared = NAMESPACES.iter().filter(|(name, _)| b.shares(host, name));
    shared
        .filter_map(|(name, kind)| {
            let severity = match *name {
                "mnt" => Severity::Critical,
                "pid" if may_trace => Severity::Critical,
                "pid" | "net" | "ipc" => Severity::Warning,
                "uts" => Severity::Notice,
                "user" | "cgroup" => Severity::Info,
                _ => return None,
            };
            let what = format!("{kind} namespace");
            let item = Item::new(severity, what, "the host's", Source::Kernel("/proc/<pid>/ns"));
            let Some(config) = &b.config else { return Some(item) };
            Some(match config.namespace(kind) {
                None => {
                    Item { source: Source::Config("/linux/namespaces".into()), ..item }.declared("not made")
                }
                Some((pointer, "")) => Item { source: Source::Config(pointer), ..item }.declared("a new one"),
                Some((pointer, path)) => Item { source: Source::Config(pointer), ..item }.declared(path),
            })
        })
        .collect()
}
