//! The runner's command line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::host::Layout;
use crate::runtime::Kind;
use crate::scenario::Rung;

/// What `--help` prints.
pub const HELP: &str = "\
Runs scenarios in real containers and checks what Bulkhead says about them.

usage: scenarios --bulkhead PATH [options] [FILTER]…

  --bulkhead PATH       the daemon
  --actor PATH          the program that acts in containers, default beside this one
  --work DIR            folder for everything that is made, default a temporary one
  --in-vm               patient deadlines, both rungs, runc and crun if no other is named; every finding must be ours
  --runtime A,B         of runc, crun, youki, docker, podman, podman-rootless, containerd, cri; default all
  --rung A,B            of trampoline, tracepoint; default tracepoint, in a VM both
  --layout L            v1, v2, hybrid; default what this host has; `native` is the same
  --filter TEXT         only scenarios whose name contains it; so does a bare word
  --disable-rule ID     passed on to the daemon
  --conformance A,B     only what an engine or a cgroup layout can make different: the conformance suite; of the checks with
                        a daemon of their own only these
  --shared              only what goes with one daemon for all; in a VM that is so on every rung but the first
  --mutate              for each rule: with it disabled, a scenario must fail
  --no-daemon           only the acts: what the kernel answered is checked
  --proofs              also says what each scenario proves, for `cargo xtask coverage`
  --save-evidence FILE  every line that the daemon wrote is kept there
  --list                names of the scenarios, and nothing else

example: scenarios --bulkhead target/release/bulkhead --runtime runc c01
status: 0 nothing failed, 1 something did, 2 wrong command line";

/// The command line, read.
#[derive(Debug, Default)]
pub struct Flags {
    /// The daemon; needed unless `no_daemon` or `list`.
    pub bulkhead: PathBuf,
    /// The actor.
    pub actor: Option<PathBuf>,
    /// Where everything is made.
    pub work: Option<PathBuf>,
    /// Running as the only work of a virtual machine.
    pub in_vm: bool,
    /// Runtimes asked for; empty for all.
    pub runtimes: Vec<Kind>,
    /// Rungs asked for; empty for the default.
    pub rungs: Vec<Rung>,
    /// Cgroup layout, if given.
    pub layout: Option<Layout>,
    /// Parts of names; empty for all.
    pub filters: Vec<String>,
    /// Rules to disable.
    pub disabled: Vec<String>,
    /// The conformance suite alone, with these checks that need a daemon of their own.
    pub conformance: Option<Vec<String>>,
    /// No checks that need a daemon of their own.
    pub shared: bool,
    /// The mutation check.
    pub mutate: bool,
    /// Acts only.
    pub no_daemon: bool,
    /// Lines that say what is proved.
    pub proofs: bool,
    /// Where to keep the daemon's lines.
    pub evidence: Option<PathBuf>,
    /// Names only.
    pub list: bool,
    /// `--help`.
    pub help: bool,
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> anyhow::Result<Vec<T>> {
    text.split(',').map(|word| read(word).with_context(|| format!("unknown word {word}"))).collect()
}

impl Flags {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// An unknown option, or one without its value.
    pub fn read(words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut flags = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bulkhead" => flags.bulkhead = value()?.into(),
                "--actor" => flags.actor = Some(value()?.into()),
                "--work" => flags.work = Some(value()?.into()),
                "--in-vm" => flags.in_vm = true,
                "--runtime" => flags.runtimes.extend(list(&value()?, Kind::from_name)?),
                "--rung" => flags.rungs.extend(list(&value()?, Rung::from_name)?),
                "--layout" => {
                    let name = value()?;
                    if name != "native" {
                        flags.layout = Some(Layout::from_name(&name).context("unknown layout")?);
                    }
                }
                "--filter" => flags.filters.push(value()?),
                "--disable-rule" => flags.disabled.push(value()?),
                "--conformance" => {
                    flags.conformance = Some(value()?.split(',').map(str::to_owned).collect());
                }
                "--shared" => flags.shared = true,
                "--mutate" => flags.mutate = true,
                "--no-daemon" => flags.no_daemon = true,
                "--proofs" => flags.proofs = true,
                "--save-evidence" => flags.evidence = Some(value()?.into()),
                "--list" => flags.list = true,
                "--help" | "-h" => flags.help = true,
                option if option.starts_with('-') => bail!("unknown option {option}"),
                _ => flags.filters.push(word),
            }
        }
        if flags.bulkhead.as_os_str().is_empty() && !flags.no_daemon && !flags.list && !flags.help {
            bail!("--bulkhead is missing");
        }
        Ok(flags)
    }

    /// The rungs to run.
    pub fn rungs(&self) -> Vec<Rung> {
        if !self.rungs.is_empty() {
            return self.rungs.clone();
        }
        if self.in_vm { vec![Rung::Trampoline, Rung::Tracepoint] } else { vec![Rung::Tracepoint] }
    }

    /// Why checks that need a daemon of their own are left out on this rung, if they are: a start takes half a minute in
    /// an emulated machine, and what they are about differs between kernels, but hardly between rungs or layouts.
    pub fn leaves_out_own_daemons(&self, rung: Rung) -> Option<&'static str> {
        if self.shared {
            Some("needs a daemon of its own")
        } else if self.in_vm && self.rungs().first() != Some(&rung) {
            Some("done on the first rung")
        } else {
            None
        }
    }

    /// The runtimes to run.
    pub fn runtimes(&self) -> Vec<Kind> {
        // Engines are only in those machines where they are asked for.
        let bare = self.in_vm && self.runtimes.is_empty();
        let all: &[Kind] = if bare { &[Kind::Runc, Kind::Crun] } else { Kind::ALL };
        all.iter().copied().filter(|kind| self.runtimes.is_empty() || self.runtimes.contains(kind)).collect()
    }

    /// True if a scenario or a check of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part.as_str()))
    }
}
