//! Calls that reach the kernel itself, or state that no namespace divides (D01, D02, D06 to D10, D15).

use monitor_common::call::Call;
use monitor_common::event::{Module, SensitiveCall, module_op};

use super::context::{Context, Sink, compared, observed, push_bytes, push_errno};
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};

/// Bits of capabilities (`include/uapi/linux/capability.h`).
const CAP_SYS_PACCT: u32 = 20;
pub(super) const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_TIME: u32 = 25;

/// `ADJ_OFFSET_SS_READ` (`include/uapi/linux/timex.h`) only reads, as no modes at all do.
const ADJ_OFFSET_SS_READ: u64 = 0xa001;
/// Commands of `quotactl(2)` that change something (`include/uapi/linux/quota.h`, `dqblk_xfs.h`).
const QUOTA_CHANGES: &[u64] = &[0x80_0002, 0x80_0003, 0x80_0006, 0x80_0008, 0x5801, 0x5802, 0x5804, 0x5806];

/// True if the container's first program had this capability.
pub(super) fn was_granted(cx: &Context<'_>, capability: u32) -> bool {
    cx.base.state.cap_permitted >> capability & 1 == 1
}

/// How bad it is when it works, and when it is refused.
#[derive(Clone, Copy)]
struct Weight {
    succeeded: Severity,
    denied: Severity,
}

const GRAVE: Weight = Weight { succeeded: Severity::Critical, denied: Severity::Warning };
const UNUSUAL: Weight = Weight { succeeded: Severity::Warning, denied: Severity::Notice };
const ODD: Weight = Weight { succeeded: Severity::Notice, denied: Severity::Notice };

/// State of the whole host: what the container was not granted it cannot have by right.
fn host_state(cx: &Context<'_>, capability: u32) -> Weight {
    let succeeded = if was_granted(cx, capability) { Severity::Warning } else { Severity::Critical };
    Weight { succeeded, denied: Severity::Notice }
}

pub(super) fn check(cx: &Context<'_>, c: &SensitiveCall, sink: &mut Sink<'_>) {
    let Some(call) = Call::ALL.iter().copied().find(|call| *call as u32 == c.op) else { return };
    let Some((rule, weight)) = judge(cx, c, call) else { return };
    let outcome = Outcome::of(c.ret);
    let severity = if outcome == Outcome::Succeeded { weight.succeeded } else { weight.denied };
    sink.report(rule, severity, outcome, || evidence(cx, c, call));
}

fn judge(cx: &Context<'_>, c: &SensitiveCall, call: Call) -> Option<(Rule, Weight)> {
    let worked = c.ret >= 0;
    let in_host = |namespace: u32, host: u32| host != 0 && namespace == host;
    Some(match call {
        // A module that was loaded has a record of its own, and so has a ring.
        Call::InitModule | Call::FinitModule if worked => return None,
        Call::IoUringSetup if worked => return None,
        Call::InitModule | Call::FinitModule | Call::DeleteModule => (Rule::D01, GRAVE),
        Call::IoUringSetup => (Rule::D05, ODD),
        Call::Keyctl | Call::AddKey | Call::RequestKey => (Rule::D06, ODD),
        Call::Userfaultfd => (Rule::D07, if cx.ev.header.euid == 0 { ODD } else { UNUSUAL }),
        Call::KexecLoad | Call::KexecFileLoad => (Rule::D08, GRAVE),
        Call::Reboot if in_host(c.pid_ns, cx.host.pid_ns) => (Rule::D08, GRAVE),
        Call::Reboot => (Rule::D08, ODD),
        // Level 0, and ports that are given back, are what every program has.
        Call::Iopl if c.arg0 as u32 != 0 => (Rule::D09, GRAVE),
        Call::Ioperm if c.arg2 as u32 != 0 => (Rule::D09, GRAVE),
        // Written in the old and the new way; 0 and 2 read.
        Call::ModifyLdt if matches!(c.arg0 as u32, 1 | 0x11) => (Rule::D09, ODD),
        Call::Vm86 => (Rule::D09, ODD),
        Call::Syslog => (Rule::D10, syslog(c.arg0 as u32)?),
        Call::Settimeofday if c.arg0 == 0 && c.arg1 == 0 => return None,
        Call::Settimeofday | Call::ClockSettime | Call::Stime => (Rule::D15, host_state(cx, CAP_SYS_TIME)),
        Call::Adjtimex | Call::ClockAdjtime if c.detail != 0 && c.detail != ADJ_OFFSET_SS_READ => {
            (Rule::D15, host_state(cx, CAP_SYS_TIME))
        }
        Call::Quotactl if changes_quota(c.arg0) => (Rule::D15, host_state(cx, CAP_SYS_ADMIN)),
        Call::QuotactlFd if changes_quota(c.arg1) => (Rule::D15, host_state(cx, CAP_SYS_ADMIN)),
        Call::Swapon | Call::Swapoff => (Rule::D15, host_state(cx, CAP_SYS_ADMIN)),
        Call::Acct => (Rule::D15, host_state(cx, CAP_SYS_PACCT)),
        Call::Sethostname | Call::Setdomainname if in_host(c.uts_ns, cx.host.uts_ns) => {
            (Rule::D15, host_state(cx, CAP_SYS_ADMIN))
        }
        _ => return None,
    })
}

/// Actions of `syslog(2)`: 2 and 3 read, 4 and 5 clear, 6 to 8 turn the console's messages off, on, or down.
fn syslog(action: u32) -> Option<Weight> {
    match action {
        2 | 3 => Some(ODD),
        4..=8 => Some(UNUSUAL),
        _ => None,
    }
}

fn changes_quota(cmd: u64) -> bool {
    QUOTA_CHANGES.contains(&(cmd >> 8 & 0xff_ffff))
}

fn evidence(cx: &Context<'_>, c: &SensitiveCall, call: Call) -> Vec<Evidence> {
    let mut list = vec![
        observed("call", Value::Word(call.name())),
        compared("cap_effective", Value::Hex(cx.base.state.cap_permitted), Value::Hex(c.cap_effective)),
    ];
    push_bytes(&mut list, "name", cx.ev.string(0).bytes);
    // What tells one use of the call from another.
    let number = match call {
        Call::Syslog | Call::Keyctl | Call::Iopl | Call::ModifyLdt | Call::ClockSettime => Some(c.arg0),
        Call::Quotactl | Call::FanotifyMark => Some(if call == Call::Quotactl { c.arg0 } else { c.arg1 }),
        Call::QuotactlFd => Some(c.arg1),
        Call::Reboot => Some(c.arg2),
        Call::Adjtimex | Call::ClockAdjtime => Some(c.detail),
        Call::Userfaultfd => Some(c.arg0),
        _ => None,
    };
    list.extend(number.map(|n| observed("argument", Value::Hex(n))));
    if matches!(call, Call::Sethostname | Call::Setdomainname) {
        list.push(compared(
            "uts_ns",
            Value::Namespace("uts", cx.base.state.uts_ns),
            Value::Namespace("uts", c.uts_ns),
        ));
    }
    push_errno(&mut list, c.ret);
    list
}

/// Aliases that ordinary programs ask for: families that nearly every kernel has, binary formats, congestion
/// control.
const ORDINARY: &[&str] = &["net-pf-1", "net-pf-2", "net-pf-10", "net-pf-16"];
const ORDINARY_KINDS: &[&str] = &["binfmt-", "tcp_", "iosched-"];
/// Aliases of modules with a history of local exploits: AF_KEY, RXRPC, CAN, TIPC, AF_ALG, VSOCK, SMC and other
/// families, XFRM and its transformations, netfilter, ciphers for AF_ALG, DCCP and SCTP, line disciplines.
const RISKY: &[&str] = &[
    "net-pf-9",
    "net-pf-15",
    "net-pf-21",
    "net-pf-29",
    "net-pf-30",
    "net-pf-33",
    "net-pf-38",
    "net-pf-40",
    "net-pf-43",
];
const RISKY_KINDS: &[&str] = &[
    "net-pf-16-proto-6",
    "net-pf-16-proto-12",
    "xfrm-",
    "nft-",
    "nfnetlink-",
    "algif-",
    "esp4",
    "esp6",
    "net-pf-2-proto-33",
    "net-pf-2-proto-132",
    "net-pf-10-proto-132",
    "tty-ldisc-",
    "rtnl-link-",
];

pub(super) fn check_module(cx: &Context<'_>, m: &Module, sink: &mut Sink<'_>) {
    let name = cx.ev.string(0).bytes;
    let (rule, severity, outcome) = match m.op {
        module_op::LOAD => (Rule::D01, Severity::Critical, Outcome::Succeeded),
        module_op::REQUEST => match weigh_request(name) {
            Some(severity) => (Rule::D02, severity, Outcome::Attempted),
            None => return,
        },
        // The call that removes one is reported.
        _ => return,
    };
    sink.report(rule, severity, outcome, || {
        let mut list = Vec::new();
        push_bytes(&mut list, "module", name);
        if m.op == module_op::LOAD {
            list.push(compared("loaded_by_container", Value::Word("none"), Value::Word("module")));
            list.push(observed("taints", Value::Hex(m.taints)));
        }
        list
    });
}

fn weigh_request(name: &[u8]) -> Option<Severity> {
    let is = |list: &[&str]| list.iter().any(|known| known.as_bytes() == name);
    let starts = |list: &[&str]| list.iter().any(|kind| name.starts_with(kind.as_bytes()));
    if is(RISKY) || starts(RISKY_KINDS) {
        Some(Severity::Warning)
    } else if is(ORDINARY) || starts(ORDINARY_KINDS) {
        None
    } else {
        Some(Severity::Notice)
    }
}
