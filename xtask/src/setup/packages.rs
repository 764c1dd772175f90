//! Programs that come from the distribution: container tools, virtual machines, valgrind.

use std::path::Path;

use anyhow::bail;

use crate::project::{Project, find_program};
use crate::say;
use crate::setup::distro::{self, Distro};

/// What the packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Container runtimes and engines that scenarios and the demo run against.
    Containers,
    /// The kernel matrix.
    VirtualMachines,
    /// Counting instructions.
    Measuring,
    /// Servers and clients that `bench` loads; installed only when it measures them.
    Bench,
}

/// A program, where it is looked for, and the package that brings it on Debian, Fedora and Arch.
struct Tool {
    need: Need,
    /// A name on the path, or one of several absolute paths, divided by spaces.
    probe: &'static str,
    packages: [&'static str; 3],
}

const fn tool(need: Need, probe: &'static str, packages: [&'static str; 3]) -> Tool {
    Tool { need, probe, packages }
}

const TOOLS: [Tool; 27] = [
    tool(Need::Containers, "runc", ["runc", "runc", "runc"]),
    tool(Need::Containers, "crun", ["crun", "crun", "crun"]),
    // youki is built with it.
    tool(Need::Containers, "/usr/include/seccomp.h", ["libseccomp-dev", "libseccomp-devel", "libseccomp"]),
    tool(Need::Containers, "busybox", ["busybox-static", "busybox", "busybox"]),
    tool(Need::Containers, "jq", ["jq", "jq", "jq"]),
    tool(Need::Containers, "dockerd", ["docker.io", "moby-engine", "docker"]),
    tool(Need::Containers, "ctr", ["containerd", "containerd", "containerd"]),
    tool(Need::Containers, "iptables", ["iptables", "iptables-nft", "iptables"]),
    tool(Need::Containers, "podman", ["podman", "podman", "podman"]),
    tool(Need::Containers, "conmon /usr/libexec/podman/conmon", ["conmon", "conmon", "conmon"]),
    tool(
        Need::Containers,
        "/usr/lib/podman/netavark /usr/libexec/podman/netavark",
        ["netavark", "netavark", "netavark"],
    ),
    tool(
        Need::Containers,
        "/usr/lib/podman/aardvark-dns /usr/libexec/podman/aardvark-dns",
        ["aardvark-dns", "aardvark-dns", "aardvark-dns"],
    ),
    // Gives the containers of a user without root their ids.
    tool(Need::Containers, "newuidmap", ["uidmap", "shadow-utils", "shadow"]),
    tool(Need::Containers, "lxc-start", ["lxc", "lxc", "lxc"]),
    tool(Need::Containers, "systemd-nspawn", ["systemd-container", "systemd-container", "systemd"]),
    tool(Need::Containers, "bpftool", ["bpftool", "bpftool", "bpf"]),
    tool(Need::Containers, "modprobe", ["kmod", "kmod", "kmod"]),
    tool(Need::VirtualMachines, "busybox", ["busybox-static", "busybox", "busybox"]),
    tool(
        Need::VirtualMachines,
        "qemu-system-x86_64",
        ["qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"],
    ),
    tool(
        Need::VirtualMachines,
        "/usr/share/seabios/bios.bin /usr/share/qemu/bios.bin /usr/share/qemu/bios-256k.bin",
        ["seabios", "seabios-bin", "seabios"],
    ),
    tool(Need::VirtualMachines, "mkfs.ext4", ["e2fsprogs", "e2fsprogs", "e2fsprogs"]),
    tool(Need::VirtualMachines, "xzcat", ["xz-utils", "xz", "xz"]),
    tool(Need::Measuring, "valgrind", ["valgrind", "valgrind", "valgrind"]),
    tool(Need::Bench, "redis-server", ["redis-server", "redis", "redis"]),
    tool(Need::Bench, "redis-benchmark", ["redis-tools", "redis", "redis"]),
    tool(Need::Bench, "nginx", ["nginx-light", "nginx-core", "nginx"]),
    tool(Need::Bench, "wrk", ["wrk", "wrk", "wrk"]),
];

/// Services that LXC's package would start, a network bridge among them.
const LXC_SERVICES: [&str; 3] = ["lxc.service", "lxc-net.service", "lxc-monitord.service"];

impl Tool {
    fn present(&self) -> bool {
        self.probe.split(' ').any(|probe| {
            if probe.starts_with('/') { Path::new(probe).exists() } else { find_program(probe).is_some() }
        })
    }

    fn package(&self, distro: Distro) -> &'static str {
        match distro {
            Distro::Debian | Distro::Other => self.packages[0],
            Distro::Fedora => self.packages[1],
            Distro::Arch => self.packages[2],
        }
    }
}

/// Installs what the group lacks, or says exactly what a person has to install.
pub(crate) fn ensure(project: &Project, need: Need) -> anyhow::Result<()> {
    let what = match need {
        Need::Containers => "container tools",
        Need::VirtualMachines => "virtual machines",
        Need::Measuring => "measuring",
        Need::Bench => "servers to measure",
    };
    let distro = Distro::detect();
    let missing = missing(need, distro);
    if missing.is_empty() {
        say::step(format!("{what}: all there"));
        return Ok(());
    }
    if distro != Distro::Debian {
        bail!(
            "{what} are missing, and this distribution's packages are not installed for you; type: {}",
            distro.install_command(&missing)
        );
    }
    let kept_quiet: &[&str] = if missing.contains(&"lxc") { &LXC_SERVICES } else { &[] };
    distro::without_services(project, kept_quiet, || {
        distro::apt_install(project, &missing, &format!("{what} are missing"))
    })?;
    let still = self::missing(need, distro);
    if !still.is_empty() {
        bail!("installed, but still not found: {}", still.join(", "));
    }
    Ok(())
}

fn missing(need: Need, distro: Distro) -> Vec<&'static str> {
    let mut packages: Vec<&str> = TOOLS
        .iter()
        .filter(|tool| tool.need == need && !tool.present())
        .map(|tool| tool.package(distro))
        .collect();
    packages.dedup();
    packages
}
