//! Against the oracles of `reference::softmax`, on every level.

use crate::softmax::tests::{bound, logits, shapes, subnormal};
use proptest::prelude::*;
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels, softmax as oracle};
use slicewise_kernels::*;
use std::vec::Vec;

/// Targets that own what they name.
#[derive(Clone, Debug)]
enum Owned<T> {
    Labels(Vec<u32>),
    Smoothed(Vec<u32>, T),
    Probabilities(Vec<T>),
}

impl<T: Element> Owned<T> {
    fn get(&self) -> Targets<'_, T> {
        match self {
            Self::Labels(labels) => Targets::Labels(labels),
            Self::Smoothed(labels, smoothing) => Targets::Smoothed { labels, smoothing: *smoothing },
            Self::Probabilities(targets) => Targets::Probabilities(targets),
        }
    }

    /// Row `i` as probabilities, and its label.
    fn row(&self, classes: usize, i: usize) -> (Vec<f64>, usize) {
        let smoothed = |label: u32, smoothing: f64| {
            let mut targets = std::vec![smoothing / classes as f64; classes];
            targets[label as usize] += 1.0 - smoothing;
            (targets, label as usize)
        };
        match self {
            Self::Labels(labels) => smoothed(labels[i], 0.0),
            Self::Smoothed(labels, smoothing) => smoothed(labels[i], smoothing.to_f64()),
            Self::Probabilities(targets) => {
                let row = &targets[i * classes..][..classes];
                let best =
                    row.iter().enumerate().fold(0, |best, (k, t)| if *t > row[best] { k } else { best });
                (row.iter().map(|t| t.to_f64()).collect(), best)
            }
        }
    }

    fn one(&self, classes: usize, i: usize) -> Self {
        match self {
            Self::Labels(labels) => Self::Labels(std::vec![labels[i]]),
            Self::Smoothed(labels, smoothing) => Self::Smoothed(std::vec![labels[i]], *smoothing),
            Self::Probabilities(targets) => Self::Probabilities(targets[i * classes..][..classes].to_vec()),
        }
    }
}

fn check<T: Element>(classes: usize, z: &[T], targets: &Owned<T>, offset: usize) {
    let (rows, nan, epsilon) = (z.len() / classes, T::from_f64(f64::NAN), T::EPSILON.to_f64());
    let n = rows as f64;
    let mut first = None;
    for level in levels() {
        let placed = Placed::new(z, offset);
        let mut d = Placed::new(&std::vec![nan; z.len()], offset + 1);
        let batch = cross_entropy(level, classes, placed.get(), targets.get(), d.get_mut()).unwrap();
        let (mut expected_loss, mut loss_bound, mut correct) = (0.0, 0.0, 0);
        let mut quarter = 0.0;
        for (i, row) in z.chunks(classes).enumerate() {
            let (t, label) = targets.row(classes, i);
            let mass: f64 = t.iter().sum();
            let rounding = bound::<T>();
            for (k, (p, t)) in oracle::softmax(row).into_iter().zip(&t).enumerate() {
                let gradient = (p * mass - t) / n;
                let sums = mass * (1.0 + classes as f64 * epsilon);
                let error = (rounding * p * sums + 3.0 * epsilon * t) * 1.01 / n + 2.0 * subnormal::<T>();
                assert_close(d.get()[i * classes + k], gradient, error, "dlogits", level);
            }
            let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let apart =
                row.iter().zip(&t).any(|(z, t)| *t != 0.0 && !T::from_f64(max - z.to_f64()).is_finite());
            let exact = oracle::cross_entropy(row, &t);
            let loss = if apart && !exact.is_nan() { f64::INFINITY } else { exact };
            expected_loss += T::from_f64(loss).to_f64();
            quarter += T::from_f64(loss).to_f64() / 4.0;
            // A sum over the classes of terms of one sign, and the logarithm's error once a unit of mass.
            loss_bound += (rounding + (classes as f64 / 16.0 + 8.0) * epsilon * loss.abs()) * mass.max(1.0)
                + 4.0 * subnormal::<T>();
            correct += usize::from(oracle::correct(row, label));
        }
        // Where the sum is the largest number, but for rounding, it may overflow or not.
        let at_the_edge = quarter.is_finite() && (quarter - f64::MAX / 4.0).abs() <= loss_bound / 4.0;
        if !at_the_edge || batch.loss.is_nan() {
            assert_close(batch.loss, expected_loss / n, loss_bound / n, "loss", level);
        }
        assert_eq!(batch.correct, correct, "correct at {}", level.name());
        let loss = cross_entropy_loss(level, classes, z, targets.get()).unwrap();
        assert_same_bits(&[loss.loss], &[batch.loss], "loss without gradient", level);
        assert_eq!(loss.correct, batch.correct);
        check_rows_alone(level, classes, z, targets, batch.loss);
        if level != Level::Portable {
            let (loss0, d0) = first.get_or_insert_with(|| (batch.loss, d.clone()));
            assert_same_bits(&[batch.loss], &[*loss0], "loss", level);
            assert_same_bits(d.get(), d0.get(), "dlogits", level);
        }
    }
}

/// The loss is the mean of the rows', each alone.
fn check_rows_alone<T: Element>(level: Level, classes: usize, z: &[T], targets: &Owned<T>, loss: f64) {
    let rows = z.len() / classes;
    let alone = z
        .chunks(classes)
        .enumerate()
        .map(|(i, z)| cross_entropy_loss(level, classes, z, targets.one(classes, i).get()).unwrap().loss);
    assert_same_bits(&[alone.sum::<f64>() / rows as f64], &[loss], "rows alone", level);
}

fn targets<T: Element>(classes: usize, n: usize) -> impl Strategy<Value = Owned<T>> {
    let labels = || proptest::collection::vec(0..classes as u32, n);
    let probability = prop_oneof![2 => 0.0..1.0f64, 1 => Just(0.0)].prop_map(T::from_f64);
    prop_oneof![
        2 => labels().prop_map(Owned::Labels),
        1 => (labels(), 0.01..1.0f64).prop_map(|(labels, s)| Owned::Smoothed(labels, T::from_f64(s))),
        1 => proptest::collection::vec(probability, n * classes).prop_map(Owned::Probabilities),
    ]
}

fn operands<T: Element>() -> impl Strategy<Value = (usize, Vec<T>, Owned<T>, usize)> {
    shapes().prop_flat_map(|(classes, n)| {
        let n = n.max(1);
        (Just(classes), logits::<T>(n * classes), targets::<T>(classes, n), 0usize..16)
    })
}

proptest! {
    #[test]
    fn f32_is_within_its_bounds((classes, z, targets, offset) in operands::<f32>()) {
        check(classes, &z, &targets, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((classes, z, targets, offset) in operands::<f64>()) {
        check(classes, &z, &targets, offset);
    }
}

/// Centred differences of the loss.
#[test]
fn the_gradient_is_the_losses() {
    let (classes, n) = (5, 3);
    let mut z: Vec<f64> = (0..classes * n).map(|i| (i * 7 % 11) as f64 / 3.0 - 1.5).collect();
    let probabilities: Vec<f64> = (0..classes * n).map(|i| (i * 5 % 7) as f64 / 8.0).collect();
    let labels = std::vec![4, 0, 2];
    for targets in
        [Owned::Labels(labels.clone()), Owned::Smoothed(labels, 0.2), Owned::Probabilities(probabilities)]
    {
        for level in levels() {
            let mut d = std::vec![0.0; z.len()];
            cross_entropy(level, classes, &z, targets.get(), &mut d).unwrap();
            for i in 0..z.len() {
                let (at, h) = (z[i], 1e-5);
                let mut loss = |x| {
                    z[i] = x;
                    cross_entropy_loss(level, classes, &z, targets.get()).unwrap().loss
                };
                let slope = (loss(at + h) - loss(at - h)) / (2.0 * h);
                z[i] = at;
                assert!((slope - d[i]).abs() < 1e-9, "{slope} is not {} at {}", d[i], level.name());
            }
        }
    }
}

#[test]
fn infinite_and_missing_logits() {
    let (infinity, nan) = (f32::INFINITY, f32::NAN);
    for level in levels() {
        let rows = [
            ([1.0, infinity, 2.0], nan, nan, 0),
            ([-infinity; 3], nan, nan, 0),
            ([1.0, nan, 0.0], nan, nan, 0),
            ([-infinity, 5.0, -infinity], 0.0, infinity, 1),
            ([-infinity, -infinity, 3.0], infinity, infinity, 0),
            ([-2e38, 2e38, 0.0], 0.0, infinity, 1),
        ];
        for (z, loss, smoothed, correct) in rows {
            let mut d = [7.0; 3];
            let batch = cross_entropy(level, 3, &z, Targets::Labels(&[1]), &mut d).unwrap();
            assert_same_bits(&[batch.loss], &[f64::from(loss)], "loss", level);
            assert_eq!(batch.correct, correct);
            assert!(d.iter().all(|d| d.is_nan() == loss.is_nan()));
            let certain = Targets::Probabilities(&[0.0, 1.0, 0.0]);
            let batch = cross_entropy(level, 3, &z, certain, &mut d).unwrap();
            assert_same_bits(&[batch.loss], &[f64::from(loss)], "loss of a certain target", level);
            let targets = Targets::Smoothed { labels: &[1], smoothing: 0.1 };
            let batch = cross_entropy(level, 3, &z, targets, &mut d).unwrap();
            assert_same_bits(&[batch.loss], &[f64::from(smoothed)], "smoothed loss", level);
        }
    }
}

#[test]
fn shapes_and_labels_are_checked() {
    let level = Level::Portable;
    let mut out = [7.0f32; 4];
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    let z = [1.0; 4];
    let mut error = |classes, z: &[f32], targets: Targets<'_, f32>| {
        let error = cross_entropy(level, classes, z, targets, &mut out).unwrap_err();
        assert_eq!(cross_entropy_loss(level, classes, z, targets).unwrap_err(), error);
        error
    };
    let labels = Targets::Labels;
    assert_eq!(error(0, &z, labels(&[0])), wrong("classes", 1, 0));
    assert_eq!(error(2, &z, labels(&[])), wrong("labels", 1, 0));
    assert_eq!(error(2, &z, labels(&[0])), wrong("logits", 2, 4));
    assert_eq!(error(2, &z, labels(&[1, 2])), wrong("labels", 2, 2));
    assert_eq!(error(2, &z, labels(&[u32::MAX, 0])), wrong("labels", 2, u32::MAX as usize));
    let smoothed = Targets::Smoothed { labels: &[1, 2], smoothing: 0.1 };
    assert_eq!(error(2, &z, smoothed), wrong("labels", 2, 2));
    assert_eq!(error(0, &z, Targets::Probabilities(&[])), wrong("classes", 1, 0));
    assert_eq!(error(2, &z, Targets::Probabilities(&[])), wrong("probabilities", 2, 0));
    assert_eq!(error(2, &z, Targets::Probabilities(&[0.5; 5])), wrong("probabilities", 4, 5));
    assert_eq!(error(2, &z, Targets::Probabilities(&[0.5; 2])), wrong("logits", 2, 4));
    let short = cross_entropy(level, 2, &z, labels(&[0, 1]), &mut out[..3]).unwrap_err();
    assert_eq!(short, wrong("dlogits", 4, 3));
    assert_eq!(out, [7.0; 4]);
}
