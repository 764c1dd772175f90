//! An order over the slots of a slab: a doubly linked list by index, so that a slot leaves it in constant
//! time.

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// The neighbours of one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    /// Not in any order.
    pub(super) const LOOSE: Self = Self { prev: NIL, next: NIL };
}

/// First in, first out, over slots whose [`Links`] the caller keeps. A slot is in one order at most.
#[derive(Debug)]
pub(super) struct Order {
    head: u32,
    tail: u32,
    len: usize,
}

impl Order {
    /// Empty.
    pub(super) const fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }

    /// Number of slots.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The oldest slot.
    pub(super) fn front(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// The slot after `slot`.
    pub(super) fn after(&self, links: &[Links], slot: u32) -> Option<u32> {
        links.get(slot as usize).map(|l| l.next).filter(|next| *next != NIL)
    }

    /// Adds a loose slot as the youngest.
    pub(super) fn push_back(&mut self, links: &mut [Links], slot: u32) {
        links[slot as usize] = Links { prev: self.tail, next: NIL };
        if self.tail == NIL {
            self.head = slot;
        } else {
            links[self.tail as usize].next = slot;
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Takes out a slot that is in this order.
    pub(super) fn unlink(&mut self, links: &mut [Links], slot: u32) {
        let Links { prev, next } = links[slot as usize];
        if prev == NIL {
            self.head = next;
        } else {
            links[prev as usize].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            links[next as usize].prev = prev;
        }
        links[slot as usize] = Links::LOOSE;
        self.len -= 1;
    }
}
