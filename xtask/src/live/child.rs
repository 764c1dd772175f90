//! A child process that does not outlive its guard.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

/// How long a child may take to end after it was asked to: a trampoline is gone from the kernel after a tenth of a second,
/// one after the other.
const END: Duration = Duration::from_secs(60);

/// A process of ours. When this goes, it is asked to end by its signal, then made to.
pub(crate) struct Guarded {
    pub(crate) child: Child,
    signal: Signal,
}

impl Guarded {
    /// Starts it in a process group of its own; it gets SIGTERM should xtask die without unwinding.
    pub(crate) fn spawn(command: &mut Command, signal: Signal) -> anyhow::Result<Self> {
        command.process_group(0).env_remove("LD_LIBRARY_PATH");
        die_with_parent(command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child, signal })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits; `None` if it had to be killed.
    pub(crate) fn end(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        let pid = pid_of(&self.child)?;
        rustix::process::kill_process(pid, self.signal)?;
        if ended_within(pid, END)? {
            return Ok(Some(self.child.wait()?));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }

    /// Waits for it to end by itself; `None` if it does not.
    pub(crate) fn ended(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let pid = pid_of(&self.child)?;
        Ok(if ended_within(pid, limit)? { Some(self.child.wait()?) } else { None })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !matches!(self.end(), Ok(Some(_))) {
            // Nothing else can be done about it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[expect(unsafe_code, reason = "pre_exec")]
fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl(2) is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            Ok(())
        });
    }
}

fn pid_of(child: &Child) -> anyhow::Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child without a process id")
}

/// True when the process, a child that was not waited for, has ended by then. A signal to xtask does not cut it short:
/// this is how things are cleaned up.
fn ended_within(pid: Pid, limit: Duration) -> anyhow::Result<bool> {
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).context("a deadline too far away")?;
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_asked_to_end() {
        let mut child =
            Guarded::spawn(Command::new("sleep").arg("60"), Signal::TERM).expect("sleep is there");
        assert!(child.ended(Duration::ZERO).expect("it can be waited for").is_none());
        let status = child.end().expect("it can be ended").expect("it ends when asked");
        assert!(!status.success());
    }
}
