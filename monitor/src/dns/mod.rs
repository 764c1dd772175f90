//! DNS messages (RFC 1035), read from bytes that nobody is to be trusted for.
//!
//! Written here and not taken from a library: five fields of a message are wanted, and no record may cost an allocation.
//! The readers there are make owned messages of every record type, with a resolver behind them.
//!
//! A name is followed through [`JUMPS`] pointers at most, each of which must lead backwards, and to 255 bytes; a length
//! is believed once the bytes are there. What does not fit gives `None`, and [`Message::is_malformed`] says so.

mod names;
#[cfg(test)]
mod tests;

pub use names::{Class, Code, Kind};

/// Answers that are shown of one message; a resolver's client uses the first.
pub const MAX_ANSWERS: usize = 16;
/// Most bytes of a name in a message (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
/// Most bytes of a name as text: each of its bytes may have a backslash before it.
const TEXT_MAX: usize = 2 * NAME_MAX;
/// Most pointers in one name. Real ones have one or two.
const JUMPS: usize = 8;
/// Bytes of the header.
const HEADER: usize = 12;
/// `QR`, the first bit of the flags: an answer.
const RESPONSE: u16 = 1 << 15;
/// `TC`: the sender has cut the message off.
const CUT: u16 = 1 << 9;

/// A name in the dotted form, without the last dot.
///
/// Bytes are as they were sent, but that a dot or a backslash inside a label has a backslash before it (RFC 1035, 5.1):
/// no label can pass for two.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl Name {
    /// Its bytes; `.` for the root.
    pub fn as_bytes(&self) -> &[u8] {
        match self.len {
            0 => b".",
            len => self.bytes.get(..len).unwrap_or_default(),
        }
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type of record.
    pub kind: Kind,
    /// The class, `IN` nearly always.
    pub class: Class,
}

/// What a record of an answer says.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "no record may cost an allocation")]
pub enum Data<'a> {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address.
    V6([u8; 16]),
    /// Another name, of `CNAME`, `NS` or `PTR`.
    Name(Name),
    /// The first string of `TXT`.
    Text(&'a [u8]),
    /// Of another type, or not what its type holds.
    Other,
}

/// A record of an answer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Its type.
    pub kind: Kind,
    /// What it says.
    pub data: Data<'a>,
}

/// A message, or what begins like one.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Bytes are missing at the end because they were not kept.
    part: bool,
}

impl<'a> Message<'a> {
    /// Of these bytes; `part` if there were more of them.
    pub const fn new(bytes: &'a [u8], part: bool) -> Self {
        Self { bytes, part }
    }

    /// The number at `at` of the header, 0 if it ends before.
    fn head(&self, at: usize) -> u16 {
        u16_at(self.bytes, at).unwrap_or(0)
    }

    /// How the server answers; `None` for a query.
    pub fn code(&self) -> Option<Code> {
        let flags = self.head(2);
        (flags & RESPONSE != 0).then_some(Code(flags & 0xf))
    }

    /// The first question: there is never another (RFC 9619).
    pub fn question(&self) -> Option<Question> {
        if self.head(4) == 0 {
            return None;
        }
        let (name, at) = name_at(self.bytes, HEADER)?;
        let (kind, class) = (Kind(u16_at(self.bytes, at)?), Class(u16_at(self.bytes, at + 2)?));
        Some(Question { name, kind, class })
    }

    /// The answers that are whole, [`MAX_ANSWERS`] at most.
    pub fn answers(&self) -> impl Iterator<Item = Answer<'a>> + use<'a> {
        self.records().take(MAX_ANSWERS)
    }

    /// True if there are answers that [`Self::answers`] does not give.
    pub fn has_more(&self) -> bool {
        self.answers().count() < usize::from(self.head(6)) || self.head(2) & CUT != 0
    }

    /// True if it is no message, or one that breaks off where nothing was cut off.
    pub fn is_malformed(&self) -> bool {
        if self.bytes.len() < HEADER {
            return true;
        }
        let lacks_question = match self.head(4) {
            // Some errors are answered without the question.
            0 => self.code().is_none(),
            _ => self.question().is_none(),
        };
        let may_break_off = self.part || self.head(2) & CUT != 0;
        // The question is at the beginning, of which nothing is ever cut off.
        lacks_question || (!may_break_off && self.records().count() < usize::from(self.head(6)))
    }

    fn records(&self) -> Records<'a> {
        let mut at = (self.bytes.len() >= HEADER).then_some(HEADER);
        // A question has five bytes at least, so this ends with the message.
        for _ in 0..self.head(4) {
            at = at.and_then(|at| name_at(self.bytes, at)).map(|(_, end)| end + 4);
            if at.is_none() {
                break;
            }
        }
        Records { bytes: self.bytes, at, left: self.head(6) }
    }
}

/// The answers of a message, one after the other, as far as they are whole.
struct Records<'a> {
    bytes: &'a [u8],
    at: Option<usize>,
    left: u16,
}

impl<'a> Iterator for Records<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (_, at) = name_at(self.bytes, self.at?)?;
        let kind = u16_at(self.bytes, at)?;
        // Type, class and time to live, then the length.
        let len = usize::from(u16_at(self.bytes, at + 8)?);
        let start = at + 10;
        let data = self.bytes.get(start..start + len)?;
        self.at = Some(start + len);
        let data = match kind {
            1 => data.try_into().map_or(Data::Other, Data::V4),
            28 => data.try_into().map_or(Data::Other, Data::V6),
            2 | 5 | 12 => name_at(self.bytes, start).map_or(Data::Other, |(name, _)| Data::Name(name)),
            16 => text(data).map_or(Data::Other, Data::Text),
            _ => Data::Other,
        };
        Some(Answer { kind: Kind(kind), data })
    }
}

fn text(data: &[u8]) -> Option<&[u8]> {
    let (len, rest) = data.split_first()?;
    rest.get(..usize::from(*len))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// The name at `start`, and where it ends there.
fn name_at(bytes: &[u8], start: usize) -> Option<(Name, usize)> {
    let mut name = Name { bytes: [0; TEXT_MAX], len: 0 };
    let (mut at, mut end, mut jumps, mut wire) = (start, None, 0, 1);
    // Each round adds a label, of which `wire` lets 127 pass, or follows one of the pointers.
    loop {
        let len = *bytes.get(at)?;
        match len {
            0 => return Some((name, end.unwrap_or(at + 1))),
            0xc0..=0xff => {
                let target = usize::from(u16_at(bytes, at)? & 0x3fff);
                jumps += 1;
                if target >= at || jumps > JUMPS {
                    return None;
                }
                end = end.or(Some(at + 2));
                at = target;
            }
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(len))?;
                wire += 1 + label.len();
                if wire > NAME_MAX {
                    return None;
                }
                if name.len > 0 {
                    name.push(b'.')?;
                }
                for byte in label {
                    if matches!(byte, b'.' | b'\\') {
                        name.push(b'\\')?;
                    }
                    name.push(*byte)?;
                }
                at += 1 + label.len();
            }
            // Kinds of labels that were given up (RFC 6891, 5).
            _ => return None,
        }
    }
}
