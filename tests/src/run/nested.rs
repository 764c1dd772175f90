//! A runtime inside a container: what it starts belongs to that container, whose id its records carry.

use std::fs;

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{Live, actor, unique};
use crate::bundle;
use crate::daemon::Started;
use crate::host;
use crate::judge;
use crate::process;
use crate::record::Record;
use crate::runtime::{Runtime, Spec};
use crate::scenario::{Bind, Rung, Setup};
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "nested_container";
/// Libraries and programs of the host that the runtime in the container needs.
const HOST: &[(&str, &str)] = &[("/usr", "/usr"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64")];

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone(NAME, rung, tally, |runtime| stage.nested(rung, runtime))
}

impl Stage {
    fn nested(&self, rung: Rung, runtime: &mut dyn Runtime) -> anyhow::Result<Option<String>> {
        let Some(runc) = host::program("runc", None).filter(|path| path.starts_with("/usr")) else {
            return Ok(Some("no runc below /usr to be lent to a container".to_owned()));
        };
        if let Some((missing, _)) = HOST.iter().find(|(path, _)| fs::metadata(path).is_err()) {
            return Ok(Some(format!("no {missing} to be lent to a container")));
        }
        let daemon = match self.start_daemon(rung, &[], None, "all", &[])? {
            Started::Ready(daemon) => daemon,
            Started::Impossible(why) => return Ok(Some(why)),
        };
        let (outer_name, nonce) = (format!("bhs-{}", unique()), unique());
        let inner = self.env.work.join("nested");
        fs::create_dir_all(inner.join("state"))?;
        let (setup, argv) = (Setup::default(), actor(&nonce, &["marker".to_owned()]));
        let spec = Spec { name: "nested", setup: &setup, mounts: &[], argv: &argv };
        let cgroup = format!("/{}/{outer_name}/nested", self.env.branch.name);
        let mut config = bundle::config(&self.env, &spec, &cgroup);
        config["root"]["path"] = "/inner-root".into();
        fs::write(inner.join("config.json"), config.to_string())?;

        let work = self.env.work.display().to_string();
        let own = [(format!("{work}/nested"), "/inner"), (format!("{work}/rootfs"), "/inner-root")];
        let lent = HOST.iter().chain(&[("/sys/fs/cgroup", "/sys/fs/cgroup")]);
        let lent = lent.map(|(host, at)| ((*host).to_owned(), *at));
        let mounts = own.into_iter().chain(lent).map(|(host, at)| Bind { host, at: at.to_owned() });
        let caps = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];
        let outer = Setup {
            caps: caps.map(str::to_owned).to_vec(),
            devices: true,
            unmasked: true,
            mounts: mounts.collect(),
            ..Setup::default()
        };
        let container = Live::start_container(self, runtime, &outer, &outer_name)?;
        let words =
            [&runc.display().to_string(), "--root", "/inner/state", "run", "--bundle", "/inner", "nested"];
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let said = process::output(&mut runtime.exec(&container, &words)?, self.limits.command)?;
        ensure!(said.status.success(), "the inner runtime: {}", said.stderr.escape_ascii());

        let seen = daemon.store.wait_exec(&nonce, self.limits.record)?.context("no exec in the inner one")?;
        daemon.store.wait_trace(&seen, self.limits.record)?.context("no end of the inner one")?;
        runtime.stop(&container)?;
        let store = daemon.stop()?;
        let all = store.all();
        let inner: Vec<&Record> =
            all.iter().filter(|r| r.process() == Some((seen.pid, seen.started.as_str()))).collect();
        let strange: Vec<&Record> =
            inner.iter().filter(|r| r.container_id() != Some(container.id.as_str())).copied().collect();
        ensure!(
            !inner.is_empty() && strange.is_empty(),
            "records of another container, of {}:{}",
            inner.len(),
            judge::lines(strange.into_iter())
        );
        let exec = inner.iter().find(|r| r.event() == "exec").context("no exec")?;
        ensure!(exec.has_ancestors(), "no ancestors: {}", exec.line());
        let made = all.iter().filter(|r| {
            r.class() == "container" && r.change() == "created" && r.container_id() == Some("nested")
        });
        ensure!(made.count() == 0, "a container that is part of another was taken for one of the host");
        Ok(None)
    }
}
