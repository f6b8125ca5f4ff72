//! Oracles of layer normalisation, row by row, in `f64`.

use std::vec::Vec;

use super::batch_norm::{Gradients, Moments, moments};
use super::reduce::{Sum, dot};
use crate::Element;

fn f64s<T: Element>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// The moments of every row.
#[must_use]
pub fn row_moments<T: Element>(features: usize, x: &[T]) -> Vec<Moments> {
    x.chunks(features).map(|row| moments(&f64s(row))).collect()
}

/// `gamma * (x - mean) * inv_std + beta`: a value, and as its magnitude `|gamma * (x - mean) * inv_std| + |beta|`, to which its
/// rounding error is proportional.
#[must_use]
pub fn normalise<T: Element>(x: &[T], mean: &[T], inv_std: &[T], gamma: &[T], beta: &[T]) -> Vec<Sum> {
    let features = gamma.len();
    let value = |(i, x): (usize, &T)| {
        let (row, j) = (i / features, i % features);
        let scaled = gamma[j].to_f64() * (x.to_f64() - mean[row].to_f64()) * inv_std[row].to_f64();
        let beta = beta[j].to_f64();
        Sum { value: scaled + beta, magnitude: scaled.abs() + beta.abs() }
    };
    x.iter().enumerate().map(value).collect()
}

/// The backward pass, from the statistics that the forward pass saved.
#[must_use]
pub fn backward<T: Element>(x: &[T], gamma: &[T], mean: &[T], inv_std: &[T], dy: &[T]) -> Gradients {
    let features = gamma.len();
    let (n, ones, gamma) = (features as f64, std::vec![1.0; features], f64s(gamma));
    let z: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, x)| (x.to_f64() - mean[i / features].to_f64()) * inv_std[i / features].to_f64())
        .collect();
    let dy = f64s(dy);
    let mut dx = Vec::new();
    for ((z, dy), inv_std) in z.chunks(features).zip(dy.chunks(features)).zip(inv_std) {
        let g: Vec<f64> = gamma.iter().zip(dy).map(|(gamma, dy)| gamma * dy).collect();
        let (sum, product, inv_std) = (dot(&g, &ones), dot(&g, z), inv_std.to_f64());
        for (g, z) in g.iter().zip(z) {
            let value = inv_std * (g - sum.value / n - z * product.value / n);
            let terms = g.abs() + sum.magnitude / n + z.abs() * product.magnitude / n;
            dx.push(Sum { value, magnitude: inv_std.abs() * terms });
        }
    }
    let column = |x: &[f64], j: usize| -> Vec<f64> { x.iter().skip(j).step_by(features).copied().collect() };
    let rows = std::vec![1.0; mean.len()];
    Gradients {
        dx,
        dgamma: (0..features).map(|j| dot(&column(&dy, j), &column(&z, j))).collect(),
        dbeta: (0..features).map(|j| dot(&column(&dy, j), &rows)).collect(),
    }
}
