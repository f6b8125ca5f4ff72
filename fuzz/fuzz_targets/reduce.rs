//! Sums, dot products, extremes, histograms gradient clipping and losses against what defines them, on every level.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use slicewise_fuzz::{Values, length};
use slicewise_kernels::reference::hinge::assert_is_hinge;
use slicewise_kernels::reference::{self, assert_close, levels};
use slicewise_kernels::{
    Element, Level, ShapeError, Targets, argmax, clip_by_norm, cross_entropy, cross_entropy_loss, dot, hinge,
    histogram, max, min, norm, softmax, squared_error, sum, variance,
};

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut Unstructured::new(bytes);
    // Bytes that are too few are no finding.
    let _ = match bytes.arbitrary() {
        Ok(true) => reductions::<f32>(bytes),
        _ => reductions::<f64>(bytes),
    };
});

fn reductions<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (n, other) = (length(bytes, 2000)?, length(bytes, 100)?);
    let m = if bytes.ratio(1u8, 8u8)? { other } else { n };
    let mut values = Values::new(bytes)?;
    let (x, y) = (values.slice::<T>(n), values.slice::<T>(m));
    let ones = vec![T::from(1); n];
    let (expected_sum, expected) = (reference::reduce::dot(&x, &ones), reference::reduce::dot(&x, &y));
    // The bound of a sum in any order; where the largest values meet, partial sums overflow in their own ways.
    let bound =
        |magnitude: f64| (n + 1) as f64 * T::EPSILON.to_f64() * magnitude + f64::from(f32::MIN_POSITIVE);
    let overflows = |magnitude: f64| !T::from_f64(2.0 * magnitude).is_finite();
    for level in levels() {
        let actual = dot(level, &x, &y);
        if m != n {
            assert_eq!(actual, Err(ShapeError { argument: "y", expected: n, actual: m }));
        } else if !overflows(expected.magnitude) {
            assert_close(
                actual.expect("equal lengths"),
                expected.value,
                bound(expected.magnitude),
                "dot",
                level,
            );
        }
        if !overflows(expected_sum.magnitude) {
            assert_close(sum(level, &x), expected_sum.value, bound(expected_sum.magnitude), "sum", level);
        }
        extremes(level, &x);
        clipped(level, x.clone());
    }
    losses(bytes, &x, &y)?;
    let mut counts = [0; 7];
    let outside = histogram(&x, -4.0, 4.0, &mut counts);
    assert_eq!(counts.iter().sum::<u64>() + outside, n as u64);
    assert_eq!(outside, x.iter().filter(|x| !(-4.0..=4.0).contains(&x.to_f64())).count() as u64);
    Ok(())
}

fn clipped<T: Element>(level: Level, mut x: Box<[T]>) {
    let exact = reference::clip::norm(&x);
    let before = x.clone();
    let norm = clip_by_norm(level, 0.75, &mut x).expect("a norm");
    assert_close(norm, exact, 100.0 * T::EPSILON.to_f64() * exact, "clip_by_norm", level);
    for (x, expected) in x.iter().zip(reference::clip::clip(0.75, norm, &before)) {
        let bound = 2.0 * T::EPSILON.to_f64() * expected.abs() + f64::from(f32::MIN_POSITIVE);
        assert_close(*x, expected, bound, "clipped", level);
    }
}

fn losses<T: Element>(bytes: &mut Unstructured<'_>, x: &[T], y: &[T]) -> Result<()> {
    let classes = length(bytes, 100)?.max(1);
    let labels: Vec<u32> =
        x.chunks_exact(classes).map(|_| bytes.int_in_range(0..=classes as u32)).collect::<Result<_>>()?;
    let rows = &x[..labels.len() * classes];
    for level in levels() {
        let mut dx = vec![T::from(7); rows.len()].into_boxed_slice();
        match hinge(level, classes, T::from(1), rows, &labels, &mut dx) {
            Ok(batch) => assert_is_hinge(level, (classes, T::from(1)), rows, &labels, batch.loss, &dx),
            Err(_) => {
                let wrong = labels.is_empty() || labels.iter().any(|label| *label as usize >= classes);
                assert!(wrong && dx.iter().all(|dx| *dx == T::from(7)));
            }
        }
        let mut dx = vec![T::from(7); rows.len()].into_boxed_slice();
        let targets = match labels.len() % 3 {
            0 => Targets::Labels(&labels),
            1 => Targets::Smoothed { labels: &labels, smoothing: T::from_f64(0.1) },
            _ => Targets::Probabilities(y.get(..rows.len()).unwrap_or(y)),
        };
        match cross_entropy(level, classes, rows, targets, &mut dx) {
            Ok(batch) => {
                let alone = cross_entropy_loss(level, classes, rows, targets).expect("the same shapes");
                assert!(batch.correct <= labels.len() && batch.correct == alone.correct);
                assert_eq!(batch.loss.to_bits(), alone.loss.to_bits());
            }
            Err(_) => assert!(dx.iter().all(|dx| *dx == T::from(7))),
        }
        assert!(softmax(level, classes, rows, &mut dx).is_ok());
        for (row, p) in rows.chunks(classes).zip(dx.chunks(classes)) {
            let sum: f64 = p.iter().map(|p| p.to_f64()).sum();
            assert!((sum - 1.0).abs() < 1e-3 || row.iter().any(|z| !z.is_finite()));
        }
        let mut dx = vec![T::from(7); x.len()].into_boxed_slice();
        match squared_error(level, x, y, &mut dx) {
            Ok(loss) => assert!(loss >= 0.0 || dx.iter().any(|dx| dx.to_f64().is_nan())),
            Err(_) => assert!((x.is_empty() || x.len() != y.len()) && dx.iter().all(|dx| *dx == T::from(7))),
        }
    }
    Ok(())
}

fn extremes<T: Element>(level: Level, x: &[T]) {
    let values = || x.iter().map(|x| x.to_f64());
    let (largest, smallest) = (max(level, x).to_f64(), min(level, x).to_f64());
    match values().position(f64::is_nan) {
        Some(first) => {
            assert!(largest.is_nan() && smallest.is_nan(), "{}", level.name());
            assert_eq!(argmax(level, x), Some(first), "{}", level.name());
        }
        None => {
            assert_eq!(largest, values().fold(f64::NEG_INFINITY, f64::max), "{}", level.name());
            assert_eq!(smallest, values().fold(f64::INFINITY, f64::min), "{}", level.name());
            assert_eq!(argmax(level, x), values().position(|x| x == largest), "{}", level.name());
        }
    }
    if values().all(|x| x.abs() <= 8.0) && !x.is_empty() {
        assert!(
            variance(level, x).to_f64() >= 0.0 && norm(level, x).to_f64().is_finite(),
            "{}",
            level.name()
        );
    }
}
