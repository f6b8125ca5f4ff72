//! Every kernel but gemm beside a peer and the machine's limit, in `f32` at the best level of this CPU.
//!
//! `cargo bench -p slicewise-benches --bench kernels` prints, first, tables measured in turn (G elements/s, medians; pin it
//! to a core with `taskset -c 1`), then criterion's own figures; `-- --table` only the tables, `-- --table --markdown` as a record of this
//! machine (`benches/record`), `-- gelu` only kernels with that in their names (`--exact`: of that name), `--most=N` only slices of up to
//! N elements, `--best` the best slices instead of medians. "loop" is the formula as a plain loop, compiled for the same CPU under
//! `RUSTFLAGS="-C target-cpu=native"`; "limit" moves the bytes that the kernel has to move, each once. Last comes
//! the error of each function, as peers compute it and as we do.
//! Operands start at cache lines, everybody's, as a trainer's do and PyTorch's.

mod elementwise;
mod functions;
mod normalisation;
mod polynomials;
mod statistics;

use criterion::Criterion;
use slicewise_benches::lines::Lines;
use slicewise_benches::{Comparison, Statistic, cpu, today};

#[global_allocator]
static ALLOCATOR: Lines = Lines;

/// Elements that fit L1, L2 and L3, and that fit none.
const SIZES: [usize; 4] = [1 << 10, 1 << 14, 1 << 18, 1 << 24];

/// The comparisons of a file here, on operands of `n` elements.
type Room = fn(usize) -> Vec<Comparison>;

fn main() {
    let rooms: [(&str, Room); 4] = [
        ("functions", functions::comparisons),
        ("elementwise", elementwise::comparisons),
        ("normalisation", normalisation::comparisons),
        ("statistics", statistics::comparisons),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let most = arguments.iter().find_map(|flag| flag.strip_prefix("--most="));
    let most: usize = most.map_or(usize::MAX, |most| most.parse().expect("a number of elements"));
    let exact = given("--exact");
    let is_wanted = |name: &str, word: &str| if exact { name == word } else { name.contains(word) };
    let markdown = given("--markdown");
    let statistic = Statistic::of_flags(&arguments);
    if markdown {
        println!("# kernels on {}, {}\n", cpu(), today());
        println!(
            "`f32`, G elements/s, {} of rounds in turn; what each is worth in accuracy stands at the end.",
            statistic.name()
        );
    }
    for (room, comparisons) in rooms {
        if markdown {
            println!(
                "\n## {room}\n\n| kernel | elements | slicewise | peers | limit | share |\n|---|--:|--:|---|--:|--:|"
            );
        } else {
            println!("{room}, G elements/s, {}", statistic.name());
        }
        for n in SIZES.into_iter().filter(|n| *n <= most) {
            let comparisons = comparisons(n).into_iter();
            for mut comparison in
                comparisons.filter(|c| wanted.is_empty() || wanted.iter().any(|w| is_wanted(c.name(), w)))
            {
                comparison.print(statistic, markdown);
            }
        }
        if !markdown {
            println!();
        }
    }
    if !exact {
        functions::print_errors(markdown, &wanted);
    }
    if given("--table") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (room, comparisons) in rooms {
        for n in SIZES {
            for comparison in comparisons(n) {
                comparison.measure(&mut criterion, room);
            }
        }
    }
    criterion.final_summary();
}

/// `n` values about 0, without a short period.
fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 2003) as f32 / 250.0 - 4.0).collect()
}

/// Reads and writes of one element each: what a kernel must move at least.
fn limit(comparison: Comparison, n: usize, reads: usize, writes: usize) -> Comparison {
    let x = vec![values(n); reads.max(1)];
    let mut y = vec![vec![0.0f32; n]; writes];
    comparison.with("limit", move || {
        for (i, y) in y.iter_mut().enumerate() {
            y.copy_from_slice(&x[i % x.len()]);
        }
        for x in x.iter().skip(writes) {
            core::hint::black_box(slicewise::kernels::max(slicewise::Level::detect(), x));
        }
    })
}
