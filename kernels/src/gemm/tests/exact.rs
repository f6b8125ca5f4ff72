//! Products of integers times powers of two, which round nowhere: every small shape.

use super::*;

/// The layouts of A, B and C: all by rows, one of them by columns, all by columns.
const LAYS: [[Lay; 3]; 5] = [
    [Rows(0), Rows(0), Rows(0)],
    [Rows(1), Cols(0), Rows(2)],
    [Cols(0), Rows(3), Rows(0)],
    [Rows(0), Rows(0), Cols(1)],
    [Cols(2), Cols(5), Cols(0)],
];
/// alpha and beta beside 1 and 0.
const FACTORS: [(f64, f64); 7] =
    [(1.0, 1.0), (2.0, 4.0), (1.0, -0.5), (-1.0, 0.0), (0.5, 1.0), (1.0, 2.0), (0.0, -1.0)];

/// Operands whose products are known.
pub(super) struct Exact<T> {
    pub(super) case: Case<T>,
    product: Vec<T>,
}

impl<T: Element> Exact<T> {
    pub(super) fn new(m: usize, n: usize, k: usize) -> Self {
        // Each row of A and each column of B has a power of two of its own: what lands elsewhere is far off.
        let value = |i: usize, seed: u64, power: usize| {
            T::from_f64((f64::from(hash(i, seed) >> 28) - 7.5) * [0.5, 8.0, 1.0, 4.0, 2.0][power % 5])
        };
        let a: Vec<T> = (0..m * k).map(|i| value(i, 1, i / k)).collect();
        let b: Vec<T> = (0..k * n).map(|i| value(i, 2, i % n)).collect();
        let c: Vec<T> = (0..m * n).map(|i| value(i, 3, i)).collect();
        let mut product = std::vec![T::default(); m * n];
        for (row, a) in product.chunks_exact_mut(n.max(1)).zip(a.chunks_exact(k.max(1))) {
            for (a, b) in a.iter().zip(b.chunks_exact(n)) {
                for (c, b) in row.iter_mut().zip(b) {
                    *c += *a * *b;
                }
            }
        }
        Self { case: Case::new((m, n, k), a, b, c), product }
    }

    /// The case as it is set.
    pub(super) fn check(&self) {
        let case = &self.case;
        let mut laid = case.laid();
        for level in levels() {
            let actual = laid.run(level);
            let expected = case.c.iter().zip(&self.product);
            for (i, ((c, product), actual)) in expected.zip(&actual).enumerate() {
                let expected = case.beta * *c + case.alpha * *product;
                assert!(
                    *actual == expected,
                    "{:?} at {}, {:?}, offset {}, alpha {}, beta {}: element {i} is {actual}, not {expected}",
                    (case.m, case.n, case.k),
                    level.name(),
                    case.lays,
                    case.offset,
                    case.alpha,
                    case.beta,
                );
            }
        }
    }

    /// Each layout, with alpha 1 and beta 0, and with others that `seed` picks.
    pub(super) fn check_layouts(&mut self, seed: usize) {
        for (l, lays) in each(LAYS, seed) {
            let (alpha, beta) = FACTORS[(seed + l) % FACTORS.len()];
            for (alpha, beta) in [(1.0, 0.0), (alpha, beta)] {
                (self.case.alpha, self.case.beta) = (T::from_f64(alpha), T::from_f64(beta));
                self.case.lays = lays;
                self.case.offset = (seed + 3 * l) % 34;
                self.check();
            }
        }
    }
}

/// Sizes up to 40 each.
const SIZES: usize = 41;

fn sweep<T: Element>(step: usize) {
    for s in (0..SIZES.pow(3)).step_by(step) {
        Exact::<T>::new(s / SIZES / SIZES, s / SIZES % SIZES, s % SIZES).check_layouts(s);
    }
}

#[test]
fn small_shapes_in_f32() {
    sweep::<f32>(47 * thinning());
}

#[test]
fn small_shapes_in_f64() {
    sweep::<f64>(53 * thinning());
}

#[test]
#[ignore = "every shape up to 40 by 40 by 40: a quarter of a minute"]
fn every_small_shape() {
    sweep::<f32>(1);
    sweep::<f64>(1);
}
