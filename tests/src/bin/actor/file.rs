//! Files opened, programs planted.

use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::time::{Duration, SystemTime};

use crate::sys::{self, Ret, at, c_string, call, ret_of};
use crate::{Usage, Words};

/// Copies this program to `target` as a set-uid root program.
fn plant(target: &str, after: u64) -> io::Result<()> {
    std::fs::copy("/proc/self/exe", target)?;
    chown(target, Some(0), Some(0))?;
    // File times are compared in whole seconds, and taken from a clock that ticks: the file is to be younger than
    // the container.
    let later = SystemTime::UNIX_EPOCH + Duration::from_millis((after + 1) * 1000 + 50);
    if let Ok(left) = later.duration_since(SystemTime::now()) {
        std::thread::sleep(left);
    }
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(0o4755))
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "open" => sys::open(&c_string(words.word("path")?), libc::O_RDONLY | libc::O_CLOEXEC),
        // The descriptor of the folder is one that no check of the opening sees.
        "open-at" => {
            let folder = c_string(words.word("folder")?);
            let path = c_string(words.word("path")?);
            let dir = sys::open(&folder, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC);
            if dir.failed() { dir } else { sys::openat(dir.value as i32, &path, libc::O_RDONLY) }
        }
        "open-path" => {
            let path = c_string(words.word("path")?);
            sys::open(&path, libc::O_PATH | libc::O_CLOEXEC)
        }
        "chdir" => {
            let path = c_string(words.word("directory")?);
            // SAFETY: the string outlives the call.
            unsafe { call(libc::SYS_chdir, [at(&path), 0, 0, 0, 0, 0]) }
        }
        "setuid-copy" => {
            let target = words.text("target")?;
            let after = words.number("second")?;
            ret_of(plant(&target, u64::from(after)))
        }
        "plain-copy" => {
            let target = words.text("target")?;
            ret_of(std::fs::copy("/proc/self/exe", target).map(drop))
        }
        _ => return Ok(None),
    }))
}
