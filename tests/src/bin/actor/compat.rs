//! The same acts through the 32-bit system call entry of x86-64 (`int 0x80`), which programs on functions of native
//! calls do not see, and with numbers of the x32 table.

use crate::sys::{self, Ret, c_string, plain};
use crate::{Usage, Words, namespace};

// Numbers of `arch/x86/entry/syscalls/syscall_32.tbl`.
const OPEN: u32 = 5;
const MOUNT: u32 = 21;
const SOCKETCALL: u32 = 102;
const SENDFILE: u32 = 187;
const SETUID32: u32 = 213;
const SENDFILE64: u32 = 239;
const OPENAT: u32 = 295;
const UNSHARE: u32 = 310;
const SETNS: u32 = 346;
/// `SYS_CONNECT` of `include/uapi/linux/net.h`.
const SOCKETCALL_CONNECT: u32 = 3;
/// `__X32_SYSCALL_BIT`, `arch/x86/include/uapi/asm/unistd.h`.
const X32_BIT: libc::c_long = 1 << 30;

#[cfg(target_arch = "x86_64")]
fn int80(number: u32, args: &[u32]) -> Ret {
    let mut all = [0_u64; 5];
    all.iter_mut().zip(args).for_each(|(slot, arg)| *slot = u64::from(*arg));
    let answer: i64;
    // SAFETY: arguments are numbers, or addresses of `Low` memory, which stays. rbx, which the compiler keeps for
    // itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg {first}, rbx",
            "int 0x80",
            "xchg {first}, rbx",
            first = inout(reg) all[0] => _,
            inlateout("rax") i64::from(number) => answer,
            in("rcx") all[1],
            in("rdx") all[2],
            in("rsi") all[3],
            in("rdi") all[4],
            // The 32-bit entry of older kernels does not keep these.
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let value = answer as i32;
    if value < 0 { Ret::refused(-value) } else { Ret { value: i64::from(value), errno: 0 } }
}

#[cfg(not(target_arch = "x86_64"))]
fn int80(_: u32, _: &[u32]) -> Ret {
    Ret::refused(libc::ENOSYS)
}

/// Memory that a 32-bit pointer reaches; it stays until the process ends.
struct Low {
    next: *mut u8,
    left: usize,
}

impl Low {
    #[cfg(target_arch = "x86_64")]
    const WHERE: libc::c_int = libc::MAP_32BIT;
    #[cfg(not(target_arch = "x86_64"))]
    const WHERE: libc::c_int = 0;

    fn new() -> Self {
        let left = 64 << 10;
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | Self::WHERE);
        // SAFETY: a new mapping takes no memory away.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), left, access, kind, -1, 0) };
        if at == libc::MAP_FAILED {
            Self { next: std::ptr::null_mut(), left: 0 }
        } else {
            Self { next: at.cast(), left }
        }
    }

    /// Puts bytes there; 0, which no call takes, if there is no room.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let room = bytes.len().next_multiple_of(8);
        if room > self.left {
            return 0;
        }
        let at = self.next;
        // SAFETY: `room` bytes from here are the mapping's, and given to nobody yet.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
            self.next = at.add(room);
        }
        self.left -= room;
        at as usize as u32
    }

    fn text(&mut self, text: &std::ffi::CStr) -> u32 {
        self.put(text.to_bytes_with_nul())
    }
}

fn connect_unix(path: &std::ffi::CString) -> Ret {
    let socket = plain(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0]);
    if socket.failed() {
        return socket;
    }
    let mut low = Low::new();
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    let address = [family.as_slice(), path.as_bytes_with_nul()].concat();
    let args = [socket.value as u32, low.put(&address), address.len() as u32];
    let args: Vec<u8> = args.into_iter().flat_map(u32::to_ne_bytes).collect();
    int80(SOCKETCALL, &[SOCKETCALL_CONNECT, low.put(&args)])
}

/// `sendfile` of 32-bit programs, which have two: with offsets of 32 and of 64 bits.
pub(crate) fn sendfile(number: SendfileNumber, from: i32, to: i32, bytes: usize) -> Ret {
    let number = match number {
        SendfileNumber::Old => SENDFILE,
        SendfileNumber::Wide => SENDFILE64,
    };
    int80(number, &[to as u32, from as u32, 0, bytes as u32])
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum SendfileNumber {
    Old,
    Wide,
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "compat-setns" => {
            let path = c_string(words.word("path")?);
            let flags = namespace::flags(&words.text("type")?)?;
            let fd = sys::open(&path, libc::O_RDONLY | libc::O_CLOEXEC);
            if fd.failed() { fd } else { int80(SETNS, &[fd.value as u32, flags as u32]) }
        }
        "compat-setuid" => int80(SETUID32, &[words.number("uid")?]),
        "compat-unshare" => int80(UNSHARE, &[namespace::flags(&words.text("types")?)? as u32]),
        "compat-mount" => {
            let (kind, dir) = (c_string(words.word("type")?), c_string(words.word("directory")?));
            let mut low = Low::new();
            let (kind, dir) = (low.text(&kind), low.text(&dir));
            int80(MOUNT, &[kind, dir, kind, 0, 0])
        }
        "compat-open" => {
            int80(OPEN, &[Low::new().text(&c_string(words.word("path")?)), libc::O_RDONLY as u32])
        }
        "compat-openat" => {
            let path = Low::new().text(&c_string(words.word("path")?));
            int80(OPENAT, &[libc::AT_FDCWD as u32, path, libc::O_RDONLY as u32])
        }
        "compat-connect-unix" => connect_unix(&c_string(words.word("path")?)),
        "x32-unshare" => plain(libc::SYS_unshare | X32_BIT, &[namespace::flags(&words.text("types")?)?]),
        _ => return Ok(None),
    }))
}
