//! The natural logarithm, of `x` and of `1 + x`, and softplus.

use super::exp::exp_negative;
use super::polynomial;
use crate::simd::Lanes;

/// The bits of `sqrt(1/2)`, less 128 exponents: subtracted, they leave `e + 128` above the fraction of `m * 2^e`.
const BELOW_ONE: f32 = f32::from_bits(0x3f35_04f3_u32.wrapping_sub(128 << 23));
const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;

/// `ln(x)`; minus infinity at both zeros, NaN below.
///
/// `x = m 2^e`, `m` in `[sqrt(1/2), sqrt(2))`; `ln(1 + f) = 2 atanh(f / (2 + f))` as `f` and a correction, so that it keeps
/// its digits near 1. (Tang, Table-driven implementation of the logarithm function, 1990; the same reduction.)
#[inline(always)]
pub(crate) fn ln<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let subnormal = x.lt(c(f32::MIN_POSITIVE));
    let scaled = L::select(subnormal, x * c(33_554_432.0), x);
    let exponent = scaled.sub_bits(c(BELOW_ONE)).shr_bits::<23>();
    // 2^23 + k, its last bits k, is a `f32`; 25 are the scaling.
    let bias = L::select(subnormal, c(8_388_608.0 + 128.0 + 25.0), c(8_388_608.0 + 128.0));
    let e = exponent.or_bits(c(8_388_608.0)) - bias;
    let m = scaled.sub_bits(exponent.shl_bits::<23>()).add_bits(c(f32::from_bits(128 << 23)));
    let y = combine(simd, e, m - c(1.0));
    let zero = c(0.0);
    let outside = L::select(x.eq(zero), c(f32::NEG_INFINITY), c(f32::NAN));
    // Infinity and NaN are their own logarithms.
    L::select(zero.lt(x), L::select(x.lt(c(f32::INFINITY)), y, x), outside)
}

/// `ln(1 + x)`; minus infinity at -1, NaN below.
#[inline(always)]
pub(crate) fn ln_1p<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let (zero, one) = (c(0.0), c(1.0));
    let sum = one + x;
    // What the sum lost (Knuth, The Art of Computer Programming 2, 4.2.2).
    let part = sum - one;
    let lost = (one - (sum - part)) + (x - part);
    let exponent = sum.sub_bits(c(BELOW_ONE)).shr_bits::<23>();
    let e = exponent.or_bits(c(8_388_608.0)) - c(8_388_608.0 + 128.0);
    let shifted = exponent.shl_bits::<23>();
    let m = sum.sub_bits(shifted).add_bits(c(f32::from_bits(128 << 23)));
    // 2^-e; far from 1 the sum loses nothing that counts.
    let lost = lost * c(f32::from_bits(255 << 23)).sub_bits(shifted);
    let f = (m - one) + L::select(x.lt(c(1e9)), lost, zero);
    let y = combine(simd, e, f).or_bits(x.and_bits(c(-0.0)));
    let outside = L::select(x.eq(-one), c(f32::NEG_INFINITY), c(f32::NAN));
    L::select((-one).lt(x), L::select(x.lt(c(f32::INFINITY)), y, x), L::select(x.le(-one), outside, x))
}

/// `ln(1 + e^x)`, as `max(x, 0) + ln(1 + e^-|x|)`.
#[inline(always)]
pub(crate) fn softplus<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    let (zero, sign) = (L::splat(simd, 0.0), L::splat(simd, -0.0));
    zero.max(x) + ln_1p(simd, exp_negative(simd, x.or_bits(sign)))
}

/// `e ln 2 + ln(1 + f)`, for `1 + f` in `[sqrt(1/2), sqrt(2))`.
#[inline(always)]
fn combine<L: Lanes<Scalar = f32>>(simd: L::Simd, e: L, f: L) -> L {
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
