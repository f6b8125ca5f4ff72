//! The bits of [`gemm`], for any number of threads, in any order.

use super::Plan;
use crate::parallel::tests::{Ordered, Scoped, ordered};
use proptest::prelude::*;
use slicewise_kernels::reference::strategies::{slice, value};
use slicewise_kernels::reference::{assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

/// How an operand lies in its slice: row and column stride for so many rows and columns.
#[derive(Clone, Copy, Debug)]
enum Lay {
    Rows,
    Columns,
    Gaps,
}

impl Lay {
    fn strides(self, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Self::Rows => (cols, 1),
            Self::Columns => (1, rows),
            Self::Gaps => (2 * cols + 3, 2),
        }
    }
}

#[derive(Clone, Debug)]
struct Case<T> {
    m: usize,
    n: usize,
    k: usize,
    lays: [Lay; 3],
    alpha: T,
    beta: T,
    values: Vec<T>,
}

impl<T: Element> Case<T> {
    /// The slices of A, B, C and the bias.
    fn operands(&self) -> [Vec<T>; 4] {
        let Self { m, n, k, lays: [a, b, c], .. } = *self;
        let fill = |from: usize, len: usize| -> Vec<T> {
            self.values.iter().cycle().skip(from).take(len).copied().collect()
        };
        let len = |lay: Lay, rows: usize, cols: usize| {
            let (row, col) = lay.strides(rows, cols);
            rows * row + cols * col
        };
        [fill(0, len(a, m, k)), fill(5, len(b, k, n)), fill(11, len(c, m, n)), fill(3, n)]
    }

    /// All of C's slice after the product, gaps included.
    fn run(&self, [a, b, c, bias]: &[Vec<T>; 4], level: Level, pool: Option<&impl Parallel>) -> Vec<T> {
        let Self { m, n, k, lays: [a_lay, b_lay, c_lay], alpha, beta, .. } = *self;
        let ((ra, ca), (rb, cb), (rc, cc)) = (a_lay.strides(m, k), b_lay.strides(k, n), c_lay.strides(m, n));
        let mut c = c.clone();
        if beta == T::default() {
            c.fill(T::from_f64(f64::NAN));
        }
        let (a, b) = (MatRef::strided(a, m, k, ra, ca), MatRef::strided(b, k, n, rb, cb));
        let to = MatMut::strided(&mut c, m, n, rc, cc);
        let activation = [Activation::Identity, Activation::Relu, Activation::Tanh][k % 3];
        let epilogue = Epilogue { bias: (m % 2 == 0).then_some(&bias[..]), activation };
        match pool {
            Some(pool) => {
                let mut scratch =
                    std::vec![T::from_f64(f64::NAN); gemm_on_scratch_len(m, n, k, pool.threads())];
                gemm_with_epilogue_on(pool, level, alpha, a, b, beta, to, epilogue, &mut scratch).unwrap();
            }
            None => {
                let mut scratch = std::vec![T::default(); gemm_scratch_len(m, n, k)];
                gemm_with_epilogue(level, alpha, a, b, beta, to, epilogue, &mut scratch).unwrap();
            }
        }
        c
    }

    fn check(&self) {
        let operands = &self.operands();
        for level in levels() {
            let alone = self.run(operands, level, None::<&Ordered>);
            for pool in ordered() {
                let what = std::format!("{pool:?}");
                assert_same_bits(&self.run(operands, level, Some(&pool)), &alone, &what, level);
            }
            assert_same_bits(&self.run(operands, level, Some(&Scoped(3))), &alone, "threads", level);
        }
    }
}

/// Most are worth several bands.
fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        3 => (80usize..300, 60usize..250, 60usize..250),
        3 => (2usize..60, 120usize..600, 100usize..400),
        1 => (Just(1usize), 200usize..900, 300usize..900),
        1 => (200usize..900, 1usize..3, 300usize..900),
        1 => (200usize..600, 200usize..600, 1usize..12),
        1 => (1usize..40, 1usize..40, 1usize..60),
    ]
}

fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    let lay = || prop_oneof![3 => Just(Lay::Rows), 1 => Just(Lay::Columns), 1 => Just(Lay::Gaps)];
    let scalar = || prop_oneof![Just(T::from(1)), Just(T::default()), value::<T>()];
    (sizes(), [lay(), lay(), lay()], scalar(), scalar(), slice(997))
        .prop_map(|((m, n, k), lays, alpha, beta, values)| Case { m, n, k, lays, alpha, beta, values })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_number_of_threads_gives_the_same_bits_f32(case in case::<f32>()) {
        case.check();
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits_f64(case in case::<f64>()) {
        case.check();
    }

    /// An arena that holds the scratch of a batch holds that of every smaller one.
    #[test]
    fn scratch_grows_with_every_size(sizes in [1usize..3000, 1usize..3000, 1usize..3000], threads in 1usize..9, by in [0usize..300, 0usize..300, 0usize..300]) {
        let ([m, n, k], [dm, dn, dk]) = (sizes, by);
        prop_assert!(gemm_scratch_len(m, n, k) <= gemm_scratch_len(m + dm, n + dn, k + dk));
        prop_assert!(gemm_on_scratch_len(m, n, k, threads) <= gemm_on_scratch_len(m + dm, n + dn, k + dk, threads));
        prop_assert!(gemm_on_scratch_len(m, n, k, threads) <= gemm_on_scratch_len(m, n, k, threads + 1));
    }
}

/// A band of one column would be summed in another order.
#[test]
fn no_column_is_alone() {
    for (n, threads) in (2..700).flat_map(|n| [2, 3, 7].map(|threads| (n, threads))) {
        let mut c = std::vec![0.0f32; n * 2];
        for (m, row_stride, col_stride) in [(1, n, 1), (2, n, 1), (2, 1, 2)] {
            let plan = Plan::new(threads, &crate::MatMut::strided(&mut c, m, n, row_stride, col_stride));
            if let Plan::Columns { width, count } | Plan::Copied { width, count } = plan {
                assert!(n - (count - 1) * width > 1, "{n} columns by {width}");
            }
        }
    }
}

/// What each shape is divided by, so that no path goes untested.
#[test]
fn few_rows_are_divided_by_columns() {
    let plan = |m: usize, n: usize, row_stride, col_stride| {
        let mut c = std::vec![0.0f32; m * row_stride + n * col_stride];
        Plan::new(2, &crate::MatMut::strided(&mut c, m, n, row_stride, col_stride))
    };
    assert_eq!(plan(512, 512, 512, 1), Plan::Rows { height: 264, count: 2 });
    assert_eq!(plan(64, 64, 64, 1), Plan::Rows { height: 32, count: 2 });
    assert_eq!(plan(64, 500, 500, 1), Plan::Copied { width: 256, count: 2 });
    assert_eq!(plan(64, 500, 1001, 2), Plan::Rows { height: 32, count: 2 });
    assert_eq!(plan(1, 500, 500, 1), Plan::Columns { width: 256, count: 2 });
    assert_eq!(plan(64, 500, 1, 64), Plan::Columns { width: 256, count: 2 });
    assert_eq!(plan(64, 1, 1, 64), Plan::Rows { height: 32, count: 2 });
    assert_eq!(plan(7, 20, 20, 1), Plan::Whole);
}

#[test]
fn errors_leave_c_untouched() {
    let pool = Ordered { threads: 2, backwards: false };
    let (m, n, k) = (140, 150, 160);
    let (a, b, mut c) = (std::vec![1.0f32; m * k], std::vec![1.0; k * n], std::vec![7.0; m * n]);
    let len = gemm_on_scratch_len(m, n, k, 2);
    assert!(len > gemm_scratch_len(m, n, k));
    let mut scratch = std::vec![0.0; len];
    let mut run =
        |a: MatRef<'_, f32>, b: MatRef<'_, f32>, rows: usize, stride: usize, scratch: &mut [f32]| {
            let to = MatMut::strided(&mut c, rows, n, stride, 1);
            let error = gemm_on(&pool, Level::detect(), 1.0, a, b, 0.0, to, scratch).unwrap_err();
            assert!(c.iter().all(|c| *c == 7.0));
            (error.argument, error.expected, error.actual)
        };
    let (good_a, good_b) = (MatRef::row_major(&a, m, k), MatRef::row_major(&b, k, n));
    assert_eq!(run(good_a, good_b.t(), m, n, &mut scratch), ("b's rows", k, n));
    assert_eq!(run(good_a, good_b, m - 1, n, &mut scratch), ("c's rows", m, m - 1));
    assert_eq!(run(MatRef::row_major(&a[1..], m, k), good_b, m, n, &mut scratch), ("a", m * k, m * k - 1));
    assert_eq!(run(good_a, good_b, m, n - 1, &mut scratch), ("c's larger stride", n, n - 1));
    assert_eq!(run(good_a, good_b, m, n, &mut scratch[1..]), ("scratch", len, len - 1));
}

/// A pool's own threads.
#[cfg(feature = "rayon")]
#[test]
fn a_pool_of_rayon_gives_the_same_bits() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(pool.threads(), 3);
    let values: Vec<f32> = (0..997u16).map(|i| f32::from(i * 37 % 101) / 50.0 - 1.0).collect();
    for (m, n, k) in [(300, 200, 100), (30, 300, 200), (1, 1000, 300)] {
        let case = Case { m, n, k, lays: [Lay::Rows; 3], alpha: 1.0, beta: 1.0, values: values.clone() };
        let (operands, level) = (&case.operands(), Level::detect());
        let alone = case.run(operands, level, None::<&Ordered>);
        assert_same_bits(&case.run(operands, level, Some(&pool)), &alone, "from outside", level);
        let inside = pool.install(|| case.run(operands, level, Some(&pool)));
        assert_same_bits(&inside, &alone, "from inside", level);
    }
}
