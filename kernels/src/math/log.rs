//! The natural logarithm, of `x` and of `1 + x`, and softplus.

use super::exp::exp_negative;
use super::polynomial;
use crate::simd::Single;

const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;

/// `ln(x)`; minus infinity at both zeros, NaN below.
///
/// `x = m 2^e`, `m` in `[sqrt(1/2), sqrt(2))`; `ln(1 + f) = 2 atanh(f / (2 + f))` as `f` and a correction, so that it keeps
/// its digits near 1. (Tang, Table-driven implementation of the logarithm function, 1990; the same reduction.)
#[inline(always)]
pub(crate) fn ln<L: Single>(simd: L::Simd, x: L) -> L {
    let (m, e) = x.split_power(simd);
    combine(simd, e, m - L::splat(simd, 1.0))
}

/// `ln(1 + x)`; minus infinity at -1, NaN below.
#[inline(always)]
pub(crate) fn ln_1p<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let one = c(1.0);
    let sum = one + x;
    // What the sum lost (Knuth, The Art of Computer Programming 2, 4.2.2).
    let part = sum - one;
    let lost = (one - (sum - part)) + (x - part);
    let (m, e) = sum.split_power(simd);
    // Far from 1 the sum loses nothing that counts.
    let lost = lost.scale_by_power(simd, c(L::POWER) - c(-64.0).max(e));
    let f = (m - one) + L::select(x.lt(c(1e9)), lost, c(0.0));
    combine(simd, e, f).or_bits(x.and_bits(c(-0.0)))
}

/// `ln(1 + e^x)`, as `max(x, 0) + ln(1 + e^-|x|)`.
#[inline(always)]
pub(crate) fn softplus<L: Single>(simd: L::Simd, x: L) -> L {
    let (zero, sign) = (L::splat(simd, 0.0), L::splat(simd, -0.0));
    zero.max(x) + ln_1p(simd, exp_negative(simd, x.or_bits(sign)))
}

/// `e ln 2 + ln(1 + f)`, for `1 + f` in `[sqrt(1/2), sqrt(2))`.
#[inline(always)]
fn combine<L: Single>(simd: L::Simd, e: L, f: L) -> L {
    let c = |c| L::splat(simd, c);
    let s = f / (c(2.0) + f);
    let s2 = s * s;
    // Least maximum error of 2 atanh(s) for this degree: 0.014 ULP.
    let r = s2 * polynomial(simd, s2, [0.666_667_76, 0.399_775_68, 0.298_714_6]);
    let half_square = c(0.5) * f * f;
    let low = s.mul_add(half_square + r, e * c(LN2_LO));
    e.mul_add(c(LN2_HI), f - (half_square - low))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;
    use crate::reference::math;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("ln", 997, 0.9, 0.9, |level, x, y| map_lanes_at!(level, ln, x, y), libm::log);
        check_bounds("ln_1p", 997, 1.4, 1.4, |level, x, y| map_lanes_at!(level, ln_1p, x, y), libm::log1p);
        check_bounds(
            "softplus",
            997,
            2.0,
            2.0,
            |level, x, y| map_lanes_at!(level, softplus, x, y),
            math::softplus,
        );
    }
}
