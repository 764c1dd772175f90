//! The verb `coverage`: what the tests proved since the last time becomes part of `docs/proofs.tsv`, from which the
//! generated-document test makes `docs/coverage.md`.

mod ledger;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;

use crate::flags::CoverageFlags;
use crate::project::Project;
use crate::say;
use ledger::Ledger;

/// How a line of the scenario runner begins that says what was proved.
pub(crate) const WORD: &str = "PROOF ";

/// Where it waits to be merged.
fn pending(project: &Project) -> PathBuf {
    project.target.join("proofs.txt")
}

/// Keeps lines of the scenario runner until this verb merges them.
pub(crate) fn keep(project: &Project, lines: &[String]) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let _lock = project.lock("proofs")?;
    let path = pending(project);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    for line in lines {
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    scenario: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
}

/// Names of all scenarios.
fn scenarios(project: &Project) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let folder = project.root.join("tests/scenarios");
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let page: Page = project.data(Path::new("tests/scenarios").join(entry?.file_name()))?;
        names.extend(page.scenario.into_iter().map(|scenario| scenario.name));
    }
    Ok(names)
}

/// Names of all checks of identity and posture.
fn checks(project: &Project) -> anyhow::Result<BTreeSet<String>> {
    let path = project.root.join("docs/checks.tsv");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines.filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect())
}

/// Runs the verb.
pub(crate) fn run(project: &Project, flags: &CoverageFlags) -> anyhow::Result<ExitCode> {
    let _lock = project.lock("proofs")?;
    let (path, waiting) = (project.root.join("docs/proofs.tsv"), pending(project));
    let mut ledger = Ledger::read(&fs::read_to_string(&path).unwrap_or_default())
        .with_context(|| format!("in {}", path.display()))?;
    let lines = fs::read_to_string(&waiting).unwrap_or_default();
    for line in lines.lines() {
        ledger.take(line).with_context(|| format!("in {}: {line}", waiting.display()))?;
    }
    for kernel in &flags.forget {
        ledger.forget(kernel);
    }
    ledger.prune(&scenarios(project)?, &checks(project)?);
    fs::write(&path, ledger.text()).with_context(|| format!("cannot write {}", path.display()))?;
    // Merged: what stays would come back after `--forget`.
    fs::remove_file(&waiting).ok();
    say::step(format!("merged {} lines into {}", lines.lines().count(), path.display()));
    let test = ["test", "--quiet", "-p", "monitor", "--test", "generated", "coverage"];
    project
        .cargo()
        .env("BULKHEAD_BLESS", "1")
        .args(test)
        .run()
        .context("docs/coverage.md cannot be made of it")?;
    Ok(ExitCode::SUCCESS)
}
