//! Reads the command line of an OCI runtime (runc, crun, youki): which container, from which bundle.
//!
//! The three take the same commands with small differences in their flags; flags that none of them has are
//! taken to have no value. Input is whatever a process had as its arguments.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What a runtime is asked to do, as far as containers enter their life by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Set a container up; `start` lets it run.
    Create,
    /// Set a container up and let it run.
    Run,
    /// Start a program in a container that exists.
    Exec,
    /// Let a created container run.
    Start,
}

impl Command {
    fn from_bytes(word: &[u8]) -> Option<Self> {
        match word {
            b"create" => Some(Self::Create),
            b"run" => Some(Self::Run),
            b"exec" => Some(Self::Exec),
            b"start" => Some(Self::Start),
            _ => None,
        }
    }

    /// True if the command makes a container.
    pub fn sets_up(self) -> bool {
        matches!(self, Self::Create | Self::Run)
    }
}

/// What the command line of a runtime says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What it is to do.
    pub command: Command,
    /// Id of the container, if the arguments reach that far.
    pub id: Option<String>,
    /// The bundle's directory: absolute if the working directory is. `None` for `exec` and `start`, which
    /// know it from the runtime's state.
    pub bundle: Option<PathBuf>,
    /// The runtime's state directory, if it is not the default.
    pub root: Option<PathBuf>,
}

/// Flags before the command that take a value.
const GLOBAL_VALUES: &[&[u8]] =
    &[b"root", b"r", b"log", b"l", b"log-format", b"log-level", b"criu", b"rootless", b"cgroup-manager"];

/// Flags after the command that take a value.
const COMMAND_VALUES: &[&[u8]] = &[
    b"bundle",
    b"b",
    b"pid-file",
    b"console-socket",
    b"preserve-fds",
    b"config",
    b"f",
    b"process",
    b"p",
    b"cwd",
    b"env",
    b"e",
    b"user",
    b"u",
    b"additional-gids",
    b"g",
    b"apparmor",
    b"process-label",
    b"cap",
    b"c",
    b"cgroup",
];

/// Reads the command line of a runtime that was started in `cwd`. `None` if it is another command than
/// those of [`Command`].
pub fn parse<A: AsRef<[u8]>>(argv: &[A], cwd: &[u8]) -> Option<Invocation> {
    let mut words = argv.iter().skip(1).map(AsRef::as_ref);
    let mut root = None;
    let command = loop {
        let word = words.next()?;
        match Flag::read(word) {
            None => break Command::from_bytes(word)?,
            Some(flag) => {
                if let Some(value) = flag.value(GLOBAL_VALUES, &mut words)
                    && matches!(flag.name, b"root" | b"r")
                {
                    root = Some(path(value, cwd));
                }
            }
        }
    };
    let mut bundle = None;
    let mut positionals = Vec::new();
    while let Some(word) = words.next() {
        if word == b"--" {
            positionals.extend(words.by_ref());
            break;
        }
        match Flag::read(word) {
            None => {
                positionals.push(word);
                // What follows the id of `exec` is the program's own command line.
                if command == Command::Exec {
                    break;
                }
            }
            Some(flag) => {
                if let Some(value) = flag.value(COMMAND_VALUES, &mut words)
                    && matches!(flag.name, b"bundle" | b"b")
                {
                    bundle = Some(path(value, cwd));
                }
            }
        }
    }
    let id = if command.sets_up() { positionals.last() } else { positionals.first() };
    Some(Invocation {
        command,
        id: id.filter(|id| !id.is_empty()).map(|id| String::from_utf8_lossy(id).into_owned()),
        bundle: command.sets_up().then(|| bundle.unwrap_or_else(|| path(cwd, b"/"))),
        root,
    })
}

/// One flag: `-x`, `-x=value`, `--name`, `--name=value`. Go's runtimes take a single dash for both.
struct Flag<'a> {
    name: &'a [u8],
    inline: Option<&'a [u8]>,
}

impl<'a> Flag<'a> {
    fn read(word: &'a [u8]) -> Option<Self> {
        let rest = word.strip_prefix(b"-")?;
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (name, inline) = match rest.iter().position(|b| *b == b'=') {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        Some(Self { name, inline })
    }

    fn value(&self, with_value: &[&[u8]], words: &mut impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
        self.inline.or_else(|| if with_value.contains(&self.name) { words.next() } else { None })
    }
}

/// `path` as seen from `cwd`.
fn path(path: &[u8], cwd: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(cwd)).join(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Command, id, bundle, root.
    type Want<'a> = Option<(Command, Option<&'a str>, Option<&'a str>, Option<&'a str>)>;

    #[track_caller]
    fn check(line: &str, want: Want<'_>) {
        let argv: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let got = parse(&argv, b"/work");
        let got = got.as_ref().map(|i| {
            let text = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
            (i.command, i.id.clone(), text(&i.bundle), text(&i.root))
        });
        let own = |s: Option<&str>| s.map(str::to_owned);
        assert_eq!(got, want.map(|(c, id, b, r)| (c, own(id), own(b), own(r))), "{line}");
    }

    #[test]
    fn command_lines_of_engines() {
        use Command::{Create, Exec, Run, Start};
        check(
            "runc --root /run/containerd/runc/k8s.io --log /l.json --log-format json --systemd-cgroup create \
             --bundle /run/task/ab --pid-file /run/task/ab/init.pid --console-socket /tmp/pty ab",
            Some((Create, Some("ab"), Some("/run/task/ab"), Some("/run/containerd/runc/k8s.io"))),
        );
        check(
            "/usr/bin/crun --root=/run/crun --cgroup-manager=cgroupfs --log-format=json --log=x create -b b/c \
             --no-pivot --preserve-fds 2 name",
            Some((Create, Some("name"), Some("/work/b/c"), Some("/run/crun"))),
        );
        check("crun --cgroup-manager disabled run -d t1", Some((Run, Some("t1"), Some("/work"), None)));
        check("youki -r /y -l log --debug run -b=/b y1", Some((Run, Some("y1"), Some("/b"), Some("/y"))));
        check("runc run --detach -- t2", Some((Run, Some("t2"), Some("/work"), None)));
        check("runc -root r run t3", Some((Run, Some("t3"), Some("/work"), Some("/work/r"))));
        check(
            "runc --debug exec --process /p.json --detach t4 sh -c x",
            Some((Exec, Some("t4"), None, None)),
        );
        check("runc start t5", Some((Start, Some("t5"), None, None)));
    }

    #[test]
    fn odd_command_lines() {
        check("runc", None);
        check("runc init", None);
        check("runc --root", None);
        check("runc state create", None);
        check("runc create", Some((Command::Create, None, Some("/work"), None)));
        check("runc create --bundle", Some((Command::Create, None, Some("/work"), None)));
        check("runc create - -- ", Some((Command::Create, Some("-"), Some("/work"), None)));
        check(
            "runc --= --root= create --bundle= x",
            Some((Command::Create, Some("x"), Some("/work/"), Some("/work/"))),
        );
        assert_eq!(parse::<&[u8]>(&[], b""), None);
        let wild: &[&[u8]] = &[b"\xff", b"-\xff=\xfe", b"run", b"\xff\xfe", b""];
        assert_eq!(parse(wild, b"\xff").and_then(|i| i.id), None);
        let wild: &[&[u8]] = &[b"\xff", b"run", b"\xff\xfe"];
        assert_eq!(parse(wild, b"\xff").and_then(|i| i.id), Some("\u{fffd}\u{fffd}".to_owned()));
    }
}
