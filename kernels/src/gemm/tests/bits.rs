//! The same bits whatever the path: in any batch, layout and place, in any block of columns, with AVX2 and AVX-512.

use super::bounds::lay;
use super::*;
use proptest::prelude::*;

impl<T: Element> Case<T> {
    /// As it is against dense rows, in batches cut at `cut`, and its columns cut there.
    fn check_bits(&self, cut: usize) {
        let mut fused: Option<Vec<T>> = None;
        let dense = Self { lays: [Rows(0); 3], offset: 0, ..self.clone() };
        let (m, n) = (self.m, self.n);
        // Layouts of the parts are others still.
        let [a, b, c] = self.lays;
        let parts = Self { lays: [c, a, b], offset: self.offset + 1, ..self.clone() };
        let (above, below) = (self.rows(0..cut % (m + 1)), parts.rows(cut % (m + 1)..m));
        // A single column is another sum.
        let cut = if n >= 4 { 2 + cut % (n - 3) } else { n };
        let (left, right) = (parts.cols(0..cut), self.cols(cut..n));
        for level in levels() {
            let expected = dense.run(level);
            assert_same_bits(&self.run(level), &expected, "layout and place", level);
            let batches = [above.run(level), below.run(level)].concat();
            assert_same_bits(&batches, &expected, "in batches", level);
            assert_same_bits(&left.run(level), &columns(&expected, n, 0..cut), "the left columns", level);
            assert_same_bits(&right.run(level), &columns(&expected, n, cut..n), "the right columns", level);
            if level != Level::Portable {
                assert_same_bits(&expected, fused.get_or_insert(expected.clone()), "AVX2 and AVX-512", level);
            }
        }
    }
}

fn on_every_path<T: Element>() {
    for (seed, (m, n, k, b)) in PATHS.into_iter().enumerate() {
        for (l, c) in each([Rows(1), Cols(0), Sparse], seed) {
            let mut case = Case::<T>::random((m, n, k), seed as u64);
            case.lays = [[Rows(0), Rows(2), Cols(1)][(l + seed) % 3], b, c];
            case.offset = seed + l;
            (case.alpha, case.beta) = [(1, 0), (1, 1), (3, 2)].map(|(x, y)| (T::from(x), T::from(y)))[l];
            case.check_bits(hash(l, seed as u64) as usize);
        }
    }
}

#[test]
fn f32_has_the_same_bits_on_every_path() {
    on_every_path::<f32>();
}

#[test]
fn f64_has_the_same_bits_on_every_path() {
    on_every_path::<f64>();
}

/// Every height up to some tiles' against each row alone.
#[test]
fn a_row_has_the_same_bits_alone() {
    for (n, k) in [(1, 37), (21, 9), (70, 9), (131, 40)] {
        for level in levels() {
            let all = Case::<f32>::random((40, n, k), 1);
            let rows: Vec<f32> = (0..40).flat_map(|i| all.rows(i..i + 1).run(level)).collect();
            for m in 1..=40 {
                assert_same_bits(&all.rows(0..m).run(level), &rows[..m * n], "rows alone", level);
            }
        }
    }
}

fn case<T: Element>() -> impl Strategy<Value = (Case<T>, usize)> {
    let few = || prop_oneof![2 => 1usize..40, 1 => 40usize..180];
    let shape = (few(), few(), prop_oneof![9 => 1usize..70, 1 => 500usize..530]);
    let factor = || prop_oneof![2 => Just(1.0), 1 => Just(0.0), 1 => -2.0..2.0f64];
    (shape, any::<u8>(), [lay(), lay(), lay()], factor(), factor(), 0usize..34, any::<u16>()).prop_map(
        |(shape, seed, lays, alpha, beta, offset, cut)| {
            let (alpha, beta) = (T::from_f64(alpha), T::from_f64(beta));
            (Case { lays, alpha, beta, offset, ..Case::random(shape, seed.into()) }, cut.into())
        },
    )
}

proptest! {
    #[test]
    fn f32_has_the_same_bits_in_any_part((case, cut) in case::<f32>()) {
        case.check_bits(cut);
    }

    #[test]
    fn f64_has_the_same_bits_in_any_part((case, cut) in case::<f64>()) {
        case.check_bits(cut);
    }
}
