//! Standard output and standard error: JSON for programs, lines and a progress bar for people.

use crate::error::{Failure, Outcome, reason};
use crate::files::json_line;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    json: bool,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one result: as JSON for programs, otherwise as `text` for people (no line when it is empty).
    pub(crate) fn result(self, event: &impl Serialize, text: impl FnOnce() -> String) -> Outcome<()> {
        if self.json { print(&json_line(event)?) } else { self.say(text) }
    }

    /// Prints a line for people only.
    pub(crate) fn say(self, text: impl FnOnce() -> String) -> Outcome<()> {
        if self.json {
            return Ok(());
        }
        match text() {
            text if text.is_empty() => Ok(()),
            text => print(&(text + "\n")),
        }
    }

    /// Whether lines for people go to a terminal that can redraw them and is wide enough for a picture.
    pub(crate) fn is_wide_terminal(self) -> bool {
        const NARROWEST: u16 = 60;
        let term = Term::stdout();
        let is_able = std::env::var_os("TERM").is_some_and(|name| name != "dumb" && !name.is_empty());
        !self.json
            && is_able
            && term.is_term()
            && term.size_checked().is_some_and(|(_, width)| width >= NARROWEST)
    }

    /// The text in bold, on a terminal that shows colours.
    pub(crate) fn bold(self, text: &str) -> String {
        styled(1, text)
    }

    /// The text in a colour, on a terminal that shows colours.
    pub(crate) fn colour(self, colour: Colour, text: &str) -> String {
        styled(colour as u8, text)
    }

    /// Something that whoever started the program should know, on standard error.
    pub(crate) fn note(self, text: &str) {
        // Nobody reads a closed standard error: no reason to stop.
        let _ = writeln!(io::stderr(), "slicewise: {text}");
    }
}

/// Columns of the terminal at hand; 80 where it does not tell.
pub(crate) fn columns() -> usize {
    Term::stdout().size_checked().map_or(80, |(_, width)| width.into())
}

/// Colours of verdicts, with their codes on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

fn styled(code: u8, text: &str) -> String {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stdout().is_terminal() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
}

/// Standard output that is closed (`| head`) ends the program, without a panic.
fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::failed("standard output was closed by its reader"),
        _ => Failure::failed(format!("cannot write to standard output: {}", reason(&error))),
    })
}

/// The progress of one epoch on a terminal's standard error; nothing elsewhere, and nothing for short work.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    begun: Instant,
    drawn: Instant,
}

impl Progress {
    /// Work shorter than this is over before anybody has read the bar.
    const PATIENCE: Duration = Duration::from_millis(400);
    const PAUSE: Duration = Duration::from_millis(100);

    pub(crate) fn new(label: String, total: usize) -> Self {
        let now = Instant::now();
        Self { bar: None, label, total: total as u64, begun: now, drawn: now }
    }

    /// So much is done. Cheap unless it draws, which it does ten times a second at most.
    pub(crate) fn set(&mut self, position: usize, message: impl FnOnce() -> String) {
        let now = Instant::now();
        if now - self.begun < Self::PATIENCE || now - self.drawn < Self::PAUSE {
            return;
        }
        self.drawn = now;
        if !io::stderr().is_terminal() {
            return;
        }
        let (label, total) = (&self.label, self.total);
        let bar = self.bar.get_or_insert_with(|| start_bar(label, total));
        bar.set_message(message());
        bar.set_position(position as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn start_bar(label: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} {bar:32} {percent:>3}%  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
    bar.set_prefix(label.to_string());
    bar
}
