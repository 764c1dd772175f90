//! The guest's whole root file system: busybox, the container runtimes, what a run brings along, and the init
//! script, packed into one compressed archive.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::flags::GuestFile;
use crate::libraries;
use crate::project::{Project, find_program};
use crate::vm::cpio::Archive;
use crate::vm::kernels::{BREAKABLE, Layout};

/// The folders a host has, for mounts and for programs that expect them.
const FOLDERS: [&str; 12] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/run",
    "/root",
];

/// Container runtimes that are packed when this machine has them, and where the guest finds them.
const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// What one boot needs beside the kernel.
pub(crate) struct Payload<'a> {
    pub(crate) files: &'a [GuestFile],
    /// A busybox shell script.
    pub(crate) command: &'a str,
    pub(crate) layout: Layout,
    /// A disk with container engines is attached, and the kernel's modules for them are loaded.
    pub(crate) engines: bool,
    /// The kernel's modules.
    pub(crate) modules: &'a [PathBuf],
}

/// Packs the archive and writes it, compressed, to `out`.
pub(crate) fn write(project: &Project, payload: &Payload<'_>, out: &Path) -> anyhow::Result<()> {
    let mut pack = Pack { project, archive: Archive::default(), taken: BTreeSet::new() };
    for folder in FOLDERS {
        pack.archive.folder(folder);
    }
    pack.archive.char_device("/dev/console", 5, 1);
    pack.archive.char_device("/dev/null", 1, 3);
    pack.archive.file("/init", 0o755, include_bytes!("init.sh"));
    let engines = u8::from(payload.engines);
    let env = format!("BULKHEAD_CGROUP={}\nBULKHEAD_ENGINES={engines}\n", payload.layout);
    pack.archive.file("/guest/env", 0o644, env.as_bytes());
    for module in payload.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        if name == BREAKABLE {
            pack.program(module, &format!("/guest/{name}"))?;
        } else if payload.engines {
            pack.program(module, &format!("/guest/modules/{name}"))?;
        }
    }
    pack.archive.file("/guest/cmd", 0o644, format!("{}\n", payload.command).as_bytes());
    pack.archive.file(
        "/etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    );
    pack.archive.file("/etc/group", 0o644, b"root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
    pack.archive.file("/etc/hosts", 0o644, b"127.0.0.1 localhost guest\n");
    // containerd copies it for each pod.
    pack.archive.file("/etc/resolv.conf", 0o644, b"");
    for file in payload.files {
        pack.program(&file.host, &file.guest)?;
    }
    for runtime in RUNTIMES {
        if let Some(host) = find_program(runtime) {
            pack.program(&host, &format!("/usr/bin/{runtime}"))?;
        }
    }
    pack.busybox()?;
    compress(project, &pack.archive.finish(), out)
}

struct Pack<'a> {
    project: &'a Project,
    archive: Archive,
    taken: BTreeSet<String>,
}

impl Pack<'_> {
    /// A file with its mode and, when it is a dynamic program, its libraries.
    fn program(&mut self, host: &Path, guest: &str) -> anyhow::Result<()> {
        if !self.taken.insert(guest.to_owned()) {
            return Ok(());
        }
        let content =
            fs::read(host).with_context(|| format!("cannot read {} for the guest", host.display()))?;
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(host)?) & 0o7777;
        self.archive.file(guest, mode, &content);
        if content.starts_with(b"\x7fELF") {
            for library in libraries::of(host)? {
                let guest = library.to_string_lossy().into_owned();
                self.program(&library, &guest)?;
            }
        }
        Ok(())
    }

    fn busybox(&mut self) -> anyhow::Result<()> {
        let Some(busybox) = find_program("busybox") else {
            bail!("the guest's userland is busybox, which is not installed: run `cargo xtask setup`");
        };
        if !libraries::of(&busybox)?.is_empty() {
            bail!("{} is not static; install busybox-static: run `cargo xtask setup`", busybox.display());
        }
        self.program(&busybox, "/bin/busybox")?;
        let applets = self.project.cmd(&busybox).arg("--list").read()?;
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            let path = format!("/bin/{applet}");
            if self.taken.insert(path.clone()) {
                self.archive.link(&path, "busybox");
            }
        }
        Ok(())
    }
}

fn compress(project: &Project, archive: &[u8], out: &Path) -> anyhow::Result<()> {
    let plain = out.with_extension("cpio");
    fs::write(&plain, archive).with_context(|| format!("cannot write {}", plain.display()))?;
    project
        .cmd("gzip")
        .args(["-1", "-n", "-f", "-k"])
        .arg(&plain)
        .run()
        .context("cannot compress the initramfs")?;
    let mut packed = plain.clone().into_os_string();
    packed.push(".gz");
    fs::rename(&packed, out).with_context(|| format!("cannot write {}", out.display()))?;
    fs::remove_file(&plain).ok();
    Ok(())
}
