//! What standard output is: a terminal or not, how wide, coloured or not.

use std::io::IsTerminal;

use super::ColorChoice;
use crate::output::line::Style;

/// Columns where a terminal does not say how many it has.
const DEFAULT_WIDTH: usize = 80;

/// Whether to use colours on a stream.
pub fn colored(choice: ColorChoice, is_terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
            is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// The style for standard output. Lines are cut at `width`, else at the terminal's edge, and not at all in a
/// file or a pipe.
pub fn stdout_style(color: ColorChoice, width: Option<u16>) -> Style {
    let stdout = std::io::stdout();
    let is_terminal = stdout.is_terminal();
    let measured = || {
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    let width = match width {
        Some(width) => Some(usize::from(width)),
        None if is_terminal => Some(measured().unwrap_or(DEFAULT_WIDTH)),
        None => None,
    };
    Style { color: colored(color, is_terminal), width }
}
