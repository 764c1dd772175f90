//! Typed reads of kernel objects. The one place that knows offsets: each comes from the kernel's BTF, patched
//! into `OFFSETS` by the loader.

pub(crate) mod bpf;
pub(crate) mod cgroup;
pub(crate) mod file;
pub(crate) mod mount;
pub(crate) mod ns;
pub(crate) mod overlay;
pub(crate) mod pid;
pub(crate) mod regs;
pub(crate) mod sock;
pub(crate) mod task;

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use monitor_common::offsets::{FIELD_COUNT, FieldId, MISSING};

/// Offsets in bytes, by [`FieldId`]; set by the loader before the object is loaded.
#[unsafe(no_mangle)]
static OFFSETS: [u16; FIELD_COUNT] = [MISSING; FIELD_COUNT];

/// The offset of a field, or `None` if this kernel does not have it.
#[inline(always)]
pub(crate) fn offset(field: FieldId) -> Option<u64> {
    // SAFETY: a valid index into a static; volatile, because the loader changes the bytes.
    let raw = unsafe { core::ptr::read_volatile(&raw const OFFSETS[field as usize]) };
    if raw == MISSING { None } else { Some(u64::from(raw)) }
}

/// The address of a kernel object, 0 for none. Never dereferenced, only read through the probe helpers.
///
/// A read from no object, or from an address that faults, gives zeros, because the helpers clear the
/// destination when they fail (`bpf_probe_read_kernel_common()`, kernel `kernel/trace/bpf_trace.c`). A chain of
/// reads therefore needs no branches, which keeps the verifier's work small.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Ptr(pub(crate) u64);

impl Ptr {
    /// No object.
    pub(crate) const NULL: Self = Self(0);

    /// True for an object; false for a null pointer and for `ERR_PTR` values (the last page of the address
    /// space).
    #[inline(always)]
    pub(crate) fn is_valid(self) -> bool {
        self.0 != 0 && self.0 <= u64::MAX - 4095
    }

    /// Reads a plain value from a field; zero if this kernel lacks the field or the read fails.
    #[inline(always)]
    pub(crate) fn read<T: Zeroable>(self, field: FieldId) -> T {
        match offset(field) {
            Some(offset) => read_kernel(self.0.wrapping_add(offset)),
            None => T::ZERO,
        }
    }

    /// Follows a pointer field.
    #[inline(always)]
    pub(crate) fn follow(self, field: FieldId) -> Self {
        Self(self.read::<u64>(field))
    }

    /// The address of an embedded field.
    #[inline(always)]
    pub(crate) fn inside(self, field: FieldId) -> Self {
        match offset(field) {
            Some(offset) => Self(self.0.wrapping_add(offset)),
            None => Self::NULL,
        }
    }

    /// The object that this address is an embedded field of.
    #[inline(always)]
    pub(crate) fn container_of(self, field: FieldId) -> Self {
        match offset(field) {
            Some(offset) => Self(self.0.wrapping_sub(offset)),
            None => Self::NULL,
        }
    }
}

/// A type of which all zeros is a value.
pub(crate) trait Zeroable: Copy {
    /// That value.
    const ZERO: Self;
}

macro_rules! zeroable {
    ($($ty:ty = $zero:expr),+) => {$(
        impl Zeroable for $ty {
            const ZERO: Self = $zero;
        }
    )+};
}
zeroable!(
    u8 = 0,
    u16 = 0,
    u32 = 0,
    i32 = 0,
    u64 = 0,
    i64 = 0,
    [u8; 2] = [0; 2],
    [u8; 4] = [0; 4],
    [u8; 16] = [0; 16],
    [u32; 3] = [0; 3],
    [u32; 6] = [0; 6],
    [u64; 6] = [0; 6]
);

/// Reads a value from a kernel address; zero if that fails.
#[inline(always)]
pub(crate) fn read_kernel<T: Zeroable>(address: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address; it fills the destination with what it read or with zeros, and
    // both are values of a `Zeroable` number.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _);
        value.assume_init()
    }
}

/// The same value, of which the verifier knows nothing: all the ways on which it had learned something different meet
/// again here, and what follows is looked at once instead of once for each of them.
#[inline(always)]
pub(crate) fn forget<T: Copy>(mut value: T) -> T {
    let at = &raw mut value;
    // SAFETY: the value is on this program's stack, which the helper can always read, and is copied onto itself.
    unsafe { bpf_probe_read_kernel(at.cast(), size_of::<T>() as u32, at.cast_const().cast()) };
    value
}

/// Reads a value from a user address of the current task; zero if that fails.
#[inline(always)]
pub(crate) fn read_user<T: Zeroable>(address: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as above.
    unsafe {
        bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _);
        value.assume_init()
    }
}
