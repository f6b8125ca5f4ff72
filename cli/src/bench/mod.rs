//! `slicewise bench`: what the kernels reach on this CPU, beside what it can do at all.
//!
//! A call of a kernel has operations to do and bytes to move, and cannot take less than the longer of `flops / FMA rate` and
//! `bytes / bandwidth`, with the bandwidth of the first cache that holds the operands together (Williams, Waterman and Patterson,
//! Roofline, 2009). Each operand is read and written once; `limits::Rates::moving` says what that takes. The rates are measured at the
//! kernel's level, in the same rounds.

mod args;
mod case;
mod gemm;
mod limits;
mod machine;
mod measure;
mod others;
mod show;
mod timing;

use crate::console::Console;
use crate::error::{Failure, Outcome};
use crate::events::{KernelRate, Machine};
use crate::{files, report};
use case::Case;
use measure::Bench;
use std::path::Path;
use timing::Pace;

pub(crate) use args::BenchArgs;

/// The measurements' file in a directory.
pub(crate) const FILE: &str = "bench.jsonl";
/// Cases that are measured in turn.
const TOGETHER: usize = 8;

/// Measures the machine, then the kernels.
pub(crate) fn bench(arguments: &BenchArgs) -> Outcome<()> {
    let console = Console::new(arguments.json);
    let levels = arguments.level.levels()?;
    if let Some(directory) = &arguments.out
        && directory.exists()
        && !directory.is_dir()
    {
        return Err(Failure::unusable("is no directory: --out needs one").at(directory.display()));
    }
    let cases = wanted(arguments)?;
    let pace = if arguments.quick { Pace::QUICK } else { Pace::FULL };
    let groups = groups(&cases);
    let mut bench = Bench::new(pace, levels.clone(), groups.len());
    let machine = bench.machine()?;
    console.result(&machine, || show::machine(console, &machine))?;
    let mut kept = Kept::new(arguments.out.as_deref(), &machine)?;
    let mut table = show::Table::new(&levels);
    for group in groups {
        for rows in bench.group(group)?.chunks(levels.len()) {
            if arguments.json {
                rows.iter().try_for_each(|row| console.result(row, String::new))?;
            }
            console.say(|| table.row(console, rows))?;
            kept.add(rows)?;
        }
        kept.write()?;
    }
    kept.finish()?;
    console.say(|| match &arguments.out {
        Some(directory) => format!("\nsaved in {}; see {}", directory.display(), report::FILE),
        None => String::new(),
    })
}

/// The cases that the filter and the type leave.
fn wanted(arguments: &BenchArgs) -> Outcome<Vec<Case>> {
    let largest = if arguments.quick { 1024 } else { usize::MAX };
    let products = gemm::cases::<f32>(largest).chain(gemm::cases::<f64>(largest));
    let all: Vec<Case> = products.chain(others::cases::<f32>()).chain(others::cases::<f64>()).collect();
    let mut kernels: Vec<&str> = all.iter().map(|case| case.kernel).collect();
    kernels.sort_unstable();
    kernels.dedup();
    let filter = arguments.filter.as_deref().unwrap_or_default().to_lowercase();
    let fits = |case: &Case| arguments.dtype.has(case.dtype) && case.name().to_lowercase().contains(&filter);
    let wanted: Vec<Case> = all.into_iter().filter(fits).collect();
    if wanted.is_empty() {
        let left_out = if arguments.quick { "; --quick leaves out products above 1024" } else { "" };
        let message = format!(
            "--filter {filter}: no kernel and no shape has this in its name; the kernels are {}{left_out}",
            kernels.join(", ")
        );
        return Err(Failure::unusable(message));
    }
    Ok(wanted)
}

/// Cases in the order they stand in, a few at a time, of one type and one unit.
fn groups(cases: &[Case]) -> Vec<&[Case]> {
    let alike = |a: &Case, b: &Case| a.dtype == b.dtype && a.unit == b.unit;
    cases.chunk_by(alike).flat_map(|section| section.chunks(TOGETHER)).collect()
}

/// The measurements in a directory, if there is to be one.
struct Kept<'a> {
    directory: Option<&'a Path>,
    lines: String,
}

impl<'a> Kept<'a> {
    fn new(directory: Option<&'a Path>, machine: &Machine) -> Outcome<Self> {
        if let Some(directory) = directory {
            files::make_directory(directory)?;
        }
        Ok(Self { directory, lines: files::json_line(machine)? })
    }

    fn add(&mut self, rows: &[KernelRate]) -> Outcome<()> {
        for row in rows {
            self.lines += &files::json_line(row)?;
        }
        Ok(())
    }

    /// What there is so far: a killed run loses one group.
    fn write(&self) -> Outcome<()> {
        match self.directory {
            Some(directory) => files::write_atomically(&directory.join(FILE), self.lines.as_bytes()),
            None => Ok(()),
        }
    }

    fn finish(&self) -> Outcome<()> {
        self.directory.map_or(Ok(()), report::rebuild)
    }
}
