//! Programs executed, in the ordinary way and in unusual ones: without a path, by another name, by an interpreter; and what they inherit.

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;

use crate::net;
use crate::sys::{self, Ret, at, c_string, call, plain, ret_of};
use crate::{Usage, Words};

/// Descriptor that a program inherits.
const INHERITED: i32 = 9;
const SELF: &str = "/proc/self/exe";

/// Arguments that begin with `name`, as the kernel wants them: the strings, and pointers to them.
fn arguments(name: &CString, words: &mut Words) -> (Vec<CString>, Vec<usize>) {
    let mut argv = vec![name.clone()];
    argv.extend(words.rest.by_ref().map(c_string));
    let mut pointers: Vec<usize> = argv.iter().map(at).collect();
    pointers.push(0);
    (argv, pointers)
}

/// Executes `path` with the words that are left; returns only if the kernel refuses.
fn execve(path: &CString, words: &mut Words) -> Ret {
    let (_strings, pointers) = arguments(path, words);
    let environment = [0_usize];
    let (argv, environment) = (pointers.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: both arrays end with a null pointer, and they and their strings outlive the call.
    unsafe { call(libc::SYS_execve, [at(path), argv, environment, 0, 0, 0]) }
}

/// Executes `path` with one variable in its environment, and the words that are left.
fn execve_with(variable: &CString, path: &CString, words: &mut Words) -> Ret {
    let (_strings, pointers) = arguments(path, words);
    let environment = [at(variable), 0];
    let (argv, environment) = (pointers.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: both arrays end with a null pointer, and they and their strings outlive the call.
    unsafe { call(libc::SYS_execve, [at(path), argv, environment, 0, 0, 0]) }
}

/// Executes `path` without any argument, its own name included.
fn execve_nameless(path: &CString) -> Ret {
    let nothing = [0_usize];
    let nothing = nothing.as_ptr() as usize;
    // SAFETY: the array ends with a null pointer, and it and the path outlive the call.
    unsafe { call(libc::SYS_execve, [at(path), nothing, nothing, 0, 0, 0]) }
}

/// Executes `path`, from `dir` if that is a descriptor, called `name`, with the words that are left.
fn execute(dir: i32, path: &CString, flags: i32, name: &CString, words: &mut Words) -> Ret {
    let (_strings, pointers) = arguments(name, words);
    let environment = [0_usize];
    let (argv, environment) = (pointers.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: both arrays end with a null pointer, and they and their strings outlive the call.
    unsafe { call(libc::SYS_execveat, [dir as usize, at(path), argv, environment, flags as usize, 0]) }
}

/// By the descriptor itself, as fexecve(3) does.
fn execute_descriptor(fd: i32, name: &str, words: &mut Words) -> Ret {
    execute(fd, &CString::default(), libc::AT_EMPTY_PATH, &c_string(name.into()), words)
}

/// A program in memory alone.
fn memfd(source: &str) -> io::Result<fs::File> {
    use std::os::fd::FromRawFd as _;
    let name = c"harmless";
    // SAFETY: the string outlives the call.
    let fd = unsafe {
        call(libc::SYS_memfd_create, [name.as_ptr() as usize, libc::MFD_CLOEXEC as usize, 0, 0, 0, 0])
    };
    if fd.failed() {
        return Err(io::Error::from_raw_os_error(fd.errno));
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let mut file = unsafe { fs::File::from_raw_fd(fd.value as i32) };
    io::copy(&mut fs::File::open(source)?, &mut file)?;
    Ok(file)
}

/// A copy of a program, open, and with no name any more.
fn deleted(source: &str, path: &str) -> io::Result<fs::File> {
    fs::copy(source, path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    let file = fs::File::open(path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn execute_file(file: io::Result<fs::File>, name: &str, words: &mut Words) -> Ret {
    match file {
        Ok(file) => execute_descriptor(file.as_raw_fd(), name, words),
        Err(error) => ret_of(Err(error)),
    }
}

fn script(path: &str, command: &str) -> io::Result<()> {
    fs::write(path, format!("#!/bin/busybox sh\n{command}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A connection to itself, of which both ends outlive an exec.
fn connection(address: SocketAddr) -> io::Result<(TcpStream, OwnedFd)> {
    let listener = TcpListener::bind(address)?;
    let near = TcpStream::connect(address)?;
    let far = rustix::io::dup(listener.accept()?.0)?;
    Ok((near, far))
}

/// Executes this program with a socket as its input, and as its standard error if that is wanted: on its output it says
/// what it did.
fn on_socket(socket: &TcpStream, error: bool, words: &mut Words) -> Ret {
    for fd in [0, 2].into_iter().take(1 + usize::from(error)) {
        let moved = plain(libc::SYS_dup3, &[socket.as_raw_fd() as usize, fd, 0]);
        if moved.failed() {
            return moved;
        }
    }
    let own = c_string(SELF.into());
    execute(libc::AT_FDCWD, &own, 0, &c_string("/actor".into()), words)
}

/// Opens a folder and executes this program with the descriptor.
fn inherit(dir: &CString, words: &mut Words) -> Ret {
    let fd = sys::open(dir, libc::O_PATH | libc::O_DIRECTORY);
    if fd.failed() {
        return fd;
    }
    let moved = plain(libc::SYS_dup3, &[fd.value as usize, INHERITED as usize, 0]);
    if moved.failed() {
        return moved;
    }
    let own = c_string(SELF.into());
    execute(libc::AT_FDCWD, &own, 0, &c_string("/actor".into()), words)
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "exec" => {
            let path = c_string(words.word("path")?);
            execve(&path, words)
        }
        "exec-with" => {
            let variable = c_string(words.word("variable")?);
            let path = c_string(words.word("path")?);
            execve_with(&variable, &path, words)
        }
        "exec-nameless" => execve_nameless(&c_string(words.word("path")?)),
        "exec-memfd" => execute_file(memfd(SELF), "/actor", words),
        "exec-memfd-of" => {
            let source = words.text("source")?;
            execute_file(memfd(&source), &source, words)
        }
        // What follows runs with a connection as descriptors 0 and 2, or as 0 alone.
        "exec-connected" | "exec-fed" => match connection(net::address(words)?) {
            Ok(ends) => on_socket(&ends.0, verb == "exec-connected", words),
            Err(error) => ret_of(Err(error)),
        },
        "exec-deleted" => {
            let path = words.text("path")?;
            execute_file(deleted(SELF, &path), "/actor", words)
        }
        "exec-deleted-of" => {
            let (source, path) = (words.text("source")?, words.text("path")?);
            execute_file(deleted(&source, &path), &source, words)
        }
        "exec-descriptor" => {
            let file = fs::File::open(words.word("path")?);
            execute_file(file, "/actor", words)
        }
        // By the magic link, which does not work once the descriptor is closed, but is followed before that.
        "exec-proc-fd" => match fs::File::open(words.word("path")?) {
            Ok(file) => {
                let path = c_string(format!("/proc/self/fd/{}", file.as_raw_fd()).into());
                execute(libc::AT_FDCWD, &path, 0, &c_string("/actor".into()), words)
            }
            Err(error) => ret_of(Err(error)),
        },
        "exec-as" => {
            let (path, name) = (c_string(words.word("path")?), c_string(words.word("name")?));
            execute(libc::AT_FDCWD, &path, 0, &name, words)
        }
        "script" => {
            let (path, command) = (words.text("path")?, words.text("command")?);
            ret_of(script(&path, &command))
        }
        "inherit" => inherit(&c_string(words.word("directory")?), words),
        "open-inherited" => {
            sys::openat(INHERITED, &c_string(words.word("path")?), libc::O_RDONLY | libc::O_CLOEXEC)
        }
        _ => return Ok(None),
    }))
}
