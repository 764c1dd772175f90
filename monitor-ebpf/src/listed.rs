//! A task's entry in the table, looked up once for everything that is asked of it, and whether the task is still as it
//! was last seen.

use monitor_common::offsets::FieldId as F;
use monitor_common::policy::{TaskEntry, task_flags};

use crate::kernel::task::Task;
use crate::kernel::{Known, Object, Ptr, forget, mount};
use crate::maps::{TASKS, task_key};

/// The current task and its entry, looked up once for everything that is asked of them. Not for programs of cgroups.
#[derive(Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) task: Task<Known>,
    entry: *mut TaskEntry,
}

impl Listed {
    /// `None` if it has none. `task` is the current one.
    #[inline(always)]
    pub(crate) fn of(task: Task<Known>) -> Option<Self> {
        TASKS.get_ptr_mut(&task_key(task.tid())).map(|entry| Self { task, entry })
    }

    #[inline(always)]
    pub(crate) fn container(self) -> u64 {
        // SAFETY: a live map value, as below; a concurrent writer changes single fields only.
        unsafe { (*self.entry).container }
    }

    #[inline(always)]
    pub(crate) fn is_runtime(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.entry).flags & task_flags::RUNTIME != 0 }
    }

    /// True if [`crate::filter::compare`] or [`crate::filter::compare_creds`] has something to report.
    #[inline(always)]
    pub(crate) fn has_changed(self) -> bool {
        self.has_changed_beside(None)
    }

    /// The same where a mount and its namespace have been read already: mostly they are those of the task's root.
    #[inline(always)]
    pub(crate) fn has_changed_beside(self, mount: Option<(Ptr, Ptr)>) -> bool {
        if self.is_runtime() || self.container() == 0 {
            return false;
        }
        // SAFETY: as above; this task is the only one to write its entry.
        let (state, flags, old) =
            unsafe { ((*self.entry).state, (*self.entry).flags, ((*self.entry).uid, (*self.entry).euid)) };
        let cred = self.task.cred_ptr();
        let now = mixed(self.task, cred, mount, |addresses| addresses.map(|address| self.number(address)));
        state != now
            || (flags & task_flags::CREDS != 0 && (cred.read(F::CredUid), cred.read(F::CredEuid)) != old)
    }

    /// An address as a number to compute with: what comes back from a map has no type, and is had for less than from a
    /// helper.
    #[inline(always)]
    fn number(self, address: Ptr) -> u64 {
        // SAFETY: as above; volatile, so that it is written and read.
        unsafe {
            (&raw mut (*self.entry).scratch).write_volatile(address.0);
            (&raw const (*self.entry).scratch).read_volatile()
        }
    }
}

/// True if [`crate::filter::compare`] or [`crate::filter::compare_creds`] has something to report of the
/// current task. Not for programs of cgroups.
#[inline(always)]
pub(crate) fn has_changed() -> bool {
    bulkhead_has_changed() != 0
}

/// The body of [`has_changed`]: a global function, which the verifier looks at once for each program, and not anew on
/// every way that leads to the end of a call.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bulkhead_has_changed() -> u64 {
    u64::from(Listed::of(Task::known()).is_some_and(Listed::has_changed))
}

/// Digest of what confines a task: cheap to compute, differs when a namespace, the root's or the working
/// directory's mount namespace does. Never 0.
#[inline(always)]
pub(crate) fn digest<P: Object>(task: Task<P>) -> u64 {
    mixed(task, task.cred_ptr(), None, |addresses| forget(addresses).map(|address| address.0))
}

/// The same. The verifier lets no program compute with addresses of which it knows the type: `numbers` makes numbers
/// of them. `cred` are the task's credentials; `mount` is as in [`Listed::has_changed_beside`].
#[inline(always)]
fn mixed<P: Object>(
    task: Task<P>,
    cred: P,
    mount: Option<(Ptr, Ptr)>,
    numbers: impl Fn([Ptr; 4]) -> [u64; 4],
) -> u64 {
    let (root, cwd) = task.root_and_cwd_mounts();
    let (root, cwd) = (root.address(), cwd.address());
    let root_ns = match mount {
        Some((known, namespace)) if known == root => namespace,
        _ => mount::raw_namespace_of(root).address(),
    };
    // The usual case: both on one mount.
    let cwd_ns = if cwd == root { root_ns } else { mount::raw_namespace_of(cwd).address() };
    let [proxy, user_ns, root_ns, cwd_ns] =
        numbers([task.nsproxy().address(), cred.follow(F::CredUserNs).address(), root_ns, cwd_ns]);
    // Odd multipliers mix the addresses, whose low bits are equal.
    let mut mixed = proxy.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ user_ns).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ root_ns).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed = (mixed ^ cwd_ns).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed | 1
}
