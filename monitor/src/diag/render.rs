//! The two renderings of a [`Diagnostic`]: text in the manner of rustc, and JSON.

use serde_json::{Value, json};

use super::{Diagnostic, Label, Level};
use crate::output::escape;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const PLAIN: &str = "\x1b[0m";

/// Where a label points, counted from 1.
struct Place<'a> {
    line: usize,
    column: usize,
    text: &'a str,
    before: &'a str,
    marked: &'a str,
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn place(label: &Label) -> Place<'_> {
    let text = &label.text;
    let start = floor_boundary(text, label.range.start);
    let end = floor_boundary(text, label.range.end.max(start));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let before = &text[line_start..start];
    Place {
        line: text[..start].matches('\n').count() + 1,
        column: before.chars().count() + 1,
        text: &text[line_start..line_end],
        before,
        marked: &text[start..end.min(line_end)],
    }
}

fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape::terminal(&mut out, text);
    out
}

impl Diagnostic {
    /// For a terminal: several lines, the last one ended. Without colour there is no escape byte in it.
    pub fn render_text(&self, color: bool) -> String {
        let paint = |style: &str, text: &str| {
            if color { format!("{style}{text}{PLAIN}") } else { text.to_owned() }
        };
        let tone = if self.level() == Level::Error { RED } else { YELLOW };
        let head = paint(tone, &format!("{}[{}]", self.level().name(), self.code()));
        let mut out = format!("{head}{}\n", paint(BOLD, &format!(": {}", safe(self.title()))));
        let places: Vec<_> = self.labels().iter().map(|l| (l, place(l))).collect();
        let gutter = places.iter().map(|(_, p)| p.line.to_string().len()).max().unwrap_or(1);
        let bar = paint(BLUE, &format!("{:gutter$} |", ""));
        for (label, at) in &places {
            let arrow = paint(BLUE, &format!("{:gutter$}-->", ""));
            out.push_str(&format!("{arrow} {}:{}:{}\n{bar}\n", safe(&label.source), at.line, at.column));
            let number = paint(BLUE, &format!("{:>gutter$} |", at.line));
            out.push_str(&format!("{number} {}\n", safe(at.text)));
            let indent = " ".repeat(safe(at.before).chars().count());
            let carets = "^".repeat(safe(at.marked).chars().count().max(1));
            let under = paint(tone, &format!("{carets} {}", safe(&label.message)));
            out.push_str(&format!("{bar} {indent}{}\n", under.trim_end()));
        }
        let notes = self.notes().iter().map(|n| ("note", n.as_str()));
        for (word, text) in notes.chain(self.helps().map(|h| ("help", h))) {
            let mark = paint(BLUE, &format!("{:gutter$} =", ""));
            out.push_str(&format!("{mark} {}: {}\n", paint(BOLD, word), safe(text)));
        }
        out
    }

    /// For programs: `{level, code, title, labels:[{source, line, column, start, end, message}], notes, help}`.
    pub fn to_json(&self) -> Value {
        let labels: Vec<Value> = self
            .labels()
            .iter()
            .map(|label| {
                let at = place(label);
                json!({
                    "source": label.source, "line": at.line, "column": at.column,
                    "start": label.range.start, "end": label.range.end, "message": label.message,
                })
            })
            .collect();
        json!({
            "level": self.level().name(), "code": self.code().to_string(), "title": self.title(),
            "labels": labels, "notes": self.notes(), "help": self.helps().collect::<Vec<_>>(),
        })
    }
}
