//! A private view of the distribution's package archive, for kernels of other suites.
//!
//! The machine's own package source is copied with the suite replaced, and apt works in a folder of ours: the
//! machine's apt configuration, lists and caches stay as they are, and no address is written down here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::project::Project;

/// apt's view of one suite.
pub(crate) struct Suite<'a> {
    project: &'a Project,
    folder: PathBuf,
    source: PathBuf,
}

impl<'a> Suite<'a> {
    /// Prepares the view below `folder` and downloads the suite's package list.
    pub(crate) fn open(project: &'a Project, folder: &Path, suite: &str) -> anyhow::Result<Self> {
        let source = source_for(suite, &machine_sources()?).with_context(|| {
            format!(
                "this machine has no Debian package source to copy for {suite}, see /etc/apt/sources.list.d"
            )
        })?;
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        let path = folder.join(source.file_name());
        fs::write(&path, source.text()).with_context(|| format!("cannot write {}", path.display()))?;
        fs::write(folder.join("status"), "").context("cannot write an empty dpkg status")?;
        let view = Self { project, folder: folder.to_owned(), source: path };
        view.apt("apt-get")
            .arg("update")
            .ignore_stdout()
            .run()
            .with_context(|| format!("cannot download the package list of {suite}"))?;
        Ok(view)
    }

    /// The names a package depends on, in order; of alternatives the first.
    pub(crate) fn depends(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let text = self
            .apt("apt-cache")
            .args(["show", "--no-all-versions", package])
            .read()
            .with_context(|| format!("the suite has no package {package}"))?;
        Ok(depends_of(&text))
    }

    /// Downloads a package and returns where it is.
    pub(crate) fn download(&self, package: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("debs");
        // Of an older version too: there must be one file to find.
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let before = self.project.sh.push_dir(&folder);
        self.apt("apt-get")
            .args(["download", package])
            .ignore_stdout()
            .run()
            .with_context(|| format!("cannot download {package}"))?;
        drop(before);
        let Some(deb) = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).next() else {
            bail!("apt-get downloaded nothing for {package}");
        };
        Ok(deb)
    }

    fn apt(&self, program: &str) -> xshell::Cmd<'_> {
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        let settings = [
            option("Dir::Etc::sourcelist", &self.source),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            option("Dir::Etc::preferencesparts", &self.folder.join("state/lists/partial")),
            option("Dir::State", &self.folder.join("state")),
            option("Dir::State::status", &self.folder.join("status")),
            option("Dir::Cache", &self.folder.join("cache")),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        let cmd = self.project.cmd(program).env("LC_ALL", "C").arg("-qq");
        settings.iter().fold(cmd, |cmd, setting| cmd.arg("-o").arg(setting))
    }
}

/// One entry of the machine's package sources.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// A stanza of a `.sources` file.
    Stanza(String),
    /// A line of a `.list` file.
    Line(String),
}

impl Source {
    fn file_name(&self) -> &'static str {
        match self {
            Self::Stanza(_) => "suite.sources",
            Self::Line(_) => "suite.list",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Stanza(text) | Self::Line(text) => text,
        }
    }

    /// The suites the entry names, empty when it is switched off or holds no binary packages.
    fn suites(&self) -> Vec<&str> {
        match self {
            Self::Stanza(text) => {
                let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                let off = field("Enabled:").is_some_and(|value| value.trim() == "no");
                let binary =
                    field("Types:").is_some_and(|value| value.split_whitespace().any(|t| t == "deb"));
                if off || !binary {
                    return Vec::new();
                }
                field("Suites:").map(|value| value.split_whitespace().collect()).unwrap_or_default()
            }
            Self::Line(line) => suite_word(line).map(|(_, suite)| vec![suite]).unwrap_or_default(),
        }
    }

    /// The same entry for another suite, its main component only.
    fn with_suite(&self, suite: &str) -> Self {
        match self {
            Self::Stanza(text) => Self::Stanza(
                text.lines()
                    .map(|line| match line.split_once(':') {
                        Some(("Suites", _)) => format!("Suites: {suite}\n"),
                        Some(("Types", _)) => "Types: deb\n".to_owned(),
                        Some(("Components", _)) => "Components: main\n".to_owned(),
                        _ => format!("{line}\n"),
                    })
                    .collect(),
            ),
            Self::Line(line) => {
                let head = suite_word(line).map_or("", |(at, _)| &line[..at]);
                Self::Line(format!("{head}{suite} main\n"))
            }
        }
    }
}

/// Where the suite stands in a one-line entry, and the suite.
fn suite_word(line: &str) -> Option<(usize, &str)> {
    let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?;
    // Options may hold spaces: `deb [arch=amd64 signed-by=/x] uri suite main`.
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let _uri = words.next()?;
    let suite = words.next()?;
    let at = suite.as_ptr() as usize - line.as_ptr() as usize;
    Some((at, suite))
}

/// The machine's entry that serves the same archive as `suite`, for `suite`.
fn source_for(suite: &str, sources: &[Source]) -> Option<Source> {
    const CODENAMES: [&str; 6] = ["bullseye", "bookworm", "trixie", "forky", "duke", "sid"];
    let debian =
        |name: &str| CODENAMES.iter().any(|code| name == *code || name.starts_with(&format!("{code}-")));
    let security = |name: &str| name.ends_with("-security");
    let fits = |source: &&Source, wanted: &dyn Fn(&str) -> bool| source.suites().into_iter().any(wanted);
    sources
        .iter()
        .find(|source| fits(source, &|name| debian(name) && security(name) == security(suite)))
        .map(|source| source.with_suite(suite))
}

fn machine_sources() -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(stanzas(&text)),
            Some("list") => sources.extend(text.lines().map(|line| Source::Line(line.trim().to_owned()))),
            _ => {}
        }
    }
    Ok(sources)
}

/// The stanzas of a deb822 file, comments dropped.
fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .filter(|stanza| !stanza.is_empty())
        .map(|stanza| Source::Stanza(stanza.join("\n") + "\n"))
        .collect()
}

/// The package names of a `Depends` field.
fn depends_of(control: &str) -> Vec<String> {
    let field = control.lines().find_map(|line| line.strip_prefix("Depends:")).unwrap_or_default();
    field
        .split(',')
        .filter_map(|clause| clause.split([' ', '|', '(']).find(|word| !word.is_empty()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "Types: deb deb-src\n# a comment\nURIs: mirror:/a\nSuites: bookworm bookworm-updates\n\
        Components: main contrib\nSigned-By: /k\n\nTypes: deb\nURIs: mirror:/s\nSuites: bookworm-security\n\
        Components: main\n";

    #[test]
    fn the_stanza_of_the_same_archive_is_copied() {
        let sources = stanzas(FILE);
        let main = source_for("trixie-backports", &sources).expect("main archive");
        assert_eq!(
            main.text(),
            "Types: deb\nURIs: mirror:/a\nSuites: trixie-backports\nComponents: main\nSigned-By: /k\n"
        );
        let security = source_for("bullseye-security", &sources).expect("security archive");
        assert!(security.text().contains("URIs: mirror:/s\nSuites: bullseye-security\n"));
    }

    #[test]
    fn one_line_sources_with_options() {
        let line = Source::Line("deb [arch=amd64 signed-by=/k] mirror:/a bookworm main contrib".to_owned());
        assert_eq!(line.suites(), ["bookworm"]);
        assert_eq!(line.with_suite("trixie").text(), "deb [arch=amd64 signed-by=/k] mirror:/a trixie main\n");
        assert!(Source::Line("deb-src mirror:/a bookworm main".to_owned()).suites().is_empty());
        assert!(Source::Line("# deb mirror:/a bookworm main".to_owned()).suites().is_empty());
    }

    #[test]
    fn foreign_sources_are_not_taken() {
        let foreign = stanzas("Types: deb\nURIs: mirror:/x\nSuites: noble\n");
        assert_eq!(source_for("trixie", &foreign), None);
        let off = stanzas("Enabled: no\nTypes: deb\nURIs: mirror:/x\nSuites: trixie\n");
        assert_eq!(source_for("trixie", &off), None);
    }

    #[test]
    fn depends_takes_the_first_alternative() {
        let control = "Package: a\nDepends: linux-binary-7 (= 1), kmod, a | b, initramfs-tools (>= 0.1)\n";
        assert_eq!(depends_of(control), ["linux-binary-7", "kmod", "a", "initramfs-tools"]);
    }
}
