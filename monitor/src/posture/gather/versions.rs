//! Which version a runtime of the host is: it is asked, as engines ask it.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where runtimes are installed.
const FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// How much of the answer is read.
const MAX_ANSWER: u64 = 4096;

/// Runtimes of which something is known by their version.
const ASKED: &[&str] = &["runc", "crun", "youki"];

/// The version of a runtime, if it is one that is asked, is installed and says.
pub(super) fn of(name: &str) -> Option<String> {
    if !ASKED.contains(&name) {
        return None;
    }
    let path = FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(is_ours)?;
    parse(name, &ask(&path)?)
}

/// True for a program that nobody but root can change.
fn is_ours(path: &PathBuf) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.uid() == 0 && meta.mode() & 0o022 == 0)
}

fn ask(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let begin = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begin.elapsed() > LIMIT {
            // It may just have ended: then there is nobody to kill.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut answer = Vec::new();
    child.stdout.take()?.take(MAX_ANSWER).read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// `runc version 1.1.5+ds1`, and the same for crun; `youki version: 0.7.0`.
fn parse(name: &str, answer: &str) -> Option<String> {
    let rest = answer.lines().next()?.strip_prefix(name)?;
    let forms = [" version: ", " version ", " "];
    let version = forms.iter().find_map(|form| rest.strip_prefix(form))?;
    version.split_ascii_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (name, answer, want) in [
            ("runc", "runc version 1.1.5+ds1\ncommit: x\n", Some("1.1.5+ds1")),
            ("crun", "crun version 1.8.1\n", Some("1.8.1")),
            ("youki", "youki version: 0.7.0\ncommit: 0.7.0-x\n", Some("0.7.0")),
            ("youki", "youki 0.5.1\n", Some("0.5.1")),
            ("runc", "error\n", None),
            ("runc", "", None),
        ] {
            assert_eq!(parse(name, answer).as_deref(), want, "{answer}");
        }
    }

    #[test]
    fn a_program_that_others_may_change_is_not_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut mode = file.as_file().metadata().unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o777);
        file.as_file().set_permissions(mode).unwrap();
        assert!(!is_ours(&file.path().to_path_buf()));
        assert_eq!(of("no-such-runtime"), None);
    }
}
