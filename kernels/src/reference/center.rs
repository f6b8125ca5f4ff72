//! Oracles of centring.

use std::vec::Vec;

use super::batch_norm::channel_of;
use crate::{Channels, Element};

/// `(x - mean) * scale` by channel.
#[must_use]
pub fn center<T: Element>(channels: Channels, x: &[T], mean: &[T], scale: &[T]) -> Vec<f64> {
    x.iter()
        .enumerate()
        .map(|(i, x)| {
            let c = channel_of(channels, i);
            (x.to_f64() - mean[c].to_f64()) * scale[c].to_f64()
        })
        .collect()
}

/// The mean and the biased standard deviation of the bytes of one channel, from exact integer sums.
#[must_use]
pub fn mean_and_std_u8(channels: Channels, pixels: &[u8], c: usize) -> (f64, f64) {
    let (mut n, mut sum, mut square) = (0u128, 0u128, 0u128);
    for (i, pixel) in pixels.iter().enumerate() {
        if channel_of(channels, i) == c {
            let pixel = u128::from(*pixel);
            n += 1;
            sum += pixel;
            square += pixel * pixel;
        }
    }
    // n^2 times the variance is an integer.
    let spread = (n * square - sum * sum) as f64;
    (sum as f64 / n as f64, spread.sqrt() / n as f64)
}
