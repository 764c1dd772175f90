//! Calls that reach the kernel itself, each in a form that changes nothing even where it is allowed.

use crate::sys::{Ret, at, c_string, call, plain};
use crate::{Usage, Words};

const CLOCK_REALTIME: usize = 0;
/// `FAN_REPORT_FID`, `FAN_MARK_ADD`, `FAN_OPEN`, `include/uapi/linux/fanotify.h`.
const FAN_REPORT_FID: usize = 0x200;
const FAN_MARK_ADD: usize = 1;
const FAN_OPEN: usize = 0x20;
/// `QCMD(Q_SETQUOTA, USRQUOTA)`, `include/uapi/linux/quota.h`.
const SET_QUOTA: usize = 0x80_0008 << 8;
/// `ADJ_TICK`, `include/uapi/linux/timex.h`.
const ADJ_TICK: u32 = 0x4000;
/// `KEY_SPEC_PROCESS_KEYRING`, which ends with the process; `include/uapi/linux/keyctl.h`.
const PROCESS_KEYRING: usize = -2_isize as usize;
/// `UFFD_USER_MODE_ONLY`, `include/uapi/linux/userfaultfd.h`.
const USER_MODE_ONLY: usize = 1;

/// Sets the clock to what it says.
fn set_clock() -> Ret {
    let mut now = [0_i64; 2];
    let place = now.as_mut_ptr() as usize;
    // SAFETY: the kernel reads and writes the two words of a `struct timespec`.
    unsafe {
        call(libc::SYS_clock_gettime, [CLOCK_REALTIME, place, 0, 0, 0, 0]);
        call(libc::SYS_clock_settime, [CLOCK_REALTIME, place, 0, 0, 0, 0])
    }
}

fn adjust_clock(modes: u32) -> Ret {
    // `struct timex` is 208 bytes; `modes` is its first field. A tick of 0 is refused whoever asks.
    let mut timex = [0_u64; 32];
    timex[0] = u64::from(modes);
    // SAFETY: the kernel writes within the structure.
    unsafe { call(libc::SYS_adjtimex, [timex.as_mut_ptr() as usize, 0, 0, 0, 0, 0]) }
}

fn syslog(action: u32) -> Ret {
    let mut text = [0_u8; 64];
    // SAFETY: the buffer has the length that is given.
    unsafe { call(libc::SYS_syslog, [action as usize, text.as_mut_ptr() as usize, text.len(), 0, 0, 0]) }
}

#[cfg(target_arch = "x86_64")]
fn read_ldt() -> Ret {
    let mut entries = [0_u8; 16];
    // SAFETY: the buffer has the length that is given.
    unsafe { call(libc::SYS_modify_ldt, [0, entries.as_mut_ptr() as usize, entries.len(), 0, 0, 0]) }
}

/// The name that the host name is already.
fn same_host_name() -> Ret {
    let mut name = [0_u8; 390];
    // SAFETY: `struct utsname` is six fields of 65 bytes; the second is the name, and ends with a NUL.
    unsafe {
        call(libc::SYS_uname, [name.as_mut_ptr() as usize, 0, 0, 0, 0, 0]);
        let node = &name[65..130];
        let len = node.iter().position(|byte| *byte == 0).unwrap_or(0);
        call(libc::SYS_sethostname, [node.as_ptr() as usize, len, 0, 0, 0, 0])
    }
}

fn fanotify(kind: &str, words: &mut Words) -> Result<Ret, Usage> {
    let kind = match kind {
        "inode" => 0,
        "mount" => 0x10,
        "filesystem" => 0x100,
        _ => return Err(Usage(format!("unknown mark {kind}"))),
    };
    let path = c_string(words.word("path")?);
    let group = plain(libc::SYS_fanotify_init, &[FAN_REPORT_FID, 0]);
    if group.failed() {
        return Ok(group);
    }
    let (group, here) = (group.value as usize, libc::AT_FDCWD as usize);
    // SAFETY: the string outlives the call.
    Ok(unsafe { call(libc::SYS_fanotify_mark, [group, FAN_MARK_ADD | kind, FAN_OPEN, here, at(&path), 0]) })
}

/// One call with a string that is first among its arguments.
fn named(number: libc::c_long, words: &mut Words) -> Result<Ret, Usage> {
    let name = c_string(words.word("name")?);
    // SAFETY: the string outlives the call; no other argument is a pointer.
    Ok(unsafe { call(number, [at(&name), 0, 0, 0, 0, 0]) })
}

fn keys(verb: &str) -> Ret {
    let (kind, description) = (c"user", c"scenario");
    // SAFETY: all strings outlive the call.
    unsafe {
        let strings = [kind.as_ptr() as usize, description.as_ptr() as usize];
        match verb {
            "add-key" => call(
                libc::SYS_add_key,
                [strings[0], strings[1], description.as_ptr() as usize, 1, PROCESS_KEYRING, 0],
            ),
            _ => call(libc::SYS_request_key, [strings[0], strings[1], 0, 0, 0, 0]),
        }
    }
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        // A protocol family that no module brings.
        "need-module" => plain(libc::SYS_socket, &[13, libc::SOCK_DGRAM as usize, 0]),
        // No image, no file, no module of that name.
        "init-module" => plain(libc::SYS_init_module, &[0, 0, 0]),
        "finit-module" => plain(libc::SYS_finit_module, &[usize::MAX, 0, 0]),
        "delete-module" => named(libc::SYS_delete_module, words)?,
        // Flags and magic numbers that do not exist.
        "kexec-load" => plain(libc::SYS_kexec_load, &[0, 0, 0, 0xffff]),
        "reboot" => plain(libc::SYS_reboot, &[0, 0, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        "iopl" => plain(libc::SYS_iopl, &[words.number("level")? as usize]),
        #[cfg(target_arch = "x86_64")]
        "ioperm" => plain(libc::SYS_ioperm, &[0x80, 1, 1]),
        #[cfg(target_arch = "x86_64")]
        "read-ldt" => read_ldt(),
        // An entry of no bytes.
        #[cfg(target_arch = "x86_64")]
        "write-ldt" => plain(libc::SYS_modify_ldt, &[1, 0, 0]),
        "syslog" => syslog(words.number("action")?),
        "set-clock" => set_clock(),
        "read-clock" => adjust_clock(0),
        "adjust-clock" => adjust_clock(ADJ_TICK),
        "swapon" => named(libc::SYS_swapon, words)?,
        "acct" => named(libc::SYS_acct, words)?,
        "set-quota" => {
            let device = c_string(words.word("device")?);
            // SAFETY: the string outlives the call; there are no limits to read.
            unsafe { call(libc::SYS_quotactl, [SET_QUOTA, at(&device), 0, 0, 0, 0]) }
        }
        "same-host-name" => same_host_name(),
        "keyctl" => plain(libc::SYS_keyctl, &[words.number("operation")? as usize, PROCESS_KEYRING]),
        "add-key" | "request-key" => keys(verb),
        "userfaultfd" => plain(libc::SYS_userfaultfd, &[libc::O_CLOEXEC as usize | USER_MODE_ONLY]),
        "fanotify" => {
            let kind = words.text("kind of mark")?;
            fanotify(&kind, words)?
        }
        "bpf-map" => bpf::map(),
        "bpf-program" => bpf::program(words.number("type")?),
        "bpf-detach" => bpf::detach(words.number("type")?),
        "bpf-first-program" => bpf::first_program(),
        "perf-self" => bpf::perf(true, 0, usize::MAX),
        "perf-cpu" => bpf::perf(false, usize::MAX, 0),
        _ => return Ok(None),
    }))
}

/// `bpf(2)` and `perf_event_open(2)`; every descriptor is closed with the process.
mod bpf {
    use super::{Ret, call};

    const MAP_CREATE: usize = 0;
    const PROG_LOAD: usize = 5;
    const PROG_DETACH: usize = 9;
    const PROG_GET_NEXT_ID: usize = 11;
    const PROG_GET_FD_BY_ID: usize = 13;
    /// `PERF_FLAG_FD_CLOEXEC`.
    const FD_CLOEXEC: usize = 8;
    /// `mov r0, 0` and `exit`, each 8 bytes (kernel `include/uapi/linux/bpf.h`).
    static NOTHING: [u64; 2] = [0xb7, 0x95];

    /// `union bpf_attr` as 32-bit words: longer than any of the commands here needs.
    fn bpf(command: usize, attr: &mut [u32; 32]) -> Ret {
        // SAFETY: the structure has the size that is given; what it points to is static.
        unsafe { call(libc::SYS_bpf, [command, attr.as_mut_ptr() as usize, size_of_val(attr), 0, 0, 0]) }
    }

    /// An array of one element.
    pub(super) fn map() -> Ret {
        let mut attr = [0; 32];
        attr[..4].copy_from_slice(&[2, 4, 8, 1]);
        bpf(MAP_CREATE, &mut attr)
    }

    /// A program of this type that does nothing; it is attached nowhere.
    pub(super) fn program(kind: u32) -> Ret {
        let mut attr = [0; 32];
        let (code, license) = (NOTHING.as_ptr() as u64, c"GPL".as_ptr() as u64);
        attr[..6].copy_from_slice(&[
            kind,
            2,
            code as u32,
            (code >> 32) as u32,
            license as u32,
            (license >> 32) as u32,
        ]);
        bpf(PROG_LOAD, &mut attr)
    }

    /// Takes the program of this kind of attachment off a cgroup, given by no descriptor: nothing can come of it.
    pub(super) fn detach(kind: u32) -> Ret {
        let mut attr = [0; 32];
        attr[..3].copy_from_slice(&[u32::MAX, 0, kind]);
        bpf(PROG_DETACH, &mut attr)
    }

    /// A descriptor of the host's oldest program.
    pub(super) fn first_program() -> Ret {
        let mut attr = [0; 32];
        let next = bpf(PROG_GET_NEXT_ID, &mut attr);
        if next.failed() {
            return next;
        }
        let mut wanted = [0; 32];
        wanted[0] = attr[1];
        bpf(PROG_GET_FD_BY_ID, &mut wanted)
    }

    /// An event of the CPU clock that counts nothing yet: in user mode only, or in the kernel as well.
    pub(super) fn perf(user_only: bool, pid: usize, cpu: usize) -> Ret {
        // `struct perf_event_attr`: type 1 is software, the size 64 is that of the first version; bits `disabled`,
        // and `exclude_kernel` and `exclude_hv`.
        let mut attr = [0_u64; 8];
        attr[0] = 1 | 64 << 32;
        attr[5] = if user_only { 1 | 1 << 5 | 1 << 6 } else { 1 };
        // SAFETY: the structure has the size that it says.
        unsafe {
            call(libc::SYS_perf_event_open, [attr.as_ptr() as usize, pid, cpu, usize::MAX, FD_CLOEXEC, 0])
        }
    }
}
