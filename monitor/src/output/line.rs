//! One record as one line of a terminal: columns, cutting, colour. Used by the text format and by `tail`.

use std::fmt::Write;

use crate::detect::Severity;

/// How lines are to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// True for colours.
    pub color: bool,
    /// Columns of the terminal; `None` where lines are not cut, as in a file or a pipe.
    pub width: Option<usize>,
}

/// How a line stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// An event.
    Event,
    /// A finding.
    Finding(Severity),
    /// Something was lost.
    Loss,
    /// About a container or the daemon.
    Notice,
}

impl Tone {
    /// The escape sequence that begins it.
    pub const fn start(self) -> &'static str {
        match self {
            Self::Event => "\x1b[2m",
            Self::Finding(Severity::Critical) => "\x1b[1;31m",
            Self::Finding(Severity::Warning) => "\x1b[1;33m",
            Self::Finding(Severity::Notice) => "\x1b[1;36m",
            Self::Finding(Severity::Info) => "\x1b[1m",
            Self::Loss => "\x1b[1;35m",
            Self::Notice => "\x1b[32m",
        }
    }

    /// What stands in the second column for a finding.
    pub const fn severity_tag(severity: Severity) -> &'static str {
        match severity {
            Severity::Info => "INFO",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Critical => "CRITICAL",
        }
    }
}

/// The parts of a line. Every string is already safe for a terminal (see [`super::escape::terminal`]).
#[derive(Clone, Debug)]
pub struct Line {
    /// Time of day.
    pub time: String,
    /// Kind of event, or severity.
    pub tag: String,
    /// How it stands out.
    pub tone: Tone,
    /// Container, or `host`; empty if it belongs nowhere.
    pub place: String,
    /// Program and process id; empty if there is none.
    pub process: String,
    /// What happened.
    pub text: String,
}

impl Default for Line {
    fn default() -> Self {
        let empty = String::new;
        Self {
            time: empty(),
            tag: empty(),
            tone: Tone::Event,
            place: empty(),
            process: empty(),
            text: empty(),
        }
    }
}

const RESET: &str = "\x1b[0m";
const CYAN: &str = "\x1b[36m";
/// Below this many columns, columns are narrow, the time has no fraction, and the process is left out.
const NARROW: usize = 60;

/// Columns that a terminal gives to `c`. Where terminals differ, the larger number, so that a line never wraps.
pub fn columns(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x231a..=0x23ff | 0x25a0..=0x27bf | 0x2b00..=0x2bff | 0x2e80..=0xa4cf | 0xa960..=0xa97f
        | 0xac00..=0xd7ff | 0xf900..=0xfaff | 0xfe10..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6
        | 0x16fe0..=0x1b2ff | 0x1f000..=0x1faff | 0x20000..=0x3ffff);
    if wide { 2 } else { 1 }
}

/// Columns of a string.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Appends `text` in at most `room` columns, with `…` where it was cut. Returns the columns used.
pub fn fit(out: &mut String, text: &str, room: usize) -> usize {
    let mut used = 0;
    let begin = out.len();
    let mut keep = begin;
    for c in text.chars() {
        let next = used + columns(c);
        if next > room {
            // One column is needed for the mark: back to the last place where it fits.
            out.truncate(keep);
            if room == 0 {
                return 0;
            }
            out.push('…');
            return width(&out[begin..]);
        }
        out.push(c);
        used = next;
        if used < room {
            keep = out.len();
        }
    }
    used
}

/// Writes lines in one style.
#[derive(Clone, Copy, Debug)]
pub struct Composer {
    style: Style,
}

impl Composer {
    /// In this style.
    pub fn new(style: Style) -> Self {
        Self { style }
    }

    fn narrow(&self) -> bool {
        self.style.width.is_some_and(|w| w < NARROW)
    }

    /// Appends the line and a newline.
    pub fn line(&self, line: &Line, out: &mut String) {
        let narrow = self.narrow();
        let (time, tag, place, process) = if narrow { (8, 8, 6, 0) } else { (12, 9, 14, 24) };
        let mut room = self.style.width.unwrap_or(usize::MAX);
        let time_text = line.time.get(..time).unwrap_or(&line.time);
        self.column(out, &mut room, "", time_text, time, true);
        self.column(out, &mut room, line.tone.start(), &line.tag, tag, true);
        let cut = |columns| if self.style.width.is_some() { columns } else { usize::MAX };
        if !line.place.is_empty() {
            self.column(out, &mut room, CYAN, &line.place, cut(place), false);
            // Padded by hand, so that an uncut name only moves its own line.
            pad(out, &mut room, place.saturating_sub(width(&line.place)));
        }
        if !line.process.is_empty() && !narrow {
            self.column(out, &mut room, "", &line.process, cut(process), false);
        }
        let text_tone = match line.tone {
            Tone::Event | Tone::Notice => "",
            tone => tone.start(),
        };
        self.column(out, &mut room, text_tone, &line.text, usize::MAX, false);
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }

    /// Appends a line below a finding, indented; nothing where the terminal is too narrow for it.
    pub fn below(&self, text: &str, out: &mut String) {
        if self.narrow() || text.is_empty() {
            return;
        }
        out.push_str("    ");
        let room = self.style.width.map_or(usize::MAX, |w| w.saturating_sub(4));
        if self.style.color {
            out.push_str("\x1b[33m");
        }
        fit(out, text, room);
        if self.style.color {
            out.push_str(RESET);
        }
        out.push('\n');
    }

    fn column(&self, out: &mut String, room: &mut usize, tone: &str, text: &str, max: usize, fill: bool) {
        let paint = self.style.color && !tone.is_empty() && !text.is_empty();
        if paint {
            out.push_str(tone);
        }
        let used = fit(out, text, max.min(*room));
        if paint {
            out.push_str(RESET);
        }
        *room -= used;
        pad(out, room, if fill { max - used } else { 0 });
        pad(out, room, 1);
    }
}

fn pad(out: &mut String, room: &mut usize, columns: usize) {
    let columns = columns.min(*room);
    *room -= columns;
    // Writing to a string cannot fail.
    let _ = write!(out, "{:columns$}", "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, room: usize, want: &str) {
        let mut out = String::new();
        let used = fit(&mut out, text, room);
        assert_eq!(out, want);
        assert_eq!(used, width(want));
        assert!(used <= room);
    }

    #[test]
    fn fits() {
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("abcd", 1, "…");
        check("abcd", 0, "");
        check("日本語", 6, "日本語");
        check("日本語", 5, "日本…");
        check("日本語", 4, "日…");
    }
}
