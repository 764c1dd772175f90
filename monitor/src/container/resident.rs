//! Runtimes that stay beside their containers, LXC and systemd-nspawn: what their cgroups and their command lines say.
//! There is no bundle: the name is all that they have, and it is the id.

use super::{Engine, Identity};

/// What the command line of a resident runtime says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Which one.
    pub engine: Engine,
    /// The container's name, if it is given.
    pub name: Option<String>,
    /// The name that it gets if neither its cgroup nor the command line has one.
    pub otherwise: Option<String>,
}

/// Programs of LXC that start containers.
const LXC: &[&[u8]] = &[b"lxc-start", b"lxc-execute", b"lxc-autostart", b"lxc-copy"];
/// What a monitor calls itself, before the path of its containers and the name.
const LXC_MONITOR: &[u8] = b"[lxc monitor] ";

/// Options of `lxc-start(1)` and `lxc-execute(1)` whose value may be the next word.
const LXC_VALUES: &[&str] = &[
    "n",
    "name",
    "P",
    "lxcpath",
    "f",
    "rcfile",
    "l",
    "logpriority",
    "o",
    "logfile",
    "c",
    "console",
    "L",
    "console-log",
    "p",
    "pidfile",
    "s",
    "define",
    "u",
    "uid",
    "g",
    "gid",
    "share-ipc",
    "share-net",
    "share-pid",
    "share-uts",
];

/// The same of `systemd-nspawn(1)`, where the first word that is no option belongs to the container.
const NSPAWN_VALUES: &[&str] = &[
    "M",
    "machine",
    "D",
    "directory",
    "i",
    "image",
    "u",
    "user",
    "E",
    "setenv",
    "S",
    "slice",
    "L",
    "selinux-apifs-context",
    "Z",
    "selinux-context",
    "x-template",
    "template",
    "uuid",
    "capability",
    "drop-capability",
    "ambient-capability",
    "bind",
    "bind-ro",
    "bind-user",
    "tmpfs",
    "overlay",
    "overlay-ro",
    "inaccessible",
    "root-hash",
    "root-hash-sig",
    "verity-data",
    "oci-bundle",
    "personality",
    "network-interface",
    "network-macvlan",
    "network-ipvlan",
    "network-veth-extra",
    "network-bridge",
    "network-zone",
    "network-namespace-path",
    "p",
    "port",
    "system-call-filter",
    "rlimit",
    "oom-score-adjust",
    "cpu-affinity",
    "hostname",
    "kill-signal",
    "link-journal",
    "property",
    "chdir",
    "pivot-root",
    "notify-ready",
    "no-new-privileges",
    "register",
    "resolv-conf",
    "timezone",
    "settings",
    "private-users-ownership",
    "load-credential",
    "set-credential",
];

/// Who such a container is: no more can be known.
pub(super) fn identity(engine: Engine, name: String) -> Identity {
    Identity {
        name: Some(name.clone()),
        id: Some(name),
        runtime: Some(engine.name().to_owned()),
        engine: Some(engine),
        ..Identity::default()
    }
}

/// Name and runtime in a component of a cgroup path, below `parent`. What systemd escaped still is.
pub(super) fn in_component<'a>(name: &'a str, parent: &'a str) -> Option<(&'a str, Engine)> {
    let named = |name: &'a str, engine| (!name.is_empty()).then_some((name, engine));
    // Since LXC 4 all in one component, in 3.1 and 3.2 in two, before that below the folder `lxc`.
    if let Some(name) = name.strip_prefix("lxc.payload.") {
        return named(name, Engine::Lxc);
    }
    if matches!(parent, "lxc" | "lxc.payload") && !name.starts_with("lxc.") {
        return named(name, Engine::Lxc);
    }
    // Its own process is in `supervisor` beside it, or outside of a scope that systemd made for the container.
    if name != "payload" {
        return None;
    }
    let scope = parent.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope"));
    let service = || parent.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    named(scope.or_else(service)?, Engine::SystemdNspawn)
}

/// The name in the scope of a machine, which is all there is of it in hierarchies of cgroup version 1.
pub(super) fn in_scope(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?.strip_prefix("machine-")?.strip_suffix(".scope")?;
    (!name.is_empty()).then(|| unescape(name))
}

/// Undoes systemd's `\xHH` in the name of a unit (`systemd.unit(5)`).
pub(super) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at..at + 4).and_then(|four| four.strip_prefix(b"\\x"));
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Resident {
    /// Reads a command line; `None` if it is no such runtime's.
    pub fn parse<A: AsRef<[u8]>>(argv: &[A]) -> Option<Self> {
        let first = argv.first()?.as_ref();
        if let Some(rest) = first.strip_prefix(LXC_MONITOR) {
            let name = rest.rsplit(|b| *b == b' ').next().unwrap_or_default();
            return Some(Self { engine: Engine::Lxc, name: text(name), otherwise: None });
        }
        let program = first.rsplit(|b| *b == b'/').next()?;
        let (mut name, mut folder) = (None, None);
        if LXC.contains(&program) {
            let word = options(argv, LXC_VALUES, |option, value| {
                if matches!(option, b"n" | b"name") {
                    name = Some(value);
                }
            });
            // `lxc-copy` is given another container's name, and `lxc-autostart` none.
            let name = name.or(word).filter(|_| matches!(program, b"lxc-start" | b"lxc-execute"));
            return Some(Self { engine: Engine::Lxc, name: name.and_then(text), otherwise: None });
        }
        if program != b"systemd-nspawn" {
            return None;
        }
        options(argv, NSPAWN_VALUES, |option, value| match option {
            b"M" | b"machine" => name = Some(value),
            b"D" | b"directory" | b"i" | b"image" => folder = Some(value),
            _ => {}
        });
        let last = folder.and_then(|path| path.split(|b| *b == b'/').rfind(|part| !part.is_empty()));
        let otherwise = last.map(|last| last.strip_suffix(b".raw").unwrap_or(last)).and_then(text);
        Some(Self { engine: Engine::SystemdNspawn, name: name.and_then(text), otherwise })
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// What getopt_long(3) finds up to the first word that is no option, which it gives. `takes` are the options with a
/// value that may be a word of its own.
fn options<'a, A: AsRef<[u8]>>(
    argv: &'a [A],
    takes: &[&str],
    mut found: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<&'a [u8]> {
    let takes = |name: &[u8]| takes.iter().any(|option| option.as_bytes() == name);
    let mut words = argv.iter().skip(1).map(AsRef::as_ref);
    loop {
        let word = words.next()?;
        let rest = word.strip_prefix(b"-").filter(|rest| !rest.is_empty());
        match rest {
            None => return Some(word),
            Some(b"-") => return None,
            Some(rest) => {
                if let Some(long) = rest.strip_prefix(b"-") {
                    let (name, value) = match long.iter().position(|b| *b == b'=') {
                        Some(at) => (&long[..at], Some(&long[at + 1..])),
                        None => (long, takes(long).then(|| words.next()).flatten()),
                    };
                    found(name, value.unwrap_or_default());
                } else if let Some(at) = rest.iter().position(|letter| takes(&[*letter])) {
                    // Letters without a value may stand before it.
                    let inline = rest.get(at + 1..).filter(|inline| !inline.is_empty());
                    found(&rest[at..=at], inline.or_else(|| words.next()).unwrap_or_default());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: Option<(Engine, Option<&str>, Option<&str>)>) {
        let argv: Vec<&str> = line.split(' ').collect();
        let got = Resident::parse(&argv);
        let got = got.as_ref().map(|r| (r.engine, r.name.as_deref(), r.otherwise.as_deref()));
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn command_lines() {
        use Engine::{Lxc, SystemdNspawn};
        check("/usr/bin/lxc-start -F -n web -P /p -- sh -n other", Some((Lxc, Some("web"), None)));
        check("lxc-start -Fnweb", Some((Lxc, Some("web"), None)));
        check("lxc-start -P /p --rcfile /f --name=web-1 -d", Some((Lxc, Some("web-1"), None)));
        check("lxc-start --foreground -f /f web", Some((Lxc, Some("web"), None)));
        check("lxc-execute -n one -- /bin/sh", Some((Lxc, Some("one"), None)));
        check("lxc-autostart -g all", Some((Lxc, None, None)));
        check("lxc-copy -n base -N new -e", Some((Lxc, None, None)));
        check("lxc-start", Some((Lxc, None, None)));
        let monitor = Resident::parse(&["[lxc monitor] /var/lib/lxc db"]).expect("a monitor");
        assert_eq!((monitor.engine, monitor.name.as_deref()), (Lxc, Some("db")));
        check(
            "systemd-nspawn -qD /srv/trees/web/ --bind /a sh -M inside",
            Some((SystemdNspawn, None, Some("web"))),
        );
        check(
            "/usr/bin/systemd-nspawn --quiet --keep-unit --boot --machine=db.1 --directory=/srv/x",
            Some((SystemdNspawn, Some("db.1"), Some("x"))),
        );
        check("systemd-nspawn -i /i/disk.raw", Some((SystemdNspawn, None, Some("disk"))));
        check("systemd-nspawn --machine", Some((SystemdNspawn, None, None)));
        for line in ["", "sh -n web", "lxc-attach -n web", "/x/systemd-nspawn-x -M a", "lxc monitor] a"] {
            check(line, None);
        }
    }

    #[test]
    fn names_in_cgroups() {
        use Engine::{Lxc, SystemdNspawn};
        for (name, parent, want) in [
            ("lxc.payload.web", "", Some(("web", Lxc))),
            ("lxc.payload.a.b-1", "lxc", Some(("a.b-1", Lxc))),
            ("web", "lxc", Some(("web", Lxc))),
            ("web", "lxc.payload", Some(("web", Lxc))),
            ("lxc.monitor.web", "lxc", None),
            ("lxc.pivot", "lxc", None),
            ("lxc.payload.", "", None),
            ("web", "lxcx", None),
            ("payload", "machine-web\\x2d1.scope", Some(("web\\x2d1", SystemdNspawn))),
            ("payload", "systemd-nspawn@web-1.service", Some(("web-1", SystemdNspawn))),
            ("supervisor", "systemd-nspawn@web-1.service", None),
            ("payload", "machine-.scope", None),
            ("payload", "x.scope", None),
            ("machine-qemu\\x2d1\\x2dvm.scope", "machine.slice", None),
        ] {
            assert_eq!(in_component(name, parent), want, "{parent}/{name}");
        }
        assert_eq!(in_scope("/machine.slice/machine-web\\x2d1.scope").as_deref(), Some("web-1"));
        for path in ["", "/", "/machine.slice/machine-.scope", "/machine.slice/x.scope", "/machine-a.scope/b"]
        {
            assert_eq!(in_scope(path), None, "{path}");
        }
    }

    #[test]
    fn escapes_of_units() {
        for (text, want) in [
            ("web", "web"),
            ("web\\x2d1", "web-1"),
            ("\\xc3\\xa4\\x5c", "\u{e4}\\"),
            ("\\x2", "\\x2"),
            ("\\x+2\\xzz\\", "\\x+2\\xzz\\"),
            ("\\xff", "\u{fffd}"),
        ] {
            assert_eq!(unescape(text), want, "{text}");
        }
    }
}
