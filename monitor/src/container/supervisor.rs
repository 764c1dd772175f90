//! The processes that stay above a container: containerd's shims, conmon, and runtimes that stay themselves, known by
//! their command lines.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::resident::Resident;

/// What the command line of such a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supervisor {
    /// `containerd-shim-runc-v2`. One shim may serve all containers of a pod.
    Shim {
        /// containerd's namespace: `moby` is Docker, `k8s.io` a kubelet.
        namespace: String,
        /// Id of the container, or of its pod's sandbox.
        id: String,
    },
    /// `conmon`, of Podman or CRI-O. One for each container.
    Conmon {
        /// The bundle's directory.
        bundle: PathBuf,
        /// Full id.
        id: String,
        /// Name that the engine gave.
        name: Option<String>,
        /// The OCI runtime's path.
        runtime: Option<String>,
    },
    /// A runtime that stays beside its container.
    Resident(Resident),
}

impl Supervisor {
    /// Reads a command line; `None` if it is none of them.
    pub fn parse<A: AsRef<[u8]>>(argv: &[A]) -> Option<Self> {
        if let Some(resident) = Resident::parse(argv) {
            return Some(Self::Resident(resident));
        }
        let program = argv.first()?.as_ref().rsplit(|b| *b == b'/').next()?;
        let value = |names: &[&[u8]]| {
            argv.iter().enumerate().skip(1).find_map(|(at, word)| {
                let word = word.as_ref();
                names.iter().find_map(|name| {
                    let rest = word.strip_prefix(*name)?;
                    if rest.is_empty() {
                        argv.get(at + 1).map(AsRef::as_ref)
                    } else {
                        rest.strip_prefix(b"=")
                    }
                })
            })
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if program.starts_with(b"containerd-shim") {
            return Some(Self::Shim {
                namespace: text(value(&[b"-namespace", b"--namespace"])?),
                id: text(value(&[b"-id", b"--id"])?),
            });
        }
        if program != b"conmon" {
            return None;
        }
        Some(Self::Conmon {
            bundle: PathBuf::from(OsStr::from_bytes(value(&[b"-b", b"--bundle"])?)),
            id: text(value(&[b"-c", b"--cid"])?),
            name: value(&[b"-n", b"--name"]).map(text),
            runtime: value(&[b"-r", b"--runtime"]).map(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: Option<&Supervisor>) {
        let argv: Vec<&str> = line.split(' ').collect();
        assert_eq!(Supervisor::parse(&argv).as_ref(), want, "{line}");
    }

    #[test]
    fn command_lines() {
        let shim =
            |namespace: &str, id: &str| Supervisor::Shim { namespace: namespace.into(), id: id.into() };
        check(
            "/usr/bin/containerd-shim-runc-v2 -namespace moby -id ab -address /c.sock",
            Some(&shim("moby", "ab")),
        );
        check("containerd-shim-runc-v2 --namespace=k8s.io --id=x", Some(&shim("k8s.io", "x")));
        check(
            "/usr/bin/conmon --api-version 1 -c id1 -u id1 -r /usr/bin/crun -b /s/id1/userdata -p /p -n web \
             --exit-dir /e",
            Some(&Supervisor::Conmon {
                bundle: "/s/id1/userdata".into(),
                id: "id1".into(),
                name: Some("web".into()),
                runtime: Some("/usr/bin/crun".into()),
            }),
        );
        for line in [
            "",
            "conmon",
            "conmon -b",
            "conmon -b x -c",
            "containerd-shim -id",
            "bash -c id",
            "/conmonx -b a -c b",
        ] {
            check(line, None);
        }
    }
}
