//! Puts the kernel's functions into the places of the eBPF object that stand for them.

use monitor_common::preempt::{DISABLE, ENABLE};

use super::btf::Btf;

/// Bytes of an instruction.
const INSTRUCTION: usize = 8;
/// `BPF_JMP | BPF_CALL`, and `BPF_JMP | BPF_JA`, which goes on with the next instruction.
const CALL: u8 = 0x85;
const GO_ON: u8 = 0x05;
/// `BPF_PSEUDO_KFUNC_CALL` in the source register's place, kernel `include/uapi/linux/bpf.h`.
const KERNEL_FUNCTION: u8 = 2 << 4;

/// The object with calls of `bpf_preempt_disable()` and `bpf_preempt_enable()` if the kernel has them and they can be
/// used, else with nothing in their places.
///
/// Both are there since 6.10; a program that calls a global function, as ours do, may use them since 6.15, which is
/// told by `bpf_res_spin_lock()`, of the same release.
pub(super) fn link(object: &[u8], types: &Btf) -> Vec<u8> {
    let id = |name: &str| types.function_id(name).filter(|_| types.has_function("bpf_res_spin_lock"));
    let (disable, enable) = (id("bpf_preempt_disable"), id("bpf_preempt_enable"));
    let both = disable.is_some() && enable.is_some();
    let mut linked = object.to_vec();
    for place in linked.chunks_exact_mut(INSTRUCTION).filter(|place| place.starts_with(&[CALL, 0, 0, 0])) {
        let wanted = match place[4..].try_into().map(u32::from_ne_bytes) {
            Ok(DISABLE) => disable,
            Ok(ENABLE) => enable,
            _ => continue,
        };
        let (code, registers, number) = match wanted.filter(|_| both) {
            Some(id) => (CALL, KERNEL_FUNCTION, id),
            None => (GO_ON, 0, 0),
        };
        place[..2].copy_from_slice(&[code, registers]);
        place[4..].copy_from_slice(&number.to_ne_bytes());
    }
    linked
}

/// True if programs of tracepoints can be preempted: since 7.0 they are protected by an SRCU domain of their own. That
/// name is an older one too, of kernels before 6.14, which used it where RCU did not watch; those have no
/// `bpf_res_spin_lock()`.
pub(super) fn is_possible(types: &Btf) -> bool {
    types.has_variable("tracepoint_srcu_srcu_data") && types.has_function("bpf_res_spin_lock")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aya_obj::ProgramSection;

    use super::*;

    /// The object that is embedded in the daemon, if it had been built.
    #[test]
    fn every_place_is_filled() {
        static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bulkhead-ebpf.o"));
        if OBJECT.is_empty() {
            return;
        }
        let places = |object: &[u8], number: u32| {
            let wanted = [&[CALL, 0, 0, 0][..], &number.to_ne_bytes()].concat();
            object.chunks_exact(INSTRUCTION).filter(|place| *place == wanted).count()
        };
        let parsed = aya_obj::Object::parse(OBJECT).unwrap();
        let programs: BTreeMap<_, _> = parsed.programs.iter().collect();
        for (name, program) in programs {
            if matches!(program.section, ProgramSection::BtfTracePoint | ProgramSection::FExit { .. }) {
                let calls = |number: u32| {
                    let code = &parsed.functions[&program.function_key()].instructions;
                    code.iter().any(|insn| insn.code == CALL && insn.imm.cast_unsigned() == number)
                };
                assert!(calls(DISABLE) && calls(ENABLE), "{name} can be preempted");
            }
        }
        assert!(places(OBJECT, DISABLE) > 50);
        // An older kernel, which has neither function.
        let linked = link(OBJECT, &Btf::parse(&EMPTY).unwrap());
        assert_eq!(places(&linked, DISABLE) + places(&linked, ENABLE), 0);
        assert_eq!(linked.len(), OBJECT.len());
    }

    /// BTF of no types: magic, version, flags, length of the header, then the bounds of types and strings.
    const EMPTY: [u8; 25] =
        [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
}
