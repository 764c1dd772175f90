//! Two tiny BPF programs, written instruction by instruction: one that does nothing, and one that only reserves and
//! submits.
//!
//! `include/uapi/linux/bpf.h` has the encoding, kernel `Documentation/bpf/standardization/instruction-set.rst` says
//! what each does.

/// `bpf_ringbuf_reserve` and `bpf_ringbuf_submit`, numbers of helpers.
const RESERVE: i32 = 131;
const SUBMIT: i32 = 132;
/// `BPF_RB_NO_WAKEUP`.
const NO_WAKEUP: i32 = 1;
/// `BPF_PSEUDO_MAP_FD`: the immediate value is a map's descriptor.
const MAP_FD: u8 = 1;

/// One instruction: operation, registers, offset, immediate value.
fn op(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    // The first register is in the half byte that comes first in memory's bit order.
    let registers = if cfg!(target_endian = "little") { to | from << 4 } else { to << 4 | from };
    let (o, v) = (offset.to_ne_bytes(), value.to_ne_bytes());
    u64::from_ne_bytes([code, registers, o[0], o[1], v[0], v[1], v[2], v[3]])
}

fn set(to: u8, value: i32) -> u64 {
    op(0xb7, to, 0, 0, value)
}

fn copy(to: u8, from: u8) -> u64 {
    op(0xbf, to, from, 0, 0)
}

fn call(helper: i32) -> u64 {
    op(0x85, 0, 0, 0, helper)
}

/// The end of a program.
fn exit() -> u64 {
    op(0x95, 0, 0, 0, 0)
}

/// Returns at once. What a cgroup program returns must let everything pass: 1.
pub(crate) fn noop(result: i32) -> Vec<u64> {
    vec![set(0, result), exit()]
}

/// Reserves and submits a record of 8 bytes, `rounds` times, without waking anybody. Register 6 counts the rounds.
pub(crate) fn submits(ring: i32, rounds: i32) -> Vec<u64> {
    vec![
        set(6, 0),
        op(0x18, 1, MAP_FD, 0, ring),
        op(0, 0, 0, 0, 0),
        set(2, 8),
        set(3, 0),
        call(RESERVE),
        // A full ring gives null: next round.
        op(0x15, 0, 0, 4, 0),
        op(0x7b, 0, 6, 0, 0),
        copy(1, 0),
        set(2, NO_WAKEUP),
        call(SUBMIT),
        op(0x07, 6, 0, 0, 1),
        // Back to the load of the ring's descriptor.
        op(0xa5, 6, 0, -12, rounds),
        set(0, 0),
        exit(),
    ]
}

/// The same loop with nothing in it.
pub(crate) fn rounds(rounds: i32) -> Vec<u64> {
    vec![set(6, 0), op(0x07, 6, 0, 0, 1), op(0xa5, 6, 0, -2, rounds), set(0, 0), exit()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn encoding_is_the_kernels() {
        // `r0 = 1; exit`, as `llvm-objdump` shows it.
        assert_eq!(noop(1), [0x0000_0001_0000_00b7, 0x95]);
        assert_eq!(copy(1, 0), 0x0000_0000_0000_01bf);
    }

    #[test]
    fn jumps_stay_inside() {
        for code in [submits(3, 512), rounds(512)] {
            for (at, instruction) in code.iter().enumerate() {
                let bytes = instruction.to_ne_bytes();
                if matches!(bytes[0], 0x15 | 0xa5) {
                    let to = at as i64 + 1 + i64::from(i16::from_ne_bytes([bytes[2], bytes[3]]));
                    assert!((0..code.len() as i64).contains(&to), "{at} jumps to {to}");
                }
            }
        }
    }
}
