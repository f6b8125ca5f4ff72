//! The functions of the lanes, in `f64`.

use crate::Function;
use core::f64::consts::{FRAC_1_SQRT_2, PI};

/// `f(x)`
#[must_use]
pub fn value(function: Function, x: f64) -> f64 {
    match function {
        Function::Exp => libm::exp(x),
        Function::Exp2 => libm::exp2(x),
        Function::ExpM1 => libm::expm1(x),
        Function::Ln => libm::log(x),
        Function::Ln1p => libm::log1p(x),
        Function::Tanh => libm::tanh(x),
        Function::Sigmoid => sigmoid(x),
        Function::Erf => libm::erf(x),
        Function::Sqrt => libm::sqrt(x),
        Function::Rsqrt => 1.0 / libm::sqrt(x),
    }
}

/// `1 / (1 + e^-x)`, accurate in both tails.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// The normal distribution `Phi(x) = erfc(-x / sqrt 2) / 2`: to 1e-12 of itself down to 1e-60.
#[must_use]
pub fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// `x Phi(x)`; its limit at minus infinity, -0.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * normal(x) }
}

/// `Phi(x) + x Phi'(x)`
#[must_use]
pub fn gelu_derivative(x: f64) -> f64 {
    if x.is_infinite() { normal(x) } else { normal(x) + x * libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt() }
}

/// `x sigmoid(v)` with `v = 2 sqrt(2 / pi) (x + 0.044715 x^3)`.
#[must_use]
pub fn gelu_tanh(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        -0.0
    } else {
        x * sigmoid(2.0 * (2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x))
    }
}

/// `s + x s (1 - s) v'` with `s = sigmoid(v)`.
#[must_use]
pub fn gelu_tanh_derivative(x: f64) -> f64 {
    let v = 2.0 * (2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x);
    let slope = 2.0 * (2.0 / PI).sqrt() * (1.0 + 3.0 * 0.044_715 * x * x);
    if v.abs() > 2000.0 { sigmoid(v) } else { sigmoid(v) + x * slope * sigmoid(v) * sigmoid(-v) }
}

/// `x sigmoid(x)`; its limit at minus infinity, -0.
#[must_use]
pub fn silu(x: f64) -> f64 {
    // e^x in two halves: it may be subnormal where the result is not.
    let half = libm::exp(0.5 * x);
    if x == f64::NEG_INFINITY {
        -0.0
    } else if x < 0.0 {
        x * half * half / (1.0 + half * half)
    } else {
        x * sigmoid(x)
    }
}

/// `s + x s (1 - s)` with `s = sigmoid(x)`.
#[must_use]
pub fn silu_derivative(x: f64) -> f64 {
    if x.is_infinite() { sigmoid(x) } else { sigmoid(x) + x * sigmoid(x) * sigmoid(-x) }
}

/// `ln(1 + e^x)`
#[must_use]
pub fn softplus(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(0.0) + libm::log1p(libm::exp(-x.abs())) }
}
