//! The only place that reserves, fills and submits records.
//!
//! A record is built in its ring slot, never in per-CPU scratch: two programs may interleave on one CPU, and
//! a slot belongs to one of them. The slot has a fixed size class; the header's length says how much counts.

mod filled;

use core::mem::{MaybeUninit, offset_of};

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str,
    bpf_ringbuf_query,
};
use aya_ebpf::maps::ring_buf::RingBufEntry;
use monitor_common::event::{EventKind, HEADER_LEN, Header, STRING_PREFIX, TRUNCATED, UNREACHABLE, flags};
use monitor_common::offsets::FieldId as F;

use crate::account;
use crate::filter::{Owner, Subject};
use crate::kernel::Ptr;
use crate::kernel::task::Task;
use crate::maps::{BULK, CRITICAL, opaque};

/// `BPF_RB_AVAIL_DATA` (kernel `include/uapi/linux/bpf.h`).
const AVAIL_DATA: u64 = 0;

/// Longest string other than a path or argv.
pub(crate) const STRING_MAX: usize = 256;
/// Most bytes of a path.
pub(crate) const PATH_MAX: usize = 1024;
/// Most bytes of one path component with its NUL (`NAME_MAX` + 1).
const COMPONENT_MAX: usize = 256;
/// Most components of a path. With the byte limit this bounds the walk for the verifier.
const COMPONENTS_MAX: usize = 40;

/// Which ring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ring {
    /// The critical ring, past every budget: what happens once to a container, or by a trusted runtime only.
    Vital,
    /// Reserved for set-up and invariants; wakes the reader.
    Critical,
    /// This CPU's own.
    Bulk,
}

/// A slot: header, payload, `N` bytes for the tail, and working memory that is not part of the record.
#[repr(C)]
pub(crate) struct Slot<T, const N: usize> {
    header: Header,
    body: T,
    tail: [u8; N],
    work: Work,
}

/// Variables kept in the slot instead of in registers.
///
/// The verifier follows every value that a register may have through every path, and the rounds of a loop
/// never look alike to it. What is loaded from the slot is simply unknown to it, so that all paths meet again.
#[repr(C)]
struct Work {
    /// Flags for `bpf_ringbuf_submit`.
    wake: u64,
    /// Bytes of the tail used.
    at: u64,
    /// Bytes of the path written.
    len: u64,
    /// Flags of the path.
    marks: u64,
    /// Mount and dentry that the walk has reached.
    mnt: u64,
    dentry: u64,
}

/// A record being filled.
pub(crate) struct Out<T: 'static, const N: usize> {
    entry: RingBufEntry<Slot<T, N>>,
    ring: Ring,
    kind: EventKind,
}

/// Reserves a slot for a record of this kind about this task. `None` if there is to be none, which is counted:
/// nobody wants the kind, the container is over its budget, or the ring is full.
#[inline(always)]
pub(crate) fn reserve<T: 'static, const N: usize>(
    ring: Ring,
    kind: EventKind,
    subject: &Subject,
) -> Option<Out<T, N>> {
    let attempt = account::attempt(ring, kind, subject)?;
    let mut wake = 0;
    let entry = if ring == Ring::Bulk {
        // SAFETY: the helper has no preconditions.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        match BULK.get(cpu) {
            Some(own) => {
                let map = core::ptr::from_ref(own).cast_mut().cast();
                // SAFETY: the reference is the map itself, which the helper only reads.
                let used = || unsafe { bpf_ringbuf_query(map, AVAIL_DATA) };
                wake = attempt.wake_flags(size_of::<Slot<T, N>>(), used);
                own.reserve_untyped::<Slot<T, N>>(0)
            }
            None => None,
        }
    } else {
        CRITICAL.reserve_untyped::<Slot<T, N>>(0)
    };
    match entry {
        Some(entry) => {
            let mut out = Out { entry, ring, kind };
            let slot = out.entry.as_mut_ptr();
            // SAFETY: the slot is reserved memory of this type.
            unsafe {
                (&raw mut (*slot).header.seq).write(attempt.seq);
                (&raw mut (*slot).header.time).write(attempt.now);
            }
            out.set(offset_of!(Work, wake), wake);
            out.set(offset_of!(Work, at), 0);
            Some(out)
        }
        None => {
            account::ring_full(ring, kind, subject.container);
            None
        }
    }
}

impl<T: 'static, const N: usize> Out<T, N> {
    #[inline(always)]
    fn base(&mut self) -> *mut u8 {
        (&raw mut *self.entry).cast::<MaybeUninit<u8>>().cast()
    }

    #[inline(always)]
    fn work(&mut self, field: usize) -> *mut u64 {
        // SAFETY: inside the slot.
        unsafe { self.base().add(offset_of!(Slot<T, N>, work) + field).cast() }
    }

    #[inline(always)]
    fn get(&mut self, field: usize) -> u64 {
        // SAFETY: aligned memory of the slot, written before it is read; volatile, because the point is to
        // go through memory.
        unsafe { self.work(field).read_volatile() }
    }

    #[inline(always)]
    fn set(&mut self, field: usize, value: u64) {
        // SAFETY: as above.
        unsafe { self.work(field).write_volatile(value) };
    }

    /// Writes the payload.
    #[inline(always)]
    pub(crate) fn body(&mut self, body: T) {
        let slot = self.entry.as_mut_ptr();
        // SAFETY: the slot is reserved memory of this type.
        unsafe { (&raw mut (*slot).body).write(body) };
    }

    /// The payload, for records too large to pass over the stack. Every field must be written.
    #[inline(always)]
    pub(crate) fn body_ptr(&mut self) -> *mut T {
        let slot = self.entry.as_mut_ptr();
        // SAFETY: inside the slot.
        unsafe { &raw mut (*slot).body }
    }

    #[inline(always)]
    fn tail(&mut self) -> *mut u8 {
        // SAFETY: inside the slot.
        unsafe { self.base().add(offset_of!(Slot<T, N>, tail)) }
    }

    /// Opens a string of at most `max` bytes: its place, or `None` if the tail is used up.
    #[inline(always)]
    fn open(&mut self, max: usize) -> Option<*mut u8> {
        let at = opaque(self.get(offset_of!(Work, at)) as usize);
        if max + STRING_PREFIX > N || at > N - max - STRING_PREFIX {
            return None;
        }
        // SAFETY: `at` plus prefix plus `max` lies within the tail.
        Some(unsafe { self.tail().add(at) })
    }

    #[inline(always)]
    fn close(&mut self, place: *mut u8, len: usize, flags: u16) {
        let prefix = [len as u16, flags];
        // SAFETY: `open` checked that the prefix fits.
        unsafe {
            place.cast::<[u8; 2]>().write(prefix[0].to_ne_bytes());
            place.add(2).cast::<[u8; 2]>().write(prefix[1].to_ne_bytes());
        }
        let at = self.get(offset_of!(Work, at));
        self.set(offset_of!(Work, at), at + (STRING_PREFIX + len) as u64);
    }

    /// Adds an empty string.
    #[inline(always)]
    pub(crate) fn empty(&mut self) {
        if let Some(place) = self.open(0) {
            self.close(place, 0, 0);
        }
    }

    /// Adds a NUL-terminated string from kernel memory.
    #[inline(always)]
    pub(crate) fn kernel_string(&mut self, from: u64, flags: u16) {
        self.string(from, flags, false);
    }

    /// Adds a NUL-terminated string from user memory.
    #[inline(always)]
    pub(crate) fn user_string(&mut self, from: u64, flags: u16) {
        self.string(from, flags, true);
    }

    #[inline(always)]
    fn string(&mut self, from: u64, flags: u16, user: bool) {
        let Some(place) = self.open(STRING_MAX) else { return };
        let mut len = 0usize;
        if from != 0 {
            // SAFETY: `open` left STRING_MAX bytes behind the prefix; the helpers check the source.
            let got = unsafe {
                let to = place.add(STRING_PREFIX).cast();
                if user {
                    bpf_probe_read_user_str(to, STRING_MAX as u32, from as *const _)
                } else {
                    bpf_probe_read_kernel_str(to, STRING_MAX as u32, from as *const _)
                }
            };
            if got > 0 {
                len = opaque(got as usize - 1);
            }
        }
        if len > STRING_MAX - 1 {
            len = STRING_MAX - 1;
        }
        let cut = if len == STRING_MAX - 1 { TRUNCATED } else { 0 };
        self.close(place, len, flags | cut);
    }

    /// Adds a string of which all is missing.
    #[inline(always)]
    pub(crate) fn missing(&mut self) {
        if let Some(place) = self.open(0) {
            self.close(place, 0, TRUNCATED);
        }
    }

    /// Adds `len` bytes from user memory, at most `MAX`.
    #[inline(always)]
    pub(crate) fn user_bytes<const MAX: usize>(&mut self, from: u64, len: u64, flags: u16) {
        let Some(place) = self.open(MAX) else { return };
        let mut cut = if len > MAX as u64 { TRUNCATED } else { 0 };
        let mut size = opaque(len as usize);
        if size > MAX {
            size = MAX;
        }
        // SAFETY: `open` left MAX bytes behind the prefix; the helper checks the source.
        let got =
            unsafe { bpf_probe_read_user(place.add(STRING_PREFIX).cast(), size as u32, from as *const _) };
        if got != 0 {
            size = 0;
            cut = TRUNCATED;
        }
        self.close(place, size, flags | cut);
    }

    /// Adds a path of a unix address: it ends at a NUL, or after `len` bytes, of which `MAX` are the most.
    #[inline(always)]
    pub(crate) fn address_path<const MAX: usize>(&mut self, from: u64, len: u64, user: bool, flags: u16) {
        let Some(place) = self.open(MAX + 1) else { return };
        let mut size = opaque(len as usize);
        if size > MAX {
            size = MAX;
        }
        // SAFETY: `open` left MAX + 1 bytes behind the prefix; the helpers check the source and end with a NUL.
        let got = unsafe {
            let to = place.add(STRING_PREFIX).cast();
            if user {
                bpf_probe_read_user_str(to, size as u32 + 1, from as *const _)
            } else {
                bpf_probe_read_kernel_str(to, size as u32 + 1, from as *const _)
            }
        };
        let mut text = if got > 0 { opaque(got as usize - 1) } else { 0 };
        if text > MAX {
            text = MAX;
        }
        self.close(place, text, flags);
    }

    /// Adds a path, walking from the dentry up through its mounts: components last first, each with its NUL.
    ///
    /// `from` and `root` are mount and dentry. The walk ends at `root` (the task's root, null if it does not
    /// matter), or at the root of the mount tree; then the path is marked as not reachable from `root`.
    #[inline(always)]
    pub(crate) fn path(&mut self, from: (Ptr, Ptr), root: (Ptr, Ptr)) {
        let Some(place) = self.open(PATH_MAX) else { return };
        self.set(offset_of!(Work, len), 0);
        self.set(offset_of!(Work, marks), u64::from(TRUNCATED));
        self.set(offset_of!(Work, mnt), from.0.0);
        self.set(offset_of!(Work, dentry), from.1.0);
        // COMPONENTS_MAX bounds the loop: one round adds a component or crosses a mount.
        for _ in 0..COMPONENTS_MAX {
            let mnt = Ptr(self.get(offset_of!(Work, mnt)));
            let dentry = Ptr(self.get(offset_of!(Work, dentry)));
            if dentry == root.1 && mnt == root.0 {
                self.set(offset_of!(Work, marks), 0);
                break;
            }
            let parent = dentry.follow(F::DentryParent);
            if dentry == mnt.follow(F::VfsmountRoot) || parent == dentry {
                let mount = mnt.container_of(F::MountMnt);
                let above = mount.follow(F::MountParent);
                if above == mount || above == Ptr::NULL {
                    let marks = if root.1 == Ptr::NULL { 0 } else { u64::from(UNREACHABLE) };
                    self.set(offset_of!(Work, marks), marks);
                    break;
                }
                self.set(offset_of!(Work, dentry), mount.follow(F::MountMountpoint).0);
                self.set(offset_of!(Work, mnt), above.inside(F::MountMnt).0);
                continue;
            }
            let here = opaque(self.get(offset_of!(Work, len)) as usize);
            if here > PATH_MAX - COMPONENT_MAX {
                break;
            }
            // SAFETY: COMPONENT_MAX bytes from `here` lie within the PATH_MAX that `open` left.
            let got = unsafe {
                bpf_probe_read_kernel_str(
                    place.add(STRING_PREFIX).add(here).cast(),
                    COMPONENT_MAX as u32,
                    dentry.follow(F::DentryName).0 as *const _,
                )
            };
            if got <= 0 {
                break;
            }
            self.set(offset_of!(Work, len), here as u64 + got as u64);
            self.set(offset_of!(Work, dentry), parent.0);
        }
        let mut len = opaque(self.get(offset_of!(Work, len)) as usize);
        if len > PATH_MAX {
            len = PATH_MAX;
        }
        let marks = self.get(offset_of!(Work, marks)) as u16;
        self.close(place, len, marks);
    }

    /// Writes the header, with the current task, which `reserve` was called for, and hands the record over.
    #[inline(always)]
    pub(crate) fn submit(self, subject: &Subject, extra: u16) {
        self.submit_as(subject, Owner::of(Task::known()), extra);
    }

    /// The same where programs of cgroups come by, too, which may not ask for [`Task::known`].
    #[inline(always)]
    pub(crate) fn submit_anywhere(self, subject: &Subject, extra: u16) {
        self.submit_as(subject, Owner::of(subject.task), extra);
    }

    /// The same for a task that is not here to be asked.
    #[inline(always)]
    pub(crate) fn submit_as(mut self, subject: &Subject, owner: Owner, extra: u16) {
        let at = self.get(offset_of!(Work, at)) as usize;
        let mut bits = extra | subject.flags();
        if self.ring != Ring::Bulk {
            bits |= flags::CRITICAL;
        }
        let len = (HEADER_LEN + size_of::<T>() + at) as u16;
        let slot = self.entry.as_mut_ptr();
        // SAFETY: the slot is reserved memory of this type, and the helper has no preconditions. Field by field:
        // a header on the stack would be 64 of its 512 bytes.
        unsafe {
            (*slot).header.kind = self.kind as u16;
            (*slot).header.len = len;
            (*slot).header.cpu = bpf_get_smp_processor_id() as u16;
            (*slot).header.flags = bits;
            (*slot).header.container = subject.container;
            (*slot).header.cgroup = subject.cgroup;
            (*slot).header.pid = subject.pid;
            (*slot).header.tid = subject.tid;
            (*slot).header.started = owner.started;
            (*slot).header.uid = owner.uid;
            (*slot).header.euid = owner.euid;
        }
        account::submitted(self.kind);
        let wake = self.get(offset_of!(Work, wake));
        self.entry.submit(wake);
    }
}
