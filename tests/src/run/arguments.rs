//! Long arguments come whole up to 32 KiB, longer ones say that they are cut; the environment comes if it is asked for.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Stage;
use super::group::{Live, actor, unique};
use crate::daemon::Started;
use crate::host;
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Container, Runtime};
use crate::scenario::Rung;
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "arguments_and_environment";
/// Bytes of arguments that are reported, each with its NUL.
const MOST: usize = 32 * 1024;
/// What would break out of a line or of a terminal: a new line, a quote, an escape sequence, text from right to left.
const HOSTILE: &str = "a\nb\"c\\\u{1b}[31m\u{202e}";
/// Flags about the environment, and how the names of what comes with them begin.
const FLAGS: &[(Option<&str>, &str)] = &[(Some("--env"), ""), (None, ""), (Some("--env=PATH"), "PATH=")];

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| stage.arguments(rung, runtime))
}

impl Stage {
    fn arguments(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let many: Vec<String> = (0..30).map(|n| format!("{n:04}").repeat(255)).collect();
        let one = vec!["y".repeat(30 << 10)];
        let more: Vec<String> = (0..40).map(|n| format!("{n:04}").repeat(255)).collect();
        // What is left of the environment is the daemon's work, the same on every kernel.
        let flags = if self.flags.in_vm { &FLAGS[..1] } else { FLAGS };
        for &(flag, names) in flags {
            let words: Vec<String> = flag.map(str::to_owned).into_iter().collect();
            let daemon = match self.start_daemon(rung, &[], None, "exec", &words)? {
                Started::Ready(daemon) => daemon,
                Started::Impossible(why) => return Ok(Some(why)),
            };
            let setup = self.book.setups.get("plain").context("no set-up `plain`")?;
            let container = Live::start_container(self, runtime, setup, &unique())?;
            for long in [&many, &one, &more] {
                self.long(&daemon.store, runtime, &container, long)?;
            }
            if flag == Some("--env") {
                self.large_environment(&daemon.store, runtime, &container)?;
            }
            let first = |record: &Record| {
                record.container_id() == Some(container.id.as_str())
                    && record.event() == "exec"
                    && record.field("transition").as_str() == Some("join")
            };
            let join =
                daemon.store.wait_for(self.limits.record, first)?.context("no exec with transition join")?;
            check_environment(&join, flag.is_some(), names)?;
            runtime.stop(&container)?;
            let records = daemon.stop()?.all();
            let lost: Vec<&Record> =
                records.iter().filter(|record| host::is_avoidable_loss(record)).collect();
            ensure!(lost.is_empty(), "lost:{}", judge::lines(lost.into_iter()));
            ensure!(
                records.iter().any(|record| record.status() == "accounts" && record.is_true("balanced")),
                "the accounts do not balance"
            );
        }
        Ok(None)
    }

    /// Executes a program with these arguments in the container, and compares what is said of it.
    fn long(
        &self,
        store: &Store,
        runtime: &mut dyn Runtime,
        container: &Container,
        long: &[String],
    ) -> anyhow::Result<()> {
        let nonce = unique();
        let mut argv = ["/bin/busybox", "true", &nonce, HOSTILE].map(str::to_owned).to_vec();
        argv.extend_from_slice(long);
        let words: Vec<String> = std::iter::once("exec".to_owned()).chain(argv.clone()).collect();
        process::output(&mut runtime.exec(container, &actor(&nonce, &words))?, self.limits.command)?;
        let is_it = |record: &Record| {
            record.event() == "exec"
                && record.field("exe").as_str() == Some("/bin/busybox")
                && record.argv().get(2) == Some(&nonce.as_str())
        };
        let record = store.wait_for(self.limits.record, is_it)?.context("no exec of the program")?;
        let (got, want) = (joined(record.argv()), joined(argv.iter().map(String::as_str)));
        let kept = want.len().min(MOST);
        ensure!(
            record.field("argv_len").as_u64() == Some(want.len() as u64),
            "{} bytes of arguments, but argv_len is {}",
            want.len(),
            record.field("argv_len")
        );
        // The last argument that is cut has no NUL.
        ensure!(
            got.strip_suffix('\0') == want[..kept].strip_suffix('\0').or(Some(&want[..kept])),
            "other arguments, {} bytes instead of {kept}",
            got.len()
        );
        let cut = record.field("argv_truncated") == &Value::Bool(true);
        ensure!(cut == (want.len() > MOST), "argv_truncated is {cut} with {} bytes", want.len());
        Ok(())
    }
}

impl Stage {
    /// Executes a program with a variable that is larger than what is reported: its beginning is.
    fn large_environment(
        &self,
        store: &Store,
        runtime: &mut dyn Runtime,
        container: &Container,
    ) -> anyhow::Result<()> {
        let (nonce, variable) = (unique(), format!("LARGE={}", "0123456789".repeat(4 << 10)));
        let words = ["exec-with", &variable, "/bin/busybox", "true", &nonce].map(str::to_owned);
        process::output(&mut runtime.exec(container, &actor(&nonce, &words))?, self.limits.command)?;
        let is_it = |record: &Record| {
            record.event() == "exec"
                && record.field("exe").as_str() == Some("/bin/busybox")
                && record.argv().get(2) == Some(&nonce.as_str())
        };
        let record = store.wait_for(self.limits.record, is_it)?.context("no exec of the program")?;
        let kept = record.field("environ").as_array().and_then(|list| list.first()).and_then(Value::as_str);
        ensure!(
            record.field("environ_truncated") == &Value::Bool(true) && kept == Some(&variable[..MOST]),
            "{:?} bytes of {} are kept, truncated: {}",
            kept.map(str::len),
            variable.len(),
            record.field("environ_truncated")
        );
        Ok(())
    }
}

/// As the kernel has them: each with its NUL.
fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().fold(String::new(), |all, word| all + word + "\0")
}

/// The environment is there if it was asked for, and only those variables.
fn check_environment(record: &Record, asked: bool, names: &str) -> anyhow::Result<()> {
    let got: Vec<&str> =
        record.field("environ").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let path = got.iter().any(|variable| variable.starts_with("PATH="));
    ensure!(
        path == asked
            && got.iter().all(|variable| asked && variable.starts_with(names))
            && record.field("environ_truncated").is_null(),
        "asked for: {asked} {names:?}; the environment is {got:?}"
    );
    Ok(())
}
