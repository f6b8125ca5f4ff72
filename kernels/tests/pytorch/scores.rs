//! Softmax and the losses.

use slicewise_kernels::{
    BatchLoss, Element, Level, Targets, cross_entropy, cross_entropy_loss, hinge, log_softmax, softmax,
    squared_error,
};

use crate::table::{Case, epsilon, room, ulp};

pub(crate) fn classifiers<T: Element>(case: &Case, level: Level) {
    let classes: usize = case.value("classes");
    let (z, labels) = (case.inputs::<T>("z"), case.values::<u32>("labels"));
    let n = labels.len() as f64;
    // How far each logit lies below the largest of its row: what the difference, rounded, moves the exponential by.
    let gaps: Vec<f64> = z
        .chunks(classes)
        .flat_map(|row| {
            let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            row.iter().map(move |z| max - z.to_f64())
        })
        .collect();
    // The exponential's 1 ULP, the reciprocal and the product; the sum's, of four chains in each lane.
    let roundings = 5.0 + classes as f64 / 128.0;
    let relative = |i: usize| (0.5 * gaps[i] + roundings) * epsilon::<T>();

    let mut p = room(z.len());
    softmax(level, classes, &z, &mut p).unwrap();
    case.holds(level, "softmax", &p, |i, fact| relative(i) * fact + ulp::<T>(0.0));
    log_softmax(level, classes, &z, &mut p).unwrap();
    // As its documentation has it.
    case.holds(level, "log_softmax", &p, |i, _| {
        2.0 * epsilon::<T>() * (gaps[i] + (classes as f64).ln() + 1.0)
    });

    let correct: f64 = case.value("correct");
    let probabilities: Vec<f64> = case.values("softmax");
    let targets: Vec<T> = case.inputs("targets");
    let smoothing: f64 = case.value("smoothing");
    for (name, targets) in [
        ("labels", Targets::Labels(&labels)),
        ("smoothed", Targets::Smoothed { labels: &labels, smoothing: T::from_f64(smoothing) }),
        ("probabilities", Targets::Probabilities(&targets)),
    ] {
        let mut dz = room(z.len());
        let batch = cross_entropy(level, classes, &z, targets, &mut dz).unwrap();
        // A probability's error, and that of a target of at most 1, which comes off.
        case.holds(level, &format!("{name}_dz"), &dz, |i, fact| {
            let target = (probabilities[i] - n * fact).abs();
            (relative(i) * probabilities[i] + 2.0 * epsilon::<T>() * target) / n + ulp::<T>(0.0)
        });
        // Each row's logarithm, and a sum over the classes.
        case.holds(level, &format!("{name}_loss"), &[T::from_f64(batch.loss)], |_, fact| {
            epsilon::<T>() * (1.0 + fact) * roundings
        });
        assert_eq!(cross_entropy_loss(level, classes, &z, targets).unwrap(), batch);
        if name != "probabilities" {
            expect_correct(&batch, correct);
        }
    }

    let mut dz = room(z.len());
    let margin = T::from_f64(case.value("margin"));
    let batch = hinge(level, classes, margin, &z, &labels, &mut dz).unwrap();
    // 1 / n rounds, and its product with the number of classes within the margin.
    case.holds(level, "hinge_dz", &dz, |_, fact| ulp::<T>(fact));
    case.holds(level, "hinge_loss", &[T::from_f64(batch.loss)], |_, fact| epsilon::<T>() * fact * roundings);
    expect_correct(&batch, correct);
}

#[track_caller]
fn expect_correct(batch: &BatchLoss, correct: f64) {
    assert_eq!(batch.correct as f64, correct, "rows whose largest score is the label's");
}

pub(crate) fn regression<T: Element>(case: &Case, level: Level) {
    let (y, targets) = (case.inputs::<T>("y"), case.inputs::<T>("targets"));
    let mut dy = room(y.len());
    let loss = squared_error(level, &y, &targets, &mut dy).unwrap();
    // Three roundings a term, and a sum of 83 terms in 16 lanes.
    case.holds(level, "loss", &[T::from_f64(loss)], |_, fact| 6.0 * epsilon::<T>() * fact);
    // The difference, 2 / n and their product.
    case.holds(level, "dy", &dy, |_, fact| 1.5 * epsilon::<T>() * fact.abs());
}
