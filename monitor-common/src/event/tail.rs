//! The tail of a record: length-prefixed strings in the order of the record's tail table.
//!
//! Each string is `u16` length, `u16` flags, then the bytes.

use super::plain::Plain;

/// Bytes before each string.
pub const STRING_PREFIX: usize = 4;

/// The string was longer than what the kernel side could copy.
pub const TRUNCATED: u16 = 1 << 0;
/// A path that does not end at the task's root: it was reached through another root or mount namespace.
pub const UNREACHABLE: u16 = 1 << 1;
/// Copied from user memory, which the program may have changed since: evidence, never a decision.
pub const RACED: u16 = 1 << 2;

/// One string of the tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailString<'a> {
    /// The bytes, as the kernel side copied them.
    pub bytes: &'a [u8],
    /// [`TRUNCATED`], [`UNREACHABLE`], [`RACED`].
    pub flags: u16,
}

impl<'a> TailString<'a> {
    /// The components of a [`super::field::TailType::Path`], last first.
    pub fn components(self) -> impl Iterator<Item = &'a [u8]> {
        self.list()
    }

    /// The items of a [`super::field::TailType::List`], or the components of a path.
    pub fn list(self) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes.strip_suffix(&[0]).unwrap_or(self.bytes);
        let empty = self.bytes.is_empty();
        bytes.split(|b| *b == 0).filter(move |_| !empty)
    }
}

/// Walks the strings of a tail. Ends at the first one that does not fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail<'a> {
    rest: &'a [u8],
}

impl<'a> Tail<'a> {
    /// Over the bytes after the payload.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// True if nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The `n`th string, counted from 0; empty if the tail ends before it.
    pub fn nth_string(self, n: usize) -> TailString<'a> {
        let mut this = self;
        this.by_ref().nth(n).unwrap_or_default()
    }
}

impl<'a> Iterator for Tail<'a> {
    type Item = TailString<'a>;

    fn next(&mut self) -> Option<TailString<'a>> {
        let len = usize::from(u16::read(self.rest, 0)?);
        let flags = u16::read(self.rest, 2)?;
        let bytes = self.rest.get(STRING_PREFIX..STRING_PREFIX + len)?;
        self.rest = &self.rest[STRING_PREFIX + len..];
        Some(TailString { bytes, flags })
    }
}
