//! Oracles of softmax and cross-entropy.

use crate::Element;
use std::vec::Vec;

/// The probabilities of a row.
#[must_use]
pub fn softmax<T: Element>(row: &[T]) -> Vec<f64> {
    let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = row.iter().map(|z| libm::exp(z.to_f64() - max)).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

/// The logarithms of a row's probabilities.
#[must_use]
pub fn log_softmax<T: Element>(row: &[T]) -> Vec<f64> {
    let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|z| libm::exp(z.to_f64() - max)).sum();
    row.iter().map(|z| (z.to_f64() - max) - libm::log(sum)).collect()
}

/// `-sum_k t[k] ln softmax(z)[k]` of a row; a target of 0 adds nothing.
#[must_use]
pub fn cross_entropy<T: Element>(row: &[T], targets: &[f64]) -> f64 {
    let logarithms = log_softmax(row);
    let nan = logarithms.iter().any(|y| y.is_nan());
    let terms = logarithms.iter().zip(targets).filter(|(_, t)| **t != 0.0).map(|(y, t)| -t * y);
    if nan { f64::NAN } else { terms.sum() }
}

/// Whether the first largest logit is the label's, and no logit is NaN or plus infinity, nor all minus infinity.
#[must_use]
pub fn correct<T: Element>(row: &[T], label: usize) -> bool {
    let best = row.iter().enumerate().fold(0, |best, (k, z)| if *z > row[best] { k } else { best });
    best == label && softmax(row).iter().all(|p| !p.is_nan())
}
