//! A kernel whose type information lacks a field: the sensors that need it say so, by name, and the others run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::{Daemon, Plan, Prepare, Started};
use crate::process;
use crate::record::Record;
use crate::runtime::Runtime;
use crate::scenario::Rung;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "kernel_without_a_field";
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// A field that is missing.
struct Missing {
    /// The member of the kernel's structure.
    member: &'static str,
    /// What Bulkhead calls it.
    field: &'static str,
    /// The sensor that says so.
    sensor: &'static str,
    /// The part that this sensor does without; else it has no rung, or a worse one.
    part: Option<&'static str>,
}

const MISSING: [Missing; 2] = [
    Missing { member: "s_bdev", field: "SbBdev", sensor: "mount", part: None },
    // One that nothing works without goes on, and does not look at what an exec's standard input is.
    Missing { member: "skc_dport", field: "SkDport", sensor: "process", part: Some("stdio") },
];

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| {
        for missing in &MISSING {
            if let Some(why) = stage.without_a_field(rung, runtime, missing).context(missing.member)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    })
}

/// A file that lies over the kernel's, in the run's own mount namespace, as long as this lives.
struct Over;

impl Over {
    fn put(file: &Path) -> anyhow::Result<Self> {
        mount_bind(file, BTF).context("cannot mount over the type information")?;
        Ok(Self)
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        // It goes with the mount namespace at the latest.
        let _ = unmount(BTF, UnmountFlags::DETACH);
    }
}

/// The type information of this kernel, in which every member of this name has another.
fn without(member: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = fs::read(BTF)?;
    // `struct btf_header` (kernel `include/uapi/linux/btf.h`): its length, then offset and length of the strings behind it.
    let word = |at: usize| {
        let four: [u8; 4] =
            bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).context("too short")?;
        Ok::<usize, anyhow::Error>(u32::from_ne_bytes(four) as usize)
    };
    let (from, length) = (word(4)? + word(16)?, word(20)?);
    let strings = bytes.get_mut(from..from + length).context("the strings are cut")?;
    let name = format!("\0{member}\0").into_bytes();
    let at = strings.windows(name.len()).position(|window| window == name).context("no such member")?;
    strings[at + 1] = b'x';
    Ok(bytes)
}

impl Stage {
    fn without_a_field(
        &self,
        rung: Rung,
        runtime: &mut dyn Runtime,
        missing: &Missing,
    ) -> anyhow::Result<Option<String>> {
        let Missing { member, field, sensor, part } = *missing;
        let altered = self.work.join("btf");
        fs::write(&altered, without(member)?)?;
        let over = Over::put(&altered)?;
        let plan = Plan {
            pins: None,
            program: &self.flags.bulkhead,
            work: &self.work,
            rung,
            disabled: &[],
            events: "exec",
            words: &[],
            control_socket: &self.fixture.control_socket,
            evidence: self.flags.evidence.as_deref(),
            limit: self.limits.ready,
            // The run's own mount namespace is prepared already.
            prepare: Some(Prepare::new(|| Ok(()))),
        };
        let daemon = match Daemon::start(&plan, &self.mounts)? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        drop(over);
        let coverage: Vec<_> = daemon.store.all().iter().flat_map(Record::coverage).collect();
        let (_, got, why) = coverage.iter().find(|(name, ..)| name == sensor).context("no such sensor")?;
        ensure!(why.contains(field), "{sensor} is on {got:?}, and nothing is said of {field}: {why}");
        if let Some(part) = part {
            ensure!(got.is_some() && why.contains(part), "{sensor} is on {got:?}, without {part}: {why}");
        }
        let unaffected =
            coverage.iter().filter(|(_, got, why)| got.is_some() && !why.contains(field)).count();
        ensure!(
            unaffected * 2 > coverage.len(),
            "{unaffected} of {} sensors run: {coverage:?}",
            coverage.len()
        );

        let setup = self.book.setups.get("plain").context("no set-up `plain`")?;
        let container = Live::start_container(self, runtime, setup, &unique())?;
        let act = ["syslog", "5"].map(str::to_owned);
        process::output(&mut runtime.exec(&container, &actor(&unique(), &act))?, self.limits.command)?;
        let is_found = |record: &Record| {
            record.class() == "finding"
                && record.rule() == "D10"
                && record.container_id() == Some(container.id.as_str())
        };
        let found = daemon.store.wait_for(self.limits.record, is_found)?;
        ensure!(found.is_some(), "another sensor finds nothing");
        runtime.stop(&container)?;
        daemon.stop()?;
        Ok(None)
    }
}
