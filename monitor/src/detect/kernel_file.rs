//! B04, B05, B15 to B18, A12, D16: files by which a container reaches into the kernel, known by their file system and
//! their place in it, never by where it is mounted.

use monitor_common::event::TailString;

use super::rules::Rule;
use super::types::Severity;

/// Low halves of superblock magics (kernel `include/uapi/linux/magic.h`).
const PROC: u32 = 0x9fa0;
const SYSFS: u32 = 0x6265_6572;
const CGROUP: u32 = 0x0027_e0eb;
const CGROUP2: u32 = 0x6367_7270;
const DEBUGFS: u32 = 0x6462_6720;
const TRACEFS: u32 = 0x7472_6163;

/// Settings below `/proc/sys/kernel` that name a program which the kernel runs, or say how.
const HELPERS: &[&[u8]] = &[b"modprobe", b"hotplug", b"poweroff_cmd", b"core_pipe_limit"];

/// Files of proc that runtimes mask.
const MASKED: &[&[u8]] =
    &[b"kmsg", b"keys", b"sched_debug", b"timer_list", b"timer_stats", b"latency_stats", b"vmcore"];

/// The rule that the writing of a kernel's file breaks. `owned` is true for a file of a cgroup of the container's own.
pub(super) fn written(magic: u64, path: TailString<'_>, owned: bool) -> Option<(Rule, Severity)> {
    let mut parts = path.components();
    let mut part = || parts.next().unwrap_or(b"");
    let place = [part(), part(), part(), part()];
    let name = place[0];
    match magic as u32 {
        PROC => match place {
            [b"sysrq-trigger", ..] => Some((Rule::B17, Severity::Critical)),
            [setting, b"kernel", b"sys", _] => setting_written(&[b"kernel/", setting].concat()),
            [setting, b"usermodehelper", b"kernel", b"sys"] => {
                setting_written(&[b"kernel/usermodehelper/", setting].concat())
            }
            [_, b"binfmt_misc", b"fs", b"sys"] => Some((Rule::B16, Severity::Critical)),
            [_, b"attr", ..] | [_, _, b"attr", _] => Some((Rule::A12, Severity::Warning)),
            _ => None,
        },
        SYSFS if name == b"uevent_helper" => Some((Rule::B16, Severity::Critical)),
        SYSFS => None,
        CGROUP if name == b"release_agent" || name == b"notify_on_release" => {
            Some((Rule::B04, Severity::Critical))
        }
        CGROUP if name == b"devices.allow" || name == b"devices.deny" => {
            Some((Rule::B05, Severity::Critical))
        }
        // Which hierarchy of version 1 a file is in cannot be told, and so not whose cgroup it is.
        CGROUP => None,
        CGROUP2 if owned => None,
        CGROUP2 => Some((Rule::B05, Severity::Critical)),
        DEBUGFS | TRACEFS => Some((Rule::D16, Severity::Critical)),
        // binfmt_misc, efivarfs, securityfs, configfs, bpf
        _ => Some((Rule::B16, Severity::Warning)),
    }
}

/// The rule that the writing of a setting breaks, by its name below `/proc/sys`.
pub(super) fn setting_written(name: &[u8]) -> Option<(Rule, Severity)> {
    match name {
        b"kernel/core_pattern" => Some((Rule::B15, Severity::Critical)),
        b"kernel/sysrq" => Some((Rule::B17, Severity::Critical)),
        _ if name.starts_with(b"kernel/usermodehelper/") => Some((Rule::B16, Severity::Critical)),
        _ => {
            let short = name.strip_prefix(b"kernel/")?;
            HELPERS.contains(&short).then_some((Rule::B16, Severity::Critical))
        }
    }
}

/// How bad it is to read a kernel's file (rule B18).
pub(super) fn read(magic: u64, path: TailString<'_>) -> Severity {
    let name = path.components().next().unwrap_or(b"");
    match magic as u32 {
        PROC if name == b"kcore" => Severity::Critical,
        PROC if MASKED.contains(&name) => Severity::Warning,
        PROC => Severity::Notice,
        _ => Severity::Warning,
    }
}
