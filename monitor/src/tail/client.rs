//! Reads the daemon's lines, filters and renders them.

use std::io::{self, Write};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::{Filter, Renderer};
use crate::diag::{Code, Diagnostic};

/// Bytes of a line; a longer one is skipped. The daemon's own limits keep far below.
const MAX_LINE: usize = 16 << 20;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody reads the output any more, or the user has seen enough.
    NobodyReads,
    /// The daemon said that it stops, and closed.
    Stopped,
    /// The daemon closed without a word.
    Lost,
}

/// Writes what passes the filter until one side ends. Without a renderer, lines are written as they came.
///
/// # Errors
/// The output cannot be written, for another reason than a closed pipe.
pub async fn follow<R: AsyncRead + Unpin>(
    mut reader: BufReader<R>,
    out: &mut impl Write,
    filter: &Filter,
    mut renderer: Option<Renderer>,
) -> Result<Ended, Diagnostic> {
    let mut line = Vec::new();
    let mut text = String::new();
    let mut ready = Vec::new();
    let mut stopping = false;
    loop {
        line.clear();
        let more = read_line(&mut reader, &mut line).await;
        let value: Option<Value> = if more { serde_json::from_slice(&line).ok() } else { None };
        if let Some(value) = value {
            stopping |= value["type"] == "status" && value["status"] == "stopping";
            if filter.passes(&value) {
                match &mut renderer {
                    Some(renderer) => {
                        text.clear();
                        renderer.render(&value, &mut text);
                        ready.extend_from_slice(text.as_bytes());
                    }
                    None => ready.extend_from_slice(&line),
                }
            }
        }
        // One write for all lines that came together.
        if more && reader.buffer().contains(&b'\n') && ready.len() < 64 << 10 {
            continue;
        }
        match out.write_all(&ready).and_then(|()| out.flush()) {
            Ok(()) => ready.clear(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Ended::NobodyReads),
            Err(error) => return Err(Diagnostic::new(Code::CannotWrite).note(error.to_string())),
        }
        if !more {
            return Ok(if stopping { Ended::Stopped } else { Ended::Lost });
        }
    }
}

/// Reads one line, newline included; false at the end. A line over [`MAX_LINE`] comes out empty.
async fn read_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>, line: &mut Vec<u8>) -> bool {
    let mut skip = false;
    loop {
        let Ok(chunk) = reader.fill_buf().await else { return false };
        if chunk.is_empty() {
            return false;
        }
        let (len, done) = match chunk.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (chunk.len(), false),
        };
        skip |= line.len() + len > MAX_LINE;
        if skip {
            line.clear();
        } else {
            line.extend_from_slice(&chunk[..len]);
        }
        reader.consume(len);
        if done {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::line::Style;

    const EXEC: &str =
        r#"{"type":"event","event":"exec","exec":{"argv":["id"]},"container":null,"process":{"pid":7}}"#;
    const STOP: &str = r#"{"type":"status","status":"stopping","time":"2026-11-23T20:30:00.5Z"}"#;

    #[track_caller]
    fn check(input: &str, json: bool, want: &str, end: Ended) {
        let filter = Filter::new(&[], None, None).unwrap();
        let renderer = (!json).then(|| Renderer::new(Style { color: false, width: Some(80) }));
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ended = runtime.block_on(follow(BufReader::new(input.as_bytes()), &mut out, &filter, renderer));
        assert_eq!((String::from_utf8(out).unwrap().as_str(), ended.unwrap()), (want, end));
    }

    #[test]
    fn lines_pass_and_rubbish_does_not() {
        let input = format!("{EXEC}\nrubbish\n\n{STOP}\n");
        check(&input, true, &format!("{EXEC}\n{STOP}\n"), Ended::Stopped);
        check(&format!("{EXEC}\n{EXEC}"), true, &format!("{EXEC}\n"), Ended::Lost);
        check(&format!("{EXEC}\n"), false, "?            exec      host           [7] id\n", Ended::Lost);
        check("", false, "", Ended::Lost);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let input = "x".repeat(MAX_LINE + 5) + "\n" + EXEC + "\n";
        check(&input, true, &format!("{EXEC}\n"), Ended::Lost);
    }
}
