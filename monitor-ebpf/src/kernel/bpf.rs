//! The objects behind descriptors of `bpf(2)` (kernel `include/linux/bpf.h`).

use monitor_common::event::bpf_object;
use monitor_common::offsets::FieldId as F;

use super::{Ptr, read_kernel};

/// A program, map or link.
#[derive(Clone, Copy)]
pub(crate) struct Object {
    /// One of [`bpf_object`].
    pub(crate) kind: u32,
    pub(crate) id: u32,
    /// The program, or the link's.
    pub(crate) program: Ptr,
    /// The map.
    pub(crate) map: Ptr,
}

/// Names of the anonymous files of `bpf_map_new_fd()`, `bpf_prog_new_fd()` and `bpf_link_prime()` (kernel
/// `kernel/bpf/syscall.c`): their first eight bytes.
const MAP: u64 = u64::from_ne_bytes(*b"bpf-map\0");
const PROGRAM: u64 = u64::from_ne_bytes(*b"bpf-prog");
const LINK: u64 = u64::from_ne_bytes(*b"bpf_link");

impl Object {
    /// The object behind an open file. A file of another kind may be called the same, but no path can name it: the
    /// descriptor was used by `bpf(2)`, which has checked it.
    #[inline(always)]
    pub(crate) fn of(file: Ptr) -> Self {
        let name = read_kernel::<u64>(file.follow(F::FileDentry).follow(F::DentryName).0);
        let private = file.follow(F::FilePrivate);
        let none = Self { kind: bpf_object::NONE, id: 0, program: Ptr::NULL, map: Ptr::NULL };
        match name {
            MAP => Self { kind: bpf_object::MAP, id: private.read(F::BpfMapId), map: private, ..none },
            PROGRAM => Self { kind: bpf_object::PROGRAM, id: program_id(private), program: private, ..none },
            LINK => Self {
                kind: bpf_object::LINK,
                id: private.read(F::BpfLinkId),
                program: private.follow(F::BpfLinkProg),
                ..none
            },
            _ => none,
        }
    }

    /// Address of the name of the map or program; 0 if there is none.
    #[inline(always)]
    pub(crate) fn name(&self) -> u64 {
        if self.kind == bpf_object::MAP {
            return self.map.inside(F::BpfMapName).0;
        }
        let aux = self.program.follow(F::BpfProgAux);
        if aux.is_valid() { aux.inside(F::BpfProgName).0 } else { 0 }
    }
}

/// Id of a program.
#[inline(always)]
pub(crate) fn program_id(program: Ptr) -> u32 {
    program.follow(F::BpfProgAux).read(F::BpfProgId)
}
