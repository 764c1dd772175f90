//! One boot of one kernel under QEMU: started, listened to, and ended in time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::coverage;
use crate::say;

/// A guest that has not reached its init script by then hangs: boots take 3 s, on a busy machine 15 s.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// A guest whose command says nothing for so long hangs: on a busy machine the longest check takes four minutes. Seen on 6.1, both
/// emulated CPUs for ever in `kmem_cache_alloc()`, before any daemon was started.
const SILENCE: Duration = Duration::from_secs(600);

/// How much a guest steps back: it gets a third of a CPU that something else wants all of.
const NICE: &str = "5";

/// Each virtual CPU is a thread.
const CONCURRENT: &[&str] = &["-accel", "tcg,thread=multi", "-cpu", "max"];

/// An instruction takes a nanosecond of the guest's time, 2 to the power of `shift`; waiting takes none of the host's. Each
/// repetition of a string instruction counts: the kernel does not copy byte by byte on a CPU where that is not fast.
const COUNTING: &[&str] =
    &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", "max,erms=off,fsrm=off"];

/// What to boot.
pub(crate) struct Guest<'a> {
    /// Shown before each line of the guest.
    pub(crate) label: &'a str,
    pub(crate) vmlinuz: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// A disk that is only read, if it is given one.
    pub(crate) disk: Option<&'a Path>,
    /// Added to the kernel's command line.
    pub(crate) append: &'a str,
    /// How many CPUs it gets.
    pub(crate) cpus: u8,
    /// Its clock counts instructions.
    pub(crate) counts: bool,
    /// The kernel's console, kept for when a boot fails.
    pub(crate) console: &'a Path,
    pub(crate) limit: Duration,
}

/// How a boot ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The guest's command ended with this status.
    Exit(i32),
    /// The init script was never reached; worth one more try, emulated SMP boots hang now and then.
    BootHang,
    /// The kernel or QEMU died after the boot, or hangs; worth one more try, see [`Guest::run`].
    Died,
    /// The command took longer than allowed.
    Timeout,
}

/// A boot's ending, and every line its command printed.
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    pub(crate) lines: Vec<String>,
    /// What its scenarios proved.
    pub(crate) proofs: Vec<String>,
}

impl Guest<'_> {
    /// Boots and listens. What emulation is known to break now and then is tried once more, and said so: a
    /// hang before the init script, and a guest kernel that dies while code is patched under two CPUs. A daemon
    /// that really kills a kernel does so twice.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let first = self.boot()?;
        let what = match first.ending {
            Ending::BootHang => "the kernel did not come up",
            Ending::Died => "the guest died",
            Ending::Exit(_) | Ending::Timeout => return Ok(first),
        };
        say::step(format!("{}: {what}; trying once more", self.label));
        self.boot()
    }

    fn boot(&self) -> anyhow::Result<Outcome> {
        let mut qemu =
            self.command().spawn().context("cannot start qemu-system-x86_64: run `cargo xtask setup`")?;
        let lines = listen(&mut qemu)?;
        let outcome = self.follow(&lines);
        // Ours, and at most still powering off.
        qemu.kill().ok();
        qemu.wait().context("cannot wait for QEMU")?;
        if !matches!(outcome.ending, Ending::Exit(_)) {
            self.show_console();
        }
        Ok(outcome)
    }

    fn command(&self) -> Command {
        let append = format!("console=ttyS0 panic=-1 {}", self.append);
        // What runs on this host beside it goes first. setpriv becomes QEMU, which then ends with xtask, however that ends.
        let mut qemu = Command::new("nice");
        qemu.args(["-n", NICE, "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(if self.counts { COUNTING } else { CONCURRENT })
            .args(["-m", "2048"])
            .args(["-smp", &self.cpus.to_string()])
            .args(["-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot"])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(["-serial", "stdio"])
            .arg("-kernel")
            .arg(self.vmlinuz)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", append.trim_end()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(disk) = self.disk {
            // The one kind of disk whose driver every kernel of the matrix has built in. What is written is forgotten.
            qemu.arg("-drive")
                .arg(format!("file={},format=raw,if=none,id=disk,snapshot=on", disk.display()))
                .args(["-device", "nvme,drive=disk,serial=bulkhead"]);
        }
        qemu
    }

    fn follow(&self, incoming: &Receiver<String>) -> Outcome {
        let start = Instant::now();
        let mut booted = false;
        let (mut lines, mut proofs) = (Vec::new(), Vec::new());
        let ending = loop {
            let limit = if booted { self.limit } else { BOOT_LIMIT.min(self.limit) };
            let line = match incoming.recv_timeout(limit.saturating_sub(start.elapsed()).min(SILENCE)) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) if booted && start.elapsed() < limit => break Ending::Died,
                Err(RecvTimeoutError::Timeout) if booted => break Ending::Timeout,
                Err(RecvTimeoutError::Disconnected) if booted => break Ending::Died,
                Err(_) => break Ending::BootHang,
            };
            if let Some(boot) = line.strip_prefix("@@ BOOT ") {
                booted = true;
                say::step(format!("{}: up, kernel and guest seconds: {boot}", self.label));
            } else if let Some(status) = line.strip_prefix("@@ EXIT ") {
                break Ending::Exit(status.trim().parse().unwrap_or(-1));
            } else if let Some(proof) = line.strip_prefix(coverage::WORD) {
                proofs.push(proof.to_owned());
            } else {
                say::result(format!("[{}] {line}", self.label));
                lines.push(line);
            }
        };
        Outcome { ending, lines, proofs }
    }

    fn show_console(&self) {
        let text = fs::read(self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        say::step(format!("{}: the end of its console, whole in {}", self.label, self.console.display()));
        for line in lines.iter().skip(lines.len().saturating_sub(25)) {
            say::note(line.trim_end());
        }
    }
}

/// The lines of the guest's second serial port, as they come.
fn listen(qemu: &mut Child) -> anyhow::Result<Receiver<String>> {
    let Some(port) = qemu.stdout.take() else {
        bail!("QEMU was started without a pipe");
    };
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(port);
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw).is_ok_and(|length| length > 0) {
            let line = String::from_utf8_lossy(&raw).trim_end_matches(['\r', '\n']).to_owned();
            if sender.send(line).is_err() {
                return;
            }
            raw.clear();
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(lines: &[&str]) -> Outcome {
        let guest = Guest {
            label: "test",
            vmlinuz: Path::new("/"),
            initramfs: Path::new("/"),
            disk: None,
            append: "",
            cpus: 1,
            counts: false,
            console: Path::new("/dev/null"),
            limit: Duration::from_millis(50),
        };
        let (sender, receiver) = channel();
        for line in lines {
            sender.send((*line).to_owned()).expect("receiver lives");
        }
        let outcome = guest.follow(&receiver);
        drop(sender);
        outcome
    }

    #[test]
    fn endings() {
        assert_eq!(follow(&["@@ BOOT 6.1 2.0", "hello", "@@ EXIT 7"]).ending, Ending::Exit(7));
        assert_eq!(follow(&["@@ BOOT 6.1 2.0", "hello", "@@ EXIT 0"]).lines, ["hello"]);
        let proof = follow(&["@@ BOOT 6.1 2.0", "PROOF a b", "@@ EXIT 0"]);
        assert_eq!((proof.lines.len(), proof.proofs), (0, vec!["a b".to_owned()]));
        assert_eq!(follow(&["@@ BOOT 6.1 2.0", "hello"]).ending, Ending::Timeout);
        assert_eq!(follow(&["garbage"]).ending, Ending::BootHang);
    }
}
