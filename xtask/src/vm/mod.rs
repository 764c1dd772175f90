//! The verb `vm`: real kernels under QEMU, each running the scenarios, or one command, as its only work.

mod archive;
mod cpio;
mod engines;
mod guest;
mod initramfs;
mod kernels;
mod payload;

use std::cmp::Reverse;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::coverage;
use crate::flags::{GuestFile, VmFlags};
use crate::project::{Project, find_program};
use crate::say;
use crate::setup::{self, Need};
use guest::{Ending, Guest};
use initramfs::Payload;
use kernels::Kernel;
pub(crate) use kernels::Layout;
pub(crate) use payload::linked_statically;

/// Seconds one guest may take in the verb `test`: with another beside it, it takes half of that.
const LIMIT: u64 = 2700;

/// Where engines keep their storage in a guest: on a host it is not below /run either, where mounts weigh more.
const WORK: &str = "/tmp/scn";

/// The result of one kernel in one cgroup layout.
pub(crate) struct Boot {
    /// What the guest's command printed.
    pub(crate) lines: Vec<String>,
    /// Why the boot counts as failed, beside what its lines say.
    pub(crate) failure: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &VmFlags) -> anyhow::Result<ExitCode> {
    if flags.list {
        list(project, &select(project, &flags.kernel)?);
        return Ok(ExitCode::SUCCESS);
    }
    let matrix = Matrix::prepare(project, flags.clone())?;
    let mut code = ExitCode::SUCCESS;
    let mut ends = Vec::new();
    for row in &matrix.rows {
        let boot = matrix.boot(project, row)?;
        if boot.failure.is_some() {
            code = ExitCode::FAILURE;
        }
        ends.push(format!("{row}: {}", boot.failure.unwrap_or_else(|| "well".to_owned())));
    }
    ends.into_iter().for_each(say::step);
    Ok(code)
}

/// Runs a command in a guest whose clock counts instructions; gives the lines that it printed.
pub(crate) fn counted(
    project: &Project,
    kernel: &str,
    files: &[GuestFile],
    command: &str,
) -> anyhow::Result<Vec<String>> {
    let flags = VmFlags {
        kernel: vec![kernel.to_owned()],
        file: files.to_vec(),
        cmd: Some(command.to_owned()),
        count: true,
        timeout: LIMIT,
        ..VmFlags::default()
    };
    let matrix = Matrix::prepare(project, flags)?;
    let row = matrix.rows.first().context("the kernel has no layout")?;
    let boot = matrix.boot(project, row)?;
    match boot.failure {
        Some(failure) => bail!("{row}: {failure}"),
        None => Ok(boot.lines),
    }
}

/// Why no kernel can be booted on this machine at all.
pub(crate) fn impossible() -> Option<&'static str> {
    if cfg!(not(target_arch = "x86_64")) {
        return Some("the kernel matrix boots x86-64 kernels");
    }
    find_program("dpkg-deb")
        .is_none()
        .then_some("the kernels come as Debian packages, and this machine has no dpkg-deb")
}

/// A kernel in a cgroup layout.
pub(crate) struct Row {
    kernel: Kernel,
    layout: Layout,
    /// Container engines make the containers, for the conformance suite alone.
    engines: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.layout, self.engines) {
            (Layout::V2, false) => f.write_str(&self.kernel.id),
            (layout, false) => write!(f, "{}/{layout}", self.kernel.id),
            (layout, true) => write!(f, "{}/{layout}/engines", self.kernel.id),
        }
    }
}

impl Row {
    /// How much there is to run, roughly: the guests that take longest are to start first.
    fn weight(&self) -> usize {
        if self.engines {
            2
        } else if self.is_whole() {
            self.kernel.rungs.len() + self.kernel.runtimes.len()
        } else {
            1
        }
    }

    /// Each kernel's first layout gets all its rungs and runtimes.
    fn is_whole(&self) -> bool {
        self.kernel.cgroups.first() == Some(&self.layout)
    }
}

/// Everything built and chosen, ready to boot row by row.
pub(crate) struct Matrix {
    flags: VmFlags,
    files: Vec<GuestFile>,
    /// The disk of container engines, and the folder that goes with it, if a row has them.
    disk: Option<engines::Disk>,
    pub(crate) rows: Vec<Row>,
}

impl Matrix {
    /// The whole matrix with the scenarios, for the verb `test`, the longest first.
    pub(crate) fn of_scenarios(project: &Project, filter: Option<&str>) -> anyhow::Result<Self> {
        let scenarios = filter.map(str::to_owned).into_iter().collect();
        let flags = VmFlags { timeout: LIMIT, scenarios, ..VmFlags::default() };
        let mut matrix = Self::prepare(project, flags)?;
        matrix.rows.sort_by_key(|row| Reverse(row.weight()));
        Ok(matrix)
    }

    fn prepare(project: &Project, flags: VmFlags) -> anyhow::Result<Self> {
        if let Some(why) = impossible() {
            bail!("{why}");
        }
        setup::packages(project, Need::VirtualMachines)?;
        sweep(&project.target.join("vm/run"));
        let rows = rows(select(project, &flags.kernel)?, &flags);
        let mut files = flags.file.clone();
        if flags.cmd.is_none() {
            files.extend(payload::build(project)?);
        }
        let disk = if rows.iter().any(|row| row.engines) {
            setup::packages(project, Need::Containers)?;
            Some(engines::Disk::make(project)?)
        } else {
            None
        };
        Ok(Self { flags, files, disk, rows })
    }

    /// What the guest of a row runs: the command that was given, or the scenarios. In a layout that is not the
    /// kernel's first only identity differs, which one rung, one runtime and one daemon show.
    fn command(&self, row: &Row) -> String {
        if let Some(command) = &self.flags.cmd {
            return command.clone();
        }
        let mut words = Vec::new();
        if row.engines {
            let fixed =
                ["--rung", "trampoline", "--runtime", engines::RUNTIMES, "--work", WORK, "--conformance"];
            words.extend(fixed.map(str::to_owned));
            words.push(
                row.kernel.engines.get(&row.layout).map_or_else(String::new, |checks| checks.join(",")),
            );
        } else if row.is_whole() {
            words.extend(["--rung".to_owned(), row.kernel.rungs.join(",")]);
            words.extend(["--runtime".to_owned(), row.kernel.runtimes.join(",")]);
        } else {
            words.extend(["--rung", "trampoline", "--runtime", "runc", "--shared"].map(str::to_owned));
        }
        words.extend(self.flags.scenarios.iter().cloned());
        payload::command(&words)
    }

    /// Boots one row and waits for its end.
    pub(crate) fn boot(&self, project: &Project, row: &Row) -> anyhow::Result<Boot> {
        let Row { kernel, layout, engines } = row;
        let label = row.to_string();
        let image = kernel.fetch(project, self.flags.refresh)?;
        // By process, so that two runs at once do not write each other's guest.
        let name = row.to_string().replace('/', "-");
        let run = format!("{name}-{}", std::process::id());
        let folder = project.target.join("vm/run").join(run);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let initramfs = folder.join("initramfs.gz");
        let payload = Payload {
            files: &self.files,
            command: &self.command(row),
            layout: *layout,
            engines: *engines,
            modules: &image.modules,
        };
        initramfs::write(project, &payload, &initramfs)?;
        let console = project.target.join("vm").join(format!("console-{name}.log"));
        let start = Instant::now();
        say::step(format!("{label}: booting {} with cgroup {layout}", image.release));
        let guest = Guest {
            label: &label,
            vmlinuz: &image.vmlinuz,
            initramfs: &initramfs,
            disk: self.disk.as_ref().filter(|_| *engines).map(engines::Disk::path),
            append: &[
                kernel.append.as_str(),
                if *engines { engines::APPEND } else { "" },
                &self.flags.append,
            ]
            .join(" "),
            cpus: if self.flags.count { 1 } else { kernel.cpus },
            counts: self.flags.count,
            console: &console,
            limit: Duration::from_secs(self.flags.timeout),
        };
        let outcome = guest.run();
        fs::remove_dir_all(&folder).ok();
        let outcome = outcome?;
        coverage::keep(project, &outcome.proofs)?;
        say::step(format!("{label}: {:.1} s", start.elapsed().as_secs_f32()));
        let failure = match outcome.ending {
            Ending::Exit(0) => None,
            Ending::Exit(status) => Some(format!("ended with status {status}")),
            Ending::BootHang => Some("the kernel did not come up, twice".to_owned()),
            Ending::Died => Some("the guest died, twice".to_owned()),
            Ending::Timeout => Some(format!("not done within {} s", self.flags.timeout)),
        };
        Ok(Boot { lines: outcome.lines, failure })
    }
}

/// Removes what runs that were killed left behind: folders end in the number of their process.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.rsplit_once('-').map(|(_, process)| Path::new("/proc").join(process));
        if owner.is_some_and(|owner| !owner.exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn rows(kernels: Vec<Kernel>, flags: &VmFlags) -> Vec<Row> {
    let mut rows = Vec::new();
    for kernel in kernels {
        let with_engines = kernel.engines.keys().copied().collect();
        for (engines, own) in [(false, &kernel.cgroups), (true, &with_engines)] {
            // A layout or a command that is given is for one guest, with engines or without.
            let is_one = flags.cmd.is_some() || !flags.cgroup.is_empty();
            if engines != flags.engines && (is_one || flags.engines) {
                continue;
            }
            let layouts = if flags.cgroup.is_empty() { own } else { &flags.cgroup };
            // A command without a layout of its own wants the kernel, not the matrix.
            let count = if flags.cmd.is_some() && flags.cgroup.is_empty() { 1 } else { layouts.len() };
            let layouts = layouts.iter().take(count);
            rows.extend(layouts.map(|&layout| Row { kernel: kernel.clone(), layout, engines }));
        }
    }
    rows
}

/// The kernels asked for, all when none is.
fn select(project: &Project, ids: &[String]) -> anyhow::Result<Vec<Kernel>> {
    let all = kernels::matrix(project)?;
    for id in ids {
        if all.iter().all(|kernel| kernel.id != *id) {
            let known: Vec<&str> = all.iter().map(|kernel| kernel.id.as_str()).collect();
            bail!("no kernel {id} in xtask/kernels.toml; it has {}", known.join(", "));
        }
    }
    Ok(all.into_iter().filter(|kernel| ids.is_empty() || ids.contains(&kernel.id)).collect())
}

fn list(project: &Project, kernels: &[Kernel]) {
    for kernel in kernels {
        let layouts: Vec<String> = kernel.cgroups.iter().map(Layout::to_string).collect();
        let cached =
            kernel.cached(project).map_or_else(|| "not downloaded".to_owned(), |image| image.release);
        say::result(format!("{:8} {:28} {:14} {}", kernel.id, cached, layouts.join(","), kernel.why));
    }
}
