//! `slicewise report`.

use super::{FILE, rebuild};
use crate::console::Console;
use crate::error::Outcome;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A directory that --out named: its report.html is written anew
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Print one JSON object a line on standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was written. The object that `--json` prints.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "event", rename = "report")]
struct Written {
    file: PathBuf,
}

/// Writes a report anew from the files that its commands left.
pub(crate) fn report(arguments: &ReportArgs) -> Outcome<()> {
    rebuild(&arguments.directory)?;
    let file = arguments.directory.join(FILE);
    let text = format!("wrote {}", file.display());
    Console::new(arguments.json).result(&Written { file }, || text)
}
