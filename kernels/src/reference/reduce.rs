//! Oracles of the reductions.

use std::vec::Vec;

use crate::Element;

/// A sum and the sum of the magnitudes of its terms, to which its rounding error is proportional.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The sum.
    pub value: f64,
    /// The sum of magnitudes.
    pub magnitude: f64,
}

/// `sum x[i] * y[i]`, in `f64`, with Neumaier's compensation so that it serves as an oracle for `f64` too.
#[must_use]
pub fn dot<T: Element>(x: &[T], y: &[T]) -> Sum {
    let (mut value, mut lost, mut magnitude) = (0.0f64, 0.0f64, 0.0f64);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x.to_f64(), y.to_f64());
        let term = x * y;
        let next = value + term;
        lost += if value.abs() >= term.abs() { (value - next) + term } else { (term - next) + value };
        lost += libm::fma(x, y, -term);
        value = next;
        magnitude += term.abs();
    }
    Sum { value: if value.is_finite() { value + lost } else { value }, magnitude }
}

/// `sum x[i]`, by [`dot`].
#[must_use]
pub fn sum<T: Element>(x: &[T]) -> Sum {
    dot(x, &std::vec![T::from_f64(1.0); x.len()])
}

/// `sum x[i] / n`.
#[must_use]
pub fn mean<T: Element>(x: &[T]) -> f64 {
    sum(x).value / x.len() as f64
}

/// `sum (x[i] - mean)^2 / n`, by the textbook.
#[must_use]
pub fn variance<T: Element>(x: &[T]) -> f64 {
    let mean = mean(x);
    let deviations: Vec<f64> = x.iter().map(|x| x.to_f64() - mean).collect();
    dot(&deviations, &deviations).value / x.len() as f64
}

/// The largest element, NaN where there is one, and where it first stands.
#[must_use]
pub fn max<T: Element>(x: &[T]) -> (f64, Option<usize>) {
    let mut best = (f64::NEG_INFINITY, None);
    for (i, x) in x.iter().map(|x| x.to_f64()).enumerate() {
        if x.is_nan() {
            return (x, Some(i));
        }
        if best.1.is_none() || x > best.0 {
            best = (x, Some(i));
        }
    }
    best
}

/// The counts of each bin over `[low, high]`, found by going through the bins' edges; what lies outside comes last.
#[must_use]
pub fn histogram<T: Element>(x: &[T], low: f64, high: f64, bins: usize) -> Vec<u64> {
    let mut counts = std::vec![0; bins + 1];
    let edge = |j: usize| low + j as f64 * (high - low) / bins as f64;
    for x in x.iter().map(|x| x.to_f64()) {
        let bin = (0..bins).find(|&j| edge(j) <= x && (x < edge(j + 1) || (j + 1 == bins && x == high)));
        counts[bin.unwrap_or(bins)] += 1;
    }
    counts
}
