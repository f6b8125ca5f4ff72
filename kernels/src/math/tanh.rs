//! The hyperbolic tangent.

use crate::simd::Single;

/// `tanh(x)`, odd to the last bit.
#[inline(always)]
pub(crate) fn tanh<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let sign = c(-0.0);
    // -|x|; beyond 9.1, tanh is 1.
    let x0 = c(-9.1).max(x.or_bits(sign));
    // x0 = n ln 2 / 2 - b with n <= 0 and b in [0, ln 2 / 2]
    let bias = c(12_582_912.0 + 127.0);
    let z = c(-8.05).max(x0 + c(0.173_28)).mul_add(c(2.0 * core::f32::consts::LOG2_E), bias);
    let n = z - bias;
    let b = n.neg_mul_add(c(7.143_034e-7), n.neg_mul_add(c(0.346_572_88), x0));
    let b2 = b * b;
    let p = b2.mul_add(c(0.019_472_564), c(-0.053_733_77));
    let p = p.mul_add(b2, c(0.133_324_22)).mul_add(b2, c(-0.333_333_22));
    let t = (b2 * p).mul_add(b, b);
    let s = z.shl_bits::<23>();
    let (a, b) = (s - c(1.0), s + c(1.0));
    let inverse = c(1.0) / a.mul_add(t, b);
    let q = b.mul_add(t, a) * inverse;
    let rest = t.mul_add(q.neg_mul_add(a, b), q.neg_mul_add(b, a));
    let y = rest.mul_add(inverse, q);
    // `y` is negative or zero: its sign is that of x, reversed where x is positive.
    y.or_bits(sign).xor_bits(sign).or_bits(x.and_bits(sign))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("tanh", 997, 1.3, 1.5, |level, x, y| map_lanes_at!(level, tanh, x, y), libm::tanh);
    }
}
