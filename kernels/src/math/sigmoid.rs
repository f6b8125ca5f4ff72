//! The logistic function.

use super::exp::exp_negative;
use crate::simd::Lanes;

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    let (zero, one, sign) = (L::splat(simd, 0.0), L::splat(simd, 1.0), L::splat(simd, -0.0));
    // e^-|x| never overflows, and e / (1 + e) keeps its digits where the result is small.
    let e = exp_negative(simd, x.or_bits(sign));
    let numerator = L::select(x.lt(zero), e, one);
    let inverse = one / (one + e);
    let y = numerator * inverse;
    // What is left of the division by the exact 1 + e: numerator - y is exact.
    let rest = y.neg_mul_add(e, numerator - y);
    rest.mul_add(inverse, y)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    fn exact(x: f64) -> f64 {
        let e = libm::exp(-libm::fabs(x));
        (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("sigmoid", 997, 2.4, 2.4, |level, x, y| map_lanes_at!(level, sigmoid, x, y), exact);
    }
}
