//! Against `reference::hinge`, on every level.

use crate::softmax::tests::{logits, shapes};
use proptest::prelude::*;
use slicewise_kernels::reference::hinge::assert_is_hinge;
use slicewise_kernels::reference::{Placed, assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

fn check<T: Element>(classes: usize, margin: T, scores: &[T], labels: &[u32], offset: usize) {
    let mut first = None;
    for level in levels() {
        let placed = Placed::new(scores, offset);
        let mut d = Placed::new(&std::vec![T::from_f64(f64::NAN); scores.len()], offset + 1);
        let batch = hinge(level, classes, margin, placed.get(), labels, d.get_mut()).unwrap();
        assert_is_hinge(level, (classes, margin), scores, labels, batch.loss, d.get());
        let correct = scores.chunks(classes).zip(labels).filter(|(row, label)| {
            let label = **label as usize;
            let best = row.iter().enumerate().fold(0, |best, (k, s)| if *s > row[best] { k } else { best });
            best == label && row[label].to_f64().is_finite() && row.iter().all(|s| !s.to_f64().is_nan())
        });
        assert_eq!(batch.correct, correct.count(), "correct at {}", level.name());
        // No product is summed: every level rounds alike.
        let (loss0, d0) = first.get_or_insert_with(|| (batch.loss, d.clone()));
        assert_same_bits(&[batch.loss], &[*loss0], "hinge", level);
        assert_same_bits(d.get(), d0.get(), "dscores", level);
    }
}

fn operands<T: Element>() -> impl Strategy<Value = (usize, T, Vec<T>, Vec<u32>, usize)> {
    let margin = prop_oneof![2 => Just(1.0), 1 => Just(0.0), 2 => -2.0..2.0f64].prop_map(T::from_f64);
    (shapes(), margin).prop_flat_map(|((classes, n), margin)| {
        let n = n.max(1);
        let labels = proptest::collection::vec(0..classes as u32, n);
        (Just(classes), Just(margin), logits::<T>(n * classes), labels, 0usize..16)
    })
}

proptest! {
    #[test]
    fn f32_is_the_formula((classes, margin, scores, labels, offset) in operands::<f32>()) {
        check(classes, margin, &scores, &labels, offset);
    }

    #[test]
    fn f64_is_the_formula((classes, margin, scores, labels, offset) in operands::<f64>()) {
        check(classes, margin, &scores, &labels, offset);
    }
}

/// CS231n, Linear Classification: three images, losses 2.9, 0 and 12.9.
#[test]
fn the_lectures_example() {
    let scores = [3.2f64, 5.1, -1.7, 1.3, 4.9, 2.0, 2.2, 2.5, -3.1];
    for level in levels() {
        let mut d = [7.0; 9];
        let batch = hinge(level, 3, 1.0, &scores, &[0, 1, 2], &mut d).unwrap();
        assert!((batch.loss - 15.8 / 3.0).abs() < 1e-14, "{}", batch.loss);
        assert_eq!(batch.correct, 1);
        assert_eq!(d.map(|d| (d * 3.0) as i32), [-1, 1, 0, 0, 0, 0, 1, 1, -2]);
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    let scores: Vec<f32> = (0u8..120).map(|i| f32::from(i % 13) / 4.0).collect();
    for level in levels() {
        for classes in [1, 2, 10, 17, 40] {
            let rows = 120 / classes;
            let labels: Vec<u32> = (0..classes as u32).cycle().take(rows).collect();
            let mut all = std::vec![0.0; rows * classes];
            hinge(level, classes, 1.0, &scores[..rows * classes], &labels, &mut all).unwrap();
            for (i, label) in labels.iter().enumerate() {
                let mut alone = std::vec![0.0; classes];
                let row = &scores[i * classes..][..classes];
                hinge(level, classes, 1.0, row, &[*label], &mut alone).unwrap();
                let weight = 1.0 / rows as f32;
                alone.iter_mut().for_each(|d| *d *= weight);
                assert_same_bits(&alone, &all[i * classes..][..classes], "a row alone", level);
            }
        }
    }
}

#[test]
fn shapes_and_labels_are_checked() {
    let (level, s, mut d) = (Level::Portable, [1.0f32; 4], [7.0f32; 4]);
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    let error = |classes, s: &[f32], labels: &[u32], d: &mut [f32]| {
        hinge(level, classes, 1.0, s, labels, d).unwrap_err()
    };
    assert_eq!(error(0, &s, &[0], &mut d), wrong("classes", 1, 0));
    assert_eq!(error(2, &s, &[], &mut d), wrong("labels", 1, 0));
    assert_eq!(error(2, &s, &[0], &mut d), wrong("scores", 2, 4));
    assert_eq!(error(2, &s, &[1, 2], &mut d), wrong("labels", 2, 2));
    assert_eq!(error(2, &s, &[0, 1], &mut d[..3]), wrong("dscores", 4, 3));
    assert_eq!(d, [7.0; 4]);
}
