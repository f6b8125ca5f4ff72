//! Oracles of the rectifier with learned slopes.

use super::batch_norm::channel_of;
use super::reduce::Sum;
use crate::{Channels, Element};

/// `x` above 0, else `slope * x`.
#[must_use]
pub fn forward<T: Element>(x: T, slope: T) -> T {
    if x > T::default() { x } else { slope * x }
}

/// The gradient by `x`: `dy` above 0, else `slope * dy`; NaN where `x` is.
#[must_use]
pub fn backward<T: Element>(x: T, slope: T, dy: T) -> T {
    if x > T::default() {
        dy
    } else if x <= T::default() {
        slope * dy
    } else {
        x
    }
}

/// The gradient by the slope of channel `c`, and the sum of its terms' magnitudes.
#[must_use]
pub fn slope_gradient<T: Element>(channels: Channels, x: &[T], dy: &[T], c: usize) -> Sum {
    let mut sum = Sum { value: 0.0, magnitude: 0.0 };
    for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
        let x = x.to_f64();
        if channel_of(channels, i) == c && (x < 0.0 || x.is_nan()) {
            let term = x * dy.to_f64();
            sum.value += term;
            sum.magnitude += term.abs();
        }
    }
    sum
}
