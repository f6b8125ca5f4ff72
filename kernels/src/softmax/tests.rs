//! Against the oracles of `reference::softmax`, on every level.

use super::*;
use crate::reference::strategies::special_slice;
use crate::reference::{Placed, assert_close, assert_same_bits, levels, softmax as oracle};
use proptest::prelude::*;
use std::vec::Vec;

/// The relative error of a probability: the difference from the maximum, rounded, moves e^x by as many units as it
/// is large, at most 104 (`f32`) or 746 (`f64`) before e^x is 0; the sum likewise. Then 2 units of e^x, the sum's own
/// roundings (13 for 140 classes), the reciprocal and the product.
fn bound<T: Element>() -> f64 {
    let exponent = if T::LANES == 16 { 104.0 } else { 746.0 };
    (2.0 * exponent + 20.0) * T::EPSILON.to_f64() / 2.0
}

fn check<T: Element>(classes: usize, z: &[T], labels: &[u32], offset: usize) {
    let subnormal = if T::LANES == 16 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    let nan = T::from_f64(f64::NAN);
    let mut first = None;
    for level in levels() {
        let placed = Placed::new(z, offset);
        let mut p = Placed::new(&std::vec![nan; z.len()], offset + 1);
        softmax(level, classes, placed.get(), p.get_mut()).unwrap();
        let (mut d, mut expected_loss, mut loss_bound, mut correct) = (p.clone(), 0.0, 0.0, 0);
        let batch = (!labels.is_empty())
            .then(|| cross_entropy(level, classes, placed.get(), labels, d.get_mut()).unwrap());
        let n = labels.len() as f64;
        for (i, (row, &label)) in z.chunks(classes).zip(labels).enumerate() {
            let label = label as usize;
            let rounding = bound::<T>();
            for (k, expected) in oracle::softmax(row).into_iter().enumerate() {
                let (p, d) = (p.get()[i * classes + k], d.get()[i * classes + k]);
                assert_close(p, expected, rounding * expected + 2.0 * subnormal, "softmax", level);
                let onehot = f64::from(u8::from(k == label));
                let gradient = (expected - onehot) / n;
                let error = (rounding * expected + onehot * T::EPSILON.to_f64()) * 1.01 / n + 2.0 * subnormal;
                assert_close(d, gradient, error, "dlogits", level);
            }
            let loss = oracle::loss(row, label);
            expected_loss += T::from_f64(loss).to_f64();
            loss_bound += rounding + 2.0 * T::EPSILON.to_f64() * loss.abs();
            correct += usize::from(oracle::correct(row, label));
        }
        if let Some(batch) = batch {
            assert_close(batch.loss, expected_loss / n, loss_bound / n, "loss", level);
            assert_eq!(batch.correct, correct, "correct at {}", level.name());
            let loss = cross_entropy_loss(level, classes, z, labels).unwrap();
            assert_same_bits(&[loss.loss], &[batch.loss], "loss without gradient", level);
            assert_eq!(loss.correct, batch.correct);
        }
        check_rows_alone(level, classes, z, p.get());
        if level != Level::Portable {
            let (p0, d0) = first.get_or_insert_with(|| (p.clone(), d.clone()));
            assert_same_bits(p.get(), p0.get(), "softmax", level);
            assert_same_bits(d.get(), d0.get(), "dlogits", level);
        }
    }
}

/// A row's probabilities do not depend on the other rows.
fn check_rows_alone<T: Element>(level: Level, classes: usize, z: &[T], p: &[T]) {
    for (z, p) in z.chunks(classes).zip(p.chunks(classes)) {
        let mut alone = std::vec![T::default(); classes];
        softmax(level, classes, z, &mut alone).unwrap();
        assert_same_bits(&alone, p, "a row alone", level);
    }
}

fn operands<T: Element>() -> impl Strategy<Value = (usize, Vec<T>, Vec<u32>, usize)> {
    let classes = prop_oneof![3 => 1usize..40, 1 => 60usize..140];
    (classes, 0usize..6).prop_flat_map(|(classes, n)| {
        let labels = proptest::collection::vec(0..classes as u32, n);
        let ties = proptest::collection::vec((0u8..3).prop_map(T::from), n * classes);
        let z = prop_oneof![special_slice::<T>(n * classes), ties];
        (Just(classes), z, labels, 0usize..16)
    })
}

proptest! {
    #[test]
    fn f32_is_within_its_bounds((classes, z, labels, offset) in operands::<f32>()) {
        check(classes, &z, &labels, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((classes, z, labels, offset) in operands::<f64>()) {
        check(classes, &z, &labels, offset);
    }
}

#[test]
fn infinite_and_missing_logits() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    for level in levels() {
        let rows = [
            ([1.0, infinity, 2.0], [nan; 3], nan, 0),
            ([-infinity; 3], [nan; 3], nan, 0),
            ([1.0, nan, 0.0], [nan; 3], nan, 0),
            ([-infinity, 5.0, -infinity], [0.0, 1.0, 0.0], 0.0, 1),
            ([-infinity, -infinity, 3.0], [0.0, 0.0, 1.0], infinity, 0),
            ([-2e38, 2e38, 0.0], [0.0, 1.0, 0.0], 0.0, 1),
        ];
        for (z, expected, loss, correct) in rows {
            let mut p = [7.0; 3];
            softmax(level, 3, &z, &mut p).unwrap();
            assert_same_bits(&p, &expected, "softmax", level);
            let batch = cross_entropy(level, 3, &z, &[1], &mut p).unwrap();
            assert_same_bits(&[batch.loss], &[f64::from(loss)], "loss", level);
            assert_eq!(batch.correct, correct);
            expected.iter().zip(p).for_each(|(e, d)| assert_eq!(e.is_nan(), d.is_nan()));
        }
    }
}

#[test]
fn shapes_and_labels_are_checked() {
    let level = Level::Portable;
    let mut out = [7.0f32; 4];
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    let z = [1.0; 4];
    assert_eq!(softmax(level, 0, &z, &mut out).unwrap_err(), wrong("classes", 1, 0));
    assert_eq!(softmax(level, 3, &z, &mut out).unwrap_err(), wrong("logits", 3, 4));
    assert_eq!(softmax(level, 1, &z[..3], &mut out).unwrap_err(), wrong("probabilities", 3, 4));
    let mut error = |classes, z: &[f32], labels: &[u32]| {
        let error = cross_entropy(level, classes, z, labels, &mut out).unwrap_err();
        assert_eq!(cross_entropy_loss(level, classes, z, labels).unwrap_err(), error);
        error
    };
    assert_eq!(error(0, &z, &[0]), wrong("classes", 1, 0));
    assert_eq!(error(2, &z, &[]), wrong("labels", 1, 0));
    assert_eq!(error(2, &z, &[0]), wrong("logits", 2, 4));
    assert_eq!(error(2, &z, &[1, 2]), wrong("labels", 2, 2));
    assert_eq!(error(2, &z, &[u32::MAX, 0]), wrong("labels", 2, u32::MAX as usize));
    let short = cross_entropy(level, 2, &z, &[0, 1], &mut out[..3]).unwrap_err();
    assert_eq!(short, wrong("dlogits", 4, 3));
    assert_eq!(out, [7.0; 4]);
}
