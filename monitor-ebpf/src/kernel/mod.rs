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

use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_user,
};
use monitor_common::kfunc;
use monitor_common::offsets::{FIELD_COUNT, FieldId, KERNEL_FIELDS, MISSING};

use crate::maps::config;

/// Offsets in bytes, by [`FieldId`]; set by the loader before the object is loaded.
#[unsafe(no_mangle)]
static OFFSETS: [u16; FIELD_COUNT] = [MISSING; FIELD_COUNT];

/// The offset of a field, or `None` if this kernel does not have it.
#[inline(always)]
pub(crate) fn offset(field: FieldId) -> Option<u64> {
    let raw = raw_offset(field);
    if raw == MISSING { None } else { Some(u64::from(raw)) }
}

#[inline(always)]
fn raw_offset(field: FieldId) -> u16 {
    // SAFETY: a valid index into a static; volatile, because the loader changes the bytes.
    unsafe { core::ptr::read_volatile(&raw const OFFSETS[field as usize]) }
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

/// A kernel object that fields can be read of.
pub(crate) trait Object: Copy {
    /// Its address.
    fn address(self) -> Ptr;

    /// The object at an address that a field of such an object holds.
    fn at(address: u64) -> Self;

    /// True if the verifier knows its type.
    fn is_typed() -> bool;

    /// As [`Ptr::read`].
    #[inline(always)]
    fn read<T: Zeroable>(self, field: FieldId) -> T {
        if Self::is_typed() { load(self.address().0, field) } else { self.address().read(field) }
    }

    /// As [`Ptr::follow`].
    #[inline(always)]
    fn follow(self, field: FieldId) -> Self {
        Self::at(self.read::<u64>(field))
    }
}

impl Object for Ptr {
    #[inline(always)]
    fn address(self) -> Ptr {
        self
    }

    #[inline(always)]
    fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    fn is_typed() -> bool {
        false
    }
}

/// An object whose type the verifier knows: the current task, an argument of a typed hook, and what their fields point
/// to. Its fields are read by plain loads, a tenth of what the helper costs; where that is not to be had, as those of
/// [`Ptr`].
///
/// A load must be of the field's size. From null, or from an address that faults, it gives zero, as the helper does
/// (`BPF_PROBE_MEM`, kernel `kernel/bpf/verifier.c`).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Known(u64);

impl Known {
    /// The current task. Not for programs of cgroups, which may ask for it from 6.8 on only.
    #[inline(always)]
    pub(crate) fn current_task() -> Self {
        if config!(typed) == 1 {
            // SAFETY: the helper has no preconditions.
            return Self(unsafe { bpf_get_current_task_btf() } as u64);
        }
        // SAFETY: as above.
        Self(unsafe { bpf_get_current_task() })
    }

    /// A pointer argument of a typed hook.
    #[inline(always)]
    pub(crate) fn argument(address: u64) -> Self {
        Self(address)
    }
}

impl Object for Known {
    #[inline(always)]
    fn address(self) -> Ptr {
        Ptr(self.0)
    }

    #[inline(always)]
    fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    fn is_typed() -> bool {
        config!(typed) == 1
    }
}

/// An object at an address that a helper read. From 6.2 on the verifier takes our word for its type
/// (`bpf_rdonly_cast()`, kernel `kernel/bpf/helpers.c`; it costs nothing), and its fields are read by plain loads, as those
/// of [`Known`]; before, as those of [`Ptr`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Cast(u64);

impl Cast {
    /// A `struct file`.
    #[inline(always)]
    pub(crate) fn file(file: Ptr) -> Self {
        Self::to(file, config!(file_type))
    }

    /// A `struct mount`.
    #[inline(always)]
    pub(crate) fn mount(mount: Ptr) -> Self {
        Self::to(mount, config!(mount_type))
    }

    /// The address that is kept at an address: read as the only or first field of a `struct fd`, which is one.
    #[inline(always)]
    pub(crate) fn pointer(at: u64) -> Ptr {
        let id = config!(fd_type);
        if id == 0 {
            return Ptr(read_kernel(at));
        }
        // SAFETY: as in `load`.
        Ptr(unsafe { (Self::to(Ptr(at), id).0 as *const u64).read_volatile() })
    }

    #[inline(always)]
    fn to(object: Ptr, id: u32) -> Self {
        if id == 0 {
            return Self(object.0);
        }
        // SAFETY: a call by number is a call of a helper to the compiler, as in `aya_ebpf::helpers`.
        let cast: unsafe extern "C" fn(u64, u32) -> u64 =
            unsafe { core::mem::transmute(kfunc::CAST as usize) };
        // SAFETY: the function takes any address, and the loader gave the type.
        Self(unsafe { cast(object.0, id) })
    }
}

impl Object for Cast {
    #[inline(always)]
    fn address(self) -> Ptr {
        Ptr(self.0)
    }

    #[inline(always)]
    fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    fn is_typed() -> bool {
        config!(file_type) != 0
    }
}

/// Reads a field of an object whose type the verifier knows.
///
/// Of a required field it is not asked whether this kernel has it: a program that reads one that is missing is not attached,
/// or asks before (`monitor/src/bpf/needs.rs`), and the question would cost as much as a third of the load.
#[inline(always)]
fn load<T: Zeroable>(object: u64, field: FieldId) -> T {
    let at = if KERNEL_FIELDS[field as usize].required {
        Some(u64::from(raw_offset(field)))
    } else {
        offset(field)
    };
    match at {
        // SAFETY: the verifier checks type and offset, and a fault reads as 0; volatile, so that the load stays as
        // it is written.
        Some(at) => unsafe { (object as *const u8).add(at as usize).cast::<T>().read_volatile() },
        None => T::ZERO,
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
