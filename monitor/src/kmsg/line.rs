//! One record of `/dev/kmsg`.

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number: each is one more than the one before.
    pub seq: u64,
    /// When it was printed, nanoseconds on a clock of the log's own.
    pub stamp: u64,
    /// True if the kernel wrote it: what user space writes to the log never has facility 0.
    pub is_kernel: bool,
    /// Who printed it, a thread or a CPU, in the kernel's words; only where the kernel says so (`CONFIG_PRINTK_CALLER`).
    pub caller: Option<&'a [u8]>,
    /// The text, with what is not printable as `\x0a`.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a record: `level,number,time,flags[,caller=…][,…];text`, and lines after that which begin with a blank.
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let semicolon = record.iter().position(|byte| *byte == b';')?;
        let (head, rest) = (&record[..semicolon], &record[semicolon + 1..]);
        let mut fields = head.split(|byte| *byte == b',');
        let level = number(fields.next()?)?;
        let seq = number(fields.next()?)?;
        let stamp = number(fields.next()?)?.saturating_mul(1000);
        // Flags come first.
        let mut more = fields.skip(1);
        let text = rest.split(|byte| *byte == b'\n').next()?;
        let caller = more.find_map(|field| field.strip_prefix(b"caller="));
        Some(Self { seq, stamp, is_kernel: level < 8, caller, text })
    }
}

/// A decimal number and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What is before and after the first `what`.
pub(super) fn cut<'a>(text: &'a [u8], what: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(what.len()).position(|window| window == what)?;
    Some((&text[..at], &text[at + what.len()..]))
}

/// The same for the last one.
pub(super) fn cut_last<'a>(text: &'a [u8], what: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(what.len()).rposition(|window| window == what)?;
    Some((&text[..at], &text[at + what.len()..]))
}
