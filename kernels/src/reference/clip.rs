//! Oracle of gradient clipping.

use std::vec::Vec;

use super::reduce;
use crate::Element;

/// `sqrt(sum x[i]^2)`, of values scaled by the power of two that brings the largest to about 1. NaN where there is one.
#[must_use]
pub fn norm<T: Element>(x: &[T]) -> f64 {
    let magnitudes = || x.iter().map(|x| x.to_f64().abs());
    let largest = magnitudes().fold(0.0, |a, b| if a > b || f64::is_nan(a) { a } else { b });
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let exponent = libm::ilogb(largest);
    let scaled: Vec<f64> = magnitudes().map(|x| libm::scalbn(x, -exponent)).collect();
    libm::scalbn(libm::sqrt(reduce::dot(&scaled, &scaled).value), exponent)
}

/// `gradient[i] * max_norm / norm` where the norm is above `max_norm` and finite, else `gradient[i]`. In an order that loses no digits.
#[must_use]
pub fn clip<T: Element>(max_norm: f64, norm: f64, gradient: &[T]) -> Vec<f64> {
    let factor = max_norm / norm;
    let scaled = |g: f64| if factor >= f64::MIN_POSITIVE { g * factor } else { g / norm * max_norm };
    let clips = norm > max_norm && norm.is_finite();
    gradient.iter().map(|g| if clips { scaled(g.to_f64()) } else { g.to_f64() }).collect()
}
