//! The whole command line of xtask, declared once.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use crate::bench::{LoadKind, Measurement};
use crate::vm::Layout;

/// Bulkhead's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Find or install all that building, testing and running takes.
    Setup(SetupFlags),
    /// Build the eBPF object and the daemon that carries it.
    Build(BuildFlags),
    /// Build, then run the daemon on this host: `cargo xtask run -- --format json`.
    Run(RunFlags),
    /// Build, start the daemon on this host, and break out of a throwaway container before its eyes, harmlessly.
    Demo(DemoFlags),
    /// Measure what Bulkhead costs on this host.
    Bench(BenchFlags),
    /// All checks and tests; the last line is `N passed, N failed, N skipped`.
    Test(TestFlags),
    /// Boot kernels under QEMU and run the scenarios, or a command, in each.
    Vm(VmFlags),
    /// Merge what `test` and `vm` proved into docs/proofs.tsv and docs/coverage.md.
    Coverage(CoverageFlags),
    /// What `bench` measures: one load, as a program of its own
    #[command(hide = true)]
    Load(LoadFlags),
    /// What drives the rings for `bench`
    #[command(hide = true)]
    Flood(FloodFlags),
    /// What `bench instructions` runs in a guest
    #[command(hide = true)]
    Counted(CountedFlags),
}

/// Example: cargo xtask setup --no-vm
#[derive(Debug, Default, Args)]
pub(crate) struct SetupFlags {
    /// Leave out QEMU
    #[arg(long)]
    pub(crate) no_vm: bool,
    /// Leave out container runtimes and engines
    #[arg(long)]
    pub(crate) no_engines: bool,
}

/// Example: cargo xtask build --release
#[derive(Debug, Default, Args)]
pub(crate) struct BuildFlags {
    /// Build the daemon with optimisations (the eBPF object always is)
    #[arg(long)]
    pub(crate) release: bool,
}

/// Example: sudo cargo xtask run -- --format json
#[derive(Debug, Default, Args)]
pub(crate) struct RunFlags {
    /// Passed on to `bulkhead run`
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// Example: sudo -E env PATH="$PATH" cargo xtask demo
#[derive(Debug, Default, Args)]
pub(crate) struct DemoFlags {}

/// Example: sudo -E env PATH="$PATH" cargo xtask bench getppid --quick
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchFlags {
    /// What to measure [default: everything but peers and profile]
    #[arg(value_name = "WHAT")]
    pub(crate) what: Vec<Measurement>,
    /// Also measure what one would run instead, for those that are installed
    #[arg(long)]
    pub(crate) peers: bool,
    /// Also record where the daemon spends its time, with perf
    #[arg(long)]
    pub(crate) profile: bool,
    /// Rough figures within seconds: short slices, few pairs, few containers
    #[arg(long)]
    pub(crate) quick: bool,
    /// Seconds each load runs in each slice [default: 1, or 0.2 with --quick]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Quiet pairs of slices with and without Bulkhead, and as many without it on either side [default: 6, or 2]
    #[arg(long, value_name = "N")]
    pub(crate) pairs: Option<usize>,
    /// Let the daemon and the generator go before everything else on the machine while rates are measured
    #[arg(long)]
    pub(crate) urgent: bool,
    /// Print every raw figure as JSON on standard output, and the tables on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Measure this daemon in place of a new release build
    #[arg(long, value_name = "PATH")]
    pub(crate) bulkhead: Option<PathBuf>,
}

/// Example: cargo xtask load exec --millis 1000
#[derive(Debug, Args)]
pub(crate) struct LoadFlags {
    /// What to do over and over
    pub(crate) what: LoadKind,
    /// For how long, as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) millis: u64,
    /// How often, at a rate
    #[arg(long, value_name = "N", requires = "rate")]
    pub(crate) count: Option<u32>,
    /// How often in a second
    #[arg(long, value_name = "N", requires = "count")]
    pub(crate) rate: Option<f64>,
}

/// Example: cargo xtask flood --program 7 --container 99 --process 42 --rate 100000 --millis 1000
#[derive(Debug, Args)]
pub(crate) struct FloodFlags {
    /// Id of the daemon's program `flood`
    #[arg(long, value_name = "ID", conflicts_with = "descriptor")]
    pub(crate) program: Option<u32>,
    /// Descriptor of it that this process has inherited
    #[arg(long, value_name = "FD")]
    pub(crate) descriptor: Option<i32>,
    /// Key of the container that records are about; 0 for the caller's own
    #[arg(long, value_name = "KEY", default_value_t = 0)]
    pub(crate) container: u64,
    /// Process that records are about
    #[arg(long, value_name = "PID", default_value_t = 0)]
    pub(crate) process: u32,
    /// Go before everything else on the machine
    #[arg(long)]
    pub(crate) urgent: bool,
    /// Records a second
    #[arg(long, value_name = "N")]
    pub(crate) rate: f64,
    /// For how long
    #[arg(long, value_name = "N")]
    pub(crate) millis: u64,
}

/// Example: cargo xtask test --fast
#[derive(Debug, Default, Args)]
pub(crate) struct TestFlags {
    /// Leave out the virtual machines
    #[arg(long)]
    pub(crate) fast: bool,
    /// Only unit tests and scenarios whose name contains this, and no lints
    pub(crate) filter: Option<String>,
}

/// Example: cargo xtask vm --kernel 5.10 --cmd 'bulkhead doctor' --file target/release/bulkhead:/bin/bulkhead
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VmFlags {
    /// Kernel to boot, an id from xtask/kernels.toml (repeatable) [default: all]
    #[arg(long, value_name = "ID")]
    pub(crate) kernel: Vec<String>,
    /// Cgroup layout to boot with (repeatable) [default: as kernels.toml says]
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) cgroup: Vec<Layout>,
    /// Only guests with container engines: the layouts of kernels.toml that have some, or those asked for
    #[arg(long)]
    pub(crate) engines: bool,
    /// Show the kernels and what is cached, boot nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Run this shell command in the guest instead of the scenarios
    #[arg(long, value_name = "COMMAND")]
    pub(crate) cmd: Option<String>,
    /// Put a file of this machine, with the libraries it needs, into the guest (repeatable)
    #[arg(long, value_name = "HOST:GUEST")]
    pub(crate) file: Vec<GuestFile>,
    /// Added to the kernel's command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(crate) append: String,
    /// Give the guest one CPU whose clock counts instructions: a nanosecond in it is one instruction
    #[arg(long)]
    pub(crate) count: bool,
    /// Seconds a guest may take in all
    #[arg(long, value_name = "SECONDS", default_value_t = 1500)]
    pub(crate) timeout: u64,
    /// Look for newer kernels even if one is cached
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Only the scenarios whose name contains one of these, and options of the scenario runner
    #[arg(last = true, value_name = "FILTER")]
    pub(crate) scenarios: Vec<String>,
}

/// Example: cargo xtask coverage --forget 7.0
#[derive(Debug, Default, Args)]
pub(crate) struct CoverageFlags {
    /// Drop what a kernel series proved, for one that is tested no more (repeatable)
    #[arg(long, value_name = "SERIES")]
    pub(crate) forget: Vec<String>,
}

/// Example: xtask counted --bulkhead /bin/bulkhead --rung auto
#[derive(Debug, Args)]
pub(crate) struct CountedFlags {
    /// The daemon
    #[arg(long, value_name = "PATH")]
    pub(crate) bulkhead: PathBuf,
    /// What the daemon is asked for (repeatable)
    #[arg(long, value_name = "RUNG")]
    pub(crate) rung: Vec<String>,
    /// Only these loads (repeatable)
    #[arg(long, value_name = "LOAD")]
    pub(crate) load: Vec<LoadKind>,
    /// Only start the daemon, on each rung
    #[arg(long)]
    pub(crate) starts: bool,
    /// Servers too
    #[arg(long)]
    pub(crate) apps: bool,
}

/// A file to be packed into the guest.
#[derive(Debug, Clone)]
pub(crate) struct GuestFile {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
}

impl FromStr for GuestFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => {
                Ok(Self { host: host.into(), guest: guest.to_owned() })
            }
            _ => Err("write it as HOST:GUEST, with an absolute path in the guest".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Flags::command().debug_assert();
    }

    #[test]
    fn guest_file_needs_an_absolute_guest_path() {
        let file: GuestFile = "a/b:/bin/b".parse().expect("well-formed");
        assert_eq!((file.host, file.guest.as_str()), (PathBuf::from("a/b"), "/bin/b"));
        assert!("a/b".parse::<GuestFile>().is_err());
        assert!("a:b".parse::<GuestFile>().is_err());
    }
}
