//! What Kubernetes' API server adds to pods: the workload that owns them, and the labels of the node. And that one which
//! hangs, is not who it should be, or refuses, changes nothing of who a container is.

use anyhow::{Context as _, ensure};

use super::Stage;
use super::group::{actor, unique};
use crate::apiserver::{ApiServer, Manner, NODE, OWNER, ZONE};
use crate::daemon::{Daemon, Started};
use crate::judge;
use crate::record::Record;
use crate::runtime::Spec;
use crate::runtime::cri::{CONTAINER_NAME, Cri, Driver, Pod, Qos};
use crate::scenario::{Rung, Setup};
use crate::store::Store;
use crate::tally::Tally;

/// The name of the check.
const NAME: &str = "pods_have_owners";

/// Runs it.
pub(super) fn run(stage: &Stage, rung: Rung, tally: &mut Tally) -> anyhow::Result<()> {
    stage.alone_with_pods(NAME, rung, tally, || check(stage, rung))
}

fn check(stage: &Stage, rung: Rung) -> anyhow::Result<Option<String>> {
    let mut cri = Cri::open(stage.env.clone(), Driver::Cgroupfs)?;
    let server = ApiServer::start(Manner::Honest, &stage.env.work)?;
    let older = make(&mut cri)?;
    server.add(&older);
    let daemon = match asking(stage, rung, &cri, &[&server])? {
        Ok(daemon) => daemon,
        Err(why) => return Ok(Some(why)),
    };
    owned(stage, &daemon.store, &older).context("a pod that is older than the daemon")?;
    // The server speaks of one when it is long known, and of another one before.
    let late = make(&mut cri)?;
    let known = named(stage, &daemon.store, &late)?;
    ensure!(known.pod("owner").is_null() && known.pod("node").is_null(), "{}", known.line());
    server.add(&late);
    owned(stage, &daemon.store, &late).context("a pod that the server tells of later")?;
    // The twin: a pod of which the server does not know.
    let unknown = make(&mut cri)?;
    named(stage, &daemon.store, &unknown)?;
    let records = daemon.stop()?.all();
    let wrong = records.iter().filter(|record| {
        record.class() == "loss"
            || record.has_items("mismatches")
            || record.container_id() == Some(&unknown.container.id) && !record.pod("owner").is_null()
    });
    let wrong: Vec<&Record> = wrong.collect();
    ensure!(wrong.is_empty(), "lost, contradicted, or not its own:{}", judge::lines(wrong.into_iter()));
    faults(stage, rung, &mut cri)
}

/// Servers that do not behave: who the pod is, is known as ever, and the status says why there is no more.
fn faults(stage: &Stage, rung: Rung, cri: &mut Cri) -> anyhow::Result<Option<String>> {
    let manners = [Manner::Silent, Manner::Stranger, Manner::Refusing];
    let servers = manners.map(|manner| ApiServer::start(manner, &stage.env.work));
    let servers = servers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let daemon = match asking(stage, rung, cri, &servers.iter().collect::<Vec<_>>())? {
        Ok(daemon) => daemon,
        Err(why) => return Ok(Some(why)),
    };
    let pod = make(cri)?;
    servers.iter().for_each(|server| server.add(&pod));
    let known = named(stage, &daemon.store, &pod)?;
    ensure!(known.pod("owner").is_null(), "{}", known.line());
    for (manner, server) in manners.into_iter().zip(&servers) {
        let is_it = |record: &Record| {
            record.status() == "engine" && record.word("socket") == server.config.display().to_string()
        };
        let told = daemon.store.wait_for(stage.limits.record, is_it)?;
        let told = told.with_context(|| format!("no word of the server that is {manner:?}"))?;
        let reason = manner.reason().unwrap_or_default();
        ensure!(
            told.word("engine") == "kubernetes" && told.word("reason").contains(reason),
            "{manner:?}: {}",
            told.line()
        );
        let (asked, failed) = (told.number("asked"), manner.failure());
        ensure!(asked > 0 && told.number(failed) == 1, "{failed} is not 1: {}", told.line());
    }
    let records = daemon.stop()?.all();
    let wrong: Vec<&Record> = records.iter().filter(|record| !record.pod("owner").is_null()).collect();
    ensure!(wrong.is_empty(), "owners that nobody told of:{}", judge::lines(wrong.into_iter()));
    Ok(None)
}

fn make(cri: &mut Cri) -> anyhow::Result<Pod> {
    let (setup, name) = (Setup::default(), format!("bhs-{}", unique()));
    let argv = actor(&unique(), &["wait".to_owned()]);
    cri.pod(&Spec { name: &name, setup: &setup, mounts: &[], argv: &argv }, Qos::Burstable)
}

/// A daemon that asks the CRI server and these.
fn asking(
    stage: &Stage,
    rung: Rung,
    cri: &Cri,
    servers: &[&ApiServer],
) -> anyhow::Result<Result<Daemon, String>> {
    let mut words = vec!["--no-engines".to_owned(), format!("--engine=cri:{}", cri.socket().display())];
    words.extend(servers.iter().map(|server| format!("--engine=kubernetes:{}", server.config.display())));
    Ok(match stage.daemon_with(rung, &words)? {
        Started::Ready(daemon) => Ok(*daemon),
        Started::Impossible(why) => Err(why),
    })
}

/// Waits until a container is known as far as its engine knows it.
fn named(stage: &Stage, store: &Store, pod: &Pod) -> anyhow::Result<Record> {
    let is_named = |record: &Record| {
        record.class() == "container"
            && record.container_id() == Some(&pod.container.id)
            && record.container_status() == "resolved"
            && record.container_text("name") == Some(CONTAINER_NAME)
            && record.container_text("image_id").is_some()
    };
    let found = store.wait_for(stage.limits.record, is_named)?;
    found.with_context(|| format!("no whole record of {}{}", pod.container.id, among(store)))
}

fn among(store: &Store) -> String {
    let all = store.all();
    let known = all.iter().filter(|r| r.class() == "container" || r.status() == "engine");
    format!(" among:{}", judge::lines(known))
}

/// Waits for what the API server adds.
fn owned(stage: &Stage, store: &Store, pod: &Pod) -> anyhow::Result<()> {
    let is_whole = |record: &Record| {
        record.class() == "container"
            && record.container_id() == Some(&pod.container.id)
            && record.pod("sandbox").as_str() == Some(&pod.sandbox)
            && record.pod("labels")["pod-template-hash"] == "7f"
    };
    let found = store.wait_for(stage.limits.record, is_whole)?;
    let found = found.with_context(|| format!("no owner of {}{}", pod.container.id, among(store)))?;
    ensure!(
        found.container_status() == "resolved"
            && found.pod("owner")["kind"] == OWNER.0
            && found.pod("owner")["name"] == OWNER.1
            && found.pod("node") == NODE
            && found.word_in("node_labels", ZONE.0) == ZONE.1
            // What the node itself says stays.
            && found.pod("labels")["app"] == "scenario"
            && found.pod("uid").as_str() == Some(&pod.uid),
        "{}",
        found.line()
    );
    Ok(())
}
