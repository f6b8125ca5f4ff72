//! Functions of single `f64`s, those of `libm` and what is made of them: what `f64` lanes compute one by one. None is compiled in line: eight of a block would be eight copies.

use core::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// What `FRAC_1_SQRT_2` misses.
const FRAC_1_SQRT_2_LOW: f64 = -4.833_646_656_726_457e-17;
const CUBE: f64 = 0.044_715;
/// `2 sqrt(2 / pi)`
const TWICE: f64 = 1.595_769_121_605_730_8;

/// `e^x`
#[inline(never)]
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `2^x`
#[inline(never)]
pub(crate) fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// `e^x - 1`
#[inline(never)]
pub(crate) fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// `ln(x)`
#[inline(never)]
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`
#[inline(never)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// `tanh(x)`
#[inline(never)]
pub(crate) fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// `erf(x)`
#[inline(never)]
pub(crate) fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// `1 / (1 + e^-x)`, with its digits in the negative tail.
#[inline(never)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-libm::fabs(x));
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// `Phi(x)`, the normal distribution: 4 ULP in the negative tail, with the rounding of `x / sqrt 2` put right.
#[inline(never)]
pub(crate) fn normal(x: f64) -> f64 {
    let t = -x * FRAC_1_SQRT_2;
    let low = libm::fma(-x, FRAC_1_SQRT_2, -t) - x * FRAC_1_SQRT_2_LOW;
    let correction = if low.is_finite() { FRAC_2_SQRT_PI * libm::exp(-t * t) * low } else { 0.0 };
    0.5 * (libm::erfc(t) - correction)
}

/// `x Phi(x)`; at minus infinity -0.
#[inline(never)]
pub(crate) fn gelu(x: f64) -> f64 {
    x.max(-60.0) * if x.is_nan() { x } else { normal(x) }
}

/// `Phi(x) + x Phi'(x)`
#[inline(never)]
pub(crate) fn gelu_derivative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-60.0, 60.0);
    normal(x) + x * (0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI) * libm::exp(-0.5 * x * x)
}

/// `x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`
#[inline(never)]
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let v = x.clamp(-60.0, 60.0);
    x.max(-60.0) * sigmoid(TWICE * v * (1.0 + CUBE * v * v))
}

/// Its derivative.
#[inline(never)]
pub(crate) fn gelu_tanh_derivative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-60.0, 60.0);
    let v = TWICE * x * (1.0 + CUBE * x * x);
    let slope = TWICE * (1.0 + 3.0 * CUBE * x * x);
    sigmoid(v) * (1.0 + x * slope * sigmoid(-v))
}

/// `x sigmoid(x)`; at minus infinity -0.
#[inline(never)]
pub(crate) fn silu(x: f64) -> f64 {
    if x.is_nan() { x } else { x.max(-800.0) * sigmoid(x) }
}

/// `s + x s (1 - s)`, with `s = sigmoid(x)`.
#[inline(never)]
pub(crate) fn silu_derivative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-800.0, 800.0);
    sigmoid(x) * (1.0 + x * sigmoid(-x))
}

/// `ln(1 + e^x)`
#[inline(never)]
pub(crate) fn softplus(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    x.max(0.0) + libm::log1p(libm::exp(-libm::fabs(x)))
}
