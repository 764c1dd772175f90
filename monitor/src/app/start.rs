//! What must hold before anything is loaded, and the facts of this host that both sides need.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use monitor_common::ABI_VERSION;
use monitor_common::policy::{Config, FileId};

use crate::bpf::{LoadError, MaxRung, Truth};
use crate::cli::RungChoice;
use crate::container::{HostPaths, Layout, initial_namespace};
use crate::detect::HostFacts;
use crate::diag::{Code, Diagnostic};

/// `capget(2)`: the capabilities that loading and attaching need (kernel `include/uapi/linux/capability.h`).
const NEEDED: &[(u32, &str)] = &[(21, "CAP_SYS_ADMIN"), (19, "CAP_SYS_PTRACE"), (12, "CAP_NET_ADMIN")];

/// Checks that the daemon may do its work.
///
/// # Errors
/// [`Code::NotPrivileged`], with what is missing.
pub(super) fn require_privileges() -> Result<(), Diagnostic> {
    require(NEEDED)
}

/// Checks that capabilities are there: bit and name.
///
/// # Errors
/// [`Code::NotPrivileged`], with what is missing.
pub(super) fn require(needed: &[(u32, &str)]) -> Result<(), Diagnostic> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|v| u64::from_str_radix(v.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> =
        needed.iter().filter(|(bit, _)| effective >> bit & 1 == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Diagnostic::new(Code::NotPrivileged).note(format!("missing: {}", missing.join(", "))))
}

/// Raises the limit on locked memory, which kernels before 5.11 count maps against. It may not be possible and
/// may not be needed: it is only spoken of when a map is refused.
pub(super) fn raise_memlock() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// Facts of this host.
pub(super) struct Host {
    pub(super) layout: Layout,
    pub(super) config: Config,
    pub(super) facts: HostFacts,
    pub(super) boot_to_epoch_ns: i64,
}

impl Host {
    /// Reads them.
    ///
    /// # Errors
    /// [`Code::NoCgroupMount`] if containers cannot be told apart here, [`Code::NoBtf`] if a v1 controller
    /// cannot be found in the kernel's type information.
    pub(super) fn read() -> Result<Self, Diagnostic> {
        let paths = HostPaths::default();
        let no_cgroup = |e: String| Diagnostic::new(Code::NoCgroupMount).note(e);
        let layout = Layout::read(&paths).map_err(|e| no_cgroup(e.to_string()))?;
        let root_cgroup = layout.root_id(&paths).map_err(|e| no_cgroup(e.to_string()))?;
        // Where process 1 does not let itself be looked at, the first kernel thread does: it is in the initial
        // namespaces.
        let namespace = |name: &str| {
            namespace_inode(1, name)
                .or_else(|_| namespace_inode(2, name))
                .unwrap_or_else(|_| initial_namespace(name))
        };
        let facts = HostFacts {
            mnt_ns: namespace("mnt"),
            pid_ns: namespace("pid"),
            net_ns: namespace("net"),
            ipc_ns: namespace("ipc"),
            uts_ns: namespace("uts"),
            cgroup_ns: namespace("cgroup"),
            time_ns: namespace("time"),
            user_ns: namespace("user"),
            daemon_pid: std::process::id(),
            devtmpfs_dev: file_id(Path::new("/dev")).map_or(0, |id| id.dev),
        };
        // Where process 1 does not let itself be looked at, a daemon in its mount namespace has the same root.
        let shares_mounts = namespace_inode(facts.daemon_pid, "mnt").is_ok_and(|own| own == facts.mnt_ns);
        let root = file_id(Path::new("/proc/1/root/"))
            .or_else(|refused| if shares_mounts { file_id(Path::new("/")) } else { Err(refused) })
            .or_else(|_| file_id(Path::new("/proc/2/root/")))
            .unwrap_or_default();
        let key = layout.key(root_cgroup).0;
        let config = Config {
            abi: ABI_VERSION,
            host_mnt_ns: facts.mnt_ns,
            cgroup_v2: u32::from(layout.is_v2()),
            v1_hierarchy: if layout.is_v2() { 0 } else { layout.hierarchy() },
            v1_subsys: v1_subsys(&layout)?,
            aarch64: u32::from(cfg!(target_arch = "aarch64")),
            host_root_dev: root.dev,
            environ: 0,
            host_root_ino: root.ino,
            root_cgroup: key,
            ..Config::default()
        };
        Ok(Self { layout, config, facts, boot_to_epoch_ns: boot_to_epoch() })
    }
}

/// Index of the identity controller in `css_set.subsys`: its value in `enum cgroup_subsys_id`.
fn v1_subsys(layout: &Layout) -> Result<u32, Diagnostic> {
    let Some(controller) = layout.controller().filter(|_| !layout.is_v2()) else { return Ok(0) };
    let raw =
        fs::read("/sys/kernel/btf/vmlinux").map_err(|e| Diagnostic::new(Code::NoBtf).note(e.to_string()))?;
    let types =
        crate::bpf::btf::Btf::parse(&raw).map_err(|e| Diagnostic::new(Code::NoBtf).note(e.to_string()))?;
    let name = format!("{controller}_cgrp_id");
    types
        .enumerator("cgroup_subsys_id", &name)
        .ok_or_else(|| Diagnostic::new(Code::MissingField).note(format!("no enumerator {name}")))
}

/// Inode of a namespace of a process.
pub(super) fn namespace_inode(pid: u32, name: &str) -> io::Result<u32> {
    let ino = fs::metadata(format!("/proc/{pid}/ns/{name}"))?.ino();
    u32::try_from(ino).map_err(io::Error::other)
}

/// Device and inode of a file as the kernel side sees them: the device is that of the superblock, which on
/// some file systems (btrfs) is not what `stat(2)` gives.
pub(super) fn file_id(path: &Path) -> io::Result<FileId> {
    let file = rustix::fs::open(
        path,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let stat = rustix::fs::fstat(&file)?;
    let dev = superblock_device(&file, "/proc/self/mountinfo")
        .unwrap_or_else(|| kernel_dev(rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)));
    Ok(FileId { ino: stat.st_ino, dev, reserved: 0 })
}

/// The device of a file's superblock, by its mount, which `mountinfo` has to list.
pub(super) fn superblock_device(file: &impl std::os::fd::AsRawFd, mountinfo: &str) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let mount = info.lines().find_map(|l| l.strip_prefix("mnt_id:"))?.trim().to_owned();
    let mounts = fs::read_to_string(mountinfo).ok()?;
    let line = mounts.lines().find(|l| l.split(' ').next() == Some(mount.as_str()))?;
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    Some(kernel_dev(major.parse().ok()?, minor.parse().ok()?))
}

/// `MKDEV`, kernel `include/linux/kdev_t.h`.
pub(super) fn kernel_dev(major: u32, minor: u32) -> u32 {
    major << 20 | minor
}

/// The wall clock minus the boot clock, nanoseconds.
pub(super) fn boot_to_epoch() -> i64 {
    use rustix::time::{ClockId, clock_gettime};
    let nanos = |id| {
        let t = clock_gettime(id);
        t.tv_sec * 1_000_000_000 + t.tv_nsec
    };
    // Whoever loses the CPU between two clocks is off by that: the reading that took the least time is taken.
    let read = |_| {
        let before = nanos(ClockId::Boottime);
        let wall = nanos(ClockId::Realtime);
        let after = nanos(ClockId::Boottime);
        (after - before, wall - before.midpoint(after))
    };
    (0..5).map(read).min_by_key(|(took, _)| *took).map_or(0, |(_, difference)| difference)
}

/// Nanoseconds since boot, the clock of the records.
pub(super) fn boot_now() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let t = clock_gettime(ClockId::Boottime);
    u64::try_from(t.tv_sec * 1_000_000_000 + t.tv_nsec).unwrap_or(0)
}

/// What the self-test must find.
pub(super) fn truth(layout: &Layout) -> anyhow::Result<Truth> {
    let pid = std::process::id();
    let mut namespaces = [0; 7];
    for (slot, name) in
        namespaces.iter_mut().zip(["mnt", "pid_for_children", "net", "ipc", "uts", "cgroup", "user"])
    {
        *slot = namespace_inode(pid, name).with_context(|| format!("own namespace {name}"))?;
    }
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let value = |key: &str| {
        status.lines().find_map(|l| l.strip_prefix(key)).map(str::trim).unwrap_or_default().to_owned()
    };
    Ok(Truth {
        ppid: value("PPid:").parse().unwrap_or(0),
        namespaces,
        root_ino: fs::metadata("/proc/self/root/").context("own root directory")?.ino(),
        exe_ino: fs::metadata("/proc/self/exe").context("own executable")?.ino(),
        cap_effective: u64::from_str_radix(&value("CapEff:"), 16).unwrap_or(0),
        cgroup_v2: layout.is_v2(),
    })
}

/// The rungs that the command line allows.
pub(super) fn max_rung(choice: RungChoice) -> MaxRung {
    match choice {
        RungChoice::Auto | RungChoice::Trampoline => MaxRung::Auto,
        RungChoice::Tracepoint => MaxRung::NoTrampoline,
    }
}

/// Explains why the kernel side could not be started.
pub(super) fn explain(error: &LoadError) -> Diagnostic {
    // The file is there only where securityfs is mounted and the module is built in.
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let code = match error {
        LoadError::NoObject => Code::ObjectMissing,
        LoadError::NoBtf(_) | LoadError::BadBtf(_) => Code::NoBtf,
        LoadError::MissingFields(_) => Code::MissingField,
        // In this mode the helpers that read kernel memory do not exist, so the verifier answers EINVAL.
        _ if lockdown.contains("[confidentiality]") => Code::BpfRefused,
        LoadError::Refused(_) => refused(),
        LoadError::Pins(_) => Code::CannotPin,
        LoadError::Object(_) => Code::KernelTooOld,
        LoadError::Required { .. } => Code::NoRung,
    };
    let diagnostic = Diagnostic::new(code).note(error.to_string());
    if lockdown.is_empty() { diagnostic } else { diagnostic.note(format!("lockdown: {}", lockdown.trim())) }
}

/// Before 5.11, a map beyond RLIMIT_MEMLOCK is refused with EPERM as well.
fn refused() -> Code {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let old = ["5.10.", "5.9.", "5.8."].iter().any(|v| release.starts_with(v));
    if old && limit.is_some() { Code::MemlockLimit } else { Code::BpfRefused }
}
