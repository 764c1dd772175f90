//! For people: a table of all containers, then what is to be said of each; nothing is wider than the terminal.

use super::Judged;
use crate::detect::Severity;
use crate::output::escape;
use crate::output::line::{Style, Tone, fit, width};
use crate::posture::check::Check;
use crate::posture::gather::name;

/// Columns where none are given.
const WIDTH: usize = 80;
/// Columns of a name in the table.
const NAME: usize = 28;
const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const SEVERITIES: [Severity; 4] = [Severity::Critical, Severity::Warning, Severity::Notice, Severity::Info];

struct Page {
    out: String,
    width: usize,
    color: bool,
}

impl Page {
    fn new(style: Style) -> Self {
        Self { out: String::new(), width: style.width.unwrap_or(WIDTH).max(40), color: style.color }
    }

    fn paint(&mut self, tone: &str, text: &str) {
        if self.color && !tone.is_empty() {
            self.out.push_str(tone);
            self.out.push_str(text);
            self.out.push_str(RESET);
        } else {
            self.out.push_str(text);
        }
    }

    /// A cell of so many columns: cut, and filled up.
    fn cell(&mut self, tone: &str, text: &str, columns: usize) {
        let mut cell = String::new();
        let used = fit(&mut cell, text, columns);
        self.paint(tone, &cell);
        self.out.push_str(&" ".repeat(columns - used + 1));
    }

    fn end(&mut self) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out.push('\n');
    }

    /// A paragraph whose first line goes on from column `at`, and whose others begin at `indent`. Words that are wider
    /// than a line are broken.
    fn paragraph(&mut self, at: usize, indent: usize, text: &str) {
        let mut column = at;
        let mut fresh = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let needed = width(word) + usize::from(!fresh);
            if column + needed > self.width && column > indent {
                self.out.push('\n');
                self.out.push_str(&" ".repeat(indent));
                column = indent;
            } else if !fresh {
                self.out.push(' ');
                column += 1;
            }
            for c in word.chars() {
                let wide = width(c.encode_utf8(&mut [0; 4]));
                if column + wide > self.width {
                    self.out.push('\n');
                    self.out.push_str(&" ".repeat(indent));
                    column = indent;
                }
                self.out.push(c);
                column += wide;
            }
            fresh = false;
        }
        self.out.push('\n');
    }

    /// An indented paragraph.
    fn indented(&mut self, indent: usize, text: &str) {
        self.out.push_str(&" ".repeat(indent));
        self.paragraph(indent, indent + 2, text);
    }
}

/// Text from outside, safe for a terminal.
fn safe(text: &str) -> String {
    let mut out = String::new();
    escape::terminal(&mut out, text);
    out
}

fn tone(severity: Severity) -> &'static str {
    Tone::Finding(severity).start()
}

/// A table of all containers, and the findings of each.
pub fn overview(judged: &[Judged<'_>], style: Style) -> String {
    let mut page = Page::new(style);
    if judged.is_empty() {
        return "no container is running\n".to_owned();
    }
    for (title, columns) in
        [("CONTAINER", NAME), ("PID", 8), ("WORST", 8), ("CRIT", 4), ("WARN", 4), ("NOTE", 4), ("INFO", 4)]
    {
        page.cell(BOLD, title, columns);
    }
    page.end();
    for container in judged {
        row(&mut page, container);
    }
    for container in judged {
        findings(&mut page, container);
    }
    page.out
}

fn row(page: &mut Page, judged: &Judged<'_>) {
    page.cell("", &safe(&name(&judged.subject.container)), NAME);
    page.cell("", &judged.subject.baseline.pid.to_string(), 8);
    match judged.worst() {
        Some(worst) => page.cell(tone(worst), worst.name(), 8),
        None if judged.subject.unread.is_some() => page.cell("", "?", 8),
        None => page.cell("", "ok", 8),
    }
    for severity in SEVERITIES {
        let count = judged.findings.iter().filter(|finding| finding.severity == severity).count();
        page.cell("", &if count == 0 { "-".to_owned() } else { count.to_string() }, 4);
    }
    page.end();
}

/// The container's name and who runs it.
fn heading(page: &mut Page, judged: &Judged<'_>) {
    let identity = judged.subject.identity();
    page.out.push('\n');
    let title = safe(&name(&judged.subject.container));
    let mut cell = String::new();
    fit(&mut cell, &title, page.width);
    page.paint(BOLD, &cell);
    page.out.push('\n');
    let mut facts: Vec<String> = Vec::new();
    facts.extend(identity.engine.map(|engine| format!("engine {}", engine.name())));
    facts.extend(identity.runtime.as_ref().map(|runtime| format!("runtime {runtime}")));
    facts.extend(identity.image.as_ref().map(|image| format!("image {image}")));
    match &judged.subject.baseline.config {
        _ if judged.subject.unread.is_some() => {}
        Some(config) => facts.push(format!("declared in {}", config.path)),
        None => facts.push("no OCI configuration was found: only what the kernel shows is judged".to_owned()),
    }
    page.indented(2, &safe(&facts.join(", ")));
    if let Some(why) = judged.subject.unread {
        page.indented(2, &format!("not looked at: {}", why.reason()));
    }
}

fn findings(page: &mut Page, judged: &Judged<'_>) {
    heading(page, judged);
    let (brief, full): (Vec<_>, Vec<_>) =
        judged.findings.iter().partition(|finding| finding.severity == Severity::Info);
    for finding in full {
        page.out.push_str("  ");
        page.cell(tone(finding.severity), finding.severity.name(), 8);
        page.paragraph(11, 11, &format!("{} {}", finding.check.id, finding.check.title));
        for item in &finding.items {
            let declared = item.declared.as_ref().map(|d| format!("; declared {d}")).unwrap_or_default();
            let text = format!("{}: {}{declared} [{}]", item.what, item.observed, item.source);
            page.indented(11, &safe(&text));
        }
        page.indented(11, &format!("change: {}", finding.check.change));
        let maps = maps(finding.check);
        if !maps.is_empty() {
            page.indented(11, &maps);
        }
    }
    if !brief.is_empty() {
        let text: Vec<String> = brief.iter().map(|f| format!("{} {}", f.check.id, f.check.title)).collect();
        page.out.push_str("  ");
        page.cell(tone(Severity::Info), "info", 8);
        page.paragraph(11, 11, &text.join("; "));
    }
}

fn maps(check: &Check) -> String {
    let mut maps = Vec::new();
    if !check.cis.is_empty() {
        maps.push(format!("CIS Docker {}", check.cis.join(", ")));
    }
    if !check.pss.is_empty() {
        maps.push(format!("PSS {}", check.pss.join(", ")));
    }
    if !check.checklist.is_empty() {
        let points: Vec<String> = check.checklist.iter().map(u8::to_string).collect();
        maps.push(format!("checklist {}", points.join(", ")));
    }
    maps.join("; ")
}

/// Everything that was granted to each container: declared, observed, verdict.
pub fn explained(judged: &[Judged<'_>], style: Style) -> String {
    let mut page = Page::new(style);
    for container in judged {
        heading(&mut page, container);
        let mut kind = "";
        for grant in &container.grants {
            if grant.kind != kind {
                kind = grant.kind;
                page.out.push_str("\n  ");
                page.paint(BOLD, kind);
                page.out.push('\n');
            }
            page.out.push_str("  ");
            match grant.verdict.severity {
                Some(severity) => page.cell(tone(severity), severity.name(), 8),
                None => page.cell("", "ok", 8),
            }
            let checks = if grant.verdict.checks.is_empty() {
                String::new()
            } else {
                format!(" [{}]", grant.verdict.checks.join(", "))
            };
            page.paragraph(11, 13, &safe(&format!("{}{checks}", grant.name)));
            let declared = grant.declared.as_deref().unwrap_or("not known");
            page.indented(13, &safe(&format!("declared {declared}; observed {}", grant.observed)));
        }
    }
    page.out
}
