//! Writes JSON tokens; puts the commas itself.

use crate::output::escape::{self, MAX_STRING};

/// Bytes of all strings of one list; a longer list is cut and marked.
pub(super) const MAX_LIST: usize = 2 * MAX_STRING;

/// Something to be written often.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// So many of the bytes.
    Short([u8; SHORT], u8),
    /// Longer than that.
    Long(String),
}

const SHORT: usize = 24;

impl From<String> for Word {
    fn from(text: String) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text.as_bytes());
                Self::Short(bytes, len)
            }
            _ => Self::Long(text),
        }
    }
}

/// A line being written.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A token follows what is there: after a value comes a comma first. Strings are closed at this point, so
    /// the last byte is structure.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':' | b'\n')) {
            self.out.push(b',');
        }
    }

    pub(super) fn open(&mut self) {
        self.separate();
        self.out.push(b'{');
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }

    pub(super) fn open_list(&mut self) {
        self.separate();
        self.out.push(b'[');
    }

    pub(super) fn close_list(&mut self) {
        self.out.push(b']');
    }

    pub(super) fn end_line(&mut self) {
        self.out.push(b'\n');
    }

    /// A key that is a word of ours.
    pub(super) fn key(&mut self, name: &str) {
        self.key_with(name, "");
    }

    /// The key `name` followed by `suffix`.
    pub(super) fn key_with(&mut self, name: &str, suffix: &str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Bytes as they are, commas included: a piece of JSON that is known to fit here.
    #[inline]
    pub(super) fn literal(&mut self, piece: &str) {
        self.out.extend_from_slice(piece.as_bytes());
    }

    /// The same, rendered earlier.
    #[inline]
    pub(super) fn piece(&mut self, piece: &[u8]) {
        self.out.extend_from_slice(piece);
    }

    /// A key that was rendered earlier.
    #[inline]
    pub(super) fn word(&mut self, word: &Word) {
        match word {
            Word::Short(bytes, len) => {
                // A copy of fixed size is a few instructions, and no call.
                self.out.extend_from_slice(bytes);
                self.out.truncate(self.out.len() - bytes.len() + usize::from(*len));
            }
            Word::Long(text) => self.literal(text),
        }
    }

    /// The digits of a number, after its key.
    #[inline]
    pub(super) fn digits(&mut self, number: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// The same for a number that is often 0 or 1.
    #[inline]
    pub(super) fn unsigned(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(digit @ 0..10) => self.out.push(b'0' + digit),
            _ => self.digits(number),
        }
    }

    /// A number in hexadecimal as a string, after its key.
    pub(super) fn hex_digits(&mut self, number: u64) {
        self.out.extend_from_slice(b"\"0x");
        escape::hex_number(self.out, number);
        self.out.push(b'"');
    }

    /// What [`Self::literal`] and its kin leave to the caller is over: where the bytes go.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    pub(super) fn raw(&mut self, token: &str) {
        self.separate();
        self.out.extend_from_slice(token.as_bytes());
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        let mut buffer = itoa::Buffer::new();
        self.raw(buffer.format(number));
    }

    /// Lets `write` fill a string with bytes that need no escape.
    pub(super) fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.separate();
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    pub(super) fn hex(&mut self, number: u64) {
        self.separate();
        self.hex_digits(number);
    }

    /// Text, cut at [`MAX_STRING`] bytes.
    pub(super) fn string(&mut self, text: &str) {
        self.quoted(|out| {
            escape::json_bytes(out, escape::cut(text.as_bytes(), MAX_STRING).0);
        });
    }

    /// A word of ours, which needs no escape.
    pub(super) fn raw_word(&mut self, word: &str) {
        self.quoted(|out| out.extend_from_slice(word.as_bytes()));
    }

    /// After a string that is a key from outside.
    pub(super) fn colon(&mut self) {
        self.out.push(b':');
    }

    /// `name` with text or null.
    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, text),
            None => self.null(name),
        }
    }

    pub(super) fn null(&mut self, name: &str) {
        self.key(name);
        self.raw("null");
    }

    pub(super) fn field(&mut self, name: &str, number: impl itoa::Integer) {
        self.key(name);
        self.number(number);
    }

    pub(super) fn truth(&mut self, name: &str, value: bool) {
        self.key(name);
        self.raw(if value { "true" } else { "false" });
    }

    pub(super) fn mark(&mut self, name: &str, suffix: &str) {
        self.key_with(name, suffix);
        self.raw("true");
    }

    /// `name` with text that came from outside; `<name>_truncated` if it was cut.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes());
    }

    /// `name` with bytes as text. Where that text does not say exactly what the bytes were, `<name>_raw` has
    /// them in hexadecimal; `<name>_truncated` if they were cut.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.bytes_part(name, bytes, MAX_STRING, false);
    }

    /// The same, cut at `max` bytes; `cut_before` if some were already missing.
    pub(super) fn bytes_part(&mut self, name: &str, bytes: &[u8], max: usize, cut_before: bool) {
        let (bytes, cut) = escape::cut(bytes, max);
        self.key(name);
        let mut exact = true;
        self.quoted(|out| exact = escape::json_bytes(out, bytes));
        if !exact {
            self.key_with(name, "_raw");
            self.quoted(|out| escape::hex(out, bytes));
        }
        if cut || cut_before {
            self.mark(name, "_truncated");
        }
    }

    /// `name` with a list of strings. Where one of them is not UTF-8, `<name>_raw` is a list of the same
    /// length with null for those that are, hexadecimal for the others; `<name>_truncated` if it was cut.
    pub(super) fn list<'b>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = &'b [u8]> + Clone,
        cut_before: bool,
    ) {
        let mut cut_here = false;
        let mut exact = true;
        self.key(name);
        self.open_list();
        for item in bounded(items.clone(), &mut cut_here) {
            self.quoted(|out| exact &= escape::json_bytes(out, item));
        }
        self.close_list();
        if !exact {
            self.key_with(name, "_raw");
            self.open_list();
            for item in bounded(items, &mut false) {
                match std::str::from_utf8(item) {
                    Ok(_) => self.raw("null"),
                    Err(_) => self.quoted(|out| escape::hex(out, item)),
                }
            }
            self.close_list();
        }
        if cut_here || cut_before {
            self.mark(name, "_truncated");
        }
    }
}

/// The items that fit into [`MAX_LIST`], each counted as one byte more than it has, so that empty ones end too.
fn bounded<'b, 'c, I: Iterator<Item = &'b [u8]> + 'c>(
    mut items: I,
    was_cut: &'c mut bool,
) -> impl Iterator<Item = &'b [u8]> + use<'b, 'c, I> {
    let mut room = MAX_LIST;
    std::iter::from_fn(move || {
        let item = items.next()?;
        if room == 0 {
            *was_cut = true;
            return None;
        }
        let (item, cut) = escape::cut(item, room);
        *was_cut |= cut;
        room = room.saturating_sub(item.len() + 1);
        Some(item)
    })
}
