//! Nothing is allocated for a record on its way through the hot thread: not for one without output, and for one
//! with its line of JSON only what a batch of lines needs. And what the tables hold is bounded.
#![expect(unsafe_code, clippy::print_stdout, reason = "an allocator that counts, and figures to be read")]

#[path = "../benches/hot/records.rs"]
mod records;
#[path = "../benches/hot/rig.rs"]
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use records::Maker;
use rig::Rig;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread allocated and did not free.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Notes an allocation, by how many bytes more are held.
fn note(more: i64) {
    COUNT.with(|count| count.set(count.get() + 1));
    HELD.with(|held| held.set(held.get() + more));
}

// SAFETY: hands everything on to the system's allocator; the count is a plain number of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.with(|held| held.set(held.get() - layout.size() as i64));
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

/// Enough for every table to be as large as it gets: the exited processes that are kept are the last to fill.
const WARM: usize = 150_000;
const COUNTED: usize = 24_000;

#[test]
fn the_count_is_not_blind() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn a_record_without_output_allocates_nothing() {
    let mut maker = Maker::new(100);
    let mut rig = Rig::new(&mut maker, false);
    rig.feed(&maker.run(WARM));
    let recording = maker.run(COUNTED);
    assert!(recording.len() >= COUNTED);
    let known = rig.pipeline.processes();
    assert_eq!(allocations(|| rig.feed(&recording)), 0);
    // They did arrive: the table is full of processes that came and went, and no finding was made of them.
    assert!(known > 8000 && rig.pipeline.processes() > 8000, "{known} processes");
    assert_eq!(rig.pipeline.findings(), 0);
}

#[test]
fn a_line_of_json_allocates_only_its_share_of_a_batch() {
    let mut maker = Maker::new(100);
    let mut rig = Rig::new(&mut maker, true);
    rig.feed(&maker.run(WARM));
    let recording = maker.run(COUNTED);
    (rig.lines, rig.batches) = (0, 0);
    let count = allocations(|| rig.feed(&recording));
    assert!(rig.lines >= COUNTED as u64 - records::ROUND as u64, "{} lines", rig.lines);
    assert!(rig.lines / rig.batches >= 40, "{} batches of {} lines", rig.batches, rig.lines);
    // Its buffer, who owns it, and now and then a piece of the queue.
    assert!(count <= 3 * rig.batches + 8, "{count} allocations for {} batches", rig.batches);
}

/// KiB that the tables hold after a long run of so many busy containers.
fn held(containers: u32, json: bool) -> (Rig, Maker, i64) {
    let before = HELD.get();
    let mut maker = Maker::new(containers);
    let mut rig = Rig::new(&mut maker, json);
    rig.feed(&maker.run(WARM));
    let held = (HELD.get() - before) / 1024;
    println!("{containers} containers, json {json}: {held} KiB");
    (rig, maker, held)
}

#[test]
fn the_tables_are_small() {
    // Exited processes, 8,192 of them, are most of it; then what is kept rendered.
    for (containers, json, most) in [(100, false, 9_000), (1000, false, 17_000), (1000, true, 21_000)] {
        let (_, _, held) = held(containers, json);
        assert!((1000..most).contains(&held), "{containers} containers hold {held} KiB");
    }
}

#[test]
fn a_fork_bomb_does_not_grow_for_ever() {
    let (mut rig, mut maker, before) = held(10, false);
    rig.feed(&maker.bomb(80_000));
    let full = HELD.get();
    let processes = rig.pipeline.processes();
    rig.feed(&maker.bomb(80_000));
    assert_eq!(rig.pipeline.processes(), processes, "the table was full before");
    assert!(HELD.get() <= full, "{} bytes more", HELD.get() - full);
    assert!(processes > 60_000, "{processes} processes: that was no bomb");
    let grown = full / 1024 - before;
    println!("a bomb: {grown} KiB more");
    assert!(grown < 16_000, "{grown} KiB more");
}
