//! `slicewise doctor`: the checks of the training recipe on any data and any network (CS231n, "Babysitting the learning
//! process").

mod advice;
mod figures;
mod learning;
mod patient;
mod rates;
mod start;

use crate::args::{DataArgs, MachineArgs, RateArgs, RuleArgs, UnitArgs, WidthArgs};
use crate::console::{Colour, Console};
use crate::error::{Failure, Outcome};
use crate::evaluate::threads;
use crate::events::{Check, Verdict};
use crate::files;
use crate::pool::Pool;
use crate::report::{self, duration};
use clap::Args;
use patient::Patient;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The name of the file in a directory.
pub(crate) const FILE: &str = "doctor.jsonl";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) widths: WidthArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
    #[command(flatten)]
    pub(crate) rates: RateArgs,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// A fault to be found: the labels of the rows in another order
    #[arg(long, hide = true)]
    pub(crate) shuffle_labels: bool,
    /// A fault to be found: what the hidden layers' biases, and batch norm's betas, start at
    #[arg(long, hide = true, value_name = "NUMBER", allow_negative_numbers = true, default_value_t = 0.0)]
    pub(crate) bias: f64,

    /// Keep the checks and a report with their charts here
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Runs every check, in order; an error where one fails.
pub(crate) fn doctor(arguments: &DoctorArgs) -> Outcome<()> {
    let pool = Pool::new(threads(arguments.machine.threads))?;
    pool.run(|| examine(&pool, arguments))
}

fn examine(pool: &Pool, arguments: &DoctorArgs) -> Outcome<()> {
    let begun = Instant::now();
    let console = Console::new(arguments.machine.json);
    let patient = Patient::new(arguments, pool)?;
    if let Some(directory) = &arguments.out {
        check_directory(directory)?;
    }
    console.say(|| patient.heading())?;
    let mut checks = Vec::new();
    let mut tell = |check: Check| {
        let told = console.result(&check, || text(console, &check));
        checks.push(check);
        told
    };
    let start = start::examine(&patient, &mut tell)?;
    learning::examine(&patient, &start, &mut tell)?;

    if let Some(directory) = &arguments.out {
        save(directory, &checks)?;
        report::rebuild(directory)?;
    }
    console.say(|| ending(&checks, begun, arguments.out.as_deref()))?;
    let failed: Vec<&str> =
        checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|check| &*check.name).collect();
    if failed.is_empty() {
        return Ok(());
    }
    // The first to complain is nearest to the cause.
    let advice = checks.iter().find(|check| check.verdict != Verdict::Pass).map_or("", |check| &check.advice);
    let (count, s) = (failed.len(), if failed.len() == 1 { "" } else { "s" });
    Err(Failure::failed(format!("{count} check{s} failed ({}): {advice}", failed.join(", "))))
}

/// What is wrong with a directory is said before the work, not after it.
fn check_directory(directory: &Path) -> Outcome<()> {
    if directory.exists() && !directory.is_dir() {
        return Err(Failure::unusable("is no directory: --out needs one").at(directory.display()));
    }
    files::make_directory(directory)
}

fn save(directory: &Path, checks: &[Check]) -> Outcome<()> {
    let lines: String = checks.iter().map(files::json_line).collect::<Outcome<_>>()?;
    files::write_atomically(&directory.join(FILE), lines.as_bytes())
}

fn text(console: Console, check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Pass => console.colour(Colour::Green, "pass"),
        Verdict::Warn => console.colour(Colour::Yellow, "warn"),
        Verdict::Fail => console.colour(Colour::Red, "FAIL"),
    };
    let Check { name, expected, measured, advice, .. } = check;
    let name = console.bold(name);
    format!(
        "{verdict}  {name}\n      expected  {expected}\n      measured  {measured}\n      advice    {advice}\n"
    )
}

fn ending(checks: &[Check], begun: Instant, out: Option<&Path>) -> String {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let mut text = format!(
        "{} passed, {} with a warning, {} failed; {}",
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        duration(begun.elapsed().as_secs_f64())
    );
    if let Some(directory) = out {
        text += &format!("\nsaved in {}; see report.html", directory.display());
    }
    text
}
