//! What the benchmarks share: contestants run in turn, and the machine's limit measured beside them.

pub mod lines;

use core::hint::black_box;
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput};
use slicewise::kernels::multiply_adds;
use slicewise::{Element, Level};
use std::time::Instant;

/// One thing to time: its name and what it does.
pub type Contestant<'a> = (&'a str, &'a mut dyn FnMut());

/// What is told of a contestant's slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// What is to be expected on this machine as it is.
    Median,
    /// What is reached where nobody else uses the machine.
    Best,
}

impl Statistic {
    /// `Best` where the flag `--best` is among the arguments.
    #[must_use]
    pub fn of_flags(flags: &[String]) -> Self {
        if flags.iter().any(|flag| flag == "--best") { Self::Best } else { Self::Median }
    }

    /// Its name for headings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Median => "medians",
            Self::Best => "best slices",
        }
    }

    fn of(self, x: &mut [f64]) -> f64 {
        x.sort_by(f64::total_cmp);
        match self {
            Self::Median => x[x.len() / 2],
            Self::Best => x[0],
        }
    }
}

/// Times contestants round by round, each a slice of about `slice` in every round, and returns the seconds of a
/// call of each. Machines drift: what is compared must run in turn.
pub fn in_turn(
    rounds: usize,
    slice: Duration,
    statistic: Statistic,
    contestants: &mut [Contestant<'_>],
) -> Vec<f64> {
    let mut calls = Vec::new();
    for (_, call) in contestants.iter_mut() {
        // Warm up, and find how many calls fill a slice.
        let (mut n, start) = (0u32, Instant::now());
        while start.elapsed() < slice {
            call();
            n += 1;
        }
        calls.push(n);
    }
    let mut seconds = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (((_, call), n), seconds) in contestants.iter_mut().zip(&calls).zip(&mut seconds) {
            let start = Instant::now();
            for _ in 0..*n {
                call();
            }
            seconds.push(start.elapsed().as_secs_f64() / f64::from(*n));
        }
    }
    seconds.iter_mut().map(|seconds| statistic.of(seconds)).collect()
}

/// Rounds of multiply-adds that take well under a millisecond: a contestant to measure the peak with.
pub const PEAK_ROUNDS: u64 = 50_000;

/// Multiply-adds, [`PEAK_ROUNDS`] of them; returns the operations.
pub fn peak<T: Element>(level: Level) -> u64 {
    black_box(multiply_adds::<T>(level, black_box(PEAK_ROUNDS))).0
}

/// How tables are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Plain,
    /// For a record.
    Markdown,
}

impl Form {
    /// One line of cells, the first and the rest; the widths of a plain table's are given.
    #[must_use]
    pub fn row(self, [first_width, width]: [usize; 2], first: &str, cells: &[String]) -> String {
        let rest: String = cells
            .iter()
            .map(|cell| match self {
                Self::Plain => format!("  {cell:>width$}"),
                Self::Markdown => format!(" {} |", cell.trim().replace("( ", "(").replace("( ", "(")),
            })
            .collect();
        match self {
            Self::Plain => format!("{first:>first_width$}{rest}"),
            Self::Markdown => format!("| {first} |{rest}"),
        }
    }
}

/// What the CPU calls itself, where the system tells.
pub fn cpu() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |name: &str| {
        let mut pairs = told.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
    };
    let name = of("model name").unwrap_or(std::env::consts::ARCH);
    match (of("cpu family"), of("model")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name.into(),
    }
}

/// The date in UTC: `2026-11-24`.
pub fn today() -> String {
    let mut date = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    date.truncate(10);
    date
}

/// What a contestant of a [`Comparison`] does, with operands of its own.
type Call = Box<dyn FnMut()>;

/// A kernel, its peers and its limit on operands of one size.
pub struct Comparison {
    name: String,
    elements: usize,
    contestants: Vec<(&'static str, Call)>,
}

impl Comparison {
    /// Of nobody yet: `elements` is what a call goes through.
    #[must_use]
    pub fn new(name: &str, elements: usize) -> Self {
        Self { name: name.into(), elements, contestants: Vec::new() }
    }

    /// The kernel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// And this one.
    #[must_use]
    pub fn with(mut self, name: &'static str, call: impl FnMut() + 'static) -> Self {
        self.contestants.push((name, Box::new(call)));
        self
    }

    /// Measures in turn and prints a line: G elements/s of each, and the share of the limit.
    pub fn print(&mut self, statistic: Statistic, markdown: bool) {
        let mut contestants: Vec<Contestant<'_>> = self
            .contestants
            .iter_mut()
            .map(|(name, call)| (*name, call.as_mut() as &mut dyn FnMut()))
            .collect();
        let seconds = in_turn(9, Duration::from_millis(4), statistic, &mut contestants);
        let rates = seconds.iter().map(|seconds| self.elements as f64 / seconds / 1e9);
        let rates: Vec<(&str, f64)> = self.contestants.iter().map(|(name, _)| *name).zip(rates).collect();
        if markdown {
            self.print_row(&rates);
            return;
        }
        print!("{:>36} {:>8}", self.name, self.elements);
        for (name, rate) in rates {
            print!("  {name} {rate:.2}");
        }
        println!();
    }

    /// A row of a Markdown table: ours, the peers', the limit and our share of it.
    fn print_row(&self, rates: &[(&str, f64)]) {
        let of = |wanted: &str| rates.iter().find(|(name, _)| *name == wanted).map(|(_, rate)| *rate);
        let figure = |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.2}"));
        let peers: Vec<String> = rates
            .iter()
            .filter(|(name, _)| !["slicewise", "limit"].contains(name))
            .map(|(name, rate)| format!("{name} {rate:.2}"))
            .collect();
        let (ours, limit) = (of("slicewise"), of("limit"));
        let share = ours.zip(limit).map(|(ours, limit)| format!("{:.0}%", 100.0 * ours / limit));
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            self.name,
            self.elements,
            figure(ours),
            peers.join(", "),
            figure(limit),
            share.unwrap_or_else(|| "-".into())
        );
    }

    /// Criterion's figures.
    pub fn measure(mut self, criterion: &mut Criterion, room: &str) {
        let mut group = criterion.benchmark_group(format!("{room}/{}", self.name));
        group
            .sample_size(20)
            .measurement_time(Duration::from_millis(500))
            .warm_up_time(Duration::from_millis(100));
        group.throughput(Throughput::Elements(self.elements as u64));
        for (name, call) in &mut self.contestants {
            group.bench_function(BenchmarkId::new(*name, self.elements), |b| b.iter(&mut *call));
        }
        group.finish();
    }
}
