//! Messages out of bytes: gRPC's frames, and the items of a long list one at a time.
//!
//! gRPC puts five bytes before each message: a flag for compression, and the length (`PROTOCOL-HTTP2.md`).

use bytes::{Buf, Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};

use super::GrpcError;

/// Flag and length.
const PREFIX: usize = 5;

/// A request in its frame.
pub(super) fn framed(request: &impl Message) -> Bytes {
    let length = request.encoded_len();
    let mut out = Vec::with_capacity(PREFIX + length);
    out.push(0);
    // Requests are ids and filters: their length fits four bytes.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&request.encode_to_vec());
    out.into()
}

/// Puts frames together that arrive in pieces.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: BytesMut,
    limit: usize,
}

impl Frames {
    /// `limit` is the size of the largest message in bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole message. An announced length over the limit is an error before it arrives.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, GrpcError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(GrpcError::Malformed("a compressed message, which nobody asked for"));
        }
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > self.limit {
            return Err(GrpcError::TooLarge { bytes, limit: self.limit });
        }
        if rest.len() < bytes {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(bytes).freeze()))
    }

    /// True if nothing is left of a message that has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The messages in field `field` of a message, decoded one at a time. Two bytes on the wire can stand for an item
/// of hundreds in memory: whoever takes them decides how many, and how large one may be.
#[derive(Clone, Debug)]
pub struct Items {
    bytes: Bytes,
    field: u32,
    largest: usize,
}

impl Items {
    /// `largest` is the size of the largest item in bytes; larger ones are errors.
    pub fn new(bytes: Bytes, field: u32, largest: usize) -> Self {
        Self { bytes, field, largest }
    }

    /// The next item, `None` at the end.
    ///
    /// # Errors
    /// The bytes are no protobuf, or the item is too large.
    pub fn step<T: Message + Default>(&mut self) -> Result<Option<T>, GrpcError> {
        while self.bytes.has_remaining() {
            let (field, wire) = decode_key(&mut self.bytes)?;
            if field != self.field || wire != WireType::LengthDelimited {
                skip_field(wire, field, &mut self.bytes, DecodeContext::default())?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut self.bytes)?).unwrap_or(usize::MAX);
            if length > self.bytes.len() {
                return Err(GrpcError::Malformed("an item that is longer than its list"));
            }
            if length > self.largest {
                return Err(GrpcError::TooLarge { bytes: length, limit: self.largest });
            }
            return Ok(Some(T::decode(self.bytes.split_to(length))?));
        }
        Ok(None)
    }

    /// All items, up to `most`.
    ///
    /// # Errors
    /// As [`Items::step`].
    pub fn take<T: Message + Default>(mut self, most: usize) -> Result<Vec<T>, GrpcError> {
        let mut out = Vec::new();
        while out.len() < most
            && let Some(item) = self.step()?
        {
            out.push(item);
        }
        Ok(out)
    }
}

/// A message whose bytes are kept as they are, for [`Items`].
#[derive(Clone, Debug, Default)]
pub struct Raw(pub Bytes);

/// What a method answers.
pub trait Reply: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The bytes are no such message.
    fn read(bytes: Bytes) -> Result<Self, DecodeError>;
}

impl<T: Message + Default> Reply for T {
    fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        T::decode(bytes)
    }
}

impl Reply for Raw {
    fn read(bytes: Bytes) -> Result<Self, DecodeError> {
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Word {
        #[prost(string, tag = "1")]
        text: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct List {
        #[prost(uint32, tag = "1")]
        number: u32,
        #[prost(message, repeated, tag = "2")]
        words: Vec<Word>,
    }

    fn list(words: &[&str]) -> List {
        let words = words.iter().map(|text| Word { text: (*text).to_owned() }).collect();
        List { number: 7, words }
    }

    #[test]
    fn frames_in_pieces() {
        let (one, two) = (framed(&list(&["a"])), framed(&list(&[])));
        let mut frames = Frames::new(100);
        let all: Vec<u8> = one.iter().chain(two.iter()).copied().collect();
        let mut got = Vec::new();
        for byte in all {
            frames.push(&[byte]);
            while let Some(message) = frames.next().expect("whole") {
                got.push(List::decode(message).expect("a list"));
            }
        }
        assert_eq!(got, [list(&["a"]), list(&[])]);
        assert!(frames.is_empty());
    }

    #[test]
    fn a_length_over_the_limit_is_an_error_before_its_bytes_come() {
        let mut frames = Frames::new(100);
        frames.push(&[0, 0, 0, 0, 101]);
        assert!(matches!(frames.next(), Err(GrpcError::TooLarge { bytes: 101, limit: 100 })));
        let mut frames = Frames::new(100);
        frames.push(&[1, 0, 0, 0, 0]);
        assert!(matches!(frames.next(), Err(GrpcError::Malformed(_))));
    }

    #[test]
    fn items_one_at_a_time() {
        let bytes: Bytes = list(&["a", "bc", ""]).encode_to_vec().into();
        let words: Vec<Word> = Items::new(bytes.clone(), 2, 10).take(10).expect("words");
        assert_eq!(words, list(&["a", "bc", ""]).words);
        assert_eq!(Items::new(bytes.clone(), 2, 10).take::<Word>(1).expect("words").len(), 1);
        assert!(matches!(
            Items::new(bytes.clone(), 2, 3).take::<Word>(10),
            Err(GrpcError::TooLarge { bytes: 4, limit: 3 })
        ));
        // Nothing of it is believed: cut anywhere, it is an error or shorter, and never a panic.
        for end in 0..bytes.len() {
            if let Ok(words) = Items::new(bytes.slice(..end), 2, 10).take::<Word>(10) {
                assert!(words.len() < 3);
            }
        }
        assert!(
            Items::new(Bytes::from_static(&[0x12, 0xff, 0xff, 0xff, 0x7f]), 2, 10).step::<Word>().is_err()
        );
    }
}
