//! Against the oracles of `reference::softmax`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::strategies::special_slice;
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels, softmax as oracle};
use slicewise_kernels::*;
use std::vec::Vec;

/// The relative error of a probability: the difference from the maximum, rounded, moves e^x by as many units as it
/// is large, at most 104 (`f32`) or 746 (`f64`) before e^x is 0; the sum likewise. Then 2 units of e^x, the sum's own
/// roundings (13 for 140 classes), the reciprocal and the product.
pub(crate) fn bound<T: Element>() -> f64 {
    let exponent = if T::LANES == 16 { 104.0 } else { 746.0 };
    (2.0 * exponent + 20.0) * T::EPSILON.to_f64() / 2.0
}

/// The least magnitude.
pub(crate) fn subnormal<T: Element>() -> f64 {
    if T::LANES == 16 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) }
}

fn check<T: Element>(classes: usize, z: &[T], offset: usize) {
    let nan = T::from_f64(f64::NAN);
    let mut first = None;
    for level in levels() {
        let placed = Placed::new(z, offset);
        let mut p = Placed::new(&std::vec![nan; z.len()], offset + 1);
        let mut y = p.clone();
        softmax(level, classes, placed.get(), p.get_mut()).unwrap();
        log_softmax(level, classes, placed.get(), y.get_mut()).unwrap();
        for (i, row) in z.chunks(classes).enumerate() {
            let (p, y) = (&p.get()[i * classes..], &y.get()[i * classes..]);
            let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let expected = oracle::softmax(row).into_iter().zip(oracle::log_softmax(row));
            for (k, (probability, logarithm)) in expected.enumerate() {
                let error = bound::<T>() * probability + 2.0 * subnormal::<T>();
                assert_close(p[k], probability, error, "softmax", level);
                let size = (max - row[k].to_f64()).abs() + (classes as f64).ln() + 1.0;
                let error = if size.is_finite() { 2.0 * T::EPSILON.to_f64() * size } else { 0.0 };
                assert_close(y[k], logarithm, error, "log_softmax", level);
            }
        }
        check_rows_alone(level, classes, z, p.get(), softmax);
        check_rows_alone(level, classes, z, y.get(), log_softmax);
        if level != Level::Portable {
            let (p0, y0) = first.get_or_insert_with(|| (p.clone(), y.clone()));
            assert_same_bits(p.get(), p0.get(), "softmax", level);
            assert_same_bits(y.get(), y0.get(), "log_softmax", level);
        }
    }
}

type Kernel<T> = fn(Level, usize, &[T], &mut [T]) -> Result<(), ShapeError>;

/// A row's results do not depend on the other rows.
fn check_rows_alone<T: Element>(level: Level, classes: usize, z: &[T], p: &[T], kernel: Kernel<T>) {
    for (z, p) in z.chunks(classes).zip(p.chunks(classes)) {
        let mut alone = std::vec![T::default(); classes];
        kernel(level, classes, z, &mut alone).unwrap();
        assert_same_bits(&alone, p, "a row alone", level);
    }
}

/// Classes and rows: short rows also in groups, and groups of groups.
pub(crate) fn shapes() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![3 => (1usize..40, 0usize..6), 1 => (60usize..140, 0usize..6), 3 => (1usize..18, 0usize..80)]
}

/// Logits: special values, or small integers with many ties.
pub(crate) fn logits<T: Element>(len: usize) -> impl Strategy<Value = Vec<T>> {
    let ties = proptest::collection::vec((0u8..3).prop_map(T::from), len);
    let usual = proptest::collection::vec((-8.0..8.0f64).prop_map(T::from_f64), len);
    prop_oneof![special_slice::<T>(len), ties, usual]
}

fn operands<T: Element>() -> impl Strategy<Value = (usize, Vec<T>, usize)> {
    shapes().prop_flat_map(|(classes, n)| (Just(classes), logits::<T>(n * classes), 0usize..16))
}

proptest! {
    #[test]
    fn f32_is_within_its_bounds((classes, z, offset) in operands::<f32>()) {
        check(classes, &z, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((classes, z, offset) in operands::<f64>()) {
        check(classes, &z, offset);
    }
}

#[test]
fn infinite_and_missing_logits() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    for level in levels() {
        let rows = [
            ([1.0, infinity, 2.0], [nan; 3]),
            ([-infinity; 3], [nan; 3]),
            ([1.0, nan, 0.0], [nan; 3]),
            ([-infinity, 5.0, -infinity], [0.0, 1.0, 0.0]),
            ([-infinity, -infinity, 3.0], [0.0, 0.0, 1.0]),
            ([-2e38, 2e38, 0.0], [0.0, 1.0, 0.0]),
        ];
        for (z, expected) in rows {
            let mut p = [7.0; 3];
            softmax(level, 3, &z, &mut p).unwrap();
            assert_same_bits(&p, &expected, "softmax", level);
            log_softmax(level, 3, &z, &mut p).unwrap();
            expected.iter().zip(p).for_each(|(e, y)| assert_eq!(e.is_nan(), y.is_nan()));
        }
    }
}

#[test]
fn shapes_are_checked() {
    let level = Level::Portable;
    let (z, mut out) = ([1.0; 4], [7.0f32; 4]);
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    for (kernel, output) in [(softmax as Kernel<f32>, "probabilities"), (log_softmax, "log_probabilities")] {
        assert_eq!(kernel(level, 0, &z, &mut out).unwrap_err(), wrong("classes", 1, 0));
        assert_eq!(kernel(level, 3, &z, &mut out).unwrap_err(), wrong("logits", 3, 4));
        assert_eq!(kernel(level, 1, &z[..3], &mut out).unwrap_err(), wrong(output, 3, 4));
    }
    assert_eq!(out, [7.0; 4]);
}
