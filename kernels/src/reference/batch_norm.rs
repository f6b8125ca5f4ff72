//! Oracles of batch normalisation, channel by channel, in `f64`.

use std::vec::Vec;

use super::reduce::{Sum, dot};
use crate::{Channels, Element, Running};

/// The mean and the variance of one channel.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// How many values.
    pub n: f64,
    /// Their mean.
    pub mean: f64,
    /// Their biased variance.
    pub variance: f64,
}

/// The channel that element `i` belongs to.
#[must_use]
pub fn channel_of(channels: Channels, i: usize) -> usize {
    i / channels.inner() % channels.channels()
}

/// The values of one channel, in their order.
#[must_use]
pub fn channel<T: Element>(channels: Channels, x: &[T], c: usize) -> Vec<f64> {
    x.iter().enumerate().filter(|(i, _)| channel_of(channels, *i) == c).map(|(_, x)| x.to_f64()).collect()
}

/// The mean and the variance of `x`: two passes and a correction for the rounding of the mean.
#[must_use]
pub fn moments(x: &[f64]) -> Moments {
    let n = x.len() as f64;
    let ones = std::vec![1.0; x.len()];
    let guess = dot(x, &ones).value / n;
    let d: Vec<f64> = x.iter().map(|x| x - guess).collect();
    let offset = dot(&d, &ones).value / n;
    Moments { n, mean: guess + offset, variance: dot(&d, &d).value / n - offset * offset }
}

/// The moments of every channel.
#[must_use]
pub fn all_moments<T: Element>(channels: Channels, x: &[T]) -> Vec<Moments> {
    (0..channels.channels()).map(|c| moments(&channel(channels, x, c))).collect()
}

/// `gamma * (x - mean) * inv_std + beta`, each channel's parameters at its index: a value, and the magnitude
/// `|gamma * (x - mean) * inv_std| + |beta|`, to which its rounding error is proportional.
#[must_use]
pub fn normalise<T: Element>(
    channels: Channels,
    x: &[T],
    mean: &[f64],
    inv_std: &[f64],
    gamma: &[T],
    beta: &[T],
) -> Vec<Sum> {
    x.iter()
        .enumerate()
        .map(|(i, x)| {
            let c = channel_of(channels, i);
            let scaled = gamma[c].to_f64() * (x.to_f64() - mean[c]) * inv_std[c];
            Sum { value: scaled + beta[c].to_f64(), magnitude: scaled.abs() + beta[c].to_f64().abs() }
        })
        .collect()
}

/// What the backward pass returns.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// The gradient by `x`; as its magnitude, that of its terms with each sum's own magnitude.
    pub dx: Vec<Sum>,
    /// The gradient by `gamma`.
    pub dgamma: Vec<Sum>,
    /// The gradient by `beta`.
    pub dbeta: Vec<Sum>,
}

/// The backward pass, from the statistics that the forward pass saved.
#[must_use]
pub fn backward<T: Element>(
    channels: Channels,
    x: &[T],
    gamma: &[T],
    mean: &[T],
    inv_std: &[T],
    dy: &[T],
) -> Gradients {
    let zero = Sum { value: 0.0, magnitude: 0.0 };
    let mut all = Gradients { dx: std::vec![zero; x.len()], dgamma: Vec::new(), dbeta: Vec::new() };
    for c in 0..channels.channels() {
        let (mean, inv_std, gamma) = (mean[c].to_f64(), inv_std[c].to_f64(), gamma[c].to_f64());
        let z: Vec<f64> = channel(channels, x, c).iter().map(|x| (x - mean) * inv_std).collect();
        let dy = channel(channels, dy, c);
        let n = z.len() as f64;
        let dbeta = dot(&dy, &std::vec![1.0; dy.len()]);
        let dgamma = dot(&dy, &z);
        let mut of_channel = z.iter().zip(&dy);
        for (i, dx) in all.dx.iter_mut().enumerate() {
            if channel_of(channels, i) == c {
                let (z, dy) = of_channel.next().expect("as many as the channel has");
                let value = gamma * inv_std * (dy - dbeta.value / n - z * dgamma.value / n);
                let terms = dy.abs() + dbeta.magnitude / n + z.abs() * dgamma.magnitude / n;
                *dx = Sum { value, magnitude: (gamma * inv_std).abs() * terms };
            }
        }
        all.dgamma.push(dgamma);
        all.dbeta.push(dbeta);
    }
    all
}

/// The backward pass of an evaluation.
#[must_use]
pub fn evaluate_backward<T: Element>(
    channels: Channels,
    epsilon: f64,
    x: &[T],
    gamma: &[T],
    running: Running<'_, T>,
    dy: &[T],
) -> Gradients {
    let inv_std: Vec<f64> = running.variance.iter().map(|v| 1.0 / (v.to_f64() + epsilon).sqrt()).collect();
    let dx = dy.iter().enumerate().map(|(i, dy)| {
        let c = channel_of(channels, i);
        let value = dy.to_f64() * gamma[c].to_f64() * inv_std[c];
        Sum { value, magnitude: value.abs() }
    });
    let mut all = Gradients { dx: dx.collect(), dgamma: Vec::new(), dbeta: Vec::new() };
    for (c, (mean, inv_std)) in running.mean.iter().zip(inv_std).enumerate() {
        let z: Vec<f64> = channel(channels, x, c).iter().map(|x| (x - mean.to_f64()) * inv_std).collect();
        let dy = channel(channels, dy, c);
        all.dgamma.push(dot(&dy, &z));
        all.dbeta.push(dot(&dy, &std::vec![1.0; dy.len()]));
    }
    all
}
