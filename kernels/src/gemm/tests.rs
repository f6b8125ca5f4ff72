//! Against the oracle, on every level; bits across levels, batches, layouts and alignments.

use super::*;
use crate::reference::strategies::{slice, special_slice, value};
use crate::reference::{self, Placed, assert_close, assert_same_bits, levels};
use proptest::prelude::*;
use std::vec::Vec;

/// How an operand lies in its slice.
#[derive(Clone, Copy, Debug)]
enum Lay {
    RowMajor,
    ColMajor,
    /// Every second element of rows with a gap between them.
    Sparse,
}

/// The element order of a row-major matrix, laid out; the gaps hold `gap`.
fn lay<T: Element>(x: &[T], rows: usize, cols: usize, lay: Lay, gap: T) -> (Vec<T>, usize, usize) {
    let (row_stride, col_stride) = match lay {
        Lay::RowMajor => (cols, 1),
        Lay::ColMajor => (1, rows),
        Lay::Sparse => (2 * cols + 3, 2),
    };
    let mut data = std::vec![gap; rows * row_stride + cols * col_stride + 1];
    for i in 0..rows {
        for j in 0..cols {
            data[i * row_stride + j * col_stride] = x[i * cols + j];
        }
    }
    (data, row_stride, col_stride)
}

#[derive(Clone, Debug)]
struct Case<T> {
    m: usize,
    n: usize,
    k: usize,
    lays: [Lay; 3],
    alpha: T,
    beta: T,
    a: Vec<T>,
    b: Vec<T>,
    c: Vec<T>,
    offset: usize,
}

impl<T: Element> Case<T> {
    /// C after the product, row-major; fails where an element between C's is written.
    fn run(&self, level: Level) -> Vec<T> {
        let Self { m, n, k, .. } = *self;
        let gap = T::from_f64(12345.0);
        let (a, a_rows, a_cols) = lay(&self.a, m, k, self.lays[0], gap);
        let (b, b_rows, b_cols) = lay(&self.b, k, n, self.lays[1], gap);
        let (c, c_rows, c_cols) = lay(&self.c, m, n, self.lays[2], gap);
        let (a, b) = (Placed::new(&a, self.offset), Placed::new(&b, self.offset / 2));
        let mut c = Placed::new(&c, self.offset / 3);
        let mut scratch = std::vec![T::from_f64(f64::NAN); gemm_scratch_len(m, n, k)];
        gemm(
            level,
            self.alpha,
            MatRef::strided(a.get(), m, k, a_rows, a_cols),
            MatRef::strided(b.get(), k, n, b_rows, b_cols),
            self.beta,
            MatMut::strided(c.get_mut(), m, n, c_rows, c_cols),
            &mut scratch,
        )
        .unwrap();
        let mut result = Vec::new();
        for i in 0..m {
            for j in 0..n {
                result.push(core::mem::replace(&mut c.get_mut()[i * c_rows + j * c_cols], gap));
            }
        }
        assert!(c.get().iter().all(|x| *x == gap), "an element outside C was written");
        result
    }

    fn check(&self) {
        let expected =
            reference::gemm::gemm(self.m, self.n, self.k, self.alpha, &self.a, &self.b, self.beta, &self.c);
        let mut fused: Option<Vec<T>> = None;
        for level in levels() {
            let actual = self.run(level);
            // gamma(k + 2), doubled where products round too; half a subnormal spacing for each that underflows, of
            // which those of alpha * a are multiplied by b, or those of alpha * b by a.
            let roundings = (self.k + 2) as f64 * if level == Level::Portable { 2.0 } else { 1.0 };
            let u = T::EPSILON.to_f64() / 2.0;
            let tiny = if T::LANES == 16 { 1e-45 } else { 5e-324 };
            let largest = self.a.iter().chain(&self.b).fold(1.0f64, |max, x| max.max(x.to_f64().abs()));
            for (actual, expected) in actual.iter().zip(&expected) {
                let bound =
                    roundings * u / (1.0 - roundings * u) * expected.magnitude + roundings * tiny * largest;
                assert_close(*actual, expected.value, bound, "gemm", level);
            }
            if level != Level::Portable {
                assert_same_bits(&actual, fused.get_or_insert(actual.clone()), "gemm", level);
            }
        }
    }
}

fn lays() -> impl Strategy<Value = [Lay; 3]> {
    let one = || prop_oneof![3 => Just(Lay::RowMajor), 2 => Just(Lay::ColMajor), 1 => Just(Lay::Sparse)];
    [one(), one(), one()]
}

fn case<T: Element>(max: usize, max_k: usize) -> impl Strategy<Value = Case<T>> {
    let factor = || prop_oneof![Just(T::from(0)), Just(T::from(1)), value::<T>()];
    (0..max, 0..max, 0..max_k, lays(), factor(), factor(), 0usize..17)
        .prop_flat_map(|(m, n, k, lays, alpha, beta, offset)| {
            (
                slice::<T>(m * k),
                slice::<T>(k * n),
                slice::<T>(m * n),
                Just((m, n, k, lays, alpha, beta, offset)),
            )
        })
        .prop_map(|(a, b, c, (m, n, k, lays, alpha, beta, offset))| Case {
            m,
            n,
            k,
            lays,
            alpha,
            beta,
            a,
            b,
            c,
            offset,
        })
}

proptest! {
    #[test]
    fn f32_is_within_its_bound(case in case::<f32>(40, 60)) {
        case.check();
    }

    #[test]
    fn f64_is_within_its_bound(case in case::<f64>(40, 60)) {
        case.check();
    }

    /// What one element's chain does with NaN and the infinities, every other element's does alone.
    #[test]
    fn special_values_stay_in_their_rows_and_columns(
        (m, n, k) in (1usize..9, 1usize..35, 1usize..9),
        seed in special_slice::<f32>(9 * 9 + 35 * 9),
    ) {
        let (a, b) = (&seed[..m * k], &seed[81..81 + k * n]);
        for level in levels() {
            let run = |a: &[f32], m: usize| Case {
                m, n, k, lays: [Lay::RowMajor; 3], alpha: 1.0, beta: 0.0,
                a: a.to_vec(), b: b.to_vec(), c: std::vec![f32::NAN; m * n], offset: 0,
            }.run(level);
            let all = run(a, m);
            for (i, c) in all.chunks(n).enumerate() {
                for (j, c) in c.iter().enumerate() {
                    let fused = level != Level::Portable || cfg!(target_arch = "aarch64");
                    let fma = |acc: f32, p: usize| {
                        let (x, y) = (a[i * k + p], b[p * n + j]);
                        if fused { libm::fmaf(x, y, acc) } else { acc + x * y }
                    };
                    let expected = if n == 1 {
                        let lanes: [f32; 16] =
                            core::array::from_fn(|l| (l..k).step_by(16).fold(0.0, fma));
                        [8, 4, 2, 1].iter().fold(lanes, |mut lanes, half| {
                            (0..*half).for_each(|l| lanes[l] += lanes[l + half]);
                            lanes
                        })[0]
                    } else {
                        (0..k).fold(0.0, fma)
                    };
                    assert_same_bits(&[*c], &[expected], "gemm", level);
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_bits_in_any_batch_and_layout(case in case::<f32>(30, 40)) {
        for level in levels() {
            let all = case.run(level);
            for (i, row) in all.chunks(case.n.max(1)).enumerate().take(case.m) {
                let alone = Case {
                    m: 1,
                    a: case.a[i * case.k..(i + 1) * case.k].to_vec(),
                    c: case.c[i * case.n..(i + 1) * case.n].to_vec(),
                    lays: [Lay::RowMajor; 3],
                    offset: 0,
                    ..case.clone()
                };
                assert_same_bits(&alone.run(level), row, "a row alone", level);
            }
        }
    }
}

/// Every block boundary, exactly: products of small integers have no rounding.
#[test]
fn blocks_meet_exactly() {
    let sizes = [(1, 1100, 700), (2, 33, 257), (13, 17, 513), (145, 40, 300), (289, 1030, 5), (7, 1057, 256)];
    for (m, n, k) in sizes {
        let a: Vec<f32> = (0..m * k).map(|i| (i * 7 % 5) as f32 - 2.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i * 11 % 7) as f32 - 3.0).collect();
        let c: Vec<f32> = (0..m * n).map(|i| (i % 3) as f32).collect();
        let mut expected: Vec<f32> = c.iter().map(|c| 4.0 * c).collect();
        for i in 0..m {
            for p in 0..k {
                for j in 0..n {
                    expected[i * n + j] += 2.0 * a[i * k + p] * b[p * n + j];
                }
            }
        }
        for lays in [[Lay::RowMajor; 3], [Lay::ColMajor; 3], [Lay::ColMajor, Lay::RowMajor, Lay::RowMajor]] {
            let case = Case {
                m,
                n,
                k,
                lays,
                alpha: 2.0,
                beta: 4.0,
                a: a.clone(),
                b: b.clone(),
                c: c.clone(),
                offset: 1,
            };
            for level in levels() {
                assert_same_bits(&case.run(level), &expected, "blocks", level);
            }
        }
    }
}

#[test]
fn errors_leave_c_untouched() {
    let (a, b, mut c, mut scratch) = ([1.0f32; 6], [1.0; 6], [7.0; 4], [0.0; gemm_scratch_len(2, 2, 3)]);
    let mut run =
        |a: MatRef<'_, f32>, b: MatRef<'_, f32>, rows: usize, stride: usize, scratch: &mut [f32]| {
            let error =
                gemm(Level::detect(), 1.0, a, b, 0.0, MatMut::strided(&mut c, rows, 2, stride, 1), scratch)
                    .unwrap_err();
            assert_eq!(c, [7.0; 4]);
            (error.argument, error.expected, error.actual)
        };
    let (good_a, good_b) = (MatRef::row_major(&a, 2, 3), MatRef::row_major(&b, 3, 2));
    assert_eq!(run(good_a, good_b.t(), 2, 2, &mut scratch), ("b's rows", 3, 2));
    assert_eq!(run(good_a, good_b, 1, 2, &mut scratch), ("c's rows", 2, 1));
    assert_eq!(run(MatRef::row_major(&a[..5], 2, 3), good_b, 2, 2, &mut scratch), ("a", 6, 5));
    assert_eq!(run(good_a, good_b, 2, 1, &mut scratch), ("c's larger stride", 2, 1));
    assert_eq!(run(good_a, good_b, 2, 3, &mut scratch), ("c", 5, 4));
    let short = gemm_scratch_len(2, 2, 3) - 1;
    assert_eq!(run(good_a, good_b, 2, 2, &mut scratch[..short]), ("scratch", short + 1, short));
    let huge = MatRef::strided(&a, 2, 3, usize::MAX, 1);
    assert_eq!(run(huge, good_b, 2, 2, &mut scratch), ("a", usize::MAX, 6));
}
