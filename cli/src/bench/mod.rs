//! `slicewise bench`: what the kernels reach on this CPU, beside what it can do at all.
//!
//! A call of a kernel has operations to do and bytes to move, and cannot take less than the longer of `flops / FMA rate` and
//! `bytes / bandwidth`, with the bandwidth of the first cache that holds the operands together (Williams, Waterman and Patterson,
//! Roofline, 2009). Each operand is read and written once; `limits::Rates::moving` says what that takes. The rates are measured at the
//! kernel's level, in the same rounds.

mod case;
mod gemm;
mod limits;
mod machine;
mod others;
mod show;
mod timing;

use crate::console::{Console, Progress};
use crate::error::{Failure, Outcome};
use crate::events::{KernelRate, Machine, Memory};
use crate::options::LevelChoice;
use crate::{files, network, report};
use case::{Call, Case, Dtype, Unit};
use clap::{Args, ValueEnum};
use limits::{Limit, Probe, Rates};
use slicewise::Level;
use std::path::{Path, PathBuf};
use timing::{Pace, Timing, in_turn};

/// The measurements' file in a directory.
pub(crate) const FILE: &str = "bench.jsonl";
/// Cases that are measured in turn.
const TOGETHER: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = "Measured on one thread. Pin it to a core, and leave the machine alone meanwhile: \
taskset -c 1 slicewise bench (Linux).\n\nFMA: multiply-adds in registers, two operations each. Bandwidth: bytes that are read, copied (read \
and written elsewhere) or updated (read and written in place), within half of each cache. The limit of a kernel, at its level: its operations at the FMA \
rate, or its operands, each moved once, in the first cache that holds them together, whichever takes longer. Beyond L1, what is written counts as fetched \
first. Spread: the distance between the quartiles of the rounds, over their median.\n\nExamples:\n  \
slicewise bench --quick\n  slicewise bench --filter 64x500 --level avx2\n  slicewise bench --filter gemm --out gemm")]
pub(crate) struct BenchArgs {
    /// Only kernels and shapes with this in their name, like gemm, 64x500 or \"gemm 512\"
    #[arg(long, value_name = "TEXT", help_heading = "Work")]
    filter: Option<String>,
    /// Instructions: all that this CPU has, auto (the best), avx512, avx2 or portable
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "all",
        value_name = "NAME",
        help_heading = "Work"
    )]
    level: Levels,
    /// Types: f32, f64 or all
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "all",
        value_name = "TYPE",
        help_heading = "Work"
    )]
    dtype: Dtypes,
    /// Fewer and shorter rounds, and no product above 1024
    #[arg(long, help_heading = "Work")]
    quick: bool,

    /// Keep the measurements in bench.jsonl here, and draw them in report.html
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    out: Option<PathBuf>,
    /// Print one JSON object a line on standard output, and nothing else there
    #[arg(long, help_heading = "Run")]
    json: bool,
}

/// Which levels are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Levels {
    All,
    Auto,
    Avx512,
    Avx2,
    Portable,
}

impl Levels {
    fn levels(self) -> Outcome<Vec<Level>> {
        let choice = match self {
            Self::All => return Ok(Level::available().collect()),
            Self::Auto => LevelChoice::Auto,
            Self::Avx512 => LevelChoice::Avx512,
            Self::Avx2 => LevelChoice::Avx2,
            Self::Portable => LevelChoice::Portable,
        };
        Ok(vec![network::level(choice)?])
    }
}

/// Which types are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtypes {
    All,
    F32,
    F64,
}

impl Dtypes {
    fn has(self, dtype: Dtype) -> bool {
        match self {
            Self::All => true,
            Self::F32 => dtype == Dtype::F32,
            Self::F64 => dtype == Dtype::F64,
        }
    }
}

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
    let (memories, are_told) = machine::memories();
    let mut bench = Bench { pace, levels, probe: Probe::new(&memories), memories, steps: (0, 1) };
    let groups = groups(&cases);
    bench.steps.1 = groups.len() + 1;

    let machine = bench.machine(are_told)?;
    console.result(&machine, || show::machine(console, &machine))?;
    let mut kept = Kept::new(arguments.out.as_deref(), &machine)?;
    let mut table = show::Table::new(&bench.levels);
    for group in groups {
        for rows in bench.group(group)?.chunks(bench.levels.len()) {
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
        let message = format!(
            "--filter {filter}: no kernel and no shape has this in its name; the kernels are {}",
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

/// What is measured with.
struct Bench {
    pace: Pace,
    levels: Vec<Level>,
    memories: Vec<Memory>,
    probe: Probe,
    /// Groups that are over, of how many.
    steps: (usize, usize),
}

impl Bench {
    /// The limits of every level.
    fn machine(&mut self, caches_are_told: bool) -> Outcome<Machine> {
        let memories = self.memories.len();
        let (rates, _) = self.measure(&limits::all(memories), &mut [])?;
        let levels: Vec<_> = self.levels.iter().map(|level| rates.level(*level, memories)).collect();
        let best = levels.first().cloned().unwrap_or_default();
        let read = |name: &str| {
            let place = self.memories.iter().position(|memory| memory.name == name)?;
            best.read_gbs.get(place).copied()
        };
        Ok(Machine {
            is_debug_build: cfg!(debug_assertions),
            version: env!("CARGO_PKG_VERSION").into(),
            cpu: machine::cpu(),
            level: best.level.clone(),
            fma_gflops_f32: best.fma_gflops_f32,
            fma_gflops_f64: best.fma_gflops_f64,
            l1_gbs: read("l1"),
            l2_gbs: read("l2"),
            l3_gbs: read("l3"),
            dram_gbs: read("dram"),
            memories: self.memories.clone(),
            caches_are_assumed: !caches_are_told,
            levels,
        })
    }

    /// Every case of a group at every level: all levels of one case, then the next case.
    fn group(&mut self, cases: &[Case]) -> Outcome<Vec<KernelRate>> {
        let memory_of = |case: &Case| machine::holding(&self.memories, case.footprint);
        let mut limits: Vec<Limit> = Vec::new();
        for case in cases {
            let memory = memory_of(case);
            for limit in [Limit::Fma(case.dtype), Limit::Read(memory), Limit::Update(memory)] {
                if !limits.contains(&limit) {
                    limits.push(limit);
                }
            }
        }
        let places: Vec<usize> = cases.iter().map(memory_of).collect();
        let mut calls: Vec<Call> = cases.iter().map(|case| (case.operands)()).collect();
        let (rates, timings) = self.measure(&limits, &mut calls)?;
        let levels = self.levels.iter().copied();
        let of_levels =
            cases.iter().zip(places).flat_map(|case| levels.clone().map(move |level| (case, level)));
        let row = |(((case, place), level), timing)| self.row(case, place, level, timing, &rates);
        Ok(of_levels.zip(timings).map(row).collect())
    }

    /// Times limits and calls, each at every level, in the same rounds.
    fn measure(&mut self, limits: &[Limit], calls: &mut [Call]) -> Outcome<(Rates, Vec<Timing>)> {
        let Self { pace, levels, probe, steps, .. } = self;
        let count = levels.len();
        let at = |job: usize| (job / count, levels.get(job % count).copied().unwrap_or(Level::Portable));
        let of_limits = limits.len() * count;
        let mut turns = vec![pace.limit_turn; of_limits];
        turns.resize(of_limits + calls.len() * count, pace.turn);
        let run = |job: usize, n: u64| {
            let (index, level) = at(job);
            match limits.get(index) {
                Some(limit) => probe.run(*limit, level, n),
                None => calls.get_mut(index - limits.len()).map_or(Ok(()), |call| {
                    call(level, n).map_err(|error| Failure::failed(error.to_string()))
                }),
            }
        };
        let mut progress = Progress::new(String::from("measuring"), 1000 * steps.1);
        let tick = |done: usize, of: usize| progress.set(1000 * steps.0 + 1000 * done / of, String::new);
        let mut timings = in_turn(pace, &turns, run, tick)?;
        steps.0 += 1;
        let of_calls = timings.split_off(of_limits);
        let mut rates = Rates::default();
        for (job, timing) in timings.iter().enumerate() {
            let (index, level) = at(job);
            if let Some(limit) = limits.get(index) {
                rates.add(level, *limit, probe.amount(*limit, level) / timing.seconds);
            }
        }
        Ok((rates, of_calls))
    }

    fn row(&self, case: &Case, memory: usize, level: Level, timing: Timing, rates: &Rates) -> KernelRate {
        let Timing { seconds, spread, rounds } = timing;
        let computing = case.flops / rates.fma(level, case.dtype);
        let moving = rates.moving(level, memory, case.read, case.written, case.footprint);
        let limit_seconds = computing.max(moving);
        let name = || self.memories.get(memory).map_or_else(String::new, |memory| memory.name.clone());
        let giga = |unit: Unit, amount: f64| (case.unit == unit).then_some(amount / seconds / 1e9);
        KernelRate {
            kernel: case.kernel.into(),
            dtype: case.dtype.name().into(),
            level: level.name().into(),
            shape: case.shape.clone(),
            seconds,
            spread,
            rounds,
            gflops: giga(Unit::Flops, case.flops),
            gelems: giga(Unit::Elements, case.elements),
            percent_of_limit: 100.0 * limit_seconds / seconds,
            limit: if computing >= moving { "fma".into() } else { name() },
            limit_seconds,
            flops: case.flops,
            bytes: case.read + case.written,
            operand_bytes: case.footprint,
            memory: name(),
        }
    }
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
