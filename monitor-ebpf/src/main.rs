//! Bulkhead's kernel side: filter, reserve, fill, submit. It judges nothing; the user side does.
//!
//! `hooks/` has one file a family of kernel hooks, `kernel/` reads kernel objects through the offset table,
//! `filter.rs` says whose task it is, `emit.rs` is the only place that writes records.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(unsafe_code, reason = "kernel memory is reached by address")]

mod account;
mod emit;
mod filter;
mod hooks;
mod kernel;
mod listed;
mod maps;
mod preempt;
mod state;
mod storage;
mod twice;
mod watch;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // A reachable panic makes the verifier refuse the program: there is nothing to run here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
