//! Files opened for writing, renamed, linked, removed, made special; devices and settings.

use std::ffi::CString;

use crate::sys::{self, Ret, at, c_string, call, plain};
use crate::{Usage, Words};

const CWD: usize = libc::AT_FDCWD as usize;

/// Two paths of a call that takes each after a directory.
fn two_paths(number: libc::c_long, first: &CString, second: &CString) -> Ret {
    // SAFETY: both strings outlive the call.
    unsafe { call(number, [CWD, at(first), CWD, at(second), 0, 0]) }
}

fn symlink(target: &CString, path: &CString) -> Ret {
    // SAFETY: both strings outlive the call.
    unsafe { call(libc::SYS_symlinkat, [at(target), CWD, at(path), 0, 0, 0]) }
}

fn unlink(path: &CString) -> Ret {
    // SAFETY: the string outlives the call.
    unsafe { call(libc::SYS_unlinkat, [CWD, at(path), 0, 0, 0, 0]) }
}

fn make_node(kind: &str, major: u32, minor: u32, path: &CString) -> Ret {
    let mode = if kind == "block" { libc::S_IFBLK } else { libc::S_IFCHR } | 0o600;
    let device = libc::makedev(major, minor) as usize;
    // A node that is there already was made by another run of the same act.
    unlink(path);
    // SAFETY: the string outlives the call.
    unsafe { call(libc::SYS_mknodat, [CWD, at(path), mode as usize, device, 0, 0]) }
}

fn chmod(path: &CString, mode: u32) -> Ret {
    // SAFETY: the string outlives the call.
    unsafe { call(libc::SYS_fchmodat, [CWD, at(path), mode as usize, 0, 0, 0]) }
}

fn set_attribute(path: &CString, name: &CString) -> Ret {
    // SAFETY: the strings outlive the call; no bytes of a value are read.
    unsafe { call(libc::SYS_setxattr, [at(path), at(name), 0, 0, 0, 0]) }
}

/// Writes `text` to a file that exists, in one piece.
fn write(path: &CString, text: &CString) -> Ret {
    let file = sys::open(path, libc::O_WRONLY | libc::O_CLOEXEC);
    if file.failed() {
        return file;
    }
    // SAFETY: the string outlives the call, and the length is its own.
    unsafe { call(libc::SYS_write, [file.value as usize, at(text), text.as_bytes().len(), 0, 0, 0]) }
}

/// Opens a file of `folder` by its handle.
fn open_by_handle(folder: &CString, path: &CString) -> Ret {
    // `struct file_handle`: its size, its type, and as many bytes.
    let mut handle = [0_u32; 2 + 32];
    handle[0] = 128;
    let mut mount = 0_i32;
    let (to, id) = (handle.as_mut_ptr() as usize, (&raw mut mount) as usize);
    // SAFETY: string, handle and number outlive the call, and the handle is as large as it says.
    let named = unsafe { call(libc::SYS_name_to_handle_at, [CWD, at(path), to, id, 0, 0]) };
    if named.failed() {
        return named;
    }
    let dir = sys::open(folder, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
    // SAFETY: the handle outlives the call.
    unsafe { call(libc::SYS_open_by_handle_at, [dir.value as usize, to, libc::O_RDONLY as usize, 0, 0, 0]) }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "open-write" => sys::open(&c_string(words.word("path")?), libc::O_WRONLY | libc::O_CLOEXEC),
        "create" => {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC;
            sys::open(&c_string(words.word("path")?), flags)
        }
        "write" => {
            let path = c_string(words.word("path")?);
            write(&path, &c_string(words.word("text")?))
        }
        "rename" | "link" => {
            let (old, new) = (c_string(words.word("old path")?), c_string(words.word("new path")?));
            // The call of renameat2 is on every architecture.
            let number = if verb == "link" { libc::SYS_linkat } else { libc::SYS_renameat2 };
            two_paths(number, &old, &new)
        }
        "bind-file" => {
            let (source, path) = (c_string(words.word("source")?), c_string(words.word("path")?));
            let strings = [at(&source), at(&path)];
            // SAFETY: both strings outlive the call; no data is passed.
            unsafe { call(libc::SYS_mount, [strings[0], strings[1], 0, libc::MS_BIND as usize, 0, 0]) }
        }
        "unlink" => unlink(&c_string(words.word("path")?)),
        "symlink" => {
            let target = c_string(words.word("target")?);
            symlink(&target, &c_string(words.word("path")?))
        }
        "make-block" | "make-char" => {
            let (major, minor) = (words.number("major")?, words.number("minor")?);
            make_node(&verb["make-".len()..], major, minor, &c_string(words.word("path")?))
        }
        "chmod" => {
            let mode = words.text("mode")?;
            let mode = u32::from_str_radix(&mode, 8).map_err(|_| Usage(format!("{mode} is no mode")))?;
            chmod(&c_string(words.word("path")?), mode)
        }
        "setxattr" => {
            let name = c_string(words.word("name")?);
            set_attribute(&c_string(words.word("path")?), &name)
        }
        "ioctl" => {
            let number = words.number("command")?;
            let file = sys::open(&c_string(words.word("path")?), libc::O_RDONLY | libc::O_CLOEXEC);
            plain(libc::SYS_ioctl, &[file.value as usize, number as usize, 0])
        }
        "fanotify-mark" => {
            let path = c_string(words.word("path")?);
            let marks = words.number("flags")? as usize;
            let group = plain(libc::SYS_fanotify_init, &[0, 0]);
            // SAFETY: the string outlives the call; FAN_OPEN is asked for.
            unsafe { call(libc::SYS_fanotify_mark, [group.value as usize, marks, 0x20, CWD, at(&path), 0]) }
        }
        "open-by-handle" => {
            let folder = c_string(words.word("folder")?);
            open_by_handle(&folder, &c_string(words.word("path")?))
        }
        _ => return Ok(None),
    }))
}
