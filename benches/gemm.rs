//! gemm beside `matrixmultiply`, `gemm` and `faer`, and all beside the measured peak of multiply-adds.
//!
//! `cargo bench -p slicewise-benches --bench gemm` prints, first, a table measured in turn (GFLOP/s, medians; pin it to a
//! core with `taskset -c 1`), then criterion's own figures; `-- --table` only the table, `-- --table --markdown` the table as a
//! record of this machine (`benches/record`), `-- --table --best` the best slices instead of medians, `-- --threads=2` only
//! products on one thread beside those on so many, `-- 64x` only shapes with that in their names; `-- --table --few` products of few rows
//! or a single column instead, as single predictions make them.
#![allow(unsafe_code, reason = "the peer's interface takes pointers")]

use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput};
use slicewise::kernels::{MatMut, MatRef, Parallel, gemm, gemm_on, gemm_on_scratch_len, gemm_scratch_len};
use slicewise::{Element, Level};
use slicewise_benches::{Contestant, Form, Statistic, cpu, in_turn, peak, today};

/// m, k, n, and which of A and B are transposed.
type Shape = (usize, usize, usize, bool, bool);

/// Squares from tiny to large; products of training steps; heads and hidden layers of few columns; transposes; matrix times
/// vector; tall, flat and odd ones.
const SHAPES: &[Shape] = &[
    (4, 4, 4, false, false),
    (8, 8, 8, false, false),
    (16, 16, 16, false, false),
    (24, 24, 24, false, false),
    (32, 32, 32, false, false),
    (48, 48, 48, false, false),
    (64, 64, 64, false, false),
    (96, 96, 96, false, false),
    (128, 128, 128, false, false),
    (192, 192, 192, false, false),
    (256, 256, 256, false, false),
    (384, 384, 384, false, false),
    (512, 512, 512, false, false),
    (768, 768, 768, false, false),
    (1024, 1024, 1024, false, false),
    (2048, 2048, 2048, false, false),
    (64, 3072, 500, false, false),
    (64, 500, 500, false, false),
    (128, 784, 100, false, false),
    (60, 784, 100, false, false),
    (60, 100, 100, false, false),
    (256, 64, 10, false, false),
    (1000, 500, 500, false, false),
    (32, 3072, 50, false, false),
    (500, 64, 500, true, false),
    (3072, 64, 500, true, false),
    (64, 500, 500, false, true),
    (64, 500, 3072, false, true),
    (1, 1024, 1024, false, false),
    (1024, 1024, 1, false, false),
    (10000, 64, 64, false, false),
    (1024, 16, 1024, false, false),
    (127, 129, 131, false, false),
    (511, 513, 509, false, false),
];

/// Few rows, a single column, and small ones of other layouts than rows.
const FEW: &[Shape] = &[
    (1, 8, 8, false, false),
    (1, 64, 10, false, false),
    (1, 64, 100, false, false),
    (1, 784, 100, false, false),
    (1, 256, 256, false, false),
    (1, 300, 300, false, false),
    (1, 512, 1024, false, false),
    (1, 784, 100, false, true),
    (1, 512, 512, false, true),
    (1, 1024, 1024, false, true),
    (4, 100, 10, false, true),
    (4, 512, 512, false, true),
    (8, 512, 512, false, true),
    (16, 64, 64, false, true),
    (64, 64, 64, false, true),
    (4, 64, 10, true, false),
    (5, 64, 64, true, false),
    (2, 64, 10, false, false),
    (2, 512, 512, false, false),
    (2, 1024, 1024, false, false),
    (3, 64, 64, false, false),
    (3, 512, 100, false, false),
    (3, 512, 512, false, false),
    (3, 1024, 1024, false, false),
    (4, 256, 256, false, false),
    (5, 80, 40, false, false),
    (12, 100, 100, false, false),
    (6, 1024, 1024, false, false),
    (8, 512, 512, false, false),
    (1, 500, 1, false, false),
    (10, 64, 1, false, false),
    (64, 128, 1, false, false),
    (1000, 10, 1, false, false),
    (300, 500, 1, false, false),
    (64, 128, 1, true, false),
    (1000, 1000, 1, true, false),
    (3072, 64, 1, true, false),
];

/// The operands of one product.
struct Operands<T> {
    shape: Shape,
    a: Vec<T>,
    b: Vec<T>,
    c: Vec<T>,
    scratch: Vec<T>,
}

impl<T: Element> Operands<T> {
    fn new(shape: Shape) -> Self {
        let (m, k, n, ..) = shape;
        let values = |len: usize| (0..len).map(|i| T::from_f64((i % 17) as f64 / 8.0 - 1.0)).collect();
        let scratch = vec![T::default(); gemm_scratch_len(m, n, k)];
        Self { shape, a: values(m * k), b: values(k * n), c: values(m * n), scratch }
    }

    fn slicewise(&mut self, level: Level) {
        let (m, k, n, a_t, b_t) = self.shape;
        let a = if a_t { MatRef::row_major(&self.a, k, m).t() } else { MatRef::row_major(&self.a, m, k) };
        let b = if b_t { MatRef::row_major(&self.b, n, k).t() } else { MatRef::row_major(&self.b, k, n) };
        let c = MatMut::row_major(&mut self.c, m, n);
        gemm(level, T::from(1), a, b, T::default(), c, &mut self.scratch).expect("shapes fit");
    }

    /// On the threads of a pool, for which the scratch must do.
    fn slicewise_on(&mut self, pool: &impl Parallel, level: Level) {
        let (m, k, n, a_t, b_t) = self.shape;
        let a = if a_t { MatRef::row_major(&self.a, k, m).t() } else { MatRef::row_major(&self.a, m, k) };
        let b = if b_t { MatRef::row_major(&self.b, n, k).t() } else { MatRef::row_major(&self.b, k, n) };
        let c = MatMut::row_major(&mut self.c, m, n);
        gemm_on(pool, level, T::from(1), a, b, T::default(), c, &mut self.scratch).expect("shapes fit");
    }

    fn flops(&self) -> f64 {
        let (m, k, n, ..) = self.shape;
        2.0 * (m * k * n) as f64
    }

    /// The strides of A and B, as the peer takes them.
    fn strides(&self) -> [isize; 4] {
        let (m, k, n, a_t, b_t) = self.shape;
        let of = |transposed: bool, rows: usize, cols: usize| {
            if transposed { [1, rows as isize] } else { [cols as isize, 1] }
        };
        let ([a_rows, a_cols], [b_rows, b_cols]) = (of(a_t, m, k), of(b_t, k, n));
        [a_rows, a_cols, b_rows, b_cols]
    }
}

/// The peers, in the types they have functions for.
trait Peer: Element {
    fn matrixmultiply(operands: &mut Operands<Self>);
    fn gemm(operands: &mut Operands<Self>);
    fn faer(operands: &mut Operands<Self>);
}

macro_rules! peer {
    ($scalar:ty, $function:path) => {
        impl Peer for $scalar {
            fn matrixmultiply(o: &mut Operands<Self>) {
                let ((m, k, n, ..), [ra, ca, rb, cb]) = (o.shape, o.strides());
                let (a, b, c) = (o.a.as_ptr(), o.b.as_ptr(), o.c.as_mut_ptr());
                // SAFETY: the slices hold m k, k n and m n elements, which these strides do not leave.
                unsafe { $function(m, k, n, 1.0, a, ra, ca, b, rb, cb, 0.0, c, n as isize, 1) }
            }

            fn gemm(o: &mut Operands<Self>) {
                let ((m, k, n, ..), [ra, ca, rb, cb]) = (o.shape, o.strides());
                let (a, b, c) = (o.a.as_ptr(), o.b.as_ptr(), o.c.as_mut_ptr());
                let one_thread = gemm::Parallelism::None;
                // SAFETY: the slices hold m k, k n and m n elements, which these strides do not leave.
                unsafe {
                    gemm::gemm(
                        m, n, k, c, 1, n as isize, false, a, ca, ra, b, cb, rb, 0.0, 1.0, false, false,
                        false, one_thread,
                    )
                }
            }

            fn faer(o: &mut Operands<Self>) {
                let (m, k, n, a_t, b_t) = o.shape;
                let matrix = |data, rows, cols, turned| match turned {
                    true => faer::MatRef::from_row_major_slice(data, cols, rows).transpose(),
                    false => faer::MatRef::from_row_major_slice(data, rows, cols),
                };
                let (a, b) = (matrix(&o.a[..], m, k, a_t), matrix(&o.b[..], k, n, b_t));
                let c = faer::MatMut::from_row_major_slice_mut(&mut o.c, m, n);
                faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, faer::Par::Seq);
            }
        }
    };
}
peer!(f32, matrixmultiply::sgemm);
peer!(f64, matrixmultiply::dgemm);

const PEERS: [&str; 3] = ["matrixmultiply", "gemm", "faer"];

fn name((m, k, n, a_t, b_t): Shape) -> String {
    let letter = |transposed| if transposed { 'T' } else { 'N' };
    format!("{m}x{k}x{n} {}{}", letter(a_t), letter(b_t))
}

/// Of the first column of a plain table, and of the others.
const WIDTHS: [usize; 2] = [18, 14];

/// What the tables have in common, of this machine and this day.
fn heading(form: Form, statistic: Statistic) {
    if form == Form::Markdown {
        println!("# gemm on {}, {}\n", cpu(), today());
        println!(
            "slicewise {}, one core, operands warm, measured in turn: {}.\n",
            env!("CARGO_PKG_VERSION"),
            statistic.name()
        );
    }
}

fn table<T: Peer>(form: Form, statistic: Statistic, dtype: &str, shapes: &[Shape]) {
    let best = Level::detect();
    let what = format!("GFLOP/s (share of the peak of multiply-adds at level {})", best.name());
    match form {
        Form::Plain => println!("{dtype}, {what}, {}", statistic.name()),
        Form::Markdown => println!(
            "## {dtype}\n\n{what}; the last column is the rate of the first level over that of the best peer.\n"
        ),
    }
    let names = Level::available().map(Level::name).chain(PEERS).chain(["peak", "ours / best"]);
    let names: Vec<String> = names.map(String::from).collect();
    println!("{}", form.row(WIDTHS, "m x k x n", &names));
    if form == Form::Markdown {
        println!("{}", form.row(WIDTHS, "---", &vec!["---:".to_string(); names.len()]));
    }
    let (mut ratios, mut tops) = (Vec::new(), Vec::new());
    for shape in shapes {
        let (rates, top) = rates::<T>(best, *shape, statistic);
        let share = |rate: &f64| format!("{rate:6.1} ({:3.0}%)", 100.0 * rate / top);
        let mut cells: Vec<String> = rates.iter().map(share).collect();
        let (ours, peers) = rates.split_at(rates.len() - PEERS.len());
        let ratio = ours[0] / peers.iter().copied().fold(0.0, f64::max);
        cells.extend([format!("{top:.1}"), format!("{ratio:.2}")]);
        println!("{}", form.row(WIDTHS, &name(*shape), &cells));
        ratios.push(ratio.ln());
        tops.push(top);
    }
    tops.sort_by(f64::total_cmp);
    let peak = tops.get(tops.len() / 2).copied().unwrap_or(f64::NAN);
    let mean = (ratios.iter().sum::<f64>() / ratios.len() as f64).exp();
    if form == Form::Markdown {
        println!();
    }
    println!("Peak (median): {peak:.1} GFLOP/s. Geometric mean of ours / best peer: {mean:.3}.\n");
}

/// Of every level, then of every peer, on one shape, and the peak: GFLOP/s, all measured in turn.
fn rates<T: Peer>(best: Level, shape: Shape, statistic: Statistic) -> (Vec<f64>, f64) {
    let mut levels: Vec<_> = Level::available().map(|level| (level, Operands::<T>::new(shape))).collect();
    let mut theirs = [(); 3].map(|()| Operands::<T>::new(shape));
    let [first, second, third] = &mut theirs;
    let (mut operations, flops) = (0, first.flops());
    let mut ours: Vec<_> =
        levels.iter_mut().map(|(level, operands)| (level.name(), || operands.slicewise(*level))).collect();
    let mut contestants: Vec<Contestant<'_>> =
        ours.iter_mut().map(|(name, call)| (*name, call as &mut dyn FnMut())).collect();
    let mut peers = (|| T::matrixmultiply(first), || T::gemm(second), || T::faer(third));
    let mut limit = || operations = peak::<T>(best);
    let calls: [&mut dyn FnMut(); 3] = [&mut peers.0, &mut peers.1, &mut peers.2];
    contestants.extend(PEERS.into_iter().zip(calls));
    contestants.push(("peak", &mut limit));
    let mut seconds = in_turn(15, Duration::from_millis(8), statistic, &mut contestants);
    let top = operations as f64 / seconds.pop().expect("the peak") / 1e9;
    (seconds.into_iter().map(|seconds| flops / seconds / 1e9).collect(), top)
}

/// One thread beside several: what a second one brings, and that small products lose nothing.
fn threads_table<T: Element>(dtype: &str, threads: usize, shapes: &[Shape]) {
    let (level, pool) = (Level::detect(), rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    let pool = pool.expect("threads");
    println!(
        "{dtype}, us at level {}\n{:>18}  {:>10}  {threads:>10}  speed-up",
        level.name(),
        "m x k x n",
        1
    );
    for shape in shapes {
        let (mut one, mut several) = (Operands::<T>::new(*shape), Operands::<T>::new(*shape));
        let (m, k, n, ..) = *shape;
        several.scratch.resize(gemm_on_scratch_len(m, n, k, threads), T::default());
        let seconds = pool.install(|| {
            let mut calls = (|| one.slicewise(level), || several.slicewise_on(&pool, level));
            let contestants: &mut [Contestant<'_>] = &mut [("1", &mut calls.0), ("several", &mut calls.1)];
            in_turn(21, Duration::from_millis(8), Statistic::Median, contestants)
        });
        let [one, several] = [seconds[0], seconds[1]].map(|seconds| seconds * 1e6);
        println!("{:>18}  {one:>10.2}  {several:>10.2}  {:.2}", name(*shape), one / several);
    }
}

fn criterion_group<T: Peer>(criterion: &mut Criterion, dtype: &str, shapes: &[Shape]) {
    let mut group = criterion.benchmark_group(format!("gemm {dtype}"));
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    for shape in shapes {
        let mut operands = Operands::<T>::new(*shape);
        group.throughput(Throughput::Elements(operands.flops() as u64));
        for level in Level::available() {
            group.bench_function(BenchmarkId::new(level.name(), name(*shape)), |b| {
                b.iter(|| operands.slicewise(level))
            });
        }
        for (peer, call) in PEERS.into_iter().zip([T::matrixmultiply, T::gemm, T::faer]) {
            group.bench_function(BenchmarkId::new(peer, name(*shape)), |b| b.iter(|| call(&mut operands)));
        }
    }
    group.finish();
}

fn main() {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let asked = |name: &str| flags.iter().any(|flag| flag == name);
    let shapes: Vec<Shape> = if asked("--few") { FEW } else { SHAPES }
        .iter()
        .copied()
        .filter(|shape| words.iter().all(|word| name(*shape).contains(word)))
        .collect();
    if let Some(threads) = flags.iter().find_map(|flag| flag.strip_prefix("--threads=")) {
        let threads = threads.parse().expect("a number of threads");
        threads_table::<f32>("f32", threads, &shapes);
        return threads_table::<f64>("f64", threads, &shapes);
    }
    let form = if asked("--markdown") { Form::Markdown } else { Form::Plain };
    let statistic = Statistic::of_flags(&flags);
    heading(form, statistic);
    table::<f32>(form, statistic, "f32", &shapes);
    table::<f64>(form, statistic, "f64", &shapes);
    if asked("--table") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    criterion_group::<f32>(&mut criterion, "f32", &shapes);
    criterion_group::<f64>(&mut criterion, "f64", &shapes);
    criterion.final_summary();
}
