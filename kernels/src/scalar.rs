//! Functions of single `f64`s, those of `libm` and what is made of them: what `f64` lanes compute one by one.
//!
//! None is compiled in line: the eight lanes of a block would be eight copies.

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
fn normal(x: f64) -> f64 {
    let t = -x * FRAC_1_SQRT_2;
    let low = libm::fma(-x, FRAC_1_SQRT_2, -t) - x * FRAC_1_SQRT_2_LOW;
    0.5 * (libm::erfc(t) - FRAC_2_SQRT_PI * libm::exp(-t * t) * low)
}

/// `x Phi(x)`; at minus infinity -0.
#[inline(never)]
pub(crate) fn gelu(x: f64) -> f64 {
    x.max(-60.0) * normal(x.clamp(-60.0, 60.0))
}

/// `Phi(x) + x Phi'(x)`
#[inline(never)]
pub(crate) fn gelu_derivative(x: f64) -> f64 {
    let x = x.clamp(-60.0, 60.0);
    let square = x * x;
    // The square's rounding would be one of 700 in the last place of the exponential.
    let density = libm::exp(-0.5 * square) * (1.0 - 0.5 * libm::fma(x, x, -square));
    normal(x) + x * (0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI) * density
}

/// `x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`
#[inline(never)]
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    let v = x.clamp(-60.0, 60.0);
    x.max(-60.0) * sigmoid(TWICE * v * (1.0 + CUBE * v * v))
}

/// Its derivative.
#[inline(never)]
pub(crate) fn gelu_tanh_derivative(x: f64) -> f64 {
    let x = x.clamp(-60.0, 60.0);
    let v = TWICE * x * (1.0 + CUBE * x * x);
    let slope = TWICE * (1.0 + 3.0 * CUBE * x * x);
    sigmoid(v) * (1.0 + x * slope * sigmoid(-v))
}

/// `x sigmoid(x)`; at minus infinity -0.
#[inline(never)]
pub(crate) fn silu(x: f64) -> f64 {
    // Not `max`, which drops a NaN.
    let x = x.clamp(-800.0, f64::INFINITY);
    // Where e^x is a subnormal of few digits, x times it may be whole.
    let root = libm::exp(-0.5 * libm::fabs(x));
    let sum = 1.0 + root * root;
    if x < 0.0 { x * root / sum * root } else { x / sum }
}

/// `s + x s (1 - s)`, with `s = sigmoid(x)`.
#[inline(never)]
pub(crate) fn silu_derivative(x: f64) -> f64 {
    let x = x.clamp(-800.0, 800.0);
    sigmoid(x) * (1.0 + x * sigmoid(-x))
}

/// `ln(1 + e^x)`
#[inline(never)]
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-libm::fabs(x)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::ulp_error;

    /// A function by its name, an input and the nearest `f64` to the result.
    type Fact = (&'static str, fn(f64) -> f64, f64, f64);

    #[test]
    fn values_are_those_of_a_hundred_bits() {
        // By mpmath at 160 bits, rounded.
        let facts: [Fact; 34] = [
            ("exp", exp, -700.5, 5.980196118639791e-305),
            ("exp", exp, 1.75, 5.754602676005731),
            ("exp2", exp2, -1000.25, 7.847780312860669e-302),
            ("exp_m1", exp_m1, -0.3, -0.2591817793182821),
            ("exp_m1", exp_m1, 0.0078125, 0.007843097206447977),
            ("ln", ln, 0.1, -2.3025850929940455),
            ("ln_1p", ln_1p, -0.3, -0.35667494393873234),
            ("ln_1p", ln_1p, 1e-09, 9.999999995e-10),
            ("tanh", tanh, -0.238, -0.23360577839421773),
            ("tanh", tanh, 3.5, 0.9981778976111987),
            ("erf", erf, -0.84, -0.7651427114549945),
            ("erf", erf, 2.0, 0.9953222650189527),
            ("sigmoid", sigmoid, -31.75, 1.6261110446177924e-14),
            ("sigmoid", sigmoid, -700.5, 5.980196118639791e-305),
            ("sigmoid", sigmoid, 0.3, 0.574442516811659),
            ("gelu", gelu, -37.0, -2.1184613523340935e-298),
            ("gelu", gelu, -24.9375, -3.638528612482934e-136),
            ("gelu", gelu, -5.5, -1.0444259356238245e-07),
            ("gelu", gelu, -0.75, -0.16997051428265114),
            ("gelu", gelu, 0.5, 0.34573123063700656),
            ("gelu_derivative", gelu_derivative, -35.125, -1.7273211227042731e-267),
            ("gelu_derivative", gelu_derivative, -2.0, -0.0852318010781969),
            ("gelu_derivative", gelu_derivative, 0.5, 0.8674951246561629),
            ("gelu_tanh", gelu_tanh, -3.5, -0.0006161976553736633),
            ("gelu_tanh", gelu_tanh, 0.5, 0.34571400982514394),
            ("silu", silu, -719.375, -2.73125608459964e-310),
            ("silu", silu, -730.0, -6.735208906e-315),
            ("silu", silu, -31.75, -5.162902566661492e-13),
            ("silu", silu, 0.5, 0.3112296656009273),
            ("silu_derivative", silu_derivative, -31.75, -5.000291462199628e-13),
            ("silu_derivative", silu_derivative, 0.5, 0.7399611873026518),
            ("softplus", softplus, -31.75, 1.6261110446178056e-14),
            ("softplus", softplus, 0.5, 0.9740769841801067),
            ("softplus", softplus, 40.0, 40.0),
        ];
        for (name, f, x, expected) in facts {
            let ulp = ulp_error(f(x), expected);
            assert!(ulp <= 4.0, "{name}({x}) = {:e}, not {expected:e}: {ulp} ULP", f(x));
        }
    }

    #[test]
    fn limits() {
        for f in [gelu, gelu_tanh, silu] {
            assert_eq!((f(f64::INFINITY), f(f64::NEG_INFINITY), f(0.0)), (f64::INFINITY, -0.0, 0.0));
            assert!(
                f(f64::NEG_INFINITY).is_sign_negative() && f(-0.0).is_sign_negative() && f(f64::NAN).is_nan()
            );
        }
        for f in [gelu_derivative, gelu_tanh_derivative, silu_derivative] {
            assert_eq!((f(f64::INFINITY), f(f64::NEG_INFINITY), f(0.0)), (1.0, 0.0, 0.5));
            assert!(f(f64::NAN).is_nan());
        }
        assert_eq!((softplus(f64::INFINITY), softplus(f64::NEG_INFINITY)), (f64::INFINITY, 0.0));
        assert!(softplus(f64::NAN).is_nan() && sigmoid(f64::NAN).is_nan());
    }
}
