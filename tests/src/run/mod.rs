//! The run: rungs, runtimes, set-ups, scenarios, from the outside in.

mod alone;
mod arguments;
mod btf;
mod crowd;
mod ends;
mod engines;
mod faults;
mod found;
mod full_maps;
mod granted;
mod group;
mod hangs;
mod hashes;
mod mutate;
mod nested;
mod nested_engine;
mod older;
mod oops;
mod owners;
mod pinned;
mod pods;
mod posture;
mod residents;
mod reverse;
mod rootless;
mod storm;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::cgroups::Branch;
use crate::daemon::{Daemon, Plan, Started};
use crate::fixture::{Fixture, Folder};
use crate::flags::Flags;
use crate::host::{self, Host, HostMounts};
use crate::judge;
use crate::proof::Ledger;
use crate::record::Record;
use crate::rootfs;
use crate::runtime::{Env, Kind};
use crate::scenario::{Book, Rung, Scenario};
use crate::stop;
use crate::store::Store;
use crate::tally::{Tally, say};
use group::Group;
use older::Older;

/// How long things may take: emulated kernels are slow.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Until the daemon is ready.
    ready: Duration,
    /// Until a record is there.
    record: Duration,
    /// Until a container's end is told, which takes ten seconds where only its processes' absence shows it.
    end: Duration,
    /// For a command of a runtime.
    command: Duration,
}

impl Limits {
    fn of(in_vm: bool) -> Self {
        let (ready, record, end, command) = if in_vm { (120, 60, 90, 120) } else { (20, 10, 30, 60) };
        let seconds = Duration::from_secs;
        Self { ready: seconds(ready), record: seconds(record), end: seconds(end), command: seconds(command) }
    }
}

/// What all parts of a run share. The order is that in which things go: containers' places, then the folder.
struct Stage {
    flags: Flags,
    book: Book,
    limits: Limits,
    fixture: Fixture,
    env: Rc<Env>,
    ledger: Ledger,
    mounts: Arc<HostMounts>,
    work: PathBuf,
    _folder: Folder,
}

/// Runs what the flags say; true if nothing failed.
///
/// # Errors
/// The run cannot begin, or a signal ended it.
pub fn run(flags: Flags) -> anyhow::Result<bool> {
    let book = Book::read()?;
    let book = if flags.conformance.is_some() { book.conformance() } else { book };
    if flags.list {
        for scenario in book.scenarios.iter().filter(|scenario| flags.wants(&scenario.name)) {
            say(&format!("{}: {}", scenario.name, scenario.about));
        }
        return Ok(true);
    }
    stop::listen();
    let mounts = Arc::new(HostMounts::leave()?);
    let host = Host::read(flags.layout)?;
    let limits = Limits::of(flags.in_vm);
    let folder = Folder::make(flags.work.as_deref())?;
    let work = folder.path().to_owned();
    let actor = match &flags.actor {
        Some(actor) => actor.clone(),
        None => std::env::current_exe()?.with_file_name("actor"),
    };
    let rootfs = rootfs::make(&work.join("rootfs"), &actor)?;
    let branch = Branch::make(&host)?;
    let fixture = Fixture::make(&work, &actor, &branch.home, &mounts)?;
    // With rules switched off, what passes proves less than it says.
    let ledger = Ledger::new(flags.proofs && flags.disabled.is_empty(), host.layout);
    let env = Rc::new(Env { work: work.clone(), rootfs, branch, host, limit: limits.command });
    let stage = Stage { flags, book, limits, fixture, env, ledger, mounts, work, _folder: folder };

    let mut tally = Tally::default();
    if stage.flags.mutate {
        mutate::run(&stage, &mut tally)?;
    } else if stage.flags.no_daemon {
        stage.runtimes(Rung::Tracepoint, None, &mut Claims::default(), &mut tally)?;
    } else {
        posture::run(&stage, &mut tally)?;
        for rung in stage.flags.rungs() {
            stage.rung(rung, &mut tally)?;
            storm::run(&stage, rung, &mut tally)?;
        }
    }
    Ok(tally.finish())
}

/// Whose findings are accounted for.
#[derive(Debug, Default)]
struct Claims {
    /// Processes that scenarios ran: id and start.
    processes: BTreeSet<(u64, String)>,
    /// Ids of our containers.
    containers: BTreeSet<String>,
}

impl Claims {
    fn take(&mut self, records: &[Record]) {
        let processes = records.iter().filter_map(Record::process);
        self.processes.extend(processes.map(|(pid, started)| (pid, started.to_owned())));
    }

    /// Findings of no scenario's process. What containers were granted is another check's.
    fn unclaimed<'a>(&self, records: &'a [Record]) -> Vec<&'a Record> {
        let is_claimed = |record: &Record| {
            record.process().is_some_and(|(pid, started)| self.processes.contains(&(pid, started.to_owned())))
        };
        let findings = records.iter().filter(|record| record.class() == "finding" && !record.is_grant());
        findings.filter(|record| !is_claimed(record)).collect()
    }

    fn is_ours(&self, record: &Record) -> bool {
        record.container_id().is_some_and(|id| self.containers.contains(id))
    }
}

/// True for the reason why a sensor is not on a better rung, unless it is the kernel's: it has no such function or field.
/// What is too large for a verifier can be made smaller.
fn is_avoidable(rung: Rung, why: &str) -> bool {
    let of_kernel = ["the kernel has none of", "needs what this kernel lacks"];
    let refused = rung == Rung::Trampoline && why.starts_with("trampoline: ");
    why.contains("program is too large") || refused && !of_kernel.iter().any(|known| why.contains(known))
}

impl Stage {
    fn daemon(&self, rung: Rung, disabled: &[String]) -> anyhow::Result<Started> {
        self.start_daemon(rung, disabled, None, "all", &[])
    }

    fn daemon_pinned(&self, rung: Rung, pins: &Path) -> anyhow::Result<Started> {
        self.start_daemon(rung, &[], Some(pins), "all", &[])
    }

    /// A daemon that writes no events, with further words on its command line.
    fn daemon_with(&self, rung: Rung, words: &[String]) -> anyhow::Result<Started> {
        self.start_daemon(rung, &[], None, "none", words)
    }

    fn start_daemon(
        &self,
        rung: Rung,
        disabled: &[String],
        pins: Option<&Path>,
        events: &str,
        words: &[String],
    ) -> anyhow::Result<Started> {
        let mut words = words.to_vec();
        if let Some(youki) = crate::runtime::built_youki() {
            words.extend(["--runtime".to_owned(), youki.display().to_string()]);
        }
        let plan = Plan {
            pins,
            program: &self.flags.bulkhead,
            work: &self.work,
            rung,
            disabled,
            events,
            words: &words,
            control_socket: &self.fixture.control_socket,
            evidence: self.flags.evidence.as_deref(),
            limit: self.limits.ready,
            prepare: None,
        };
        Daemon::start(&plan, &self.mounts)
    }

    /// Everything with one daemon.
    fn rung(&self, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
        let name = format!("daemon[{}]", rung.name());
        let older = Older::start(self, rung, &self.wanted())?;
        let daemon = match self.daemon(rung, &self.flags.disabled) {
            Ok(Started::Ready(daemon)) => daemon,
            Ok(Started::Impossible(why)) => {
                tally.skip(&name, &why);
                return Ok(());
            }
            Err(error) => {
                stop::check()?;
                tally.fail(&name, &format!("{error:#}"));
                return Ok(());
            }
        };
        let mut refused = Vec::new();
        for (sensor, got, reason) in daemon.store.all().iter().flat_map(Record::coverage) {
            self.ledger.sensor(rung, &sensor, got.as_deref());
            refused.extend(
                reason
                    .split("; ")
                    .filter(|why| is_avoidable(rung, why))
                    .map(|why| format!("{sensor}: {why}")),
            );
        }
        let best = format!("best_rungs[{}]", rung.name());
        if refused.is_empty() {
            tally.pass(&best);
        } else {
            tally.fail(&best, &refused.join("; "));
        }
        let mut claims = Claims::default();
        if let Some(older) = older {
            older.judge(self, rung, &daemon.store, &mut claims, tally)?;
        }
        self.runtimes(rung, Some(&daemon.store), &mut claims, tally)?;
        match daemon.stop() {
            Ok(store) => {
                tally.pass(&name);
                self.leftover_records(rung, &store, &claims, tally);
            }
            Err(error) => tally.fail(&name, &format!("{error:#}")),
        }
        pinned::run(self, rung, &mut claims, tally)?;
        arguments::run(self, rung, tally)?;
        hashes::run(self, rung, tally)?;
        btf::run(self, rung, tally)?;
        full_maps::run(self, rung, tally)?;
        granted::run(self, rung, tally)?;
        hangs::run(self, rung, tally)?;
        crowd::run(self, rung, tally)?;
        ends::run(self, rung, tally)?;
        rootless::run(self, rung, tally)?;
        nested::run(self, rung, tally)?;
        nested_engine::run(self, rung, tally)?;
        residents::run(self, rung, tally)?;
        pods::run(self, rung, tally)?;
        owners::run(self, rung, tally)?;
        engines::run(self, rung, tally)?;
        found::run(self, rung, tally)?;
        faults::run(self, rung, tally)?;
        reverse::run(self, rung, tally)?;
        oops::run(self, rung, tally)
    }

    /// What the daemon said beside what scenarios asked for.
    fn leftover_records(&self, rung: Rung, store: &Store, claims: &Claims, tally: &mut Tally) {
        let records = store.all();
        let mut unexpected = claims.unclaimed(&records);
        if !self.flags.in_vm {
            // On a machine with other people's containers their findings are theirs.
            let (ours, others): (Vec<_>, Vec<_>) = unexpected.into_iter().partition(|r| claims.is_ours(r));
            if !others.is_empty() {
                say(&format!(
                    "note: findings about what the run did not make:{}",
                    judge::lines(others.into_iter())
                ));
            }
            unexpected = ours;
        }
        let lost: Vec<&Record> = records.iter().filter(|record| host::is_avoidable_loss(record)).collect();
        let skipped = records.iter().filter(|record| record.is_skipped_run()).count();
        if skipped > 0 {
            say(&format!("note: {skipped} records of skipped runs"));
        }
        let broken = store.broken();
        for (name, what) in [("no_unexpected_finding", unexpected), ("no_loss", lost)] {
            let name = format!("{name}[{}]", rung.name());
            if what.is_empty() {
                tally.pass(&name);
            } else {
                tally.fail(&name, &judge::lines(what.into_iter()));
            }
        }
        let name = format!("only_json_on_stdout[{}]", rung.name());
        match broken.first() {
            None => tally.pass(&name),
            Some(line) => tally.fail(&name, line),
        }
    }

    /// The scenarios that were asked for.
    fn wanted(&self) -> Vec<&Scenario> {
        self.book.scenarios.iter().filter(|scenario| self.flags.wants(&scenario.name)).collect()
    }

    /// Every runtime in turn.
    fn runtimes(
        &self,
        rung: Rung,
        store: Option<&Store>,
        claims: &mut Claims,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        for kind in self.flags.runtimes() {
            self.runtime(kind, rung, store, &self.wanted(), claims, tally)?;
        }
        Ok(())
    }

    fn runtime(
        &self,
        kind: Kind,
        rung: Rung,
        store: Option<&Store>,
        scenarios: &[&Scenario],
        claims: &mut Claims,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let has_few = self.flags.conformance.is_some() && self.flags.wants(posture::NAME_OF_FEW);
        if scenarios.is_empty() && !has_few {
            return Ok(());
        }
        let name = format!("runtime[{}/{}]", kind.name(), rung.name());
        let mut runtime = match crate::runtime::open(kind, &self.env) {
            Ok(Ok(runtime)) => runtime,
            Ok(Err(why)) => {
                tally.skip(&name, &why);
                return Ok(());
            }
            Err(error) => {
                stop::check()?;
                tally.fail(&name, &format!("{error:#}"));
                return Ok(());
            }
        };
        if self.flags.conformance.is_some() && store.is_some() {
            posture::few(self, kind, rung, runtime.as_mut(), tally)?;
        }
        let mut group = Group { stage: self, kind, rung, store, runtime: runtime.as_mut(), claims, tally };
        group.run(scenarios).with_context(|| name.clone())?;
        drop(runtime);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_better() {
        let too_large = "syscall: call_socket: the verifier refused it: Argument list too long (os error 7): BPF program \
                         is too large. Processed 1000001 insn";
        let unattached = "trampoline: mount_exit: not loaded";
        let by_kernel = "trampoline: the kernel has none of security_move_mount";
        for (rung, why, wanted) in [
            (Rung::Tracepoint, too_large, true),
            (Rung::Trampoline, too_large, true),
            (Rung::Trampoline, unattached, true),
            (Rung::Tracepoint, unattached, false),
            (Rung::Trampoline, by_kernel, false),
        ] {
            assert_eq!(is_avoidable(rung, why), wanted, "{why}");
        }
    }
}
