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

/// `ln sum_k e^z[k] - z[label]` of a row.
#[must_use]
pub fn loss<T: Element>(row: &[T], label: usize) -> f64 {
    let max = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|z| libm::exp(z.to_f64() - max)).sum();
    libm::log(sum) + (max - row[label].to_f64())
}

/// Whether the first largest logit is the label's, and no logit is NaN or plus infinity, nor all minus infinity.
#[must_use]
pub fn correct<T: Element>(row: &[T], label: usize) -> bool {
    let best = row.iter().enumerate().fold(0, |best, (k, z)| if *z > row[best] { k } else { best });
    best == label && softmax(row).iter().all(|p| !p.is_nan())
}
