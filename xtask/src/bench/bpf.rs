//! bpf(2), as far as measuring needs it: what runs in the kernel and for how long, and tiny programs of our own.
//!
//! The attributes are `union bpf_attr` of `include/uapi/linux/bpf.h`, the same on every kernel since 5.10.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::Context as _;

/// `enum bpf_cmd`.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_GET_NEXT_ID: libc::c_long = 11;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const MAP_GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const LINK_CREATE: libc::c_long = 28;
const LINK_GET_FD_BY_ID: libc::c_long = 30;
const LINK_GET_NEXT_ID: libc::c_long = 31;
const ENABLE_STATS: libc::c_long = 32;
/// `BPF_MAP_TYPE_RINGBUF`.
const MAP_RINGBUF: u32 = 27;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
pub(crate) const PROG_RAW_TRACEPOINT: u32 = 17;
/// `enum bpf_link_type`.
const LINK_RAW_TRACEPOINT: u32 = 1;
const LINK_CGROUP: u32 = 3;

/// Two 32-bit fields that follow each other.
fn pair(first: u32, second: u32) -> u64 {
    let (a, b) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]])
}

/// The two 32-bit fields of a word.
fn halves(word: u64) -> (u32, u32) {
    let b = word.to_ne_bytes();
    (u32::from_ne_bytes([b[0], b[1], b[2], b[3]]), u32::from_ne_bytes([b[4], b[5], b[6], b[7]]))
}

fn address<T: ?Sized>(what: &T) -> u64 {
    std::ptr::from_ref(what).cast::<u8>().expose_provenance() as u64
}

/// Of memory that the kernel writes to.
fn address_mut<T: ?Sized>(what: &mut T) -> u64 {
    std::ptr::from_mut(what).cast::<u8>().expose_provenance() as u64
}

#[expect(unsafe_code, reason = "bpf(2)")]
fn bpf(command: libc::c_long, attr: &mut [u64]) -> io::Result<i32> {
    // SAFETY: the attribute outlives the call, and the size given is its own. What it points to is kept alive by the
    // callers below, and is as large as they say.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done as i32) }
}

#[expect(unsafe_code, reason = "a descriptor from a number")]
fn open(command: libc::c_long, attr: &mut [u64]) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn raw(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

/// The kernel measures BPF programs as long as this is open; it stops by itself even if xtask is killed.
pub(crate) struct Statistics(#[expect(dead_code, reason = "held open")] OwnedFd);

impl Statistics {
    /// Turns them on (kernel 5.8 and later); `BPF_STATS_RUN_TIME` is 0.
    pub(crate) fn on() -> anyhow::Result<Self> {
        open(ENABLE_STATS, &mut [0]).map(Self).context("the kernel does not measure BPF programs")
    }
}

/// What the kernel tells of a program, `struct bpf_prog_info`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProgramInfo {
    pub(crate) id: u32,
    /// `enum bpf_prog_type`.
    pub(crate) kind: u32,
    pub(crate) name: String,
    /// Nanoseconds run, while statistics were on.
    pub(crate) time: f64,
    /// Times run, while statistics were on.
    pub(crate) runs: f64,
    /// Times not run, because a program was already running on that CPU.
    pub(crate) missed: f64,
    /// Instructions that the verifier looked at.
    pub(crate) verified: u32,
}

/// Ids in use, by the command that gives the next one.
fn ids(command: libc::c_long) -> Vec<u32> {
    let (mut found, mut last) = (Vec::new(), 0);
    loop {
        // `start_id`, `next_id`, `open_flags`.
        let mut attr = [pair(last, 0), 0];
        if bpf(command, &mut attr).is_err() {
            return found;
        }
        last = halves(attr[0]).1;
        found.push(last);
    }
}

fn info(fd: &OwnedFd, words: &mut [u64]) -> io::Result<()> {
    let mut attr = [pair(raw(fd), size_of_val(words) as u32), address_mut(words)];
    bpf(OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

/// A program by its id.
pub(crate) fn program(id: u32) -> io::Result<OwnedFd> {
    open(PROG_GET_FD_BY_ID, &mut [pair(id, 0), 0])
}

/// What the kernel tells of a program.
pub(crate) fn program_info(fd: &OwnedFd) -> io::Result<ProgramInfo> {
    let mut words = [0_u64; 29];
    info(fd, &mut words)?;
    let (kind, id) = halves(words[0]);
    let name: Vec<u8> = words[8..10].iter().flat_map(|w| w.to_ne_bytes()).take_while(|b| *b != 0).collect();
    Ok(ProgramInfo {
        id,
        kind,
        name: String::from_utf8_lossy(&name).into_owned(),
        time: words[24] as f64,
        runs: words[25] as f64,
        missed: words[26] as f64,
        verified: halves(words[27]).0,
    })
}

/// Every program on the machine; one that goes away meanwhile is left out.
pub(crate) fn programs() -> Vec<ProgramInfo> {
    let fds = ids(PROG_GET_NEXT_ID).into_iter().filter_map(|id| program(id).ok());
    fds.filter_map(|fd| program_info(&fd).ok()).collect()
}

/// Where a program is attached, if a noop can be attached there as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    /// A tracepoint of this name, as raw tracepoint or with BTF.
    Tracepoint(String),
    /// The cgroup hook of this number in `enum bpf_attach_type`.
    Cgroup(u32),
}

/// Programs' ids with their hooks, of every link on the machine.
pub(crate) fn hooks() -> Vec<(u32, Hook)> {
    let fds = ids(LINK_GET_NEXT_ID).into_iter().filter_map(|id| {
        let fd = open(LINK_GET_FD_BY_ID, &mut [pair(id, 0), 0]).ok()?;
        hook(&fd).ok().flatten()
    });
    fds.collect()
}

fn hook(link: &OwnedFd) -> io::Result<Option<(u32, Hook)>> {
    let mut words = [0_u64; 8];
    info(link, &mut words)?;
    let (kind, program) = (halves(words[0]).0, halves(words[1]).0);
    match kind {
        LINK_RAW_TRACEPOINT => {
            let mut name = [0_u8; 64];
            words = [0; 8];
            // `tp_name`, `tp_name_len`.
            (words[2], words[3]) = (address_mut(&mut name), pair(64, 0));
            info(link, &mut words)?;
            let name: Vec<u8> = name.iter().copied().take_while(|b| *b != 0).collect();
            Ok(Some((program, Hook::Tracepoint(String::from_utf8_lossy(&name).into_owned()))))
        }
        // `cgroup_id`, `attach_type`.
        LINK_CGROUP => Ok(Some((program, Hook::Cgroup(halves(words[3]).0)))),
        _ => Ok(None),
    }
}

/// Loads a program of `enum bpf_prog_type` for `enum bpf_attach_type`.
pub(crate) fn load(kind: u32, attach: u32, code: &[u64]) -> anyhow::Result<OwnedFd> {
    let license = c"GPL";
    let mut attr = [
        pair(kind, code.len() as u32),
        address(code),
        address(license.to_bytes_with_nul()),
        // No log: its only reader would be this bench's author.
        0,
        0,
        0,
        u64::from_ne_bytes(*b"bench_no"),
        u64::from_ne_bytes(*b"op\0\0\0\0\0\0"),
        pair(0, attach),
    ];
    open(PROG_LOAD, &mut attr).context("the kernel refuses a program of the bench")
}

/// Attaches a raw tracepoint program for as long as the result lives.
pub(crate) fn attach_tracepoint(program: &OwnedFd, name: &str) -> anyhow::Result<OwnedFd> {
    let path = CString::new(name)?;
    let mut attr = [address(path.to_bytes_with_nul()), pair(raw(program), 0)];
    open(RAW_TRACEPOINT_OPEN, &mut attr).with_context(|| format!("cannot attach to {name}"))
}

/// Attaches a cgroup program for as long as the result lives.
pub(crate) fn attach_cgroup(program: &OwnedFd, cgroup: &OwnedFd, attach: u32) -> anyhow::Result<OwnedFd> {
    let mut attr = [pair(raw(program), raw(cgroup)), pair(attach, 0)];
    open(LINK_CREATE, &mut attr).context("cannot attach to the root cgroup")
}

/// Makes a ring of so many bytes.
pub(crate) fn ring(bytes: u32) -> anyhow::Result<OwnedFd> {
    let mut attr = [pair(MAP_RINGBUF, 0), pair(0, bytes), 0];
    open(MAP_CREATE, &mut attr).context("cannot make a ring")
}

/// Runs a raw tracepoint program once, here and now, with these arguments. What it returns is nothing: aya has raw
/// tracepoint programs return 0.
pub(crate) fn run(program: &OwnedFd, arguments: &[u64]) -> io::Result<()> {
    let mut attr = [0; 10];
    attr[0] = pair(raw(program), 0);
    // `ctx_size_in` and `ctx_in`.
    (attr[5], attr[6]) = (pair(size_of_val(arguments) as u32, 0), address(arguments));
    bpf(PROG_TEST_RUN, &mut attr).map(drop)
}

/// A map by its id.
pub(crate) fn map(id: u32) -> io::Result<OwnedFd> {
    open(MAP_GET_FD_BY_ID, &mut [pair(id, 0), 0])
}

/// A map's name, and the bytes of a value.
pub(crate) fn map_info(fd: &OwnedFd) -> io::Result<(String, u32)> {
    let mut words = [0_u64; 11];
    info(fd, &mut words)?;
    let name: Vec<u8> = words[3..5].iter().flat_map(|w| w.to_ne_bytes()).take_while(|b| *b != 0).collect();
    Ok((String::from_utf8_lossy(&name).into_owned(), halves(words[1]).1))
}

/// The value at index 0 of a per-CPU array, as words: one CPU after the other. `words` is how many a value has.
pub(crate) fn lookup_first(fd: &OwnedFd, words: usize, cpus: usize) -> io::Result<Vec<u64>> {
    let key = [0_u32; 1];
    let mut values = vec![0; words * cpus];
    let mut attr = [pair(raw(fd), 0), address(&key), address_mut(values.as_mut_slice()), 0];
    bpf(MAP_LOOKUP_ELEM, &mut attr)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_pairs() {
        assert_eq!(halves(pair(7, 9)), (7, 9));
        let (mut value, word) = ([0_u8; 8], pair(1, 0));
        value.copy_from_slice(&word.to_ne_bytes());
        assert_eq!(value[..4], 1_u32.to_ne_bytes());
    }
}
