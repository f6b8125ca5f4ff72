//! gemm beside `matrixmultiply`, and both beside the measured peak of multiply-adds.
//!
//! `cargo bench -p slicewise-benches --bench gemm` prints, first, a table measured in turn (GFLOP/s, medians; pin it to a
//! core with `taskset -c 1`), then criterion's own figures.
#![allow(unsafe_code, reason = "the peer's interface takes pointers")]

use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput};
use slicewise::kernels::{MatMut, MatRef, gemm, gemm_scratch_len};
use slicewise::{Element, Level};
use slicewise_benches::{Contestant, in_turn, peak};

/// m, k, n, and which of A and B are transposed.
type Shape = (usize, usize, usize, bool, bool);

/// Squares; then the three products of a step of 784-256-128-10 with batches of 128.
const SHAPES: &[Shape] = &[
    (64, 64, 64, false, false),
    (256, 256, 256, false, false),
    (512, 512, 512, false, false),
    (1024, 1024, 1024, false, false),
    (128, 784, 256, false, false),
    (784, 128, 256, true, false),
    (128, 128, 256, false, true),
    (128, 128, 10, false, false),
    (1, 784, 256, false, false),
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

/// The peer, in the type it has a function for.
trait Peer: Element {
    fn matrixmultiply(operands: &mut Operands<Self>);
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
        }
    };
}
peer!(f32, matrixmultiply::sgemm);
peer!(f64, matrixmultiply::dgemm);

fn name((m, k, n, a_t, b_t): Shape) -> String {
    let letter = |transposed| if transposed { 'T' } else { 'N' };
    format!("{m}x{k}x{n} {}{}", letter(a_t), letter(b_t))
}

fn table<T: Peer>(dtype: &str) {
    let best = Level::detect();
    println!("{dtype}, GFLOP/s (share of the peak at level {})", best.name());
    print!("{:>18}", "m x k x n");
    for name in Level::available().map(Level::name).chain(["matrixmultiply"]) {
        print!("  {name:>14}");
    }
    println!("  {:>6}", "peak");
    for shape in SHAPES {
        let mut levels: Vec<_> =
            Level::available().map(|level| (level, Operands::<T>::new(*shape))).collect();
        let (mut theirs, mut operations) = (Operands::<T>::new(*shape), 0);
        let flops = theirs.flops();
        let mut ours: Vec<_> = levels
            .iter_mut()
            .map(|(level, operands)| (level.name(), || operands.slicewise(*level)))
            .collect();
        let mut contestants: Vec<Contestant<'_>> =
            ours.iter_mut().map(|(name, call)| (*name, call as &mut dyn FnMut())).collect();
        let mut peer = || T::matrixmultiply(&mut theirs);
        let mut limit = || operations = peak::<T>(best);
        contestants.push(("matrixmultiply", &mut peer));
        contestants.push(("peak", &mut limit));
        let mut seconds = in_turn(15, Duration::from_millis(8), &mut contestants);
        let top = operations as f64 / seconds.pop().expect("the peak") / 1e9;
        print!("{:>18}", name(*shape));
        for seconds in seconds {
            let gflops = flops / seconds / 1e9;
            print!("  {:>14}", format!("{gflops:6.1} ({:3.0}%)", 100.0 * gflops / top));
        }
        println!("  {top:6.1}");
    }
    println!();
}

fn criterion_group<T: Peer>(criterion: &mut Criterion, dtype: &str) {
    let mut group = criterion.benchmark_group(format!("gemm {dtype}"));
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    for shape in SHAPES {
        let mut operands = Operands::<T>::new(*shape);
        group.throughput(Throughput::Elements(operands.flops() as u64));
        for level in Level::available() {
            group.bench_function(BenchmarkId::new(level.name(), name(*shape)), |b| {
                b.iter(|| operands.slicewise(level))
            });
        }
        group.bench_function(BenchmarkId::new("matrixmultiply", name(*shape)), |b| {
            b.iter(|| T::matrixmultiply(&mut operands));
        });
    }
    group.finish();
}

fn main() {
    table::<f32>("f32");
    table::<f64>("f64");
    let mut criterion = Criterion::default().configure_from_args();
    criterion_group::<f32>(&mut criterion, "f32");
    criterion_group::<f64>(&mut criterion, "f64");
    criterion.final_summary();
}
