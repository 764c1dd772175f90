//! One ring buffer, read in place: the memory that the kernel shares with a reader (kernel `kernel/bpf/ringbuf.c`).
//!
//! What differs from aya's reader: the place up to which records count as read is published by
//! [`Ring::release`], not with each record. A round of records costs one write to memory that the producers read, and
//! a record can be kept in the ring until what was made of it has been delivered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes before each record: its length with two bits, and a number for the kernel (`struct bpf_ringbuf_hdr`).
const RECORD_HEADER: usize = 8;
/// `BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT` (kernel `include/uapi/linux/bpf.h`).
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

/// A ring buffer and how far it has been read.
pub(super) struct Ring {
    map: MapData,
    consumer: Mapping,
    producer: Mapping,
    reader: Reader,
}

impl Ring {
    /// Maps the memory of a ring buffer of `bytes` bytes. Reading goes on where the last reader left off.
    ///
    /// # Errors
    /// The kernel refused to map it.
    pub(super) fn open(map: MapData, bytes: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let fd = map.fd().as_fd();
        let consumer = Mapping::new(fd, 0, page, ProtFlags::READ | ProtFlags::WRITE)?;
        // Twice the data, so that a record that wraps around is in one piece.
        let producer = Mapping::new(fd, page as u64, page + 2 * bytes, ProtFlags::READ)?;
        #[expect(unsafe_code, reason = "shared memory is reached by address")]
        // SAFETY: the positions are at the start of the mappings, page-aligned, and live as long as `self`; the data
        // begin one page after the producer's position and are `2 * bytes` long.
        let reader = unsafe {
            Reader::new(consumer.at.cast(), producer.at.cast(), producer.at.byte_add(page).cast(), bytes)
        };
        Ok(Self { map, consumer, producer, reader })
    }

    /// Hands every record that is ready to `sink`, oldest first. They count as unread until [`Self::release`].
    pub(super) fn read(&mut self, sink: impl FnMut(&[u8])) {
        self.reader.read(sink);
    }

    /// Hands every record that is ready to `sink` and leaves the position where it is.
    pub(super) fn peek(&self, sink: impl FnMut(&[u8])) {
        let Reader { consumer, producer, data, bytes, position } = self.reader;
        Reader { consumer, producer, data, bytes, position }.read(sink);
    }

    /// How far it has been read.
    pub(super) fn position(&self) -> usize {
        self.reader.position
    }

    /// Its size.
    pub(super) fn bytes(&self) -> usize {
        self.reader.bytes
    }

    /// Gives the space of all records before `position` back, and with it the duty to keep them.
    pub(super) fn release(&mut self, position: usize) {
        self.reader.release(position);
    }

    /// True if the kernel has written more than has been read. To be asked after [`Self::release`], before sleeping.
    pub(super) fn has_more(&self) -> bool {
        // The kernel wakes a reader that has read everything: this orders our word on how far we are before its.
        fence(Ordering::SeqCst);
        self.reader.written() != self.reader.position
    }

    /// The map, for pinning it.
    pub(super) fn map(&self) -> &MapData {
        &self.map
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("position", &self.reader.position)
            .field("bytes", &self.reader.bytes)
            .field("mapped", &(self.consumer.len + self.producer.len))
            .finish_non_exhaustive()
    }
}

/// Reads records from memory that somebody else writes.
struct Reader {
    consumer: NonNull<AtomicUsize>,
    producer: NonNull<AtomicUsize>,
    data: NonNull<u8>,
    /// Size of the ring, a power of two; the data are mapped twice in a row.
    bytes: usize,
    /// Up to here it has been read. Never wraps: 2^64 bytes are more than a machine's life.
    position: usize,
}

#[expect(unsafe_code, reason = "shared memory is reached by address")]
// SAFETY: the pointers are to memory that is valid from any thread; the reader has one owner.
unsafe impl Send for Reader {}

#[expect(unsafe_code, reason = "shared memory is reached by address")]
impl Reader {
    /// # Safety
    /// `consumer` and `producer` must be valid positions, `data` must be `2 * bytes` readable bytes of which the second
    /// half is the first once more, for as long as the reader lives.
    unsafe fn new(
        consumer: NonNull<AtomicUsize>,
        producer: NonNull<AtomicUsize>,
        data: NonNull<u8>,
        bytes: usize,
    ) -> Self {
        // SAFETY: as promised.
        let position = unsafe { consumer.as_ref() }.load(Ordering::Acquire);
        Self { consumer, producer, data, bytes, position }
    }

    fn written(&self) -> usize {
        // SAFETY: valid as promised to `new`. Acquire: what was written before it is seen after it.
        unsafe { self.producer.as_ref() }.load(Ordering::Acquire)
    }

    fn read(&mut self, mut sink: impl FnMut(&[u8])) {
        let mut end = self.written();
        while self.position < end {
            let at = self.position & (self.bytes - 1);
            // SAFETY: `at` is below `bytes` and a multiple of 8, since every record is; the data are twice as long.
            let header =
                unsafe { self.data.byte_add(at).cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return;
            }
            let len = (header & !DISCARDED) as usize;
            if len > self.bytes - RECORD_HEADER {
                // Not of the kernel's making; to go on would be to read anywhere.
                return;
            }
            if header & DISCARDED == 0 {
                // SAFETY: header and record lie within the double mapping, and the kernel does not write to a
                // committed record before it is released.
                sink(unsafe {
                    std::slice::from_raw_parts(self.data.byte_add(at + RECORD_HEADER).as_ptr(), len)
                });
            }
            self.position += (RECORD_HEADER + len).next_multiple_of(8);
            if self.position >= end {
                end = self.written();
            }
        }
    }

    fn release(&mut self, position: usize) {
        // SAFETY: valid as promised to `new`. Release: the records have been read before they may be overwritten.
        unsafe { self.consumer.as_ref() }.store(position, Ordering::Release);
    }
}

/// Memory shared with the kernel.
struct Mapping {
    at: NonNull<std::ffi::c_void>,
    len: usize,
}

#[expect(unsafe_code, reason = "mapping memory")]
// SAFETY: the memory is valid from any thread.
unsafe impl Send for Mapping {}

#[expect(unsafe_code, reason = "mapping memory")]
impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: u64, len: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let at = unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, fd, offset) }?;
        let at = NonNull::new(at).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { at, len })
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "mapping memory")]
    fn drop(&mut self) {
        // SAFETY: mapped by `new` and used by nobody else. If it fails the memory stays until the process ends.
        let _ = unsafe { munmap(self.at.as_ptr(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 64;

    /// A ring in memory of our own, written as the kernel writes one.
    struct Shared {
        consumer: AtomicUsize,
        producer: AtomicUsize,
        data: Vec<u64>,
    }

    impl Shared {
        fn new(start: usize) -> Box<Self> {
            let data = vec![0; 2 * BYTES / 8];
            Box::new(Self { consumer: AtomicUsize::new(start), producer: AtomicUsize::new(start), data })
        }

        #[expect(unsafe_code, reason = "the reader takes addresses")]
        fn reader(&mut self) -> Reader {
            let data = NonNull::new(self.data.as_mut_ptr()).expect("not null").cast();
            // SAFETY: `self` is boxed and outlives the reader in every test.
            unsafe { Reader::new(NonNull::from(&self.consumer), NonNull::from(&self.producer), data, BYTES) }
        }

        /// Writes a record, into both halves.
        fn write(&mut self, record: &[u8], bits: u32) {
            let at = self.producer.load(Ordering::Relaxed);
            let mut bytes = (record.len() as u32 | bits).to_ne_bytes().to_vec();
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(record);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            for (n, word) in bytes.chunks_exact(8).enumerate() {
                let place = (at / 8 + n) % (BYTES / 8);
                let word = u64::from_ne_bytes(word.try_into().expect("8 bytes"));
                self.data[place] = word;
                self.data[place + BYTES / 8] = word;
            }
            self.producer.store(at + bytes.len(), Ordering::Release);
        }
    }

    fn all(reader: &mut Reader) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        reader.read(|record| seen.push(record.to_vec()));
        seen
    }

    #[test]
    fn records_come_once_and_in_order_and_space_is_given_back_when_told() {
        let mut shared = Shared::new(0);
        let mut reader = shared.reader();
        shared.write(b"one", 0);
        shared.write(b"twelve bytes", 0);
        assert_eq!(all(&mut reader), [b"one".to_vec(), b"twelve bytes".to_vec()]);
        assert!(all(&mut reader).is_empty());
        assert_eq!(shared.consumer.load(Ordering::Relaxed), 0);
        reader.release(reader.position);
        assert_eq!(shared.consumer.load(Ordering::Relaxed), 16 + 24);
    }

    #[test]
    fn a_record_that_wraps_around_is_in_one_piece() {
        let mut shared = Shared::new(48);
        let mut reader = shared.reader();
        shared.write(b"sixteen bytes ..", 0);
        assert_eq!(all(&mut reader), [b"sixteen bytes ..".to_vec()]);
    }

    #[test]
    fn a_discarded_record_is_skipped_and_one_that_is_being_written_waited_for() {
        let mut shared = Shared::new(0);
        let mut reader = shared.reader();
        shared.write(b"gone", DISCARDED);
        shared.write(b"busy", BUSY);
        shared.write(b"next", 0);
        assert!(all(&mut reader).is_empty());
        assert_eq!(reader.position, 16);
        shared.data[2] &= !u64::from(BUSY);
        shared.data[2 + BYTES / 8] &= !u64::from(BUSY);
        assert_eq!(all(&mut reader), [b"busy".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn the_next_reader_goes_on_where_the_last_one_released() {
        let mut shared = Shared::new(0);
        let mut first = shared.reader();
        shared.write(b"delivered", 0);
        shared.write(b"read only", 0);
        first.read(|_| {});
        first.release(24);
        let mut second = shared.reader();
        assert_eq!(all(&mut second), [b"read only".to_vec()]);
    }

    #[test]
    fn a_length_beyond_the_ring_stops_the_reader() {
        let mut shared = Shared::new(0);
        let mut reader = shared.reader();
        shared.write(b"x", 0);
        shared.data[0] = u64::from(BYTES as u32);
        assert!(all(&mut reader).is_empty());
    }
}
