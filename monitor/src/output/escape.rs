//! Turns bytes that nobody may be trusted with (arguments, paths, labels) into text that cannot break out of
//! the line, the string or the terminal it is written to.
//!
//! Two targets: the inside of a JSON string, where escapes are undone by the parser, and a terminal line,
//! where they stay visible.

/// Bytes of one string in the output; a longer one is cut and marked.
pub const MAX_STRING: usize = 16 << 10;

/// Characters that change how what follows is shown, or that are not shown at all.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends two hexadecimal digits a byte.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for b in bytes {
        out.push(HEX[usize::from(b >> 4)]);
        out.push(HEX[usize::from(b & 15)]);
    }
}

/// Appends a number in hexadecimal, without leading zeros.
pub fn hex_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = HEX[(rest & 15) as usize];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The first `max` bytes at most, cut between characters where there are any; true if something was cut.
pub fn cut(bytes: &[u8], max: usize) -> (&[u8], bool) {
    if bytes.len() <= max {
        return (bytes, false);
    }
    // A character has at most three continuation bytes; more of them are not UTF-8 and may be cut anywhere.
    let end = (max.saturating_sub(3)..=max).rev().find(|at| bytes[*at] & 0xc0 != 0x80).unwrap_or(max);
    (&bytes[..end], true)
}

/// Bytes that stand for themselves in a JSON string: printable ASCII but `"` and `\`.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        table[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    table
};

/// How many bytes at the beginning stand for themselves.
fn plain_prefix(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !PLAIN[usize::from(*byte)]).unwrap_or(bytes.len())
}

/// Appends `text` as the inside of a JSON string. Hidden characters become `\uXXXX`.
pub fn json(out: &mut Vec<u8>, text: &str) {
    let (mut done, mut at) = (0, 0);
    loop {
        at += plain_prefix(&text.as_bytes()[at..]);
        // What comes before is ASCII, so this is where a character begins.
        let Some(c) = text[at..].chars().next() else { break };
        let begin = at;
        at += c.len_utf8();
        if !matches!(c, '"' | '\\') && !is_hidden(c) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[done..begin]);
        done = at;
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    hex(out, &unit.to_be_bytes());
                }
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[done..]);
}

/// Appends `bytes` as the inside of a JSON string; a byte that is not UTF-8 becomes `\xHH` (its backslash
/// escaped for JSON). Returns true if there was none, so that the string says exactly what the bytes were.
pub fn json_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let (plain, rest) = bytes.split_at(plain_prefix(bytes));
    out.extend_from_slice(plain);
    if rest.is_empty() {
        return true;
    }
    let mut exact = true;
    for chunk in rest.utf8_chunks() {
        json(out, chunk.valid());
        for b in chunk.invalid() {
            exact = false;
            out.extend_from_slice(b"\\\\x");
            hex(out, &[*b]);
        }
    }
    exact
}

/// Appends `text` for a terminal: hidden characters become visible escapes.
pub fn terminal(out: &mut String, text: &str) {
    for c in text.chars() {
        if is_hidden(c) {
            // Rust's own notation: `\n`, `\t`, `\u{1b}`; it keeps no hidden character.
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

/// Appends `bytes` for a terminal; a byte that is not UTF-8 becomes `\xHH`.
pub fn terminal_bytes(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        terminal(out, chunk.valid());
        for b in chunk.invalid() {
            out.push_str("\\x");
            out.push(char::from(HEX[usize::from(b >> 4)]));
            out.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want_json: &str, want_terminal: &str) {
        let mut out = Vec::new();
        let exact = json_bytes(&mut out, bytes);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), want_json);
        let back: String = serde_json::from_str(&format!("\"{want_json}\"")).unwrap();
        assert_eq!(exact, back.as_bytes() == bytes);
        let mut text = String::new();
        terminal_bytes(&mut text, bytes);
        assert_eq!(text, want_terminal);
        assert!(!text.chars().any(is_hidden));
    }

    #[test]
    fn hostile_bytes_become_harmless() {
        check(b"plain /bin/sh -c", "plain /bin/sh -c", "plain /bin/sh -c");
        check("Grüße 日本".as_bytes(), "Grüße 日本", "Grüße 日本");
        check(b"a\"b\\c", "a\\\"b\\\\c", "a\"b\\c");
        check(b"a\nb\0\x1b[31m", "a\\nb\\u0000\\u001b[31m", "a\\nb\\u{0}\\u{1b}[31m");
        check(b"\x7f\xc2\x9b", "\\u007f\\u009b", "\\u{7f}\\u{9b}");
        check("x\u{202e}y".as_bytes(), "x\\u202ey", "x\\u{202e}y");
        check("\u{e0041}".as_bytes(), "\\udb40\\udc41", "\\u{e0041}");
        check(b"bad \xff\xfe!", "bad \\\\xff\\\\xfe!", "bad \\xff\\xfe!");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut(b"abc", 3), (&b"abc"[..], false));
        assert_eq!(cut(b"abcd", 3), (&b"abc"[..], true));
        assert_eq!(cut("aé".as_bytes(), 2), (&b"a"[..], true));
        assert_eq!(cut(&[0x80; 9], 5), (&[0x80; 5][..], true));
        assert_eq!(cut(b"abcd", 0), (&b""[..], true));
    }
}
