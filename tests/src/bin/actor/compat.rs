//! The same acts through the 32-bit system call entry of x86-64 (`int 0x80`), which programs on functions of native
//! calls do not see.

use crate::sys::{self, Ret, c_string};
use crate::{Usage, Words, namespace};

// Numbers of `arch/x86/entry/syscalls/syscall_32.tbl`.
const SETNS: u32 = 346;
const SETUID32: u32 = 213;

#[cfg(target_arch = "x86_64")]
fn int80(number: u32, first: u32, second: u32) -> Ret {
    let answer: i64;
    // SAFETY: the calls made here take numbers only. rbx, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg {first}, rbx",
            "int 0x80",
            "xchg {first}, rbx",
            first = inout(reg) u64::from(first) => _,
            inlateout("rax") i64::from(number) => answer,
            in("rcx") u64::from(second),
            // The 32-bit entry of older kernels does not keep these.
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let value = answer as i32;
    if value < 0 { Ret::refused(-value) } else { Ret { value: i64::from(value), errno: 0 } }
}

#[cfg(not(target_arch = "x86_64"))]
fn int80(_: u32, _: u32, _: u32) -> Ret {
    Ret::refused(libc::ENOSYS)
}

pub(crate) fn act(verb: &str, words: &mut Words) -> Result<Option<Ret>, Usage> {
    Ok(Some(match verb {
        "compat-setns" => {
            let path = c_string(words.word("path")?);
            let flags = namespace::flags(&words.text("type")?)?;
            let fd = sys::open(&path, libc::O_RDONLY | libc::O_CLOEXEC);
            if fd.failed() { fd } else { int80(SETNS, fd.value as u32, flags as u32) }
        }
        "compat-setuid" => int80(SETUID32, words.number("uid")?, 0),
        _ => return Ok(None),
    }))
}
