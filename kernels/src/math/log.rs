//! The natural logarithm.

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
    let f = m - c(1.0);
    let s = f / (c(2.0) + f);
    let s2 = s * s;
    // Least maximum error of 2 atanh(s) for this degree: 0.014 ULP.
    let r = s2 * polynomial(simd, s2, [0.666_667_76, 0.399_775_68, 0.298_714_6]);
    let half_square = c(0.5) * f * f;
    let low = s.mul_add(half_square + r, e * c(LN2_LO));
    let y = e.mul_add(c(LN2_HI), f - (half_square - low));
    let zero = c(0.0);
    let outside = L::select(x.eq(zero), c(f32::NEG_INFINITY), c(f32::NAN));
    // Infinity and NaN are their own logarithms.
    L::select(zero.lt(x), L::select(x.lt(c(f32::INFINITY)), y, x), outside)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("ln", 997, 1.0, 1.0, |level, x, y| map_lanes_at!(level, ln, x, y), libm::log);
    }
}
