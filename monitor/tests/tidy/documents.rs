//! Checks of everything that is not Rust: documents, manifests, what names a machine.

/// Hosts that a file may name.
const HOSTS: &[&str] = &[
    "github.com",
    "json-schema.org",
    "www.apache.org",
    "keepachangelog.com",
    "semver.org",
    "attack.mitre.org",
    "rustup.rs",
    "doi.org",
];

/// Folders of one machine, and hosts that a reader elsewhere cannot reach.
pub(crate) fn places(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    // Put together here, so that this file does not find itself.
    for folder in [
        concat!("/wo", "rk/main"),
        concat!("/wo", "rk/shared"),
        concat!("/wo", "rk/."),
        concat!("/ro", "ot/"),
    ] {
        // `/proc/1/root/` and `{work}/root/` are no folders of this machine.
        let own = |at: usize| {
            text[..at].chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "./}>*_-".contains(c)))
        };
        if text.match_indices(folder).any(|(at, _)| own(at)) {
            complaints.push(format!("names the folder {folder}"));
        }
    }
    for scheme in ["http://", "https://"] {
        for (at, _) in text.match_indices(scheme) {
            let rest = &text[at + scheme.len()..];
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c))).unwrap_or(rest.len());
            let host = rest[..end].trim_end_matches('.');
            let local = ["", "localhost", "127.0.0.1"].contains(&host);
            if !local && !HOSTS.contains(&host) {
                complaints.push(format!("names the host {host}"));
            }
        }
    }
    complaints
}

/// Links to files of the repository, and to headings in them. `find` gives a file's text.
pub(crate) fn links<'a>(path: &str, text: &str, find: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut complaints = Vec::new();
    for target in targets(text) {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let found = if file.is_empty() { Some(text) } else { resolve(folder, file).and_then(|p| find(&p)) };
        match found {
            None => complaints.push(format!("the link to {target} leads nowhere")),
            Some(page) if !heading.is_empty() && !headings(page).any(|h| h == heading) => {
                complaints.push(format!("the link to {target} names no heading there"));
            }
            Some(_) => {}
        }
    }
    complaints
}

/// Targets of links, without those to other hosts and those in code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines()
        .filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        })
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// A path from the root; `None` if it leaves the repository.
fn resolve(folder: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The names by which headings are linked to.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix('#'));
    lines.map(|line| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Every word is in the page.
pub(crate) fn all_in<'a>(page: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.filter(|word| !page.contains(word)).map(|word| format!("{word} is not documented")).collect()
}

/// The long flags that a file of clap definitions declares and shows.
pub(crate) fn long_flags(text: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("#[arg(").filter(|rest| !rest.contains("hide = true")) else {
            continue;
        };
        let Some((_, long)) = rest.split_once("long") else { continue };
        let named = long.strip_prefix(" = \"").and_then(|name| name.split('"').next());
        let field = lines.peek().and_then(|next| next.split(':').next()).unwrap_or_default();
        let field = field.trim_start_matches("pub ").replace('_', "-");
        flags.push(format!("--{}", named.map_or(field, str::to_owned)));
    }
    flags
}

/// A decision has its four parts.
pub(crate) fn decision(text: &str) -> Vec<String> {
    let parts = ["Context", "Decision", "Alternatives", "What would change our mind"];
    let missing = parts.iter().filter(|part| !text.lines().any(|line| line == format!("## {part}")));
    missing.map(|part| format!("has no part \"{part}\"")).collect()
}

/// The members of the workspace.
pub(crate) fn members(manifest: &str) -> Vec<String> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("members = ["));
    line.unwrap_or_default().split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A crate takes the lints of the workspace.
pub(crate) fn inherits_lints(manifest: &str) -> Vec<String> {
    if manifest.contains("[lints]\nworkspace = true") {
        vec![]
    } else {
        vec!["does not take the workspace's lints".to_owned()]
    }
}

/// A crate depends on nothing.
pub(crate) fn no_dependencies(manifest: &str) -> Vec<String> {
    let sections = manifest.lines().filter(|line| line.starts_with('[') && line.contains("dependencies"));
    sections.map(|line| format!("has {line}")).collect()
}

/// No more packages than this are built, whatever for.
pub(crate) fn budget(lock: &str, max: usize) -> Vec<String> {
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    if packages <= max { vec![] } else { vec![format!("{packages} packages, more than {max}")] }
}

#[test]
fn machines_are_found() {
    let good =
        "/proc/1/root/etc {work}/root/ ../work/x https://github.com/a `http://localhost:80` /root, /rootfs/";
    assert_eq!(places(good), [""; 0]);
    for bad in [
        concat!("see /wo", "rk/shared"),
        concat!("\"/ro", "ot/.cargo\""),
        concat!("(/wo", "rk/main/x)"),
        concat!("https", "://mirror.example/simple"),
    ] {
        assert_eq!(places(bad).len(), 1, "{bad}");
    }
}

#[test]
fn dead_links_are_found() {
    let find = |path: &str| (path == "docs/guide.md").then_some("# The guide\n## Exit status: `2`\n");
    let check = |path: &str, text: &str| links(path, text, find).len();
    assert_eq!(
        check("README.md", "[a](docs/guide.md) [b](https://github.com) [c](docs/guide.md#the-guide)"),
        0
    );
    assert_eq!(check("docs/x/y.md", "[a](../guide.md#exit-status-2)\n```\n[b](nowhere)\n```"), 0);
    assert_eq!(check("README.md", "# Here\n[a](#here)"), 0);
    for bad in ["[a](guide.md)", "[a](docs/guide.md#none)", "[a](#none)", "[a](../out.md)", "x ![i](pic.png)"]
    {
        assert_eq!(check("README.md", bad), 1, "{bad}");
    }
}

#[test]
fn flags_are_read() {
    let text = "#[arg(long, value_enum)]\npub no_socket: bool,\n#[arg(long = \"runtime\")]\npub runtimes: X,\n\
                #[arg(long, hide = true)]\npub object: X,\n#[arg(value_name = \"ID\")]\nid: X\n";
    assert_eq!(long_flags(text), ["--no-socket", "--runtime"]);
}

#[test]
fn manifests_are_judged() {
    assert_eq!(members("members = [\"a\", \"b/c\"]"), ["a", "b/c"]);
    assert!(inherits_lints("[lints]\nworkspace = true\n").is_empty());
    assert_eq!(inherits_lints("[lints.rust]\nmissing_docs = \"warn\"\n").len(), 1);
    assert!(no_dependencies("[package]\n").is_empty());
    assert_eq!(no_dependencies("[dependencies]\nserde = \"1\"\n[dev-dependencies]\n").len(), 2);
    assert!(budget("[[package]]\nname = \"a\"\n", 1).is_empty());
    assert_eq!(budget("[[package]]\n[[package]]\n", 1).len(), 1);
}

#[test]
fn pages_are_judged() {
    assert!(all_in("BH0001 BH0002", ["BH0001"].into_iter()).is_empty());
    assert_eq!(all_in("BH0001", ["BH0001", "BH0002"].into_iter()), ["BH0002 is not documented"]);
    assert_eq!(decision("## Context\n## Decision\n").len(), 2);
}
