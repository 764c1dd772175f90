//! Counts every attempt to write a record, and decides whether it may be written: whether anybody wants the kind,
//! and whether the container is within its budget.

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use monitor_common::account::{Budget, BudgetKey, CpuAccount, KindAccount, LossEntry, LossKey};
use monitor_common::counters::Counter;
use monitor_common::event::EventKind;
use monitor_common::policy::{BULK_RING_BYTES, KEY_CANARY};

use crate::emit::Ring;
use crate::filter::Subject;
use crate::maps::{ACCOUNTS, BUDGETS, CONFIG, FILTERED, LOSSES, UNWANTED, add, add_one, count, opaque};

/// `BPF_RB_NO_WAKEUP`, `BPF_RB_FORCE_WAKEUP` (kernel `include/uapi/linux/bpf.h`).
const NO_WAKEUP: u64 = 1;
const FORCE_WAKEUP: u64 = 2;
/// A slot of at most so many bytes is small.
const SMALL: usize = 1024;
/// `BPF_NOEXIST`.
const NOEXIST: u64 = 1;
/// Refusals and losses further apart than this are different spells, nanoseconds.
const SPELL: u64 = 1_000_000_000;
/// The reader of a bulk ring is woken at most this often by each CPU, nanoseconds.
const WAKE_PAUSE: u64 = 1_000_000;

/// An attempt that may be written. What is needed later goes into the slot at once: the stack has 512 bytes for
/// a program and everything it calls.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    /// Its number on this CPU.
    pub(crate) seq: u64,
    /// When, nanoseconds since boot.
    pub(crate) now: u64,
}

/// What an insertion begins with: in `.rodata`, not on the stack.
static NO_REFUSAL: Budget = Budget { full_at: 0, refused: 0, first: 0, last: 0 };
static NO_LOSS: LossEntry = LossEntry { count: 0, first: 0, last: 0 };

/// The account of a kind on this CPU.
#[inline(always)]
fn account_of(cpu: *mut CpuAccount, kind: EventKind) -> Option<*mut KindAccount> {
    let index = opaque(kind.index());
    if index >= EventKind::COUNT {
        return None;
    }
    // SAFETY: a live, aligned map value of this CPU, and the index is within its array. Migration is off while
    // a program runs; another program that interleaves on this CPU adds atomically, as all do.
    Some(unsafe { &raw mut (*cpu).kinds[index] })
}

/// Counts an attempt; `None` if its record is not to be written, which has been counted as well.
#[inline(always)]
pub(crate) fn attempt(ring: Ring, kind: EventKind, subject: &Subject) -> Option<Attempt> {
    let cpu = ACCOUNTS.get_ptr_mut(0)?;
    let account = account_of(cpu, kind)?;
    let index = kind.index() as u32;
    // SAFETY: a live, aligned map value of this CPU.
    let seq_at = unsafe { &raw mut (*cpu).seq };
    add_one(seq_at);
    // SAFETY: as above; volatile, because `add_one` wrote it behind the compiler's back.
    let seq = unsafe { seq_at.read_volatile() };
    // SAFETY: as above.
    add_one(unsafe { &raw mut (*account).attempted });
    if subject.container != KEY_CANARY && UNWANTED.get(index).is_some_and(|unwanted| *unwanted != 0) {
        // SAFETY: as above.
        add_one(unsafe { &raw mut (*account).filtered });
        filtered(subject.container);
        return None;
    }
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    if !within_budget(ring, index, subject, now) {
        // SAFETY: as above.
        add_one(unsafe { &raw mut (*account).over_budget });
        return None;
    }
    Some(Attempt { seq, now })
}

/// Takes a token from the bucket of this container, kind and ring. What the host, a trusted runtime or the
/// canary does costs nothing, nor does what happens once to a container.
#[inline(always)]
fn within_budget(ring: Ring, kind: u32, subject: &Subject, now: u64) -> bool {
    if ring == Ring::Vital || subject.runtime || subject.container == 0 || subject.container == KEY_CANARY {
        return true;
    }
    let limit =
        if ring == Ring::Bulk { &raw const CONFIG.bulk_budget } else { &raw const CONFIG.critical_budget };
    // SAFETY: parts of a valid, aligned static; volatile, because the loader changes the bytes.
    let (interval, burst) = unsafe {
        ((&raw const (*limit).interval).read_volatile(), (&raw const (*limit).burst).read_volatile())
    };
    if interval == 0 {
        return true;
    }
    let key = BudgetKey { container: subject.container, kind, critical: u32::from(ring != Ring::Bulk) };
    let Some(budget) = BUDGETS.get_ptr_mut(&key) else {
        // Let through when the map is full: a budget must never hide what it cannot count. EEXIST means that
        // another CPU was first.
        if let Err(errno) = BUDGETS.insert(&key, &NO_REFUSAL, NOEXIST)
            && errno != -17
        {
            count(Counter::BudgetsFull);
        }
        return true;
    };
    // SAFETY: a live, aligned map value. Tokens may be lost or given twice when two CPUs meet here: the bucket
    // is a limit, not an account. `refused` is one, and is added to atomically.
    unsafe {
        let at = &raw mut (*budget).full_at;
        let mut full_at = at.read_volatile();
        if full_at < now {
            at.write_volatile(now);
            full_at = now;
        }
        if full_at - now > burst {
            mark(&raw mut (*budget).first, &raw mut (*budget).last, now);
            add_one(&raw mut (*budget).refused);
            return false;
        }
        add(at, interval);
    }
    true
}

/// Keeps the first time of a spell and the last.
///
/// # Safety
/// Both point to live, aligned map memory.
#[inline(always)]
unsafe fn mark(first: *mut u64, last: *mut u64, now: u64) {
    // SAFETY: by contract. Of two CPUs that meet here, either may win.
    unsafe {
        if now.saturating_sub(last.read_volatile()) > SPELL {
            first.write_volatile(now);
        }
        last.write_volatile(now);
    }
}

/// Counts a record handed over.
#[inline(always)]
pub(crate) fn submitted(kind: EventKind) {
    if let Some(account) = ACCOUNTS.get_ptr_mut(0).and_then(|cpu| account_of(cpu, kind)) {
        // SAFETY: a live, aligned map value of this CPU.
        add_one(unsafe { &raw mut (*account).submitted });
    }
}

/// Counts a record that found its ring full, and whose it was.
#[inline(always)]
pub(crate) fn ring_full(ring: Ring, kind: EventKind, container: u64) {
    if let Some(account) = ACCOUNTS.get_ptr_mut(0).and_then(|cpu| account_of(cpu, kind)) {
        // SAFETY: as above.
        add_one(unsafe { &raw mut (*account).ring_full });
    }
    name_loss(container, kind.index() as u32, u32::from(ring != Ring::Bulk));
}

impl Attempt {
    /// How a record of `size` bytes in a bulk ring is submitted: quietly, because a wake-up costs the monitored
    /// task more than all the rest, unless a quarter of the ring is used. `used` asks how many bytes are.
    #[inline(always)]
    pub(crate) fn wake_flags(&self, size: usize, used: impl FnOnce() -> u64) -> u64 {
        // Sixteen small slots are a sixty-fourth of the ring at most: asking now and then is enough.
        if size <= SMALL && self.seq & 15 != 0 {
            return NO_WAKEUP;
        }
        if used() > u64::from(BULK_RING_BYTES / 4) && self.may_wake() { FORCE_WAKEUP } else { NO_WAKEUP }
    }

    /// True if this CPU has not woken the reader for a while; it is then taken to do so.
    #[inline(always)]
    fn may_wake(&self) -> bool {
        let Some(cpu) = ACCOUNTS.get_ptr_mut(0) else { return false };
        // SAFETY: as above. Two programs that interleave here wake twice, which does no harm.
        unsafe {
            let at = &raw mut (*cpu).woken;
            if self.now.saturating_sub(at.read_volatile()) < WAKE_PAUSE {
                return false;
            }
            at.write_volatile(self.now);
        }
        true
    }
}

/// Counts a record that nobody wanted under its container.
#[inline(never)]
fn filtered(container: u64) {
    if container == 0 {
        return;
    }
    if FILTERED.get_ptr_mut(&container).is_none()
        && let Err(errno) = FILTERED.insert(&container, &0, NOEXIST)
        && errno != -17
    {
        count(Counter::FilteredFull);
        return;
    }
    if let Some(slot) = FILTERED.get_ptr_mut(&container) {
        add_one(slot);
    }
}

/// Counts a loss under its container, kind, CPU and ring.
#[inline(never)]
fn name_loss(container: u64, kind: u32, critical: u32) {
    // SAFETY: the helpers have no preconditions.
    let (cpu, now) = unsafe { (bpf_get_smp_processor_id(), bpf_ktime_get_boot_ns()) };
    let key = LossKey { container, kind: kind as u16, cpu: cpu as u16, critical };
    // A lookup first: an insertion takes a lock even when it is refused.
    if LOSSES.get_ptr_mut(&key).is_none()
        && let Err(errno) = LOSSES.insert(&key, &NO_LOSS, NOEXIST)
        && errno != -17
    {
        count(Counter::LossesFull);
        return;
    }
    if let Some(entry) = LOSSES.get_ptr_mut(&key) {
        // SAFETY: a live, aligned map value.
        unsafe {
            mark(&raw mut (*entry).first, &raw mut (*entry).last, now);
            add_one(&raw mut (*entry).count);
        }
    }
}
