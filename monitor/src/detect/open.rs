//! I-5, I-6, C02 and the rules about what is opened: devices, files of the kernel, watched files of the host, and files
//! whose names matter.

use monitor_common::event::{FileOpen, why};
use monitor_common::policy::watch;

use super::context::{Context, Sink, compared, container_value, observed, path, push_errno, push_owner};
use super::memory::Memory;
use super::rules::Rule;
use super::types::{Evidence, Outcome, Severity, Value};
use super::{change, file, kernel_file, magic};

/// Access modes other than reading, and `O_TRUNC` (`include/uapi/asm-generic/fcntl.h`).
const WRITING: u32 = 0o3 | 0o1000;
/// `O_TRUNC`.
const TRUNCATING: u32 = 0o1000;

pub(super) fn check(cx: &Context<'_>, f: &FileOpen, memory: &Memory, sink: &mut Sink<'_>) {
    if f.why & why::FOREIGN != 0 {
        file::check(cx, f, memory, sink);
    }
    let report = |sink: &mut Sink<'_>, rule, severity: Severity| {
        let outcome = Outcome::of(f.ret);
        let severity = if outcome == Outcome::Denied { severity.min(Severity::Warning) } else { severity };
        sink.report(rule, severity, outcome, || evidence(cx, f));
    };
    if f.why & (why::HANDLE | why::UNREACHABLE) != 0 {
        report(sink, Rule::I5, Severity::Critical);
    }
    if f.why & (why::BLOCK | why::CHAR) != 0 {
        check_device(cx, f, sink);
    }
    if f.why & why::KERNEL_WRITE != 0 {
        let owned = f.owner != 0 && f.owner == cx.key().0;
        if let Some((rule, severity)) = kernel_file::written(f.magic, cx.ev.string(0), owned) {
            report(sink, rule, severity);
        }
    }
    if f.why & why::KERNEL_READ != 0 {
        report(sink, Rule::B18, kernel_file::read(f.magic, cx.ev.string(0)));
    }
    if f.why & why::NAMESPACE != 0 {
        check_namespace(cx, f, memory, sink);
    }
    let writing = f.flags & WRITING != 0;
    if f.why & why::WATCHED != 0 {
        if writing && f.class & watch::RUNTIME != 0 {
            report(sink, Rule::B25, Severity::Critical);
        }
        if writing && f.class & watch::OWN != 0 {
            report(sink, Rule::H05, Severity::Critical);
        }
        if f.class & (watch::NODE | watch::ACCOUNTS) != 0 {
            report(sink, Rule::B20, if writing { Severity::Critical } else { Severity::Warning });
        }
    }
    if f.why & why::NAMED != 0 {
        let parts = cx.ev.string(0).components();
        if let Some(rule) = change::named(parts, f.flags & TRUNCATING != 0) {
            sink.report(rule, change::severity(cx, rule), Outcome::of(f.ret), || evidence(cx, f));
        }
    }
}

fn evidence(cx: &Context<'_>, f: &FileOpen) -> Vec<Evidence> {
    let mut list = vec![
        observed("path", Value::Bytes(path(cx.ev.string(0)))),
        observed("filesystem", magic::value(f.magic)),
        observed("open_flags", Value::Hex(u64::from(f.flags))),
    ];
    if f.owner != 0 {
        list.push(compared("cgroup_of", container_value(cx.key().0), container_value(f.owner)));
    }
    push_errno(&mut list, f.ret);
    list
}

/// Whether a device was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    /// By its number.
    Itself,
    /// With all others of its kind.
    All,
    No,
    Unknown,
}

impl Grant {
    fn of(cx: &Context<'_>, block: bool, device: u32) -> Self {
        let Some(declared) = &cx.container.declared else { return Self::Unknown };
        let (major, minor) = (device >> 20, device & 0xf_ffff);
        if declared.devices.iter().any(|d| d.grants(block, major, minor)) {
            Self::Itself
        } else if declared.devices.iter().any(|d| d.grants_all(block)) {
            Self::All
        } else {
            Self::No
        }
    }

    fn value(self) -> Value {
        Value::Word(match self {
            Self::Itself => "granted",
            Self::All => "all granted",
            Self::No => "not granted",
            Self::Unknown => "unknown",
        })
    }
}

fn check_device(cx: &Context<'_>, f: &FileOpen, sink: &mut Sink<'_>) {
    let block = f.why & why::BLOCK != 0;
    let grant = Grant::of(cx, block, f.rdev);
    let severity = match grant {
        Grant::Itself => return,
        // A privileged container is granted every device, but no disk in particular.
        Grant::All if !block => return,
        Grant::No | Grant::All => Severity::Critical,
        Grant::Unknown if block => Severity::Critical,
        Grant::Unknown => Severity::Warning,
    };
    sink.report(Rule::I6, severity, Outcome::of(f.ret), || {
        let (major, minor) = (f.rdev >> 20, f.rdev & 0xf_ffff);
        let mut list = vec![
            compared("device_grant", Value::Word("granted"), grant.value()),
            observed("device", Value::Text(format!("{major}:{minor}"))),
            observed("device_type", Value::Word(if block { "block" } else { "character" })),
        ];
        list.extend(evidence(cx, f));
        list
    });
}

fn check_namespace(cx: &Context<'_>, f: &FileOpen, memory: &Memory, sink: &mut Sink<'_>) {
    let Ok(inode) = u32::try_from(f.ino) else { return };
    if !memory.is_foreign(cx.key(), &cx.base_ns, inode) {
        return;
    }
    sink.report(Rule::C02, Severity::Warning, Outcome::of(f.ret), || {
        let mut list = vec![observed("namespace", Value::Number(f.ino))];
        push_owner(&mut list, memory.owner(inode, cx.key()));
        push_errno(&mut list, f.ret);
        list
    });
}
