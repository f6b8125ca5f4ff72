//! The logistic function, and what is `x` times it: SiLU, and GELU in its form with `tanh`.

use super::exp::{DOWN, exp_negative, exp_parts};
use crate::simd::Single;

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<L: Single>(simd: L::Simd, x: L) -> L {
    let (one, sign) = (L::splat(simd, 1.0), L::splat(simd, -0.0));
    // e^-|x| never overflows, and e / (1 + e) keeps its digits where the result is small.
    let e = exp_negative(simd, x.or_bits(sign));
    let numerator = L::select_negative(x, e, one);
    let inverse = one / (one + e);
    let y = numerator * inverse;
    // What is left of the division by the exact 1 + e: numerator - y is exact.
    let rest = y.neg_mul_add(e, numerator - y);
    rest.mul_add(inverse, y)
}

/// `x / (1 + e^-x)`; at minus infinity -0.
#[inline(always)]
pub(crate) fn silu<L: Single>(simd: L::Simd, x: L) -> L {
    times_sigmoid(simd, x, x, None)
}

/// `s + x s (1 - s)`, with `s = sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu_derivative<L: Single>(simd: L::Simd, x: L) -> L {
    let one = L::splat(simd, 1.0);
    let x = L::splat(simd, 200.0).min(L::splat(simd, -200.0).max(x));
    let s = sigmoid(simd, x);
    // 1 - s, with its digits.
    s * x.mul_add(sigmoid(simd, -x), one)
}

/// 0.044715, in two parts.
const CUBE: f32 = 0.044_715;
const CUBE_LOW: f32 = 1.546_144_4e-9;
/// `2 sqrt(2 / pi)`, in two parts.
const TWICE: f32 = 1.595_769_2;
const TWICE_LOW: f32 = -4.534_068e-8;

/// `x (1 + tanh(v / 2)) / 2 = x sigmoid(v)`, `v = 2 sqrt(2 / pi) (x + 0.044715 x^3)`. (Hendrycks and Gimpel, Gaussian error linear units,
/// 2016.)
#[inline(always)]
pub(crate) fn gelu_tanh<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    // Beyond, the result is 0 or x.
    let x0 = c(12.0).min(c(-12.0).max(x));
    // v in two parts, for an error of its last place would be one of 100 in the result's.
    let square = x0 * x0;
    let square_low = x0.mul_add(x0, -square);
    let cube = square * c(CUBE);
    let cube_low = square_low.mul_add(c(CUBE), square.mul_add(c(CUBE_LOW), square.mul_add(c(CUBE), -cube)));
    let one = c(1.0);
    let factor = one + cube;
    let part = factor - one;
    let factor_low = (one - (factor - part)) + (cube - part) + cube_low;
    let twice = x0 * c(TWICE);
    let twice_low = x0.mul_add(c(TWICE_LOW), x0.mul_add(c(TWICE), -twice));
    let v = twice * factor;
    let low = twice.mul_add(factor_low, twice_low.mul_add(factor, twice.mul_add(factor, -v)));
    times_sigmoid(simd, x, v, Some(low))
}

/// `s + x s (1 - s) v'`, with `s = sigmoid(v)`.
#[inline(always)]
pub(crate) fn gelu_tanh_derivative<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let x = c(12.0).min(c(-12.0).max(x));
    let square = x * x;
    let v = x * c(TWICE) * square.mul_add(c(CUBE), c(1.0));
    let slope = c(TWICE) * square.mul_add(c(3.0 * CUBE), c(1.0));
    let s = sigmoid(simd, v);
    s * (x * slope).mul_add(sigmoid(simd, -v), c(1.0))
}

/// `x sigmoid(v + low)`, where `v` has the sign of `x`; scaled, so that a subnormal result is rounded once.
#[inline(always)]
fn times_sigmoid<L: Single>(simd: L::Simd, x: L, v: L, low: Option<L>) -> L {
    let c = |c| L::splat(simd, c);
    let (one, sign) = (c(1.0), c(-0.0));
    // e^-110 times 110 is below half the smallest subnormal.
    let magnitude = c(-110.0).max(v.or_bits(sign));
    // The low part with the sign that |v| turns it to.
    #[expect(clippy::manual_map, reason = "core's adaptors cannot be forced in line")]
    let turned = if let Some(low) = low { Some(low.xor_bits(v.and_bits(sign)).xor_bits(sign)) } else { None };
    let (u, scale) = exp_parts(simd, magnitude, turned);
    let scaled = u.mul_add(scale, scale);
    let sum = scaled.mul_add(c(DOWN), one);
    let (numerator, down) = (L::select_negative(x, scaled, one), L::select_negative(x, c(DOWN), one));
    numerator / sum * c(-110.0).max(x) * down
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;
    use crate::reference::math;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("silu", 997, 4.0, 4.0, |level, x, y| map_lanes_at!(level, silu, x, y), math::silu);
        check_bounds(
            "gelu_tanh",
            997,
            5.0,
            500.0,
            |level, x, y| map_lanes_at!(level, gelu_tanh, x, y),
            math::gelu_tanh,
        );
        check_bounds(
            "sigmoid",
            997,
            1.5,
            1.5,
            |level, x, y| map_lanes_at!(level, sigmoid, x, y),
            math::sigmoid,
        );
    }
}
