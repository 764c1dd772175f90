//! Puts the kernel's functions into the places of the eBPF object that stand for them.

use monitor_common::kfunc;

use super::btf::Btf;
use super::preempt;

/// Bytes of an instruction.
const INSTRUCTION: usize = 8;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
/// Operation and registers of `BPF_JMP | BPF_JA`, which goes on with the next instruction.
const GO_ON: [u8; 2] = [0x05, 0];
/// The same of `BPF_ALU64 | BPF_MOV | BPF_X`: what is given back (r0) is the first argument (r1).
const GIVE_BACK: [u8; 2] = [0xbf, 1 << 4];
/// `BPF_PSEUDO_KFUNC_CALL` in the source register's place, kernel `include/uapi/linux/bpf.h`.
const KERNEL_FUNCTION: u8 = 2 << 4;

/// The kernel's functions that the object may call, each if this kernel has it and it can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Functions {
    /// `bpf_preempt_disable()` and `bpf_preempt_enable()`.
    preempt: Option<(u32, u32)>,
    /// The same for programs of tracepoints.
    preempt_at_tracepoint: Option<(u32, u32)>,
    cast: Option<Cast>,
}

/// `bpf_rdonly_cast()`, and the types that the object gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cast {
    function: u32,
    file: u32,
    mount: u32,
    fd: u32,
}

impl Functions {
    /// Those of a kernel with these types.
    ///
    /// The first two are there since 6.10; a program that calls a global function, as ours do, may use them since 6.15,
    /// which is told by `bpf_res_spin_lock()`, of the same release. `bpf_rdonly_cast()` is there since 6.2. An
    /// interpreter, which `has_jit` denies, calls none of them.
    pub(super) fn of(types: &Btf, has_jit: bool) -> Self {
        if !has_jit {
            return Self::default();
        }
        let pair =
            || Some((types.function_id("bpf_preempt_disable")?, types.function_id("bpf_preempt_enable")?));
        let cast = || {
            Some(Cast {
                function: types.function_id("bpf_rdonly_cast")?,
                file: types.struct_id("file").ok()?,
                mount: types.struct_id("mount").ok()?,
                fd: types.struct_id("fd").ok()?,
            })
        };
        let preempt = pair().filter(|_| types.has_function("bpf_res_spin_lock"));
        let preempt_at_tracepoint = preempt.filter(|_| preempt::is_possible(types));
        Self { preempt, preempt_at_tracepoint, cast: cast() }
    }

    /// The types of `struct file`, `struct mount` and `struct fd`, zeros where an address cannot be given a type.
    pub(super) fn types(&self) -> (u32, u32, u32) {
        self.cast.map_or((0, 0, 0), |cast| (cast.file, cast.mount, cast.fd))
    }

    /// The object with calls of these functions, and of nothing in the places of those that are not there.
    pub(super) fn link(&self, object: &[u8]) -> Vec<u8> {
        let mut linked = object.to_vec();
        for place in linked.chunks_exact_mut(INSTRUCTION).filter(|place| place.starts_with(&[CALL, 0, 0, 0]))
        {
            let (function, nothing) = match place[4..].try_into().map(u32::from_ne_bytes) {
                Ok(kfunc::DISABLE) => (self.preempt.map(|(disable, _)| disable), GO_ON),
                Ok(kfunc::ENABLE) => (self.preempt.map(|(_, enable)| enable), GO_ON),
                Ok(kfunc::DISABLE_AT_TRACEPOINT) => {
                    (self.preempt_at_tracepoint.map(|(disable, _)| disable), GO_ON)
                }
                Ok(kfunc::ENABLE_AT_TRACEPOINT) => {
                    (self.preempt_at_tracepoint.map(|(_, enable)| enable), GO_ON)
                }
                Ok(kfunc::CAST) => (self.cast.map(|cast| cast.function), GIVE_BACK),
                _ => continue,
            };
            let (code, number) = function.map_or((nothing, 0), |id| ([CALL, KERNEL_FUNCTION], id));
            place[..2].copy_from_slice(&code);
            place[4..].copy_from_slice(&number.to_ne_bytes());
        }
        linked
    }
}

/// True unless programs are interpreted (`net.core.bpf_jit_enable`, kernel `Documentation/admin-guide/sysctl/net.rst`).
/// Network namespaces other than the first do not show the setting; hardly anybody changes it.
pub(super) fn has_jit() -> bool {
    std::fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").map_or(true, |value| value.trim() != "0")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aya_obj::ProgramSection;

    use monitor_common::kfunc::{CAST, DISABLE, DISABLE_AT_TRACEPOINT, ENABLE, ENABLE_AT_TRACEPOINT};

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
            let pair = match program.section {
                ProgramSection::BtfTracePoint => Some([DISABLE_AT_TRACEPOINT, ENABLE_AT_TRACEPOINT]),
                ProgramSection::FExit { .. } => Some([DISABLE, ENABLE]),
                _ => None,
            };
            if let Some(pair) = pair {
                let calls = |number: u32| {
                    let code = &parsed.functions[&program.function_key()].instructions;
                    code.iter().any(|insn| insn.code == CALL && insn.imm.cast_unsigned() == number)
                };
                assert!(pair.into_iter().all(calls), "{name} can be preempted");
            }
        }
        assert!(places(OBJECT, DISABLE) > 50);
        assert!(places(OBJECT, CAST) > 0);
        // An older kernel, which has none of the functions.
        let linked = Functions::of(&Btf::parse(&EMPTY).unwrap(), true).link(OBJECT);
        let all = [DISABLE, ENABLE, DISABLE_AT_TRACEPOINT, ENABLE_AT_TRACEPOINT, CAST];
        assert_eq!(all.map(|number| places(&linked, number)), [0; 5]);
        assert_eq!(linked.len(), OBJECT.len());
    }

    #[test]
    fn places_become_calls_or_nothing() {
        let call = |number: u32| [&[CALL, 0, 0, 0][..], &number.to_ne_bytes()].concat();
        let object =
            [DISABLE, ENABLE, DISABLE_AT_TRACEPOINT, ENABLE_AT_TRACEPOINT, CAST, 35].map(call).concat();
        let functions = Functions {
            preempt: Some((7, 8)),
            preempt_at_tracepoint: None,
            cast: Some(Cast { function: 9, file: 10, mount: 11, fd: 12 }),
        };
        let kernel = |number: u32| [&[CALL, KERNEL_FUNCTION, 0, 0][..], &number.to_ne_bytes()].concat();
        let nothing = |code: [u8; 2]| [code[0], code[1], 0, 0, 0, 0, 0, 0].to_vec();
        let linked = |first: [Vec<u8>; 4], cast| [&first.concat(), &cast, &call(35)[..]].concat();
        let skipped = nothing(GO_ON);
        let of_tracepoints = [kernel(7), kernel(8), skipped.clone(), skipped.clone()];
        assert_eq!(functions.link(&object), linked(of_tracepoints, kernel(9)));
        let preemptible = Functions { preempt_at_tracepoint: Some((7, 8)), ..functions };
        let of_both = [kernel(7), kernel(8), kernel(7), kernel(8)];
        assert_eq!(preemptible.link(&object), linked(of_both, kernel(9)));
        assert_eq!(functions.types(), (10, 11, 12));
        let without = Functions::default();
        let of_none = [skipped.clone(), skipped.clone(), skipped.clone(), skipped];
        assert_eq!(without.link(&object), linked(of_none, nothing(GIVE_BACK)));
        assert_eq!(without.types(), (0, 0, 0));
    }

    /// BTF of no types: magic, version, flags, length of the header, then the bounds of types and strings.
    const EMPTY: [u8; 25] =
        [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
}
