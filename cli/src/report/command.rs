//! `slicewise report`.

use super::{FILE, of_journals, rebuild};
use crate::console::Console;
use crate::error::Outcome;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A directory that --out named: its report.html is written anew
    #[arg(value_name = "DIR", required_unless_present = "journal")]
    pub(crate) directory: Option<PathBuf>,
    /// A search's journal, as often as there are: those of one search's shards are merged, those of others compared
    #[arg(long, value_name = "FILE", conflicts_with = "directory")]
    pub(crate) journal: Vec<PathBuf>,
    /// Where the report of journals goes [default: report.html]
    #[arg(long, value_name = "FILE", requires = "journal")]
    pub(crate) out: Option<PathBuf>,
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

/// Writes a report anew from the files that its commands left, or from the journals of searches.
pub(crate) fn report(arguments: &ReportArgs) -> Outcome<()> {
    let file = match &arguments.directory {
        Some(directory) => {
            rebuild(directory)?;
            directory.join(FILE)
        }
        None => {
            let file = arguments.out.clone().unwrap_or_else(|| FILE.into());
            of_journals(&arguments.journal, &file)?;
            file
        }
    };
    let text = format!("wrote {}", file.display());
    Console::new(arguments.json).result(&Written { file }, || text)
}
